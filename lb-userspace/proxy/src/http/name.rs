//! Field names: the ones a proxy looks at have a number, so that they are compared at once.

/// A field name to look for, in any case.
#[derive(Clone, Copy, Debug)]
pub struct FieldName<'a> {
    text: &'a [u8],
    known: Known,
}

impl<'a> FieldName<'a> {
    /// A name whose number is known already.
    pub(crate) fn with_number(text: &'a [u8], known: Known) -> Self {
        Self { text, known }
    }

    /// The name's bytes, as they were given.
    pub fn text(self) -> &'a [u8] {
        self.text
    }

    /// Its number.
    pub fn known(self) -> Known {
        self.known
    }
}

impl From<Known> for FieldName<'static> {
    fn from(known: Known) -> Self {
        Self { text: known.text().as_bytes(), known }
    }
}

impl<'a> From<&'a [u8]> for FieldName<'a> {
    fn from(text: &'a [u8]) -> Self {
        Self { text, known: Known::of(text) }
    }
}

impl<'a> From<&'a str> for FieldName<'a> {
    fn from(text: &'a str) -> Self {
        text.as_bytes().into()
    }
}

macro_rules! known {
    ($($variant:ident $text:literal,)*) => {
        /// Field names that have a number (IANA HTTP field name registry, and what proxies add).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "each is the name that it is spelled like")]
        pub enum Known {
            /// Any other name.
            Other,
            $($variant,)*
        }

        impl Known {
            /// The name, lower case; empty for [`Known::Other`].
            pub const fn text(self) -> &'static str {
                match self {
                    Self::Other => "",
                    $(Self::$variant => $text,)*
                }
            }

            /// All that have a number of their own, in the order of their numbers.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }
    };
}

known! {
    Accept "accept",
    AcceptEncoding "accept-encoding",
    AccessControlAllowCredentials "access-control-allow-credentials",
    AccessControlAllowHeaders "access-control-allow-headers",
    AccessControlAllowMethods "access-control-allow-methods",
    AccessControlAllowOrigin "access-control-allow-origin",
    AccessControlExposeHeaders "access-control-expose-headers",
    AccessControlMaxAge "access-control-max-age",
    AccessControlRequestHeaders "access-control-request-headers",
    AccessControlRequestMethod "access-control-request-method",
    Age "age",
    Allow "allow",
    AltSvc "alt-svc",
    Authorization "authorization",
    CacheControl "cache-control",
    Connection "connection",
    ContentEncoding "content-encoding",
    ContentLength "content-length",
    ContentType "content-type",
    Cookie "cookie",
    Date "date",
    EarlyData "early-data",
    Etag "etag",
    Expect "expect",
    Forwarded "forwarded",
    Host "host",
    Http2Settings "http2-settings",
    KeepAlive "keep-alive",
    LastModified "last-modified",
    Location "location",
    MaxForwards "max-forwards",
    Origin "origin",
    ProxyAuthenticate "proxy-authenticate",
    ProxyAuthorization "proxy-authorization",
    ProxyConnection "proxy-connection",
    Range "range",
    Referer "referer",
    RetryAfter "retry-after",
    SecWebSocketAccept "sec-websocket-accept",
    SecWebSocketKey "sec-websocket-key",
    SecWebSocketVersion "sec-websocket-version",
    Server "server",
    SetCookie "set-cookie",
    Te "te",
    Traceparent "traceparent",
    Tracestate "tracestate",
    Trailer "trailer",
    TransferEncoding "transfer-encoding",
    Upgrade "upgrade",
    UserAgent "user-agent",
    Vary "vary",
    Via "via",
    WwwAuthenticate "www-authenticate",
    XForwardedFor "x-forwarded-for",
    XForwardedHost "x-forwarded-host",
    XForwardedPort "x-forwarded-port",
    XForwardedProto "x-forwarded-proto",
    XRealIp "x-real-ip",
    XRequestId "x-request-id",
}

impl Known {
    /// The number of a name in any case.
    pub fn of(name: &[u8]) -> Self {
        let candidates = of_length(name.len());
        if candidates.is_empty() {
            return Self::Other;
        }
        let ends = ends(name);
        let found = candidates.iter().find(|it| ENDS.get(**it as usize) == Some(&ends));
        let is_whole =
            |it: &Self| name.len() <= ENDS_BYTES || name.eq_ignore_ascii_case(it.text().as_bytes());
        found.copied().filter(is_whole).unwrap_or(Self::Other)
    }
}

