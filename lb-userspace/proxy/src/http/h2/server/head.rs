//! A request's header, field by field as it is unpacked, checked and put where the proxy wants it.

use super::super::{
    hpack::{Header, Name},
    map,
};
use crate::http::{
    FieldName, Fields, Known, Method, Reason, Request, Scheme, Version, fields::Marks, guard,
    websocket,
};
use lb_model::HttpOptions;

/// What a field counts beside its bytes (RFC 9113, section 6.5.2).
const FIELD_BYTES: usize = 32;
/// Room that most headers need, bytes.
const ROOM_BYTES: usize = 512;

/// A request without its body.
#[derive(Debug, Default)]
pub(super) struct Received {
    pub(super) request: Request,
    /// Bytes of the body, if it says so.
    pub(super) length: Option<u64>,
    /// The client waits for 100 before it sends the body.
    pub(super) expects_continue: bool,
    /// After the response's header both sides send what they like.
    pub(super) is_tunnel: bool,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no HTTP/2 request (RFC 9113, section 8.1.1): its stream is reset.
    Reset(Reason),
    /// It can be answered.
    Answer(Reason),
}

/// A header that is being unpacked.
pub(super) struct RequestHead {
    received: Box<Received>,
    wrong: Option<Refusal>,
    method: Option<Method>,
    has_scheme: bool,
    /// Where authority, path, protocol and host are in [`RequestHead::text`].
    authority: Option<Piece>,
    path: Option<Piece>,
    protocol: Option<Piece>,
    host: Option<Piece>,
    /// What is put elsewhere when all is there.
    text: Vec<u8>,
    /// All cookies as one field (RFC 9113, section 8.2.3).
    cookie: Vec<u8>,
    has_fields: bool,
    bytes: usize,
    list_bytes: usize,
    field_count: usize,
    bytes_max: usize,
    list_bytes_max: usize,
    field_count_max: usize,
}

/// Begin and length.
type Piece = (usize, usize);

impl RequestHead {
    /// With a listener's limits; of what goes beyond `list_bytes_max` nothing is kept.
    pub(super) fn new(options: &HttpOptions, list_bytes_max: u32) -> Self {
        let mut request = Request::default();
        request.version = Version::Http2;
        request.fields = Fields::over(Vec::with_capacity(ROOM_BYTES), Marks::default());
        let received = Received { request, ..Received::default() };
        Self {
            received: Box::new(received),
            wrong: None,
            method: None,
            has_scheme: false,
            authority: None,
            path: None,
            protocol: None,
            host: None,
            text: Vec::new(),
            cookie: Vec::new(),
            has_fields: false,
            bytes: 0,
            list_bytes: 0,
            field_count: 0,
            bytes_max: options.header_bytes_max as usize,
            list_bytes_max: list_bytes_max as usize,
            field_count_max: usize::from(options.header_fields_max),
        }
    }

    /// Whether it unpacked to much more than anyone needs.
    pub(super) fn is_bomb(&self) -> bool {
        self.list_bytes > self.list_bytes_max
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == Some(Method::Head)
    }

    /// Takes the next field.
    pub(super) fn take(&mut self, header: Header<'_>) {
        let bytes = header.text.len() + header.value.len();
        self.list_bytes = self.list_bytes.saturating_add(bytes + FIELD_BYTES);
        if self.is_bomb() {
            return self.refuse(Refusal::Answer(Reason::HeaderTooLarge));
        }
        if !header.is_valid {
            return self.refuse(Refusal::Reset(Reason::Malformed));
        }
        let taken = match header.name {
            Name::Field(known) => {
                self.has_fields = true;
                self.field(header, known)
            }
            Name::Wrong(reason) => Err(Refusal::Reset(reason)),
            // They come first (RFC 9113, section 8.3).
            _ if self.has_fields => Err(Refusal::Reset(Reason::Malformed)),
            name => self.pseudo(name, header.value),
        };
        if let Err(refusal) = taken {
            self.refuse(refusal);
        }
    }

    /// What is no request at all counts more than what can be answered.
    fn refuse(&mut self, refusal: Refusal) {
        if !matches!(self.wrong, Some(Refusal::Reset(_)))
            && (self.wrong.is_none() || matches!(refusal, Refusal::Reset(_)))
        {
            self.wrong = Some(refusal);
        }
    }

    fn pseudo(&mut self, name: Name, value: &[u8]) -> Result<(), Refusal> {
        let malformed = Refusal::Reset(Reason::Malformed);
        let is_again = match name {
            Name::Method => {
                let method = Method::parse(value).ok_or(malformed)?;
                self.method.replace(method).is_some()
            }
            Name::Scheme => {
                if !matches!(value, b"http" | b"https") {
                    // What the client calls it is not believed, but it must be one that is served.
                    self.refuse(Refusal::Answer(Reason::Malformed));
                }
                std::mem::replace(&mut self.has_scheme, true)
            }
            Name::Authority => {
                let piece = self.keep(value);
                self.authority.replace(piece).is_some()
            }
            Name::Path => {
                self.bytes += value.len();
                if self.bytes > self.bytes_max {
                    return Err(Refusal::Answer(Reason::HeaderTooLarge));
                }
                let piece = self.keep(value);
                self.path.replace(piece).is_some()
            }
            Name::Protocol => {
                let piece = self.keep(value);
                self.protocol.replace(piece).is_some()
            }
            Name::Status | Name::Field(_) | Name::Wrong(_) => true,
        };
        if is_again { Err(malformed) } else { Ok(()) }
    }

