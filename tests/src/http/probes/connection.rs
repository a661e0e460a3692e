//! Connections, pipelines, expectations, upgrades.

use super::{BAD, Class, EXPECTATION, Expected, Probe, may, must, row};

#[expect(clippy::too_many_lines, reason = "a table, a row a probe")]
pub(super) fn probes() -> Vec<Probe> {
    use Class::{Compliance, Smuggling};
    use Expected::{Refused, Served, ServedThenClosed};
    let get = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let get10 = |fields: &str| format!("GET / HTTP/1.0\r\nHost: a\r\n{fields}\r\n");
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let chunked =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
    let body = "Content-Length: 3\r\n\r\nabc";
    [
        must("RFC 9112, 9.3.2", vec![
            row("pipeline-three", Compliance, get("").repeat(3), Served(3)),
            row("pipeline-bodies", Compliance, [post, chunked, post, &get("")].concat(), Served(4)),
        ]),
        may("RFC 9112, 2.2", vec![
            row("pipeline-empty-between", Compliance, [post, "\r\n", &get("")].concat(), Served(2)),
        ]),
        may("RFC 9112, 3", vec![
            row("pipeline-bad-second", Smuggling, [&get(""), "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"].concat(), Refused(1, BAD)),
            row("pipeline-stray-byte", Smuggling, [post, "\0", &get("")].concat(), Refused(1, BAD)),
        ]),
        must("RFC 9112, 9.6", vec![
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
        ]),
        must("RFC 9112, 9.3", vec![
            row("keep-alive", Compliance, get("Connection: keep-alive\r\n"), Served(1)),
        ]),
        may("RFC 9112, 9.3", vec![
            row("keep-alive-http10", Compliance, get10("Connection: keep-alive\r\n"), Served(1)),
        ]),
        may("RFC 9110, 2.5", vec![
            row(
            "keep-alive-and-close",
            Compliance,
            get10("Connection: keep-alive, close\r\n"),
            ServedThenClosed(1),
        ),
            row("expect-http10", Compliance, get10("Expect: 100-continue\r\n"), ServedThenClosed(1)),
            row(
            "upgrade-http10",
            Compliance,
            get10("Connection: upgrade\r\nUpgrade: x\r\n"),
            ServedThenClosed(1),
        ),
        ]),
        may("RFC 9110, 7.6.1", vec![
            row("connection-names-host", Smuggling, get("Connection: host\r\n"), Served(1)),
            row(
            "connection-names-length",
            Smuggling,
            post.replace("\r\nContent", "\r\nConnection: content-length\r\nContent"),
            Served(1),
        ),
        ]),
        must("RFC 9110, 10.1.1", vec![
            row(
            "expect-continue",
            Compliance,
            get(&format!("Expect: 100-continue\r\n{body}")).replace("abc\r\n", "abc"),
            Served(1),
        ),
            row("expect-without-body", Compliance, get("Expect: 100-continue\r\n"), Served(1)),
        ]),
        may("RFC 9110, 10.1.1", vec![
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
        ]),
        may("RFC 9110, 7.8", vec![
            row(
            "upgrade-refused",
            Smuggling,
            [get("Connection: upgrade\r\nUpgrade: x\r\n"), get("")].concat(),
            Served(2),
        ),
            row(
            "upgrade-with-body",
            Smuggling,
            post.replace("\r\nContent", "\r\nConnection: upgrade\r\nUpgrade: x\r\nContent"),
            Served(1),
        ),
        ]),
        must("RFC 9110, 7.8", vec![
            row(
            "upgrade-h2c",
            Smuggling,
            get("Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"),
            Served(1),
        ),
            row("upgrade-without-connection", Compliance, get("Upgrade: x\r\n"), Served(1)),
        ]),
    ]
    .concat()
}
