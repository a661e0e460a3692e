//! Probes of HTTP/1: bytes that a client sends on one connection, and what has to come of them.
//! Each is what RFC 9110 or RFC 9112 demands, or the stricter of two readings where leniency made
//! request smuggling possible.

/// What a probe is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A rule that every server has to keep.
    Compliance,
    /// Framing or routing that two servers could understand differently.
    Smuggling,
    /// Bytes that are no HTTP at all, or too much of it.
    Malformed,
}

/// What has to come of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// So many requests reach the origin, each is answered, and the connection takes another one.
    Served(usize),
    /// So many requests reach the origin, each is answered, and the connection ends.
    ServedThenClosed(usize),
    /// So many requests reach the origin; then comes a response with one of these statuses (ours
    /// is the first), and the connection ends.
    Refused(usize, &'static [u16]),
    /// It is no complete request: nothing reaches the origin however long it waits, and the
    /// connection ends with one of these statuses or without.
    Unfinished(&'static [u16]),
}

/// Bytes that a client sends, and what has to come of them.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Unique name.
    pub name: &'static str,
    /// What it is about.
    pub class: Class,
    /// What is sent.
    pub bytes: Vec<u8>,
    /// What has to come of it.
    pub expected: Expected,
}

const BAD: &[u16] = &[400];
const BAD_OR_UNKNOWN: &[u16] = &[400, 501];
const UNKNOWN_OR_BAD: &[u16] = &[501, 400];
const VERSION: &[u16] = &[505, 400];
const LONG_TARGET: &[u16] = &[414, 431, 400];
const LONG_HEADER: &[u16] = &[431, 400];
const LATE: &[u16] = &[408, 400];
const EXPECTATION: &[u16] = &[417, 400];

/// Bytes of a head that no server takes.
const TOO_MUCH: usize = 300_000;

/// All probes. Names are unique.
pub fn all() -> Vec<Probe> {
    let tables = [lines(), hosts(), fields(), lengths(), codings(), chunks(), trailers(), rest()];
    tables.into_iter().flatten().collect()
}

fn row(name: &'static str, class: Class, bytes: impl AsRef<[u8]>, expected: Expected) -> Probe {
    Probe { name, class, bytes: bytes.as_ref().to_vec(), expected }
}

