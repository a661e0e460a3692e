//! Heads of requests.

use super::{BAD, Class, Expected, LATE, LONG_HEADER, LONG_TARGET, Probe, TOO_MUCH, VERSION, row};

/// Request lines.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn lines() -> Vec<Probe> {
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
pub(super) fn hosts() -> Vec<Probe> {
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
pub(super) fn fields() -> Vec<Probe> {
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