    fn field(&mut self, header: Header<'_>, known: Known) -> Result<(), Refusal> {
        let Header { text, value, .. } = header;
        self.bytes += text.len() + value.len();
        self.field_count += 1;
        if self.bytes > self.bytes_max || self.field_count > self.field_count_max {
            return Err(Refusal::Answer(Reason::HeaderTooLarge));
        }
        let malformed = Err(Refusal::Reset(Reason::Malformed));
        let received = &mut self.received;
        match known {
            Known::Cookie => {
                if !self.cookie.is_empty() {
                    self.cookie.extend_from_slice(b"; ");
                }
                self.cookie.extend_from_slice(value);
            }
            Known::Host if self.host.is_some() => {
                return Err(Refusal::Answer(Reason::HostInvalid));
            }
            Known::Host => self.host = Some(self.keep(value)),
            Known::ContentLength => {
                let values = received.length.map(|_| value).into_iter().chain([value]);
                received.length = guard::content_length(values).map_err(Refusal::Reset)?;
            }
            Known::Te if !value.eq_ignore_ascii_case(b"trailers") => return malformed,
            Known::Expect if !value.eq_ignore_ascii_case(b"100-continue") => {
                return Err(Refusal::Answer(Reason::ExpectationUnknown));
            }
            Known::Expect => received.expects_continue = true,
            // Fields of HTTP/1.1's connections (RFC 9113, section 8.2.2).
            Known::Connection
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::TransferEncoding
            | Known::Upgrade => return malformed,
            _ if map::is_framing(known) => {}
            _ => received.request.fields.append(FieldName::with_number(text, known), value),
        }
        Ok(())
    }

    fn keep(&mut self, value: &[u8]) -> Piece {
        let begin = self.text.len();
        self.text.extend_from_slice(value);
        (begin, value.len())
    }

    fn text(&self, piece: Piece) -> &[u8] {
        self.text.get(piece.0..piece.0 + piece.1).unwrap_or_default()
    }

    /// The request; `ends_stream` if it has no body.
    pub(super) fn end(mut self, ends_stream: bool) -> Result<Box<Received>, Refusal> {
        let malformed = Refusal::Reset(Reason::Malformed);
        if let Some(Refusal::Reset(_)) = self.wrong {
            return Err(self.wrong.unwrap_or(malformed));
        }
        let method = self.method.take().ok_or(malformed)?;
        let is_connect = method == Method::Connect;
        let is_extended = self.protocol.is_some();
        let is_complete = if is_connect && !is_extended {
            !self.has_scheme && self.path.is_none() && self.authority.is_some()
        } else {
            let has_path = self.path.is_some_and(|it| it.1 > 0);
            self.has_scheme
                && has_path
                && (!is_extended || (is_connect && self.authority.is_some()))
        };
        let has_no_body = ends_stream && self.received.length.is_some_and(|it| it > 0);
        if !is_complete || has_no_body {
            return Err(malformed);
        }
        self.wrong.map_or(Ok(()), Err)?;
        let authority = self.authority()?;
        let mut received = std::mem::take(&mut self.received);
        received.is_tunnel = is_connect;
        let request = &mut received.request;
        request.set_authority(self.text(authority));
        request.method = if is_extended { Method::Get } else { method };
        if let Some(protocol) = self.protocol {
            let protocol = String::from_utf8_lossy(self.text(protocol)).to_ascii_lowercase();
            request.upgrade = Some(protocol.into());
        }
        self.place_target(request, is_connect && !is_extended)?;
        if !self.cookie.is_empty() {
            request.fields.append(Known::Cookie, &self.cookie);
        }
        if request.upgrade.as_deref() == Some("websocket")
            && !request.fields.contains(Known::SecWebSocketKey)
        {
            // Endpoints that speak HTTP/1.1 want one.
            request.fields.append(Known::SecWebSocketKey, websocket::key().as_bytes());
        }
        Ok(received)
    }

    /// `:authority`, or `Host` instead; if both are there they are equal (RFC 9113, section 8.3.1).
    fn authority(&self) -> Result<Piece, Refusal> {
        let is_same = |a, b| self.text(a).eq_ignore_ascii_case(self.text(b));
        let authority = match (self.authority, self.host) {
            (Some(authority), Some(host)) if is_same(authority, host) => authority,
            (Some(authority), None) => authority,
            (None, Some(host)) => host,
            _ => return Err(Refusal::Answer(Reason::HostInvalid)),
        };
        guard::authority(self.text(authority)).map_err(Refusal::Answer)?;
        Ok(authority)
    }

    fn place_target(&self, request: &mut Request, is_connect: bool) -> Result<(), Refusal> {
        if is_connect {
            // There is a port, but no path (RFC 9113, section 8.5).
            let authority = request.authority();
            if memchr::memrchr(b':', authority) <= memchr::memrchr(b']', authority) {
                return Err(Refusal::Answer(Reason::Malformed));
            }
            request.set_target(b"/");
            return Ok(());
        }
        let target = self.path.map_or(&b"/"[..], |it| self.text(it));
        if target == b"*" && request.method != Method::Options {
            return Err(Refusal::Answer(Reason::Malformed));
        }
        request.set_target(&guard::target(target).map_err(Refusal::Answer)?);
        Ok(())
    }
}

impl Received {
    /// Over TLS or not.
    pub(super) fn over(mut self: Box<Self>, scheme: Scheme) -> Box<Self> {
        self.request.scheme = scheme;
        self
    }
}