/// Bytes of a name that [`ends`] look at, at most.
const ENDS_BYTES: usize = 16;

/// The ends of known names, by number.
static ENDS: [(u64, u64); Known::ALL.len() + 1] = {
    let mut all = [(0, 0); Known::ALL.len() + 1];
    let mut place = 0;
    while place < Known::ALL.len() {
        #[expect(clippy::indexing_slicing, reason = "checked when it is compiled")]
        {
            let known = Known::ALL[place];
            all[known as usize] = ends(known.text().as_bytes());
        }
        place += 1;
    }
    all
};

/// First and last bytes of a name, at least two long, in lower case: up to [`ENDS_BYTES`] all of it.
const fn ends(name: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (name.first_chunk::<8>(), name.last_chunk::<8>()) {
        return (lower(u64::from_le_bytes(*first)), lower(u64::from_le_bytes(*last)));
    }
    if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return (lower(first as u64 | (last as u64) << 32), 0);
    }
    match (name.first_chunk::<2>(), name.last_chunk::<2>()) {
        (Some([a, b]), Some([c, d])) => (lower(u32::from_le_bytes([*a, *b, *c, *d]) as u64), 0),
        _ => (0, 0),
    }
}

/// ASCII letters in lower case, eight at a time.
const fn lower(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = ONES << 7;
    let low = word & !HIGH;
    let from_a = low + ONES * (0x80 - b'A' as u64);
    let above_z = low + ONES * (0x7f - b'Z' as u64);
    word | (from_a & !above_z & !word & HIGH) >> 2
}

/// Known names of a length: a handful at most, so that a name is found by few comparisons.
fn of_length(length: usize) -> &'static [Known] {
    match length {
        2 => &[Known::Te],
        3 => &[Known::Age, Known::Via],
        4 => &[Known::Date, Known::Etag, Known::Host, Known::Vary],
        5 => &[Known::Allow, Known::Range],
        6 => &[Known::Accept, Known::Cookie, Known::Expect, Known::Origin, Known::Server],
        7 => &[Known::AltSvc, Known::Referer, Known::Trailer, Known::Upgrade],
        8 => &[Known::Location],
        9 => &[Known::Forwarded, Known::XRealIp],
        10 => &[
            Known::Connection,
            Known::EarlyData,
            Known::KeepAlive,
            Known::SetCookie,
            Known::Tracestate,
            Known::UserAgent,
        ],
        11 => &[Known::RetryAfter, Known::Traceparent],
        12 => &[Known::ContentType, Known::MaxForwards, Known::XRequestId],
        13 => &[Known::Authorization, Known::CacheControl, Known::LastModified],
        14 => &[Known::ContentLength, Known::Http2Settings],
        15 => &[Known::AcceptEncoding, Known::XForwardedFor],
        16 => &[
            Known::ContentEncoding,
            Known::ProxyConnection,
            Known::WwwAuthenticate,
            Known::XForwardedHost,
            Known::XForwardedPort,
        ],
        17 => &[Known::SecWebSocketKey, Known::TransferEncoding, Known::XForwardedProto],
        18 => &[Known::ProxyAuthenticate],
        19 => &[Known::ProxyAuthorization],
        20 => &[Known::SecWebSocketAccept],
        21 => &[Known::SecWebSocketVersion],
        22 => &[Known::AccessControlMaxAge],
        27 => &[Known::AccessControlAllowOrigin],
        28 => &[Known::AccessControlAllowHeaders, Known::AccessControlAllowMethods],
        29 => &[Known::AccessControlExposeHeaders, Known::AccessControlRequestMethod],
        30 => &[Known::AccessControlRequestHeaders],
        32 => &[Known::AccessControlAllowCredentials],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case_and_no_other() {
        for known in Known::ALL {
            assert_eq!(Known::of(known.text().as_bytes()), *known);
            assert_eq!(Known::of(known.text().to_uppercase().as_bytes()), *known);
        }
        for name in ["", "hos", "hosts", "x-forwarded-four", "content_length"] {
            assert_eq!(Known::of(name.as_bytes()), Known::Other, "{name}");
        }
        // Any byte that is another one, but for its case, makes another name.
        for known in Known::ALL {
            let name = known.text().as_bytes();
            for (place, byte) in name.iter().enumerate() {
                for other in 0..=u8::MAX {
                    let mut name = name.to_vec();
                    name[place] = other;
                    let is_same = other.eq_ignore_ascii_case(byte);
                    assert_eq!(Known::of(&name) == *known, is_same, "{name:?}");
                }
            }
        }
    }
}