/// Request lines.
fn lines() -> Vec<Probe> {
    use Class::{Compliance, Malformed, Smuggling};
    use Expected::{Refused, Served, ServedThenClosed, Unfinished};
    let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n");
    let too_long = line(&format!("GET /{} HTTP/1.1", "a".repeat(TOO_MUCH)));
    vec![
        row("line-get", Compliance, line("GET / HTTP/1.1"), Served(1)),
        row("line-head", Compliance, line("HEAD / HTTP/1.1"), Served(1)),
        row("line-options", Compliance, line("OPTIONS / HTTP/1.1"), Served(1)),
        row("line-options-asterisk", Compliance, line("OPTIONS * HTTP/1.1"), Served(1)),
        row("line-unknown-method", Compliance, line("BREW /pot HTTP/1.1"), Served(1)),
        row("line-query", Compliance, line("GET /a?b=c&d=%2F HTTP/1.1"), Served(1)),
        row("line-absolute", Compliance, line("GET http://b/x?y HTTP/1.1"), Served(1)),
        row("line-absolute-without-path", Compliance, line("GET http://b HTTP/1.1"), Served(1)),
        row("line-absolute-upper", Compliance, line("GET HTTP://b/ HTTP/1.1"), Served(1)),
        row("line-http10", Compliance, line("GET / HTTP/1.0"), ServedThenClosed(1)),
        row("line-empty-before", Compliance, "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Served(1)),
        row("line-two-empty-before", Malformed, "\r\n\r\nGET / HTTP/1.1\r\n\r\n", Refused(0, BAD)),
        row("line-lf-before", Malformed, "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, BAD)),
        row("line-space-before", Malformed, line(" GET / HTTP/1.1"), Refused(0, BAD)),
        row("line-bad-method", Malformed, line("G(T / HTTP/1.1"), Refused(0, BAD)),
        row("line-method-with-colon", Malformed, line("GET: / HTTP/1.1"), Refused(0, BAD)),
        row("line-no-method", Malformed, line("/ HTTP/1.1"), Refused(0, BAD)),
        row("line-no-target", Malformed, line("GET HTTP/1.1"), Refused(0, BAD)),
        row("line-empty-target", Malformed, line("GET  HTTP/1.1"), Refused(0, BAD)),
        row("line-no-version", Malformed, line("GET /"), Refused(0, BAD)),
        row("line-http09", Malformed, "GET /\r\n", Refused(0, BAD)),
        row("line-two-spaces", Smuggling, line("GET  / HTTP/1.1"), Refused(0, BAD)),
        row("line-two-spaces-later", Smuggling, line("GET /  HTTP/1.1"), Refused(0, BAD)),
        row("line-tab", Smuggling, line("GET\t/\tHTTP/1.1"), Refused(0, BAD)),
        row("line-space-after", Smuggling, line("GET / HTTP/1.1 "), Refused(0, BAD)),
        row("line-space-in-target", Smuggling, line("GET /a b HTTP/1.1"), Refused(0, BAD)),
        row("line-two-versions", Smuggling, line("GET / HTTP/1.1 HTTP/1.1"), Refused(0, BAD)),
        row("line-bare-lf", Smuggling, "GET / HTTP/1.1\nHost: a\r\n\r\n", Refused(0, BAD)),
        row("line-bare-cr", Smuggling, "GET / HTTP/1.1\rHost: a\r\n\r\n", Refused(0, BAD)),
        row("line-cr-cr-lf", Smuggling, "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", Refused(0, BAD)),
        row("line-nul", Malformed, line("GET /\0 HTTP/1.1"), Refused(0, BAD)),
        row("line-del", Malformed, line("GET /\x7f HTTP/1.1"), Refused(0, BAD)),
        row("line-utf8", Malformed, line("GET /ä HTTP/1.1"), Refused(0, BAD)),
        row("line-fragment", Malformed, line("GET /a#b HTTP/1.1"), Refused(0, BAD)),
        row("line-relative", Malformed, line("GET a HTTP/1.1"), Refused(0, BAD)),
        row("line-asterisk-get", Malformed, line("GET * HTTP/1.1"), Refused(0, BAD)),
        row("line-other-scheme", Malformed, line("GET ftp://a/ HTTP/1.1"), Refused(0, BAD)),
        row("line-no-authority", Malformed, line("GET http:/// HTTP/1.1"), Refused(0, BAD)),
        row("line-user", Smuggling, line("GET http://u@a/ HTTP/1.1"), Refused(0, BAD)),
        row("line-climbs", Smuggling, line("GET /../a HTTP/1.1"), Refused(0, BAD)),
        row("line-climbs-encoded", Smuggling, line("GET /%2e%2e/a HTTP/1.1"), Refused(0, BAD)),
        row("line-percent-nul", Malformed, line("GET /%00 HTTP/1.1"), Refused(0, BAD)),
        row("line-bad-percent", Malformed, line("GET /%zz HTTP/1.1"), Refused(0, BAD)),
        row("line-connect-path", Malformed, line("CONNECT / HTTP/1.1"), Refused(0, BAD)),
        row("line-http20", Compliance, line("GET / HTTP/2.0"), Refused(0, VERSION)),
        row("line-http12", Compliance, line("GET / HTTP/1.2"), Refused(0, VERSION)),
        row("line-http09-named", Compliance, line("GET / HTTP/0.9"), Refused(0, VERSION)),
        row("line-lower-version", Malformed, line("GET / http/1.1"), Refused(0, BAD)),
        row("line-short-version", Malformed, line("GET / HTTP/1"), Refused(0, BAD)),
        row("line-long-version", Malformed, line("GET / HTTP/1.10"), Refused(0, BAD)),
        row("line-other-protocol", Malformed, line("GET / HTTPS/1.1"), Refused(0, BAD)),
        row("line-no-slash", Malformed, line("GET / HTTP 1.1"), Refused(0, BAD)),
        row("line-too-long", Malformed, too_long, Refused(0, LONG_TARGET)),
        row("line-unfinished", Malformed, "GET / HT", Unfinished(LATE)),
        row(
            "line-tls",
            Malformed,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            Refused(0, BAD),
        ),
        row(
            "line-http2-preface",
            Malformed,
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            Refused(0, VERSION),
        ),
        row("line-garbage", Malformed, b"\x00\xff\x01\xfe\r\n\r\n", Refused(0, BAD)),
    ]
}

/// `Host`.
fn hosts() -> Vec<Probe> {
    use Class::{Compliance, Malformed, Smuggling};
    use Expected::{Refused, Served, ServedThenClosed};
    let get = |fields: &str| format!("GET / HTTP/1.1\r\n{fields}\r\n");
    let absolute = |fields: &str| format!("GET http://b/ HTTP/1.1\r\n{fields}\r\n");
    vec![
        row("host-port", Compliance, get("Host: a.example:8080\r\n"), Served(1)),
        row("host-ipv4", Compliance, get("Host: 192.0.2.1\r\n"), Served(1)),
        row("host-ipv6", Compliance, get("Host: [2001:db8::1]:80\r\n"), Served(1)),
        row("host-case", Compliance, get("hOsT: A\r\n"), Served(1)),
        row("host-no-space", Compliance, get("Host:a\r\n"), Served(1)),
        row("host-many-spaces", Compliance, get("Host: \t  a \t\r\n"), Served(1)),
        row("host-missing", Compliance, get(""), Refused(0, BAD)),
        row("host-missing-absolute", Compliance, absolute(""), Refused(0, BAD)),
        row("host-missing-http10", Compliance, "GET / HTTP/1.0\r\n\r\n", ServedThenClosed(1)),
        row("host-empty", Compliance, get("Host:\r\n"), Refused(0, BAD)),
        row("host-twice", Compliance, get("Host: a\r\nHost: b\r\n"), Refused(0, BAD)),
        row("host-twice-same", Compliance, get("Host: a\r\nHost: a\r\n"), Refused(0, BAD)),
        row("host-twice-case", Smuggling, get("Host: a\r\nhost: b\r\n"), Refused(0, BAD)),
        row("host-twice-absolute", Smuggling, absolute("Host: a\r\nHost: b\r\n"), Refused(0, BAD)),
        row("host-bad-absolute", Smuggling, absolute("Host: a/b\r\n"), Refused(0, BAD)),
        row("host-comma", Smuggling, get("Host: a, b\r\n"), Refused(0, BAD)),
        row("host-user", Smuggling, get("Host: u@a\r\n"), Refused(0, BAD)),
        row("host-path", Smuggling, get("Host: a/b\r\n"), Refused(0, BAD)),
        row("host-query", Smuggling, get("Host: a?b\r\n"), Refused(0, BAD)),
        row("host-space-inside", Smuggling, get("Host: a b\r\n"), Refused(0, BAD)),
        row("host-percent", Smuggling, get("Host: a%2eb\r\n"), Refused(0, BAD)),
        row("host-scheme", Malformed, get("Host: http://a\r\n"), Refused(0, BAD)),
        row("host-bad-port", Malformed, get("Host: a:b\r\n"), Refused(0, BAD)),
        row("host-large-port", Malformed, get("Host: a:65536\r\n"), Refused(0, BAD)),
        row("host-open-bracket", Malformed, get("Host: [::1\r\n"), Refused(0, BAD)),
        row("host-bare-ipv6", Malformed, get("Host: ::1\r\n"), Refused(0, BAD)),
        row("host-space-before-colon", Smuggling, get("Host : a\r\n"), Refused(0, BAD)),
        row("host-folded", Smuggling, get("Host:\r\n a\r\n"), Refused(0, BAD)),
    ]
}

/// Field lines.
fn fields() -> Vec<Probe> {
    use Class::{Compliance, Malformed, Smuggling};
    use Expected::{Refused, Served, Unfinished};
    let get = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let value = get(&format!("X: {}\r\n", "a".repeat(TOO_MUCH)));
    let name = get(&format!("{}: a\r\n", "a".repeat(TOO_MUCH)));
    vec![
        row("field-empty-value", Compliance, get("X:\r\n"), Served(1)),
        row("field-obs-text", Compliance, get("X: \u{e4}\r\n"), Served(1)),
        row("field-tab-inside", Compliance, get("X: a\tb\r\n"), Served(1)),
        row("field-colon-in-value", Compliance, get("X: a:b:c\r\n"), Served(1)),
        row("field-odd-name", Compliance, get("!#$%&'*+-.^`|~: a\r\n"), Served(1)),
        row("field-same-twice", Compliance, get("X: a\r\nX: b\r\n"), Served(1)),
        row("field-underscore", Compliance, get("X_Y: a\r\n"), Served(1)),
        row("field-no-colon", Malformed, get("X\r\n"), Refused(0, BAD)),
        row("field-no-name", Malformed, get(": a\r\n"), Refused(0, BAD)),
        row("field-space-in-name", Malformed, get("X Y: a\r\n"), Refused(0, BAD)),
        row("field-space-before-colon", Smuggling, get("X : a\r\n"), Refused(0, BAD)),
        row("field-tab-before-colon", Smuggling, get("X\t: a\r\n"), Refused(0, BAD)),
        row("field-space-before-name", Smuggling, get(" X: a\r\n"), Refused(0, BAD)),
        row("field-folded", Smuggling, get("X: a\r\n b\r\n"), Refused(0, BAD)),
        row("field-folded-tab", Smuggling, get("X: a\r\n\tb\r\n"), Refused(0, BAD)),
        row(
            "field-first-is-blank",
            Smuggling,
            "GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n",
            Refused(0, BAD),
        ),
        row("field-bare-lf", Smuggling, get("X: a\nY: b\r\n"), Refused(0, BAD)),
        row("field-bare-cr", Smuggling, get("X: a\rY: b\r\n"), Refused(0, BAD)),
        row("field-cr-before-colon", Smuggling, get("X\r: b\r\n"), Refused(0, BAD)),
        row("field-lf-end", Smuggling, "GET / HTTP/1.1\r\nHost: a\r\n\n", Refused(0, BAD)),
        row("field-lf-only", Smuggling, "GET / HTTP/1.1\nHost: a\n\n", Refused(0, BAD)),
        row("field-nul-in-value", Smuggling, get("X: a\0b\r\n"), Refused(0, BAD)),
        row("field-nul-in-name", Smuggling, get("X\0: b\r\n"), Refused(0, BAD)),
        row("field-control-in-value", Malformed, get("X: a\x01b\r\n"), Refused(0, BAD)),
        row("field-vertical-tab", Smuggling, get("X: a\x0bb\r\n"), Refused(0, BAD)),
        row("field-del-in-value", Malformed, get("X: a\x7f\r\n"), Refused(0, BAD)),
        row("field-utf8-name", Malformed, get("Ä: a\r\n"), Refused(0, BAD)),
        row("field-bracket-name", Malformed, get("X[]: a\r\n"), Refused(0, BAD)),
        row("field-many", Malformed, get(&"X: a\r\n".repeat(20_000)), Refused(0, LONG_HEADER)),
        row(
            "field-more-than-allowed",
            Malformed,
            get(&"X: a\r\n".repeat(2_000)),
            Refused(0, LONG_HEADER),
        ),
        row("field-long-value", Malformed, value, Refused(0, LONG_HEADER)),
        row("field-long-name", Malformed, name, Refused(0, LONG_HEADER)),
        row("field-unfinished", Malformed, "GET / HTTP/1.1\r\nHost: a\r\nX", Unfinished(LATE)),
        row("field-no-end", Malformed, "GET / HTTP/1.1\r\nHost: a\r\n", Unfinished(LATE)),
    ]
}

/// `Content-Length`.
fn lengths() -> Vec<Probe> {
    use Class::{Compliance, Malformed, Smuggling};
    use Expected::{Refused, Served, Unfinished};
    let post =
        |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}");
    let refused = |name, class, value: &str| {
        row(name, class, post(&format!("Content-Length:{value}\r\n"), "abc"), Refused(0, BAD))
    };
    let get = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let twice = "Content-Length: 3\r\n";
    vec![
        row("length", Compliance, post("Content-Length: 3\r\n", "abc"), Served(1)),
        row("length-zero", Compliance, post("Content-Length: 0\r\n", ""), Served(1)),
        row("length-none", Compliance, post("", ""), Served(1)),
        row("length-get", Compliance, get, Served(1)),
        row("length-no-space", Compliance, post("Content-Length:3\r\n", "abc"), Served(1)),
        row("length-space-after", Compliance, post("Content-Length: 3 \t\r\n", "abc"), Served(1)),
        refused("length-plus", Smuggling, " +3"),
        refused("length-minus", Malformed, " -3"),
        refused("length-minus-zero", Smuggling, " -0"),
        refused("length-empty", Smuggling, ""),
        refused("length-hex", Smuggling, " 0x3"),
        refused("length-hex-digits", Smuggling, " a"),
        refused("length-octal", Smuggling, " 03"),
        refused("length-letters-after", Smuggling, " 3a"),
        refused("length-fraction", Malformed, " 3.0"),
        refused("length-exponent", Malformed, " 3e0"),
        refused("length-underscore", Smuggling, " 1_0"),
        refused("length-space-inside", Smuggling, " 3 3"),
        refused("length-list", Smuggling, " 3, 3"),
        refused("length-list-differs", Smuggling, " 3, 4"),
        refused("length-comma", Smuggling, " 3,"),
        refused("length-semicolon", Smuggling, " 3;a"),
        refused("length-quoted", Smuggling, " \"3\""),
        refused("length-overflow", Malformed, " 18446744073709551619"),
        refused("length-signed-overflow", Malformed, " 9223372036854775809"),
        refused("length-huge", Malformed, " 99999999999999999999999999999999999999999"),
        refused("length-utf8-digit", Smuggling, " ٣"),
        refused("length-vertical-tab", Smuggling, " \x0b3"),
        row("length-twice", Smuggling, post(&twice.repeat(2), "abc"), Refused(0, BAD)),
        row(
            "length-twice-differs",
            Smuggling,
            post("Content-Length: 3\r\nContent-Length: 0\r\n", "abc"),
            Refused(0, BAD),
        ),
        row(
            "length-space-before-colon",
            Smuggling,
            post("Content-Length : 3\r\n", "abc"),
            Refused(0, BAD),
        ),
        row("length-folded", Smuggling, post("Content-Length:\r\n 3\r\n", "abc"), Refused(0, BAD)),
        row("length-look-alike", Smuggling, post("Content_Length: 3\r\n", "abc"), Refused(0, BAD)),
        row("length-unfinished", Malformed, post("Content-Length: 9\r\n", "abc"), Unfinished(LATE)),
        row(
            "length-connect",
            Smuggling,
            "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 3\r\n\r\nabc",
            Refused(0, BAD),
        ),
    ]
}

/// `Transfer-Encoding`.
fn codings() -> Vec<Probe> {
    use Class::{Compliance, Smuggling};
    use Expected::{Refused, Served};
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n0\r\n\r\n");
    let coded = |name, value: &str, statuses| {
        row(name, Smuggling, post(&format!("Transfer-Encoding:{value}\r\n")), Refused(0, statuses))
    };
    let cl_te = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    let te_cl = "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n";
    let http10 = post("Transfer-Encoding: chunked\r\n").replace("1.1", "1.0");
    vec![
        row("coding", Compliance, post("Transfer-Encoding: chunked\r\n"), Served(1)),
        row("coding-case", Compliance, post("TRANSFER-ENCODING: Chunked\r\n"), Served(1)),
        row(
            "coding-get",
            Compliance,
            post("Transfer-Encoding: chunked\r\n").replace("POST", "GET"),
            Served(1),
        ),
        row("coding-cl-te", Smuggling, post(cl_te), Refused(0, BAD)),
        row("coding-te-cl", Smuggling, post(te_cl), Refused(0, BAD)),
        row("coding-te-cl-zero", Smuggling, post(&te_cl.replace('5', "0")), Refused(0, BAD)),
        row("coding-http10", Smuggling, http10, Refused(0, BAD)),
        coded("coding-gzip-chunked", " gzip, chunked", UNKNOWN_OR_BAD),
        coded("coding-identity-chunked", " identity, chunked", UNKNOWN_OR_BAD),
        coded("coding-gzip", " gzip", BAD_OR_UNKNOWN),
        coded("coding-identity", " identity", BAD_OR_UNKNOWN),
        coded("coding-not-last", " chunked, gzip", BAD_OR_UNKNOWN),
        coded("coding-chunked-identity", " chunked, identity", BAD_OR_UNKNOWN),
        coded("coding-chunked-twice", " chunked, chunked", BAD_OR_UNKNOWN),
        coded("coding-empty", "", BAD_OR_UNKNOWN),
        coded("coding-comma", " chunked,", BAD_OR_UNKNOWN),
        coded("coding-comma-before", " ,chunked", BAD_OR_UNKNOWN),
        coded("coding-parameter", " chunked;a=b", BAD_OR_UNKNOWN),
        coded("coding-quoted", " \"chunked\"", BAD_OR_UNKNOWN),
        coded("coding-letters-before", " xchunked", BAD_OR_UNKNOWN),
        coded("coding-letters-after", " chunkedx", BAD_OR_UNKNOWN),
        coded("coding-dotless", " chun\u{212a}ed", BAD_OR_UNKNOWN),
        coded("coding-vertical-tab", " \x0bchunked", BAD_OR_UNKNOWN),
        coded("coding-nul", " chunked\0", BAD_OR_UNKNOWN),
        coded("coding-bare-lf", "\nchunked", BAD),
        coded("coding-folded", "\r\n chunked", BAD),
        row(
            "coding-field-twice",
            Smuggling,
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
            Refused(0, BAD),
        ),
        row(
            "coding-field-twice-identity",
            Smuggling,
            post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n"),
            Refused(0, BAD_OR_UNKNOWN),
        ),
        row(
            "coding-space-before-colon",
            Smuggling,
            post("Transfer-Encoding : chunked\r\n"),
            Refused(0, BAD),
        ),
        row(
            "coding-space-before",
            Smuggling,
            post(" Transfer-Encoding: chunked\r\n"),
            Refused(0, BAD),
        ),
        row(
            "coding-look-alike",
            Smuggling,
            post("Transfer_Encoding: chunked\r\n"),
            Refused(0, BAD),
        ),
        row(
            "coding-named-by-connection",
            Smuggling,
            post("Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n"),
            Served(1),
        ),
    ]
}

/// Chunks.
fn chunks() -> Vec<Probe> {
    use Class::{Compliance, Malformed, Smuggling};
    use Expected::{Refused, Served, Unfinished};
    let post = |body: &str| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
    };
    let served = |name, body: &str| row(name, Compliance, post(body), Served(1));
    let refused = |name, class, body: &str| row(name, class, post(body), Refused(0, BAD));
    let many = format!("1;{}\r\na\r\n", "b".repeat(400)).repeat(500);
    vec![
        served("chunk", "3\r\nabc\r\n0\r\n\r\n"),
        served("chunk-two", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"),
        served("chunk-hex", "A\r\n0123456789\r\n0\r\n\r\n"),
        served("chunk-leading-zeros", "0003\r\nabc\r\n000\r\n\r\n"),
        served("chunk-extension", "3;a\r\nabc\r\n0\r\n\r\n"),
        served("chunk-extension-value", "3;a=b;c=\"d;e\"\r\nabc\r\n0;f\r\n\r\n"),
        refused("chunk-no-size", Malformed, "\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-no-hex", Malformed, "x\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-minus", Smuggling, "-3\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-plus", Smuggling, "+3\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-prefix", Smuggling, "0x3\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-underscore", Smuggling, "1_0\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-space-before", Smuggling, " 3\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-space-after", Smuggling, "3 \r\nabc\r\n0\r\n\r\n"),
        refused("chunk-17-digits", Smuggling, "00000000000000003\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-overflow", Smuggling, "10000000000000003\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-long-size", Malformed, &format!("{}\r\n", "1".repeat(5_000))),
        refused("chunk-size-bare-lf", Smuggling, "3\nabc\r\n0\r\n\r\n"),
        refused("chunk-size-bare-cr", Smuggling, "3\rabc\r\n0\r\n\r\n"),
        refused("chunk-data-bare-lf", Smuggling, "3\r\nabc\n0\r\n\r\n"),
        refused("chunk-data-no-end", Smuggling, "3\r\nabc0\r\n\r\n"),
        refused("chunk-too-long", Smuggling, "3\r\nabcd\r\n0\r\n\r\n"),
        refused("chunk-too-short", Smuggling, "4\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-extension-lf", Smuggling, "3;a\nb\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-extension-cr", Smuggling, "3;a\rb\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-extension-nul", Malformed, "3;a\0\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-extension-empty", Malformed, "3;\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-extension-quote", Smuggling, "3;a=\"b\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-extensions-many", Malformed, &format!("{many}0\r\n\r\n")),
        refused("chunk-comma", Smuggling, "3,a\r\nabc\r\n0\r\n\r\n"),
        refused("chunk-end-bare-lf", Smuggling, "0\r\n\n"),
        refused("chunk-end-lf-only", Smuggling, "0\n\n"),
        row("chunk-unfinished", Malformed, post("3\r\nab"), Unfinished(LATE)),
        row("chunk-no-last", Malformed, post("3\r\nabc\r\n"), Unfinished(LATE)),
        row("chunk-no-end", Malformed, post("0\r\n"), Unfinished(LATE)),
    ]
}

/// Trailer sections.
fn trailers() -> Vec<Probe> {
    use Class::{Compliance, Malformed, Smuggling};
    use Expected::{Refused, Served};
    let post = |trailers: &str| {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}1\r\na\r\n0\r\n{trailers}\r\n")
    };
    let refused = |name, class, trailers: &str| row(name, class, post(trailers), Refused(0, BAD));
    let served = |name, class, trailers: &str| row(name, class, post(trailers), Served(1));
    vec![
        served("trailer", Compliance, "X: a\r\n"),
        served("trailer-two", Compliance, "X: a\r\nY: b\r\n"),
        served("trailer-length", Smuggling, "Content-Length: 50\r\n"),
        served("trailer-coding", Smuggling, "Transfer-Encoding: chunked\r\n"),
        served("trailer-host", Smuggling, "Host: b\r\n"),
        refused("trailer-bare-lf", Smuggling, "X: a\nY: b\r\n"),
        refused("trailer-bare-cr", Smuggling, "X: a\rY: b\r\n"),
        refused("trailer-folded", Smuggling, "X: a\r\n b\r\n"),
        refused("trailer-space-before-colon", Smuggling, "X : a\r\n"),
        refused("trailer-no-colon", Malformed, "GET / HTTP/1.1\r\n"),
        refused("trailer-nul", Malformed, "X: \0\r\n"),
        row(
            "trailer-too-long",
            Malformed,
            post(&format!("X: {}\r\n", "a".repeat(TOO_MUCH))),
            Refused(0, &[413, 400, 431]),
        ),
    ]
}

