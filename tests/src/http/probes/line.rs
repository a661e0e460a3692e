//! Request lines.

use super::{BAD, Class, Expected, LATE, LONG_TARGET, Probe, TOO_MUCH, VERSION, may, must, row};

#[expect(clippy::too_many_lines, reason = "a table, a row a probe")]
pub(super) fn probes() -> Vec<Probe> {
    use Class::{Compliance, Malformed, Smuggling};
    use Expected::{Refused, Served, ServedThenClosed, Unfinished};
    let line = |line: &str| format!("{line}\r\nHost: a\r\n\r\n");
    let too_long = line(&format!("GET /{} HTTP/1.1", "a".repeat(TOO_MUCH)));
    [
        must(
            "RFC 9110, 9.1",
            vec![
                row("line-get", Compliance, line("GET / HTTP/1.1"), Served(1)),
                row("line-head", Compliance, line("HEAD / HTTP/1.1"), Served(1)),
            ],
        ),
        may(
            "RFC 9110, 9.3.7",
            vec![row("line-options", Compliance, line("OPTIONS / HTTP/1.1"), Served(1))],
        ),
        may(
            "RFC 9112, 3.2.4",
            vec![
                row("line-options-asterisk", Compliance, line("OPTIONS * HTTP/1.1"), Served(1)),
                row("line-asterisk-get", Malformed, line("GET * HTTP/1.1"), Refused(0, BAD)),
            ],
        ),
        may(
            "RFC 9110, 9.1",
            vec![row("line-unknown-method", Compliance, line("BREW /pot HTTP/1.1"), Served(1))],
        ),
        must(
            "RFC 9112, 3.2.1",
            vec![row("line-query", Compliance, line("GET /a?b=c&d=%2F HTTP/1.1"), Served(1))],
        ),
        must(
            "RFC 9112, 3.2.2",
            vec![
                row("line-absolute", Compliance, line("GET http://a/x?y HTTP/1.1"), Served(1)),
                row(
                    "line-absolute-without-path",
                    Compliance,
                    line("GET http://a HTTP/1.1"),
                    Served(1),
                ),
            ],
        ),
        may(
            "RFC 9112, 3.2.2",
            vec![
                row(
                    "line-absolute-other-host",
                    Compliance,
                    line("GET http://b/x?y HTTP/1.1"),
                    Served(1),
                ),
                row("line-other-scheme", Malformed, line("GET ftp://a/ HTTP/1.1"), Refused(0, BAD)),
            ],
        ),
        must(
            "RFC 9110, 4.2.3",
            vec![row("line-absolute-upper", Compliance, line("GET HTTP://a/ HTTP/1.1"), Served(1))],
        ),
        may(
            "RFC 9110, 2.5",
            vec![
                row("line-http10", Compliance, line("GET / HTTP/1.0"), ServedThenClosed(1)),
                row("line-http20", Compliance, line("GET / HTTP/2.0"), Refused(0, VERSION)),
                row("line-http12", Compliance, line("GET / HTTP/1.2"), Refused(0, VERSION)),
                row("line-http09-named", Compliance, line("GET / HTTP/0.9"), Refused(0, VERSION)),
            ],
        ),
        may(
            "RFC 9112, 2.2",
            vec![
                row(
                    "line-empty-before",
                    Compliance,
                    "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                    Served(1),
                ),
                row(
                    "line-two-empty-before",
                    Malformed,
                    "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                    Refused(0, BAD),
                ),
                row(
                    "line-lf-before",
                    Malformed,
                    "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                    Refused(0, BAD),
                ),
                row("line-bare-lf", Smuggling, "GET / HTTP/1.1\nHost: a\r\n\r\n", Refused(0, BAD)),
                row(
                    "line-cr-cr-lf",
                    Smuggling,
                    "GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
                    Refused(0, BAD),
                ),
            ],
        ),
        may(
            "RFC 9112, 3",
            vec![
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
                row(
                    "line-two-versions",
                    Smuggling,
                    line("GET / HTTP/1.1 HTTP/1.1"),
                    Refused(0, BAD),
                ),
                row(
                    "line-tls",
                    Malformed,
                    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                    Refused(0, BAD),
                ),
                row("line-garbage", Malformed, b"\x00\xff\x01\xfe\r\n\r\n", Refused(0, BAD)),
            ],
        ),
        may(
            "RFC 9112, 3.2",
            vec![
                row("line-space-in-target", Smuggling, line("GET /a b HTTP/1.1"), Refused(0, BAD)),
                row("line-nul", Malformed, line("GET /\0 HTTP/1.1"), Refused(0, BAD)),
                row("line-del", Malformed, line("GET /\x7f HTTP/1.1"), Refused(0, BAD)),
                row("line-utf8", Malformed, line("GET /ä HTTP/1.1"), Refused(0, BAD)),
                row("line-fragment", Malformed, line("GET /a#b HTTP/1.1"), Refused(0, BAD)),
                row("line-relative", Malformed, line("GET a HTTP/1.1"), Refused(0, BAD)),
            ],
        ),
        must(
            "RFC 9112, 2.2",
            vec![row(
                "line-bare-cr",
                Smuggling,
                "GET / HTTP/1.1\rHost: a\r\n\r\n",
                Refused(0, BAD),
            )],
        ),
        must(
            "RFC 9110, 4.2.1",
            vec![row(
                "line-no-authority",
                Malformed,
                line("GET http:/// HTTP/1.1"),
                Refused(0, BAD),
            )],
        ),
        may(
            "RFC 9110, 4.2.4",
            vec![row("line-user", Smuggling, line("GET http://u@a/ HTTP/1.1"), Refused(0, BAD))],
        ),
        may(
            "RFC 3986, 6.2.2",
            vec![
                row("line-climbs", Smuggling, line("GET /../a HTTP/1.1"), Refused(0, BAD)),
                row(
                    "line-climbs-encoded",
                    Smuggling,
                    line("GET /%2e%2e/a HTTP/1.1"),
                    Refused(0, BAD),
                ),
            ],
        ),
        may(
            "RFC 3986, 2.1",
            vec![
                row("line-percent-nul", Malformed, line("GET /%00 HTTP/1.1"), Refused(0, BAD)),
                row("line-bad-percent", Malformed, line("GET /%zz HTTP/1.1"), Refused(0, BAD)),
            ],
        ),
        must(
            "RFC 9110, 9.3.6",
            vec![row("line-connect-path", Malformed, line("CONNECT / HTTP/1.1"), Refused(0, BAD))],
        ),
        may(
            "RFC 9112, 2.3",
            vec![
                row("line-lower-version", Malformed, line("GET / http/1.1"), Refused(0, BAD)),
                row("line-short-version", Malformed, line("GET / HTTP/1"), Refused(0, BAD)),
                row("line-long-version", Malformed, line("GET / HTTP/1.10"), Refused(0, BAD)),
                row("line-other-protocol", Malformed, line("GET / HTTPS/1.1"), Refused(0, BAD)),
                row("line-no-slash", Malformed, line("GET / HTTP 1.1"), Refused(0, BAD)),
            ],
        ),
        must(
            "RFC 9112, 3",
            vec![row("line-too-long", Malformed, too_long, Refused(0, LONG_TARGET))],
        ),
        must("RFC 9112, 8", vec![row("line-unfinished", Malformed, "GET / HT", Unfinished(LATE))]),
        may(
            "RFC 9113, 3.3",
            vec![row(
                "line-http2-preface",
                Malformed,
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                Unfinished(VERSION),
            )],
        ),
    ]
    .concat()
}
