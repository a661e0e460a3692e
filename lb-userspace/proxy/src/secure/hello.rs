//! Looking at a client's greeting without answering it (RFC 8446, section 4.1.2; RFC 6066,
//! section 3; RFC 7301): for TLS that is passed through.

use super::error::SecureError;
use crate::{host::normal, io::Prefixed};
use bytes::BytesMut;
use smallvec::SmallVec;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Bytes that a greeting may have, records' headers included. Those of browsers have 2 KiB, with
/// post-quantum key shares.
const HELLO_BYTES_MAX: usize = 16_384;

/// Protocols of ALPN that are kept; more are not looked at.
const ALPN_MAX: usize = 16;

/// What a client's greeting says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// The server name (SNI), lower case, without a dot at the end.
    pub server_name: Option<Box<str>>,
    /// Application protocols, in the client's order.
    pub alpn: SmallVec<[Box<[u8]>; 2]>,
}

/// Reads a client's greeting, which may take `timeout`. The stream gives it once more.
pub async fn client_hello<S: AsyncRead + Unpin>(
    stream: Prefixed<S>,
    timeout: Duration,
) -> Result<(Prefixed<S>, Hello), SecureError> {
    let read = async {
        let (prefix, mut stream) = stream.into_parts();
        let mut bytes = BytesMut::from(prefix);
        let mut reader = Reader::default();
        loop {
            if let Some(hello) = reader.advance(&bytes)? {
                return Ok((Prefixed::with_prefix(bytes.freeze(), stream), hello));
            }
            if bytes.len() >= HELLO_BYTES_MAX {
                return Err(SecureError::TooLarge);
            }
            let read = stream.read_buf(&mut bytes).await;
            if read.map_err(|_| SecureError::ClientGone)? == 0 {
                return Err(SecureError::ClientGone);
            }
        }
    };
    tokio::time::timeout(timeout, read).await.map_err(|_| SecureError::Timeout)?
}

/// Reads a greeting from the begin of `bytes`; `None` if there is not all of it yet.
pub fn parse_hello(bytes: &[u8]) -> Result<Option<Hello>, SecureError> {
    Reader::default().advance(bytes)
}

/// RFC 8446, section 5.1.
const RECORD_HANDSHAKE: u8 = 22;
const RECORD_HEADER_BYTES: usize = 5;
const RECORD_BYTES_MAX: usize = 1 << 14;
/// RFC 8446, section 4.
const HANDSHAKE_CLIENT_HELLO: u8 = 1;
const HANDSHAKE_HEADER_BYTES: usize = 4;
/// RFC 6066, section 3.
const EXTENSION_SERVER_NAME: u16 = 0;
const NAME_TYPE_HOST: u8 = 0;
/// RFC 7301, section 3.1.
const EXTENSION_ALPN: u16 = 16;

/// Takes records apart as they come; each is looked at once, however small segments are.
#[derive(Default)]
struct Reader {
    /// Where the next record begins.
    place: usize,
    /// What records carried, as far as it is not simply `bytes`.
    message: Vec<u8>,
}

impl Reader {
    fn advance(&mut self, bytes: &[u8]) -> Result<Option<Hello>, SecureError> {
        while let Some(body) = self.record(bytes)? {
            self.message.extend_from_slice(body);
            self.place += RECORD_HEADER_BYTES + body.len();
            if let Some(hello) = self.complete()? {
                return Ok(Some(hello));
            }
        }
        Ok(None)
    }

    /// The next record's body, if all of it is there.
    fn record<'a>(&self, bytes: &'a [u8]) -> Result<Option<&'a [u8]>, SecureError> {
        let mut rest = Bytes(bytes.get(self.place..).unwrap_or_default());
        // Each byte is checked as soon as it is there: what is not TLS is not waited for.
        match (rest.u8(), rest.u8()) {
            (None | Some(RECORD_HANDSHAKE), None | Some(3)) => {}
            _ => return Err(SecureError::NotTls),
        }
        let (Some(_minor), Some(length)) = (rest.u8(), rest.u16()) else {
            return Ok(None);
        };
        let length = usize::from(length);
        if length == 0 {
            return Err(SecureError::Protocol);
        }
        if length > RECORD_BYTES_MAX || self.place + length > HELLO_BYTES_MAX {
            return Err(SecureError::TooLarge);
        }
        Ok(rest.take(length).map(|body| body.0))
    }

    /// The greeting, if all of it is there.
    fn complete(&self) -> Result<Option<Hello>, SecureError> {
        let mut message = Bytes(&self.message);
        if message.u8() != Some(HANDSHAKE_CLIENT_HELLO) {
            return Err(SecureError::NotTls);
        }
        let Some(length) = message.u24() else {
            return Ok(None);
        };
        if length > HELLO_BYTES_MAX - HANDSHAKE_HEADER_BYTES {
            return Err(SecureError::TooLarge);
        }
        match message.take(length) {
            Some(body) => read_hello(body).map(Some).ok_or(SecureError::Protocol),
            None => Ok(None),
        }
    }
}

/// RFC 8446, section 4.1.2: version, random, session, cipher suites, compressions, extensions.
fn read_hello(mut body: Bytes<'_>) -> Option<Hello> {
    body.take(2 + 32)?;
    body.vector8()?;
    body.vector16()?;
    body.vector8()?;
    let mut hello = Hello::default();
    if body.0.is_empty() {
        // RFC 5246, section 7.4.1.2: there may be no extensions at all.
        return Some(hello);
    }
    let mut extensions = body.vector16()?;
    let mut has_name = false;
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let content = extensions.vector16()?;
        match kind {
            // Two of them would let two readers route differently (section 4.2 forbids it).
            EXTENSION_SERVER_NAME if has_name => return None,
            EXTENSION_SERVER_NAME => {
                has_name = true;
                read_server_name(content, &mut hello.server_name)?;
            }
            EXTENSION_ALPN => hello.alpn = read_alpn(content)?,
            _ => {}
        }
    }
    body.0.is_empty().then_some(hello)
}

/// The first host name; a list without one says nothing. Not a name: malformed.
fn read_server_name(mut content: Bytes<'_>, found: &mut Option<Box<str>>) -> Option<()> {
    let mut names = content.vector16()?;
    while !names.0.is_empty() {
        let kind = names.u8()?;
        let name = names.vector16()?;
        if kind == NAME_TYPE_HOST {
            let is_name_byte = |byte: &u8| byte.is_ascii_graphic() && *byte != b'/';
            let is_name = !name.0.is_empty() && name.0.iter().all(is_name_byte);
            let name = str::from_utf8(name.0).ok().filter(|_| is_name)?;
            *found = Some(normal(name).into());
            break;
        }
    }
    Some(())
}

fn read_alpn(mut content: Bytes<'_>) -> Option<SmallVec<[Box<[u8]>; 2]>> {
    let mut protocols = content.vector16()?;
    let mut found = SmallVec::new();
    while !protocols.0.is_empty() {
        let protocol = protocols.vector8()?;
        if found.len() < ALPN_MAX {
            found.push(protocol.0.into());
        }
    }
    Some(found)
}

/// Bytes that are read from the front.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn take(&mut self, count: usize) -> Option<Self> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(Self(taken))
    }

    fn u8(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn u16(&mut self) -> Option<u16> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*first))
    }

    fn u24(&mut self) -> Option<usize> {
        let ([a, b, c], rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes([0, *a, *b, *c]) as usize)
    }

    fn vector8(&mut self) -> Option<Self> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    fn vector16(&mut self) -> Option<Self> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}
