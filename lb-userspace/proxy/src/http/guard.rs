//! What a request must look like whatever version it came in, so that nobody behind us can
//! understand it differently.

use super::{Fields, Known, Reason, method::is_token_byte, words::text_bytes};
use std::net::Ipv6Addr;

mod target;

pub use target::target;

/// Longest host: a domain name's text (RFC 1035, section 2.3.4).
const HOST_BYTES_MAX: usize = 255;
/// Largest content length: anything above is no length but an attempt to overflow one.
const CONTENT_LENGTH_MAX: u64 = 1 << 63;

/// Checks `host[:port]` (RFC 9110, section 4.2.3): a name of letters, digits and `-_.`, an IPv4
/// address, or an IPv6 address in brackets. No user, no percent encoding, not empty.
///
/// # Errors
/// [`Reason::HostInvalid`].
pub fn authority(text: &[u8]) -> Result<(), Reason> {
    is_authority(text).then_some(()).ok_or(Reason::HostInvalid)
}

/// Checks a field name: a token (RFC 9110, section 5.1) that is none of those that gateways to
/// environment variables take for a framing field (`Content_Length`).
///
/// # Errors
/// [`Reason::Malformed`], and [`Reason::FramingAmbiguous`] for look-alikes.
pub fn field_name(name: &[u8]) -> Result<(), Reason> {
    if name.is_empty() || token_bytes(name) != name.len() {
        return Err(Reason::Malformed);
    }
    framing_name(name)
}

/// As [`field_name`], for what is a token for sure.
pub(crate) fn framing_name(name: &[u8]) -> Result<(), Reason> {
    let is_like = |framing: &[u8]| {
        let same = |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || (*a, *b) == (b'_', b'-');
        name.contains(&b'_') && name.iter().zip(framing).all(same)
    };
    let is_ambiguous = match name.len() {
        14 => is_like(b"content-length"),
        17 => is_like(b"transfer-encoding"),
        _ => false,
    };
    if is_ambiguous { Err(Reason::FramingAmbiguous) } else { Ok(()) }
}

/// Checks a field value (RFC 9110, section 5.5): no control bytes but tabs, no white space at its
/// ends.
///
/// # Errors
/// [`Reason::Malformed`].
pub fn field_value(value: &[u8]) -> Result<(), Reason> {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let is_valid =
        text_bytes(value) == value.len() && !is_blank(value.first()) && !is_blank(value.last());
    is_valid.then_some(()).ok_or(Reason::Malformed)
}

/// The content length that a request's `Content-Length` values say; `None` if there is none.
///
/// # Errors
/// [`Reason::FramingAmbiguous`] for more than one value, even if they say the same, and for
/// anything but digits without leading zeros (some read those as octal).
pub fn content_length<'a>(
    mut values: impl Iterator<Item = &'a [u8]>,
) -> Result<Option<u64>, Reason> {
    let Some(value) = values.next() else { return Ok(None) };
    let is_octal = value.len() > 1 && value.first() == Some(&b'0');
    if values.next().is_some() || is_octal {
        return Err(Reason::FramingAmbiguous);
    }
    length(value).map(Some).ok_or(Reason::FramingAmbiguous)
}

/// The number in one `Content-Length`; `None` if it is anything but digits, or above 2^63.
pub(crate) fn length(value: &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for digit in value {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number = number.checked_mul(10)?.checked_add(digit)?;
    }
    (!value.is_empty() && number <= CONTENT_LENGTH_MAX).then_some(number)
}

/// Bytes of the token that `bytes` begin with.
pub(crate) fn token_bytes(bytes: &[u8]) -> usize {
    bytes.iter().position(|it| !is_of(TOKEN, *it)).unwrap_or(bytes.len())
}

/// Set for bytes that may be part of a token.
const TOKEN: u8 = 1;
/// Set for bytes that may be part of a label of a host's name.
const LABEL: u8 = 1 << 1;

/// What each byte may be part of: names are checked byte by byte.
static CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let it = byte as u8;
        let token = if is_token_byte(it) { TOKEN } else { 0 };
        let is_label = it.is_ascii_alphanumeric() || it == b'-' || it == b'_';
        #[expect(clippy::indexing_slicing, reason = "checked when it is compiled")]
        {
            table[byte] = token | if is_label { LABEL } else { 0 };
        }
        byte += 1;
    }
    table
};

