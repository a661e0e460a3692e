//! Which bodies are compressed.

use super::{FilterError, gzip::gzip, is_tunnel, vary::vary_by};
use crate::http::{Body, Fields, Known, Request, Response};
use lb_model::Compression as Wanted;
use std::mem;

/// Compresses bodies.
#[derive(Debug)]
pub(super) struct Compression {
    response: bool,
    request: bool,
    level: u8,
    types: Box<[Box<[u8]>]>,
    bytes_min: u64,
}

impl Compression {
    pub(super) fn compile(wanted: &Wanted) -> Result<Self, FilterError> {
        let wrong = |text: String, why| Err(FilterError::new("compression", text, why));
        if !(1..=9).contains(&wanted.level) {
            return wrong(wanted.level.to_string(), "a level is 1 to 9");
        }
        if let Some(wrong_type) = wanted.types.iter().find(|it| !it.contains('/')) {
            return wrong(wrong_type.clone(), "no media type");
        }
        Ok(Self {
            response: wanted.response,
            request: wanted.request,
            level: wanted.level,
            types: wanted.types.iter().map(|it| it.as_bytes().into()).collect(),
            bytes_min: wanted.bytes_min.into(),
        })
    }

    /// Whether a response to this request may be compressed, as the client says.
    pub(super) fn is_accepted(&self, request: &Request) -> bool {
        self.response && accepts_gzip(&request.fields)
    }

    /// Compresses the body towards the backend.
    pub(super) fn edit_request(&self, request: &mut Request) {
        if !self.request || is_tunnel(request) || request.body.is_empty() {
            return;
        }
        if self.is_meant(&request.fields)
            && self.is_long_enough(request.body.length())
            && self.compress(&mut request.body)
        {
            request.fields.set(Known::ContentEncoding, b"gzip");
        }
    }

    /// Compresses the body towards the client.
    pub(super) fn edit_response(&self, is_accepted: bool, response: &mut Response) {
        // Parts of a body cannot be compressed: they are parts of what it was (RFC 9110, 15.3.7).
        let is_whole = !matches!(response.status, 101 | 204..=206 | 416);
        if !self.response || !is_whole || !self.is_meant(&response.fields) {
            return;
        }
        let length = response.length_told.or_else(|| response.body.length());
        if !self.is_long_enough(length) {
            return;
        }
        // Whether this client gets it compressed or not, others get it otherwise.
        vary_by(&mut response.fields, Known::AcceptEncoding);
        if !is_accepted || response.body.is_empty() || !self.compress(&mut response.body) {
            return;
        }
        response.length_told = None;
        response.fields.set(Known::ContentEncoding, b"gzip");
        response.fields.remove("accept-ranges");
        weaken(&mut response.fields);
    }

    /// Compresses a body; `false` = it stays as it is.
    fn compress(&self, body: &mut Body) -> bool {
        let compressed = gzip(mem::take(body), self.level);
        let is_compressed = compressed.is_ok();
        *body = compressed.unwrap_or_else(|body| body);
        is_compressed
    }

    /// Whether a body is of a type that is compressed and may be.
    fn is_meant(&self, fields: &Fields) -> bool {
        let Some(media_type) = fields.first(Known::ContentType) else { return false };
        let media_type = media_type.split(|byte| *byte == b';').next().unwrap_or_default();
        let media_type = media_type.trim_ascii();
        // gRPC compresses its messages itself and counts their bytes.
        let is_listed = !starts_with(media_type, b"application/grpc")
            && self.types.iter().any(|it| match it.strip_suffix(b"*") {
                Some(family) => starts_with(media_type, family),
                None => media_type.eq_ignore_ascii_case(it),
            });
        let is_plain = fields
            .all(Known::ContentEncoding)
            .all(|it| it.is_empty() || it.eq_ignore_ascii_case(b"identity"));
        is_listed && is_plain && !has_member(fields, Known::CacheControl, b"no-transform")
    }

    fn is_long_enough(&self, length: Option<u64>) -> bool {
        length.is_none_or(|length| length >= self.bytes_min)
    }
}

/// Whether gzip is wanted, at least as much as no coding where that is named (RFC 9110, section
/// 12.5.3).
fn accepts_gzip(fields: &Fields) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for member in fields.all(Known::AcceptEncoding).flat_map(|it| it.split(|byte| *byte == b',')) {
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let coding = parts.next().unwrap_or_default();
        let weight = parts.find_map(weight_of).unwrap_or(1_000);
        if coding.eq_ignore_ascii_case(b"gzip") || coding.eq_ignore_ascii_case(b"x-gzip") {
            gzip = gzip.max(Some(weight));
        } else if coding == b"*" {
            any = Some(weight);
        } else if coding.eq_ignore_ascii_case(b"identity") {
            identity = Some(weight);
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// Thousandths of a `q=0.5` (RFC 9110, section 12.4.2); one that is none counts as 0.
fn weight_of(parameter: &[u8]) -> Option<u16> {
    let value = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))?;
    let (whole, fraction) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] => (whole, fraction),
        _ => return Some(0),
    };
    let is_weight = matches!(whole, b'0' | b'1')
        && fraction.len() <= 3
        && fraction.iter().all(u8::is_ascii_digit);
    if !is_weight {
        return Some(0);
    }
    let mut weight = u16::from(whole - b'0') * 1_000;
    for (digit, unit) in fraction.iter().zip([100, 10, 1]) {
        weight += u16::from(digit - b'0') * unit;
    }
    Some(weight.min(1_000))
}