/// Connections, pipelines, expectations, upgrades.
fn rest() -> Vec<Probe> {
    use Class::{Compliance, Smuggling};
    use Expected::{Refused, Served, ServedThenClosed};
    let get = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let get10 = |fields: &str| format!("GET / HTTP/1.0\r\nHost: a\r\n{fields}\r\n");
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let chunked =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let body = "Content-Length: 3\r\n\r\nabc";
    vec![
        row("pipeline-three", Compliance, get("").repeat(3), Served(3)),
        row("pipeline-bodies", Compliance, [post, chunked, post, &get("")].concat(), Served(4)),
        row("pipeline-empty-between", Compliance, [post, "\r\n", &get("")].concat(), Served(2)),
        row("pipeline-bad-second", Smuggling, [&get(""), "GET /\n\r\n"].concat(), Refused(1, BAD)),
        row("pipeline-stray-byte", Smuggling, [post, "\0", &get("")].concat(), Refused(1, BAD)),
        row(
            "pipeline-after-close",
            Smuggling,
            get("Connection: close\r\n").repeat(2),
            ServedThenClosed(1),
        ),
        row("close", Compliance, get("Connection: close\r\n"), ServedThenClosed(1)),
        row("close-case", Compliance, get("connection: CLOSE\r\n"), ServedThenClosed(1)),
        row("close-in-list", Compliance, get("Connection: a, close ,b\r\n"), ServedThenClosed(1)),
        row(
            "close-second-field",
            Compliance,
            get("Connection: a\r\nConnection: close\r\n"),
            ServedThenClosed(1),
        ),
        row("keep-alive", Compliance, get("Connection: keep-alive\r\n"), Served(1)),
        row("keep-alive-http10", Compliance, get10("Connection: keep-alive\r\n"), Served(1)),
        row(
            "keep-alive-and-close",
            Compliance,
            get10("Connection: keep-alive, close\r\n"),
            ServedThenClosed(1),
        ),
        row("connection-names-host", Smuggling, get("Connection: host\r\n"), Served(1)),
        row(
            "connection-names-length",
            Smuggling,
            post.replace("\r\nContent", "\r\nConnection: content-length\r\nContent"),
            Served(1),
        ),
        row(
            "expect-continue",
            Compliance,
            get(&format!("Expect: 100-continue\r\n{body}")).replace("abc\r\n", "abc"),
            Served(1),
        ),
        row("expect-without-body", Compliance, get("Expect: 100-continue\r\n"), Served(1)),
        row("expect-http10", Compliance, get10("Expect: 100-continue\r\n"), ServedThenClosed(1)),
        row("expect-other", Compliance, get("Expect: 200-ok\r\n"), Refused(0, EXPECTATION)),
        row(
            "expect-obfuscated",
            Smuggling,
            get("Expect: y 100-continue\r\n"),
            Refused(0, EXPECTATION),
        ),
        row(
            "expect-twice",
            Smuggling,
            get("Expect: 100-continue\r\nExpect: x\r\n"),
            Refused(0, EXPECTATION),
        ),
        row(
            "upgrade-refused",
            Smuggling,
            [get("Connection: upgrade\r\nUpgrade: x\r\n"), get("")].concat(),
            Served(2),
        ),
        row(
            "upgrade-h2c",
            Smuggling,
            get("Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"),
            Served(1),
        ),
        row("upgrade-without-connection", Compliance, get("Upgrade: x\r\n"), Served(1)),
        row(
            "upgrade-with-body",
            Smuggling,
            post.replace("\r\nContent", "\r\nConnection: upgrade\r\nUpgrade: x\r\nContent"),
            Served(1),
        ),
        row(
            "upgrade-http10",
            Compliance,
            get10("Connection: upgrade\r\nUpgrade: x\r\n"),
            ServedThenClosed(1),
        ),
    ]
}
