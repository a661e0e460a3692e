//! Fields to the library's map and back.

use crate::http::{FieldName, Fields, Known, fields::Marks, guard};
use http::{HeaderMap, HeaderName, HeaderValue};

thread_local! {
    /// The names that have a number, in that order, so that they need not be read again.
    static NAMES: Vec<HeaderName> =
        Known::ALL.iter().map(|it| HeaderName::from_static(it.text())).collect();
}

/// Adds `fields` to a map, but for those that are meant for one connection or that frame a
/// message: whoever writes the message writes them anew.
pub(super) fn extend(map: &mut HeaderMap, fields: &Fields) {
    for (name, value) in fields.iter() {
        if is_framing(name.known()) {
            continue;
        }
        // Both are valid already, except where a filter was given nonsense.
        if let (Some(header), Ok(mut value)) = (header(name), HeaderValue::from_bytes(value)) {
            // What never comes again would only push out what does.
            value.set_sensitive(matches!(name.known(), Known::XRequestId | Known::Traceparent));
            map.append(header, value);
        }
    }
}

fn header(name: FieldName<'_>) -> Option<HeaderName> {
    // The first number is that of all other names.
    let place = (name.known() as usize).checked_sub(1);
    match place.and_then(|it| NAMES.with(|names| names.get(it).cloned())) {
        Some(known) => Some(known),
        None => HeaderName::from_bytes(name.text()).ok(),
    }
}

/// A map of `fields`, for trailers and informational responses.
pub(super) fn of(fields: &Fields) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(fields.len());
    extend(&mut map, fields);
    map
}

/// Trailer fields that may be passed on.
pub(super) fn trailers(map: &HeaderMap) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in map {
        let (name, value) = (FieldName::from(name.as_str()), value.as_bytes());
        if guard::is_trailer(name.known()) && guard::field_value(value).is_ok() {
            fields.append(name, value);
        }
    }
    fields
}

/// Fields of a response, without those that frame it; `None` if they break the rules.
pub(super) fn response(map: &HeaderMap) -> Option<Fields> {
    let mut fields = Fields::over(Vec::with_capacity(bytes(map)), Marks::default());
    for (name, value) in map {
        let (name, value) = (FieldName::from(name.as_str()), value.as_bytes());
        guard::field_value(value).ok()?;
        if !is_framing(name.known()) {
            fields.append(name, value);
        }
    }
    Some(fields)
}

/// Whether a message is gRPC's.
pub(super) fn is_grpc(fields: &Fields) -> bool {
    fields.first(Known::ContentType).is_some_and(|it| it.starts_with(b"application/grpc"))
}

/// Bytes of all names and values.
pub(super) fn bytes(map: &HeaderMap) -> usize {
    map.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// Fields that HTTP/2 does not know (RFC 9113, section 8.2.2), and the two that say in another
/// way what its framing says.
pub(super) const fn is_framing(known: Known) -> bool {
    matches!(
        known,
        Known::Connection
            | Known::ContentLength
            | Known::Expect
            | Known::Host
            | Known::Http2Settings
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::Te
            | Known::TransferEncoding
            | Known::Upgrade
    )
}
