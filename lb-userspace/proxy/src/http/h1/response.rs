//! Heads of responses (RFC 9112, section 4).

use super::{
    Framing,
    head::{Scan, mark_fields},
    request::Limits,
};
use crate::http::{
    Fields, Known, Method, Reason,
    guard::{self, Mere},
    words,
};

/// What filters may add before the buffer of a head has to grow, bytes.
const HEADROOM_BYTES: usize = 256;

/// A response's head, and how its body comes.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// Status, 100..=599.
    pub status: u16,
    /// Fields that are meant for everyone.
    pub fields: Fields,
    /// How the body's end is known.
    pub framing: Framing,
    /// What `Content-Length` says.
    pub length: Option<u64>,
    /// The server keeps the connection open.
    pub keeps_alive: bool,
    /// The protocol that the connection changes to, lower case (101 only).
    pub upgrade: Option<Box<str>>,
}

/// Finds heads in what arrives.
#[derive(Debug, Default)]
pub struct ResponseReader {
    scan: Scan,
}

impl ResponseReader {
    /// Reads the head that `bytes` begin with into `head`. Its length; `None` if it is not complete.
    /// Until then `bytes` begin as they did before, and afterwards with what comes behind the head. `method` is
    /// what was asked with.
    ///
    /// # Errors
    /// [`Reason::UpstreamMalformed`]; nothing that follows can be trusted.
    pub fn next(
        &mut self,
        bytes: &[u8],
        method: &Method,
        limits: Limits,
        head: &mut ResponseHead,
    ) -> Result<Option<usize>, Reason> {
        const START: &[u8] = b"HTTP/1.";
        let refused = |_| Reason::UpstreamMalformed;
        // Most are whole when they are looked at first. What is not, or is wrong, is looked at closely.
        let within = bytes.get(..limits.bytes_max).unwrap_or(bytes);
        if self.scan.is_new()
            && let Ok(length) = parse(within, method, limits.fields_max, head)
        {
            return Ok(Some(length));
        }
        let start = bytes.len().min(START.len());
        let end = self.scan.end(bytes).map_err(refused)?;
        let is_too_long = end.unwrap_or(bytes.len()) > limits.bytes_max;
        if is_too_long || bytes.get(..start) != START.get(..start) {
            return Err(Reason::UpstreamMalformed);
        }
        let Some(text) = end.and_then(|end| bytes.get(..end)) else { return Ok(None) };
        *self = Self::default();
        parse(text, method, limits.fields_max, head).map_err(refused).map(Some)
    }
}

/// Parses the complete head that `text` begins with; its length. It is filled where it is: fields are
/// too large to be handed around.
fn parse(
    text: &[u8],
    method: &Method,
    fields_max: usize,
    head: &mut ResponseHead,
) -> Result<usize, Reason> {
    let (is_11, status, line_bytes) = status_line(text)?;
    let (marks, head_bytes) = mark_fields(text, line_bytes, fields_max)?;
    let mut bytes = Vec::with_capacity(head_bytes + HEADROOM_BYTES);
    bytes.extend_from_slice(text.get(..head_bytes).unwrap_or_default());
    let ResponseHead { fields, .. } = head;
    *fields = Fields::over(bytes, marks);
    let (mut length, mut chunked, mut is_for_hop, mut names_others) = (None, 0, false, false);
    let (mut closes, mut keeps_alive, mut upgrade) = (false, false, None);
    for (name, value) in fields.iter() {
        match name.known() {
            Known::ContentLength => {
                let number = guard::length(value).ok_or(Reason::FramingAmbiguous)?;
                if length.replace(number).is_some() {
                    return Err(Reason::FramingAmbiguous);
                }
            }
            Known::TransferEncoding => {
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Reason::TransferCodingUnknown);
                }
                chunked += 1;
            }
            Known::Connection => {
                for option in guard::options(value) {
                    match Mere::of(option) {
                        Some(Mere::Close) => closes = true,
                        Some(Mere::KeepAlive) => keeps_alive = true,
                        Some(Mere::Upgrade) => {}
                        None => names_others = true,
                    }
                }
                is_for_hop = true;
            }
            Known::Upgrade => {
                upgrade = Some(String::from_utf8_lossy(value).to_ascii_lowercase().into());
                is_for_hop = true;
            }
            Known::KeepAlive | Known::ProxyConnection | Known::Te | Known::Http2Settings => {
                is_for_hop = true;
            }
            _ => {}
        }
    }
    if chunked > 1 || (chunked == 1 && (length.is_some() || !is_11)) {
        return Err(Reason::FramingAmbiguous);
    }
    let has_none = status < 200
        || matches!(status, 204 | 304)
        || *method == Method::Head
        || (*method == Method::Connect && status < 300);
    let framing = match length {
        _ if has_none => Framing::None,
        _ if chunked == 1 => Framing::Chunked,
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Close,
    };
    if names_others {
        guard::strip(fields);
    }
    if is_for_hop || chunked > 0 || length.is_some() {
        let is_ours = |known| known == Known::ContentLength || guard::is_hop_by_hop(known);
        fields.retain(|name, _| !is_ours(name.known()));
    }
    head.keeps_alive = !closes && (is_11 || keeps_alive) && framing != Framing::Close;
    head.upgrade = upgrade.filter(|_| status == 101);
    (head.status, head.framing, head.length) = (status, framing, length);
    Ok(head_bytes)
}

/// Whether it is HTTP/1.1, the status, and the length of `HTTP/1.1 200 OK` and its CRLF. The phrase may be
/// missing, even with its space.
fn status_line(text: &[u8]) -> Result<(bool, u16, usize), Reason> {
    let (is_11, rest) = match text.split_at_checked(9).ok_or(Reason::Malformed)? {
        (b"HTTP/1.1 ", rest) => (true, rest),
        (b"HTTP/1.0 ", rest) => (false, rest),
        _ => return Err(Reason::Malformed),
    };
    let (digits, rest) = rest.split_at_checked(3).ok_or(Reason::Malformed)?;
    let [first @ b'1'..=b'5', second @ b'0'..=b'9', third @ b'0'..=b'9'] = *digits else {
        return Err(Reason::Malformed);
    };
    let digit = |byte| u16::from(byte - b'0');
    let status = 100 * digit(first) + 10 * digit(second) + digit(third);
    let (phrase, behind) = rest.split_at_checked(words::text_bytes(rest)).unwrap_or_default();
    let is_valid = matches!(phrase, [] | [b' ', ..]) && behind.starts_with(b"\r\n");
    is_valid.then_some((is_11, status, 9 + 3 + phrase.len() + 2)).ok_or(Reason::Malformed)
}
