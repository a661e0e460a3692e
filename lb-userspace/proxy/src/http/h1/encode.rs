//! Writes heads, chunks and trailers.

use super::Framing;
use crate::http::{
    Body, Fields, Known, Method, Reason, Request, Version, date,
    fields::{Part, is_valid},
    guard, words,
};

/// The last chunk without trailers, and the end of the head of one with them.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// What a response's head says beside its fields.
pub(super) struct ResponseLine<'a> {
    pub(super) status: u16,
    /// Version of the client; the answer's is always HTTP/1.1 (RFC 9112, section 2.3).
    pub(super) version: Version,
    pub(super) framing: Framing,
    /// `Content-Length` of a body that is not sent.
    pub(super) length_told: Option<u64>,
    pub(super) closes: bool,
    pub(super) upgrade: Option<&'a str>,
}

/// Writes a response's head. Fields that are not valid, or not the caller's to set, are left out.
pub(super) fn response(text: &mut Vec<u8>, line: &ResponseLine<'_>, fields: &Fields) {
    status_line(text, line.status);
    valid_fields(text, fields, |known| !is_ours(known));
    if fields.place(Known::Date).is_none() {
        text.extend_from_slice(b"date: ");
        text.extend_from_slice(&date::now());
        text.extend_from_slice(b"\r\n");
    }
    framing(text, line.framing);
    if let Some(length) = line.length_told {
        framing(text, Framing::Length(length));
    }
    match line.upgrade {
        Some(protocol) => {
            text.extend_from_slice(b"connection: upgrade\r\n");
            field(text, b"upgrade", protocol.as_bytes());
        }
        None if line.closes => text.extend_from_slice(b"connection: close\r\n"),
        None if line.version == Version::Http10 => {
            text.extend_from_slice(b"connection: keep-alive\r\n");
        }
        None => {}
    }
    text.extend_from_slice(b"\r\n");
}

/// Writes an informational response.
pub(super) fn informational(text: &mut Vec<u8>, status: u16, fields: &Fields) {
    status_line(text, status);
    valid_fields(text, fields, |known| !is_ours(known));
    text.extend_from_slice(b"\r\n");
}

/// Writes a request's head; how its body is to be framed.
///
/// # Errors
/// [`Reason::Malformed`] if a part of it could be understood as more than that part. Nothing is
/// written then that may be sent.
pub(super) fn request(text: &mut Vec<u8>, request: &Request) -> Result<Framing, Reason> {
    let is_connect = request.method == Method::Connect;
    let authority = request.authority();
    let target = if is_connect { authority } else { request.target() };
    let is_word = |word: &[u8]| !word.is_empty() && words::word_bytes(word) == word.len();
    let method = request.method.as_str().as_bytes();
    if !is_word(method) || !is_word(target) || !is_word(authority) {
        return Err(Reason::Malformed);
    }
    text.extend_from_slice(method);
    text.push(b' ');
    text.extend_from_slice(target);
    text.extend_from_slice(b" HTTP/1.1\r\n");
    field(text, b"host", authority);
    let is_sent = |known| !is_ours(known) && !matches!(known, Known::Host | Known::Expect);
    for part in request.fields.parts(is_sent) {
        match part {
            Part::Lines(lines) => text.extend_from_slice(lines),
            Part::Field(name, value) if is_valid(name, value) => field(text, name.text(), value),
            Part::Field(..) => return Err(Reason::Malformed),
        }
    }
    let is_tunnel = request.upgrade.is_some() || is_connect;
    let framed = match request.body.length() {
        _ if is_tunnel => Framing::None,
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    };
    if let Some(protocol) = &request.upgrade {
        if !protocol.bytes().all(|it| it.is_ascii_graphic()) {
            return Err(Reason::Malformed);
        }
        text.extend_from_slice(b"connection: upgrade\r\n");
        field(text, b"upgrade", protocol.as_bytes());
    }
    let has_meaning = matches!(request.method, Method::Post | Method::Put | Method::Patch);
    match framed {
        // RFC 9110, section 8.6.
        Framing::None if has_meaning && !is_tunnel => framing(text, Framing::Length(0)),
        other => framing(text, other),
    }
    text.extend_from_slice(b"\r\n");
    Ok(framed)
}

/// Writes the line before a chunk's data.
pub(super) fn chunk_size(text: &mut Vec<u8>, size: usize) {
    let digits = (usize::BITS - size.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        let value = u32::try_from(size >> (4 * digit) & 0xf).unwrap_or_default();
        text.push(char::from_digit(value, 16).map_or(b'0', |it| it as u8));
    }
    text.extend_from_slice(b"\r\n");
}

/// Writes the last chunk and the fields that may stand behind it.
pub(super) fn trailers(text: &mut Vec<u8>, fields: &Fields) {
    text.extend_from_slice(b"0\r\n");
    valid_fields(text, fields, guard::is_trailer);
    text.extend_from_slice(b"\r\n");
}

/// How a body of unknown sender is best framed towards a client that speaks `version`.
pub(super) fn framing_for(body: &Body, version: Version) -> Framing {
    match body.length() {
        Some(length) => Framing::Length(length),
        None if version == Version::Http10 => Framing::Close,
        None => Framing::Chunked,
    }
}

fn framing(text: &mut Vec<u8>, framing: Framing) {
    match framing {
        Framing::Length(length) => {
            text.extend_from_slice(b"content-length: ");
            text.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => text.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::None | Framing::Close => {}
    }
}

fn status_line(text: &mut Vec<u8>, status: u16) {
    if status == 200 {
        text.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
        return;
    }
    text.extend_from_slice(b"HTTP/1.1 ");
    text.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    text.push(b' ');
    let known = http::StatusCode::from_u16(status).ok();
    let phrase = known.and_then(|it| it.canonical_reason()).unwrap_or_default();
    text.extend_from_slice(phrase.as_bytes());
    text.extend_from_slice(b"\r\n");
}

/// Writes fields, but those that are not valid.
fn valid_fields(text: &mut Vec<u8>, fields: &Fields, keeps: impl Fn(Known) -> bool) {
    for part in fields.parts(keeps) {
        match part {
            Part::Lines(lines) => text.extend_from_slice(lines),
            Part::Field(name, value) if is_valid(name, value) => field(text, name.text(), value),
            Part::Field(..) => {}
        }
    }
}

fn field(text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    text.extend_from_slice(name);
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

/// Fields that only whoever writes a message sets.
const fn is_ours(known: Known) -> bool {
    guard::is_hop_by_hop(known) || matches!(known, Known::ContentLength)
}
