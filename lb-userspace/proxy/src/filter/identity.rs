//! What a request is called: request id and trace (W3C Trace Context).

use crate::{
    account::Short,
    exchange::Exchange,
    http::{Known, Request},
};

/// Names a request, for backends and the record. The id of a trusted peer is kept if it is sane;
/// else it is a new random one. A valid `traceparent` is relayed as it is; a malformed one is
/// removed, with `tracestate` (section 3.3.1 there).
pub fn identify(exchange: &mut Exchange, request: &mut Request, is_trusted: bool) {
    let told = if is_trusted { told_id(request) } else { None };
    let id = told.unwrap_or_else(|| {
        let id = random_id();
        request.fields.set(Known::XRequestId, id.as_bytes());
        id
    });
    exchange.record.request_id = Some(id);
    exchange.record.trace_id = told_trace(request);
    if exchange.record.trace_id.is_none() {
        request.fields.remove(Known::Traceparent);
        request.fields.remove(Known::Tracestate);
    }
}

/// Characters of a request id that is kept.
const ID_BYTES_MAX: usize = 128;

fn told_id(request: &Request) -> Option<Short> {
    let mut ids = request.fields.all(Known::XRequestId);
    let (Some(id), None) = (ids.next(), ids.next()) else { return None };
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(byte);
    let is_sane = (1..=ID_BYTES_MAX).contains(&id.len()) && id.iter().all(is_plain);
    is_sane.then(|| id.into())
}

fn told_trace(request: &Request) -> Option<Box<str>> {
    let mut parents = request.fields.all(Known::Traceparent);
    match (parents.next(), parents.next()) {
        (Some(parent), None) => trace_id(parent),
        _ => None,
    }
}

/// 128 random bits, hexadecimal.
fn random_id() -> Short {
    let digits: [[u8; 8]; 4] = std::array::from_fn(|_| hexadecimal(fastrand::u32(..)));
    digits.as_flattened().into()
}

/// Digits of a number, all at once; the last comes first.
const fn hexadecimal(number: u32) -> [u8; 8] {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    // A digit to each byte, in three steps.
    let word = number as u64;
    let word = (word | word << 16) & 0x0000_ffff_0000_ffff;
    let word = (word | word << 8) & 0x00ff_00ff_00ff_00ff;
    let word = (word | word << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    let is_letter = (word + 6 * ONES) >> 4 & ONES;
    (word + b'0' as u64 * ONES + is_letter * (b'a' - b'0' - 10) as u64).to_le_bytes()
}

/// The trace id of a valid `traceparent` (section 3.2): `00-<32 digits>-<16 digits>-<2 digits>`,
/// and more behind another `-` in versions to come.
fn trace_id(parent: &[u8]) -> Option<Box<str>> {
    let text = str::from_utf8(parent).ok()?;
    let mut parts = text.splitn(5, '-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let (span, flags) = (parts.next()?, parts.next()?);
    let is_first = version == "00";
    let are_digits = are_digits(version, 2)
        && are_digits(trace, 32)
        && are_digits(span, 16)
        && are_digits(flags, 2);
    let is_valid = are_digits
        && version != "ff"
        && trace.bytes().any(|byte| byte != b'0')
        && span.bytes().any(|byte| byte != b'0')
        && !(is_first && parts.next().is_some());
    is_valid.then(|| trace.into())
}

fn are_digits(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixture::{append, exchange, request},
        *,
    };

    fn identified(fields: &[(&str, &str)], is_trusted: bool) -> (Exchange, Request) {
        let (mut exchange, mut request) = (exchange(), request());
        append(&mut request.fields, fields);
        identify(&mut exchange, &mut request, is_trusted);
        (exchange, request)
    }

    #[test]
    fn random_ids_are_hexadecimal() {
        assert_eq!(&hexadecimal(0xfedc_ba98), b"89abcdef");
        assert_eq!(&hexadecimal(0x7654_3210), b"01234567");
    }

    #[test]
    fn a_trusted_peers_id_is_kept_if_it_is_sane() {
        let long = "x".repeat(129);
        for (id, is_trusted, is_kept) in [
            ("7f3a-00:1", true, true),
            ("7f3a-00:1", false, false),
            ("", true, false),
            ("a b", true, false),
            ("a\"b", true, false),
            (&long, true, false),
        ] {
            let (exchange, request) = identified(&[("X-Request-ID", id)], is_trusted);
            let kept = exchange.record.request_id.unwrap();
            assert_eq!(&*kept == id, is_kept, "{id}");
            assert_eq!(request.field(Known::XRequestId), Some(kept.as_bytes()));
            assert!(is_kept || kept.len() == 32);
        }
        let (one, request) = identified(&[("x-request-id", "a"), ("x-request-id", "b")], true);
        let (other, _) = identified(&[], false);
        assert_eq!(request.fields.all(Known::XRequestId).count(), 1);
        assert_ne!(one.record.request_id, other.record.request_id);
    }

    #[test]
    fn a_valid_trace_is_relayed_and_another_is_not() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (parent, is_valid) in [
            (format!("00-{trace}-00f067aa0ba902b7-01"), true),
            (format!("00-{trace}-00f067aa0ba902b7-00"), true),
            (format!("cc-{trace}-00f067aa0ba902b7-01-more"), true),
            (format!("00-{trace}-00f067aa0ba902b7-01-more"), false),
            (format!("ff-{trace}-00f067aa0ba902b7-01"), false),
            (format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()), false),
            (format!("00-{trace}-0000000000000000-01"), false),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), false),
            (format!("00-{trace}-00f067aa0ba902b7"), false),
            (String::new(), false),
        ] {
            let fields = [("traceparent", parent.as_str()), ("TraceState", "a=1")];
            let (exchange, request) = identified(&fields, false);
            assert_eq!(exchange.record.trace_id.as_deref(), is_valid.then_some(trace), "{parent}");
            assert_eq!(request.fields.contains(Known::Traceparent), is_valid);
            assert_eq!(request.fields.contains("tracestate"), is_valid);
        }
    }
}
