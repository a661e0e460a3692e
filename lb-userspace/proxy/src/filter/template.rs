//! Values of fields with what a request says filled in.

use super::FilterError;
use crate::exchange::Exchange;
use smallvec::SmallVec;
use std::{fmt::Write, net::SocketAddr};

/// A value, taken apart once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Template {
    /// Always the same.
    Fixed(Box<[u8]>),
    /// Filled in.
    Filled(Box<[Piece]>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Box<str>),
    ClientAddress,
    ClientPort,
    Host,
    Scheme,
    RequestId,
    UpstreamHost,
}

/// Where a value is put together.
#[derive(Default)]
pub(super) struct Buffer(SmallVec<[u8; 128]>);

impl Template {
    /// Takes a value apart. Braces around anything else than the names in
    /// [`lb_model::HeaderEdit`] are text.
    pub(super) fn compile(filter: &'static str, text: &str) -> Result<Self, FilterError> {
        let trimmed = text.trim_matches([' ', '\t']);
        if trimmed.len() != text.len() || !is_field_value(text.as_bytes()) {
            let why = "no control characters, and no blanks at its ends";
            return Err(FilterError::new(filter, text.escape_debug().to_string(), why));
        }
        let pieces = pieces(text);
        Ok(match pieces.as_slice() {
            [] => Self::Fixed(Box::default()),
            [Piece::Text(text)] => Self::Fixed(text.as_bytes().into()),
            _ => Self::Filled(pieces.into()),
        })
    }

    /// Whether the endpoint's host is part of it.
    pub(super) fn needs_upstream_host(&self) -> bool {
        matches!(self, Self::Filled(pieces) if pieces.contains(&Piece::UpstreamHost))
    }

    /// The value; `None` if what was filled in may not be in a field. Without `upstream_host` the
    /// endpoint's address and port stand for it.
    pub(super) fn fill<'a>(
        &'a self,
        exchange: &Exchange,
        upstream_host: Option<&str>,
        buffer: &'a mut Buffer,
    ) -> Option<&'a [u8]> {
        let pieces = match self {
            Self::Fixed(value) => return Some(value),
            Self::Filled(pieces) => pieces,
        };
        buffer.0.clear();
        for piece in pieces {
            piece.write(exchange, upstream_host, buffer);
        }
        is_field_value(&buffer.0).then_some(buffer.0.trim_ascii())
    }
}

impl Piece {
    fn write(&self, exchange: &Exchange, upstream_host: Option<&str>, buffer: &mut Buffer) {
        let record = &exchange.record;
        match self {
            Self::Text(text) => buffer.put(text),
            Self::ClientAddress => buffer.put_display(record.client.ip().to_canonical()),
            Self::ClientPort => buffer.put(itoa::Buffer::new().format(record.client.port())),
            Self::Host => buffer.put(&record.authority),
            Self::Scheme => buffer.put(record.scheme.name()),
            Self::RequestId => buffer.put(record.request_id.as_deref().unwrap_or_default()),
            Self::UpstreamHost => match (upstream_host, record.endpoint) {
                (Some(host), _) => buffer.put(host),
                (None, Some(endpoint)) => {
                    let ip = endpoint.ip().to_canonical();
                    buffer.put_display(SocketAddr::new(ip, endpoint.port()));
                }
                (None, None) => {}
            },
        }
    }
}

impl Buffer {
    fn put(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn put_display(&mut self, value: impl std::fmt::Display) {
        // Writing to memory does not fail.
        _ = write!(self, "{value}");
    }
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.put(text);
        Ok(())
    }
}

/// Whether bytes may be in a field's value (RFC 9110, section 5.5).
pub(super) fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..))
}

fn pieces(mut text: &str) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut literal = String::new();
    while let Some(open) = text.find('{') {
        let (before, rest) = text.split_at(open);
        literal.push_str(before);
        let name = rest.find('}').and_then(|close| rest.get(1..close));
        if let Some((piece, name)) = name.and_then(|name| Some((piece_of(name)?, name))) {
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal).into()));
            }
            pieces.push(piece);
            text = rest.get(name.len() + 2..).unwrap_or_default();
        } else {
            literal.push('{');
            text = rest.get(1..).unwrap_or_default();
        }
    }
    literal.push_str(text);
    if !literal.is_empty() {
        pieces.push(Piece::Text(literal.into()));
    }
    pieces
}

fn piece_of(name: &str) -> Option<Piece> {
    Some(match name {
        "client_address" => Piece::ClientAddress,
        "client_port" => Piece::ClientPort,
        "host" => Piece::Host,
        "scheme" => Piece::Scheme,
        "request_id" => Piece::RequestId,
        "upstream_host" => Piece::UpstreamHost,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::exchange, *};

    #[test]
    fn names_in_braces_are_filled_in_and_other_braces_are_text() {
        let mut exchange = exchange();
        exchange.record.endpoint = Some("[::ffff:10.0.0.1]:80".parse().unwrap());
        for (text, expected) in [
            ("", ""),
            ("max-age=1; a", "max-age=1; a"),
            ("{client_address}", "192.0.2.1"),
            (
                "for={client_address}:{client_port};host={host}",
                "for=192.0.2.1:4000;host=shop.example:8080",
            ),
            ("{scheme}://{request_id}", "http://id-1"),
            ("{upstream_host}", "10.0.0.1:80"),
            ("{\"a\":{host}} {", "{\"a\":shop.example:8080} {"),
            ("{{host}", "{shop.example:8080"),
            ("{unknown} {host", "{unknown} {host"),
        ] {
            let template = Template::compile("test", text).unwrap();
            let mut buffer = Buffer::default();
            let value = template.fill(&exchange, None, &mut buffer).unwrap();
            assert_eq!(String::from_utf8_lossy(value), expected, "{text}");
        }
    }

    #[test]
    fn what_would_end_a_field_is_refused_when_compiled_and_when_filled_in() {
        for text in ["a\r\nb: c", "a\nb", "a\0", " a", "a\t"] {
            assert!(Template::compile("test", text).is_err(), "{text:?}");
        }
        let mut exchange = exchange();
        exchange.record.authority = "a\r\nb: c".into();
        let template = Template::compile("test", "{host}").unwrap();
        assert_eq!(template.fill(&exchange, None, &mut Buffer::default()), None);
    }
}
