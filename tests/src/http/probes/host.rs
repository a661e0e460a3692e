//! `Host`.

use super::{BAD, Class, Expected, Probe, may, must, row};

#[expect(clippy::too_many_lines, reason = "a table, a row a probe")]
pub(super) fn probes() -> Vec<Probe> {
    use Class::{Compliance, Malformed, Smuggling};
    use Expected::{Refused, Served, ServedThenClosed};
    let get = |fields: &str| format!("GET / HTTP/1.1\r\n{fields}\r\n");
    let absolute = |fields: &str| format!("GET http://b/ HTTP/1.1\r\n{fields}\r\n");
    [
        must(
            "RFC 9110, 7.2",
            vec![
                row("host-port", Compliance, get("Host: a.example:8080\r\n"), Served(1)),
                row("host-ipv4", Compliance, get("Host: 192.0.2.1\r\n"), Served(1)),
                row("host-ipv6", Compliance, get("Host: [2001:db8::1]:80\r\n"), Served(1)),
            ],
        ),
        must("RFC 9110, 5.1", vec![row("host-case", Compliance, get("hOsT: A\r\n"), Served(1))]),
        must(
            "RFC 9112, 5.1",
            vec![
                row("host-no-space", Compliance, get("Host:a\r\n"), Served(1)),
                row("host-many-spaces", Compliance, get("Host: \t  a \t\r\n"), Served(1)),
                row("host-space-before-colon", Smuggling, get("Host : a\r\n"), Refused(0, BAD)),
            ],
        ),
        must(
            "RFC 9112, 3.2",
            vec![
                row("host-missing", Compliance, get(""), Refused(0, BAD)),
                row("host-missing-absolute", Compliance, absolute(""), Refused(0, BAD)),
                row("host-twice", Compliance, get("Host: a\r\nHost: b\r\n"), Refused(0, BAD)),
                row("host-twice-same", Compliance, get("Host: a\r\nHost: a\r\n"), Refused(0, BAD)),
                row("host-twice-case", Smuggling, get("Host: a\r\nhost: b\r\n"), Refused(0, BAD)),
                row(
                    "host-twice-absolute",
                    Smuggling,
                    absolute("Host: a\r\nHost: b\r\n"),
                    Refused(0, BAD),
                ),
                row("host-comma", Smuggling, get("Host: a, b\r\n"), Refused(0, BAD)),
                row("host-user", Smuggling, get("Host: u@a\r\n"), Refused(0, BAD)),
                row("host-path", Smuggling, get("Host: a/b\r\n"), Refused(0, BAD)),
                row("host-query", Smuggling, get("Host: a?b\r\n"), Refused(0, BAD)),
                row("host-space-inside", Smuggling, get("Host: a b\r\n"), Refused(0, BAD)),
                row("host-scheme", Malformed, get("Host: http://a\r\n"), Refused(0, BAD)),
                row("host-bad-port", Malformed, get("Host: a:b\r\n"), Refused(0, BAD)),
                row("host-open-bracket", Malformed, get("Host: [::1\r\n"), Refused(0, BAD)),
                row("host-bare-ipv6", Malformed, get("Host: ::1\r\n"), Refused(0, BAD)),
            ],
        ),
        may(
            "RFC 9112, 3.2",
            vec![row(
                "host-missing-http10",
                Compliance,
                "GET / HTTP/1.0\r\n\r\n",
                ServedThenClosed(1),
            )],
        ),
        may(
            "RFC 9110, 7.2",
            vec![
                row("host-empty", Compliance, get("Host:\r\n"), Refused(0, BAD)),
                row("host-percent", Smuggling, get("Host: a%2eb\r\n"), Refused(0, BAD)),
                row("host-large-port", Malformed, get("Host: a:65536\r\n"), Refused(0, BAD)),
            ],
        ),
        may(
            "RFC 9112, 3.2.2",
            vec![row("host-bad-absolute", Smuggling, absolute("Host: a/b\r\n"), Refused(0, BAD))],
        ),
        may(
            "RFC 9112, 5.2",
            vec![row("host-folded", Smuggling, get("Host:\r\n a\r\n"), Refused(0, BAD))],
        ),
    ]
    .concat()
}
