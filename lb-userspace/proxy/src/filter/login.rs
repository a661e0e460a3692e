//! Where clients log in.

use super::{FilterError, forwarded::facing, template::is_field_value};
use crate::http::Request;

/// A place to log in, with what the request was for filled in.
#[derive(Debug)]
pub(super) struct Login(Box<[Piece]>);

#[derive(Debug)]
enum Piece {
    Text(Box<str>),
    Scheme,
    Host,
    HostRaw,
    Path,
    Url,
}

impl Login {
    pub(super) fn compile(text: &str) -> Result<Self, FilterError> {
        let wrong = |why| FilterError::new("external auth", text.escape_debug().to_string(), why);
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("a place to log in is percent-encoded"));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| wrong("`{` without `}`"))?;
            pieces.push(Piece::Text(before.into()));
            pieces.push(match name {
                "scheme" => Piece::Scheme,
                "host" => Piece::Host,
                "host_raw" => Piece::HostRaw,
                "path" => Piece::Path,
                "url" => Piece::Url,
                _ => return Err(wrong("only scheme, host, host_raw, path and url are filled in")),
            });
            rest = after;
        }
        pieces.push(Piece::Text(rest.into()));
        Ok(Self(pieces.into()))
    }

    /// `None` if what was filled in may not be in a field.
    pub(super) fn fill(&self, request: &Request) -> Option<Vec<u8>> {
        let mut place = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => place.extend_from_slice(text.as_bytes()),
                Piece::Scheme => encode(facing(request).name().as_bytes(), &mut place),
                Piece::Host => encode(request.authority(), &mut place),
                Piece::HostRaw => place.extend_from_slice(request.authority()),
                Piece::Path => encode(request.target(), &mut place),
                Piece::Url => encode(&url(request), &mut place),
            }
        }
        is_field_value(&place).then_some(place)
    }
}

/// The request's URL as the client wrote it.
pub(super) fn url(request: &Request) -> Vec<u8> {
    let scheme = facing(request).name().as_bytes();
    [scheme, b"://", request.authority(), request.target()].concat()
}

/// Percent-encodes all but unreserved characters (RFC 3986, section 2.3).
fn encode(bytes: &[u8], place: &mut Vec<u8>) {
    for byte in bytes {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                place.push(*byte);
            }
            _ => place.extend_from_slice(&[b'%', hex(byte >> 4), hex(byte & 0xf)]),
        }
    }
}

const fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'A' + digit - 10 }
}