fn is_of(class: u8, byte: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|it| it & class != 0)
}

/// Removes what is meant for one connection only (RFC 9110, section 7.6.1): `Connection`, fields
/// that it names, and those that are so without being named. It cannot name away a field that has
/// a number ([`Known`]) and is meant for everyone, such as `Host` or `Authorization`.
pub fn strip(fields: &mut Fields) {
    let mut named = Vec::new();
    for option in fields.all(Known::Connection).flat_map(options) {
        if Mere::of(option).is_none() && Known::of(option) == Known::Other {
            named.push(option.to_ascii_lowercase());
        }
    }
    named.sort_unstable();
    fields.retain(|name, _| match name.known() {
        Known::Other if named.is_empty() => true,
        Known::Other => named.binary_search(&name.text().to_ascii_lowercase()).is_err(),
        known => !is_hop_by_hop(known),
    });
}

/// Whether a trailer field may be passed on: not if it frames, routes, authenticates or changes
/// how what came before is read (RFC 9110, section 6.5.1). Fields that have a number do, but few.
pub const fn is_trailer(known: Known) -> bool {
    matches!(known, Known::Other | Known::Etag)
}

/// The options that a `Connection` value lists, without the white space around them.
pub(crate) fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|it| !it.is_empty())
}

/// Options of `Connection` that name no field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mere {
    Close,
    KeepAlive,
    Upgrade,
}

impl Mere {
    /// The option so spelled, in any case.
    pub(crate) fn of(option: &[u8]) -> Option<Self> {
        let (it, text) = match option.len() {
            5 => (Self::Close, &b"close"[..]),
            7 => (Self::Upgrade, &b"upgrade"[..]),
            10 => (Self::KeepAlive, &b"keep-alive"[..]),
            _ => return None,
        };
        option.eq_ignore_ascii_case(text).then_some(it)
    }
}

/// Fields for one connection (RFC 9110, section 7.6.1; RFC 7540, section 3.2.1).
pub(crate) const fn is_hop_by_hop(known: Known) -> bool {
    matches!(
        known,
        Known::Connection
            | Known::Http2Settings
            | Known::KeepAlive
            | Known::ProxyConnection
            | Known::Te
            | Known::TransferEncoding
            | Known::Upgrade
    )
}

fn is_authority(text: &[u8]) -> bool {
    if let Some(rest) = text.strip_prefix(b"[") {
        let Some(end) = memchr::memchr(b']', rest) else { return false };
        let (host, port) = rest.split_at_checked(end).unwrap_or_default();
        let host = str::from_utf8(host).unwrap_or_default();
        return host.parse::<Ipv6Addr>().is_ok() && is_port(port.get(1..).unwrap_or_default());
    }
    let end = memchr::memchr(b':', text).unwrap_or(text.len());
    let (host, port) = text.split_at_checked(end).unwrap_or_default();
    is_name(host) && is_port(port)
}

/// A name without empty labels; one trailing dot is allowed.
fn is_name(host: &[u8]) -> bool {
    let mut was_dot = true;
    for byte in host {
        let is_dot = *byte == b'.';
        let is_wrong = if is_dot { was_dot } else { !is_of(LABEL, *byte) };
        if is_wrong {
            return false;
        }
        was_dot = is_dot;
    }
    !host.is_empty() && host.len() <= HOST_BYTES_MAX
}

