//! Reading the header.

use super::{V2_LOCAL, V2_PROXY, V2_SIGNATURE, V2_TCP4, V2_TCP6, V2_UDP4, V2_UDP6};
use crate::io::Prefixed;
use bytes::{Buf as _, BytesMut};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Bytes of a text header at most, with its end (section 2.1).
const V1_BYTES_MAX: usize = 107;

/// Bytes of a binary header before the addresses.
const V2_FIXED_BYTES: usize = 16;

/// Bytes of a binary header's addresses and TLVs. Senders stay far below: addresses have 36, and
/// certificates' names are short.
const V2_BYTES_MAX: usize = 4_096;

/// What a header tells; `None` = nothing (a health check of the sender, or addresses that are not
/// of the Internet): the connection's own addresses hold.
pub type Header = Option<Sides>;

/// Both ends of the connection that the sender accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    /// Who connected.
    pub client: SocketAddr,
    /// To where.
    pub local: SocketAddr,
}

/// Why a connection has no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ProxyProtocolError {
    /// It does not begin with one.
    #[error("there is no PROXY protocol header")]
    Missing,
    /// What came is not a header of version 1 or 2.
    #[error("the PROXY protocol header is malformed")]
    Malformed,
    /// It is longer than allowed.
    #[error("the PROXY protocol header is too large")]
    TooLarge,
    /// The connection ended or broke.
    #[error("the sender went away")]
    Gone,
    /// It did not come in time.
    #[error("the PROXY protocol header did not come in time")]
    Timeout,
}

/// Reads the header, which may take `timeout`. What came after it is given by the stream.
pub async fn read<S: AsyncRead + Unpin>(
    mut stream: S,
    timeout: Duration,
) -> Result<(Prefixed<S>, Header), ProxyProtocolError> {
    let reading = async {
        let mut bytes = BytesMut::with_capacity(256);
        loop {
            if let Some((length, header)) = parse(&bytes)? {
                bytes.advance(length);
                return Ok((Prefixed::with_prefix(bytes.freeze(), stream), header));
            }
            // A header that is not complete is shorter than its limit, so this ends.
            match stream.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => return Err(ProxyProtocolError::Gone),
                Ok(_) => {}
            }
        }
    };
    tokio::time::timeout(timeout, reading).await.map_err(|_| ProxyProtocolError::Timeout)?
}

/// Reads a header from the begin of `bytes`: its length and what it tells; `None` if there is not
/// all of it yet.
pub fn parse(bytes: &[u8]) -> Result<Option<(usize, Header)>, ProxyProtocolError> {
    if is_begin_of(bytes, V2_SIGNATURE) {
        return parse_v2(bytes);
    }
    if is_begin_of(bytes, b"PROXY ") {
        return parse_v1(bytes);
    }
    Err(ProxyProtocolError::Missing)
}

/// Whether `bytes` begin with `begin`, as far as there are any.
fn is_begin_of(bytes: &[u8], begin: &[u8]) -> bool {
    bytes.iter().zip(begin).all(|(byte, expected)| byte == expected)
}

fn parse_v1(bytes: &[u8]) -> Result<Option<(usize, Header)>, ProxyProtocolError> {
    let seen = bytes.get(..V1_BYTES_MAX).unwrap_or(bytes);
    let Some(end) = memchr::memchr(b'\n', seen) else {
        let is_full = seen.len() == V1_BYTES_MAX;
        return if is_full { Err(ProxyProtocolError::TooLarge) } else { Ok(None) };
    };
    let line = seen.get(..end).and_then(|line| line.strip_suffix(b"\r"));
    let line = line.and_then(|line| str::from_utf8(line).ok());
    let header = line.and_then(parse_line).ok_or(ProxyProtocolError::Malformed)?;
    Ok(Some((end + 1, header)))
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 1234 443`
fn parse_line(line: &str) -> Option<Header> {
    let mut words = line.strip_prefix("PROXY ")?.split(' ');
    let (client, local) = match words.next()? {
        // What follows is not to be looked at.
        "UNKNOWN" => return Some(None),
        "TCP4" => (address::<Ipv4Addr>(words.next()?)?, address::<Ipv4Addr>(words.next()?)?),
        "TCP6" => (address::<Ipv6Addr>(words.next()?)?, address::<Ipv6Addr>(words.next()?)?),
        _ => return None,
    };
    let sides = Sides {
        client: SocketAddr::new(client, port(words.next()?)?),
        local: SocketAddr::new(local, port(words.next()?)?),
    };
    words.next().is_none().then_some(Some(sides))
}

fn address<A: FromStr + Into<IpAddr>>(text: &str) -> Option<IpAddr> {
    text.parse::<A>().ok().map(Into::into)
}

/// Decimal without a sign or leading zeros.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = text == "0" || !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain && is_short)
}

fn parse_v2(bytes: &[u8]) -> Result<Option<(usize, Header)>, ProxyProtocolError> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<V2_FIXED_BYTES>() else {
        return Ok(None);
    };
    let [.., command, family, high, low] = *fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > V2_BYTES_MAX {
        return Err(ProxyProtocolError::TooLarge);
    }
    let Some(rest) = rest.get(..length) else {
        return Ok(None);
    };
    let header = match (command, family) {
        (V2_PROXY, V2_TCP4 | V2_UDP4) => Some(sides::<4, 12>(rest)?),
        (V2_PROXY, V2_TCP6 | V2_UDP6) => Some(sides::<16, 36>(rest)?),
        // The sender's own; of no family, or sockets of the file system.
        (V2_LOCAL, _) | (V2_PROXY, 0x00 | 0x31 | 0x32) => None,
        _ => return Err(ProxyProtocolError::Malformed),
    };
    Ok(Some((V2_FIXED_BYTES + length, header)))
}

/// Addresses of `SIZE` bytes, then ports: `ALL` bytes in all; TLVs after them are left alone.
fn sides<const SIZE: usize, const ALL: usize>(bytes: &[u8]) -> Result<Sides, ProxyProtocolError>
where
    [u8; SIZE]: Into<IpAddr>,
{
    let split = || {
        let (all, _) = bytes.split_first_chunk::<ALL>()?;
        let (client, rest) = all.split_first_chunk::<SIZE>()?;
        let (local, ports) = rest.split_first_chunk::<SIZE>()?;
        let (client_port, local_port) = ports.split_first_chunk::<2>()?;
        let local_port = local_port.first_chunk::<2>()?;
        Some(Sides {
            client: SocketAddr::new((*client).into(), u16::from_be_bytes(*client_port)),
            local: SocketAddr::new((*local).into(), u16::from_be_bytes(*local_port)),
        })
    };
    split().ok_or(ProxyProtocolError::Malformed)
}