/// Other bytes mean the same: what a strong validator must not say (RFC 9110, section 8.8.1).
fn weaken(fields: &mut Fields) {
    let Some(tag) = fields.first(Known::Etag) else { return };
    if !tag.starts_with(b"W/") {
        let tag = [b"W/", tag].concat();
        fields.set(Known::Etag, &tag);
    }
}

fn has_member(fields: &Fields, name: Known, wanted: &[u8]) -> bool {
    let mut members = fields.all(name).flat_map(|it| it.split(|byte| *byte == b','));
    members.any(|it| it.trim_ascii().eq_ignore_ascii_case(wanted))
}

fn starts_with(text: &[u8], prefix: &[u8]) -> bool {
    text.get(..prefix.len()).is_some_and(|it| it.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixture::{append, collected, pieces, request},
        *,
    };
    use bytes::Bytes;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn compression() -> Compression {
        Compression::compile(&Wanted {
            response: true,
            request: true,
            level: 6,
            types: ["text/*".to_owned(), "application/json".to_owned()].into(),
            bytes_min: 100,
        })
        .unwrap()
    }

    #[test]
    fn gzip_is_used_where_the_client_wants_it() {
        for (accepted, expected) in [
            (&["gzip"][..], true),
            (&["deflate, GZIP;q=0.5, br"], true),
            (&["deflate", "x-gzip"], true),
            (&["*"], true),
            (&["*;q=0.1"], true),
            (&["gzip;q=0"], false),
            (&["gzip;q=0.000, *"], false),
            (&["gzip; q=0.001"], true),
            (&["*;q=0"], false),
            (&["identity"], false),
            (&["identity;q=0.5, gzip;q=0.4"], false),
            (&["identity;q=0.5, gzip;q=0.5"], true),
            (&["br"], false),
            (&[""], false),
            (&[], false),
            (&["gzip;q=nonsense"], false),
            (&["gzip;q=1.5"], true),
        ] {
            let fields: Fields = accepted.iter().map(|it| ("accept-encoding", *it)).collect();
            assert_eq!(accepts_gzip(&fields), expected, "{accepted:?}");
        }
    }

    fn response(status: u16, fields: &[(&str, &str)], length: usize) -> Response {
        let mut response = Response::new(status);
        response.body = Body::from(Bytes::from(vec![b'a'; length]));
        append(&mut response.fields, fields);
        response
    }

    #[test]
    fn only_whole_plain_long_bodies_of_listed_types_are_compressed() {
        let text = ("content-type", "text/html; charset=utf-8");
        for (status, fields, length, is_compressed) in [
            (200, &[text][..], 100, true),
            (404, &[("content-type", "Application/JSON")], 100, true),
            (200, &[text], 99, false),
            (206, &[text], 100, false),
            (101, &[text], 100, false),
            (200, &[], 100, false),
            (200, &[("content-type", "image/png")], 100, false),
            (200, &[("content-type", "application/grpc+json")], 100, false),
            (200, &[text, ("content-encoding", "br")], 100, false),
            (200, &[text, ("content-encoding", "identity")], 100, true),
            (200, &[text, ("cache-control", "max-age=1, no-transform")], 100, false),
        ] {
            let mut response = response(status, fields, length);
            compression().edit_response(true, &mut response);
            let encoding = response.fields.first("content-encoding");
            assert_eq!(encoding == Some(b"gzip"), is_compressed, "{status} {fields:?} {length}");
            assert_eq!(response.fields.contains(Known::Vary), is_compressed);
        }
    }

    #[tokio::test]
    async fn a_compressed_response_says_so_and_its_tag_is_weak() {
        let fields = [
            ("content-type", "text/plain"),
            ("etag", "\"abc\""),
            ("accept-ranges", "bytes"),
            ("vary", "Origin"),
        ];
        let mut plain = response(200, &fields, 5_000);
        compression().edit_response(false, &mut plain);
        assert_eq!(plain.fields.all(Known::Vary).count(), 2, "also where it is not compressed");
        assert_eq!(plain.fields.first(Known::Etag), Some(&b"\"abc\""[..]));
        assert_eq!(collected(plain.body).await.0.len(), 5_000);
        let mut response = response(200, &fields, 5_000);
        compression().edit_response(true, &mut response);
        assert_eq!(response.fields.first(Known::Etag), Some(&b"W/\"abc\""[..]));
        assert!(!response.fields.contains("accept-ranges"));
        let (bytes, _) = collected(response.body).await;
        let mut all = Vec::new();
        GzDecoder::new(&*bytes).read_to_end(&mut all).unwrap();
        assert!(bytes.len() < 200 && all == vec![b'a'; 5_000]);
    }

    #[tokio::test]
    async fn request_bodies_are_compressed_for_the_backend() {
        for (content_type, upgrade, is_compressed) in [
            ("application/json", None, true),
            ("image/png", None, false),
            ("text/a", Some("websocket"), false),
        ] {
            let mut request = request();
            request.upgrade = upgrade.map(Into::into);
            request.fields.append(Known::ContentType, content_type.as_bytes());
            request.body = pieces(&[&[b'a'; 300], b"", &[b'b'; 300]]);
            compression().edit_request(&mut request);
            assert_eq!(request.fields.contains(Known::ContentEncoding), is_compressed);
            let (bytes, _) = collected(request.body).await;
            assert_eq!(bytes.len() < 100, is_compressed);
        }
    }
}
