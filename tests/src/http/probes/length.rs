//! `Content-Length`.

use super::{BAD, Class, Expected, LATE, Probe, may, must, row};

#[expect(clippy::too_many_lines, reason = "a table, a row a probe")]
pub(super) fn probes() -> Vec<Probe> {
    use Class::{Compliance, Malformed, Smuggling};
    use Expected::{Refused, Served, Unfinished};
    let post =
        |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}");
    let refused = |name, class, value: &str| {
        row(name, class, post(&format!("Content-Length:{value}\r\n"), "abc"), Refused(0, BAD))
    };
    let get = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let twice = "Content-Length: 3\r\n";
    [
        must(
            "RFC 9112, 6.2",
            vec![
                row("length", Compliance, post("Content-Length: 3\r\n", "abc"), Served(1)),
                row("length-zero", Compliance, post("Content-Length: 0\r\n", ""), Served(1)),
                row("length-no-space", Compliance, post("Content-Length:3\r\n", "abc"), Served(1)),
                row(
                    "length-space-after",
                    Compliance,
                    post("Content-Length: 3 \t\r\n", "abc"),
                    Served(1),
                ),
            ],
        ),
        must(
            "RFC 9112, 6.3",
            vec![
                row("length-none", Compliance, post("", ""), Served(1)),
                refused("length-plus", Smuggling, " +3"),
                refused("length-minus", Malformed, " -3"),
                refused("length-minus-zero", Smuggling, " -0"),
                refused("length-empty", Smuggling, ""),
                refused("length-hex", Smuggling, " 0x3"),
                refused("length-hex-digits", Smuggling, " a"),
                refused("length-letters-after", Smuggling, " 3a"),
                refused("length-fraction", Malformed, " 3.0"),
                refused("length-exponent", Malformed, " 3e0"),
                refused("length-underscore", Smuggling, " 1_0"),
                refused("length-space-inside", Smuggling, " 3 3"),
                refused("length-list-differs", Smuggling, " 3, 4"),
                refused("length-semicolon", Smuggling, " 3;a"),
                refused("length-quoted", Smuggling, " \"3\""),
                refused("length-utf8-digit", Smuggling, " ٣"),
                refused("length-vertical-tab", Smuggling, " \x0b3"),
                row(
                    "length-twice-differs",
                    Smuggling,
                    post("Content-Length: 3\r\nContent-Length: 0\r\n", "abc"),
                    Refused(0, BAD),
                ),
            ],
        ),
        may("RFC 9110, 9.3.1", vec![row("length-get", Compliance, get, Served(1))]),
        may(
            "RFC 9110, 8.6",
            vec![
                refused("length-octal", Smuggling, " 03"),
                refused("length-signed-overflow", Malformed, " 9223372036854775809"),
            ],
        ),
        may(
            "RFC 9112, 6.3",
            vec![
                refused("length-list", Smuggling, " 3, 3"),
                refused("length-comma", Smuggling, " 3,"),
                row("length-twice", Smuggling, post(&twice.repeat(2), "abc"), Refused(0, BAD)),
            ],
        ),
        must(
            "RFC 9110, 8.6",
            vec![
                refused("length-overflow", Malformed, " 18446744073709551619"),
                refused("length-huge", Malformed, " 99999999999999999999999999999999999999999"),
            ],
        ),
        must(
            "RFC 9112, 5.1",
            vec![row(
                "length-space-before-colon",
                Smuggling,
                post("Content-Length : 3\r\n", "abc"),
                Refused(0, BAD),
            )],
        ),
        may(
            "RFC 9112, 5.2",
            vec![row(
                "length-folded",
                Smuggling,
                post("Content-Length:\r\n 3\r\n", "abc"),
                Refused(0, BAD),
            )],
        ),
        may(
            "RFC 3875, 4.1.18",
            vec![row(
                "length-look-alike",
                Smuggling,
                post("Content_Length: 3\r\n", "abc"),
                Refused(0, BAD),
            )],
        ),
        must(
            "RFC 9112, 8",
            vec![row(
                "length-unfinished",
                Malformed,
                post("Content-Length: 9\r\n", "abc"),
                Unfinished(LATE),
            )],
        ),
        may(
            "RFC 9110, 9.3.6",
            vec![row(
                "length-connect",
                Smuggling,
                "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 3\r\n\r\nabc",
                Refused(0, BAD),
            )],
        ),
    ]
    .concat()
}