/// Nothing, or `:` and a number of at most 16 bits.
fn is_port(port: &[u8]) -> bool {
    if port.is_empty() {
        return true;
    }
    let digits = port.strip_prefix(b":").unwrap_or_default();
    digits.len() <= 5 && length(digits).is_some_and(|it| u16::try_from(it).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts() {
        for good in
            ["a", "a.", "a.b:80", "A_b-c.example", "127.0.0.1:65535", "[::1]", "[2001:db8::1]:8080"]
        {
            assert_eq!(authority(good.as_bytes()), Ok(()), "{good}");
        }
        let bad = "|.|..|a..b|.a|:80|a:|a:x|a:123456|a:65536|a:-1|u@a|a b|a/|a?|a#|a%41|a,b|[::1\
                   |[::1]x|[::1]:|[1.2.3.4]|[::1%25eth0]|::1|a:80:80|a\t|ä|[]";
        for bad in bad.split('|') {
            assert_eq!(authority(bad.as_bytes()), Err(Reason::HostInvalid), "{bad}");
        }
        assert!(authority(&[b'a'; 256]).is_err());
    }

    #[test]
    fn names_and_values() {
        for good in ["a", "X-Y", "x_y", "content-length", "content_type", "!#$%&'*+-.^_`|~09az"] {
            assert_eq!(field_name(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in ["", "a b", "a:", "a\t", "(a)", "ä", "a\0", "a,b", ":path"] {
            assert_eq!(field_name(bad.as_bytes()), Err(Reason::Malformed), "{bad}");
        }
        for like in ["Content_Length", "transfer_encoding"] {
            assert_eq!(field_name(like.as_bytes()), Err(Reason::FramingAmbiguous), "{like}");
        }
        for good in ["", "a", "a b\tc", "ä", "\u{80}"] {
            assert_eq!(field_value(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in [" a", "a ", "\ta", "a\rb", "a\nb", "a\0", "a\u{7f}", "a\u{b}b"] {
            assert_eq!(field_value(bad.as_bytes()), Err(Reason::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn content_lengths() {
        let of = |values: &[&'static str]| content_length(values.iter().map(|it| it.as_bytes()));
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["0"]), Ok(Some(0)));
        assert_eq!(of(&["9223372036854775808"]), Ok(Some(1 << 63)));
        let bad = ["", "+1", "-1", "1,1", "1, 1", "0x1", "1 1", "01", "00", "9223372036854775809"];
        for bad in bad.into_iter().chain(["18446744073709551616", "1.0", "1e1", "١"]) {
            assert_eq!(of(&[bad]), Err(Reason::FramingAmbiguous), "{bad}");
        }
        assert_eq!(of(&["1", "1"]), Err(Reason::FramingAmbiguous));
    }

    #[test]
    fn what_is_meant_for_one_connection_is_removed() {
        let mut fields: Fields = [
            ("Connection", "close, X-Hop ,authorization,,host"),
            ("connection", "Cookie, x-none"),
            ("Host", "a"),
            ("x-HOP", "1"),
            ("Authorization", "b"),
            ("Keep-Alive", "5"),
            ("TE", "trailers"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "h2c"),
            ("HTTP2-Settings", "x"),
            ("Proxy-Connection", "close"),
            ("Cookie", "c"),
            ("x-close", "1"),
        ]
        .into_iter()
        .collect();
        strip(&mut fields);
        let left: Vec<_> = fields.iter().map(|(name, _)| name.text()).collect();
        assert_eq!(left, [&b"Host"[..], b"Authorization", b"Cookie", b"x-close"]);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_normal_stays_normal(
            bytes in proptest::collection::vec(any::<u8>(), 0..64),
            path in "/([a%2eE./?-]|%2f|/\\.\\.|/\\.){0,24}",
        ) {
            for text in [bytes.as_slice(), path.as_bytes()] {
                let (_, _, _) = (authority(text), field_name(text), field_value(text));
                if let Ok(normal) = target(text) {
                    let again = target(&normal);
                    prop_assert_eq!(again.as_deref(), Ok(&*normal));
                    let path = normal.split(|it| *it == b'?').next().unwrap_or_default();
                    prop_assert!(!path.split(|it| *it == b'/').any(|it| it == b".." || it == b"."));
                }
            }
        }

        #[test]
        fn no_hop_by_hop_field_survives(
            listed in proptest::collection::vec("[a-c]|te|upgrade|host|close|[ ,]", 0..6),
            names in proptest::collection::vec("[a-cA-C]|te|Upgrade|Keep-Alive|host", 0..8),
        ) {
            let mut fields = Fields::new();
            for name in &names {
                fields.append(name.as_str(), b"1");
            }
            fields.append("Connection", listed.join(",").as_bytes());
            let hosts = fields.all(Known::Host).count();
            strip(&mut fields);
            prop_assert_eq!(fields.all(Known::Host).count(), hosts);
            for (name, _) in fields.iter() {
                prop_assert!(!is_hop_by_hop(name.known()));
                let name = String::from_utf8(name.text().to_ascii_lowercase()).unwrap();
                prop_assert!(name == "host" || !listed.contains(&name));
            }
        }
    }
}
