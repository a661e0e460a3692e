//! Chunks.

use super::{BAD, Class, Expected, LATE, Probe, may, must, row};

#[expect(clippy::too_many_lines, reason = "a table, a row a probe")]
pub(super) fn probes() -> Vec<Probe> {
    use Class::{Compliance, Malformed, Smuggling};
    use Expected::{Refused, Served, Unfinished};
    let post = |body: &str| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
    };
    let served = |name, body: &str| row(name, Compliance, post(body), Served(1));
    let refused = |name, class, body: &str| row(name, class, post(body), Refused(0, BAD));
    let many = format!("1;{}\r\na\r\n", "b".repeat(400)).repeat(500);
    [
        must(
            "RFC 9112, 7.1",
            vec![
                served("chunk", "3\r\nabc\r\n0\r\n\r\n"),
                served("chunk-two", "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"),
                served("chunk-hex", "A\r\n0123456789\r\n0\r\n\r\n"),
                served("chunk-leading-zeros", "0003\r\nabc\r\n000\r\n\r\n"),
                refused("chunk-no-size", Malformed, "\r\nabc\r\n0\r\n\r\n"),
                refused("chunk-no-hex", Malformed, "x\r\nabc\r\n0\r\n\r\n"),
                refused("chunk-minus", Smuggling, "-3\r\nabc\r\n0\r\n\r\n"),
                refused("chunk-plus", Smuggling, "+3\r\nabc\r\n0\r\n\r\n"),
                refused("chunk-prefix", Smuggling, "0x3\r\nabc\r\n0\r\n\r\n"),
                refused("chunk-underscore", Smuggling, "1_0\r\nabc\r\n0\r\n\r\n"),
                refused("chunk-overflow", Smuggling, "10000000000000003\r\nabc\r\n0\r\n\r\n"),
                refused("chunk-long-size", Malformed, &format!("{}\r\n", "1".repeat(5_000))),
                refused("chunk-size-bare-cr", Smuggling, "3\rabc\r\n0\r\n\r\n"),
                refused("chunk-data-no-end", Smuggling, "3\r\nabc0\r\n\r\n"),
                refused("chunk-too-long", Smuggling, "3\r\nabcd\r\n0\r\n\r\n"),
                refused("chunk-comma", Smuggling, "3,a\r\nabc\r\n0\r\n\r\n"),
            ],
        ),
        must(
            "RFC 9112, 7.1.1",
            vec![
                served("chunk-extension", "3;a\r\nabc\r\n0\r\n\r\n"),
                served("chunk-extension-value", "3;a=b;c=\"d;e\"\r\nabc\r\n0;f\r\n\r\n"),
                refused("chunk-extension-lf", Smuggling, "3;a\nb\r\nabc\r\n0\r\n\r\n"),
            ],
        ),
        may(
            "RFC 9112, 7.1",
            vec![
                refused("chunk-space-before", Smuggling, " 3\r\nabc\r\n0\r\n\r\n"),
                refused("chunk-space-after", Smuggling, "3 \r\nabc\r\n0\r\n\r\n"),
                refused("chunk-17-digits", Smuggling, "00000000000000003\r\nabc\r\n0\r\n\r\n"),
            ],
        ),
        may(
            "RFC 9112, 2.2",
            vec![
                refused("chunk-size-bare-lf", Smuggling, "3\nabc\r\n0\r\n\r\n"),
                refused("chunk-data-bare-lf", Smuggling, "3\r\nabc\n0\r\n\r\n"),
                refused("chunk-too-short", Smuggling, "4\r\nabc\r\n0\r\n\r\n"),
                refused("chunk-extension-cr", Smuggling, "3;a\rb\r\nabc\r\n0\r\n\r\n"),
                refused("chunk-end-bare-lf", Smuggling, "0\r\n\n"),
                refused("chunk-end-lf-only", Smuggling, "0\n\n"),
            ],
        ),
        may(
            "RFC 9112, 7.1.1",
            vec![
                refused("chunk-extension-nul", Malformed, "3;a\0\r\nabc\r\n0\r\n\r\n"),
                refused("chunk-extension-empty", Malformed, "3;\r\nabc\r\n0\r\n\r\n"),
                refused("chunk-extension-quote", Smuggling, "3;a=\"b\r\nabc\r\n0\r\n\r\n"),
                refused("chunk-extensions-many", Malformed, &format!("{many}0\r\n\r\n")),
            ],
        ),
        must(
            "RFC 9112, 8",
            vec![
                row("chunk-unfinished", Malformed, post("3\r\nab"), Unfinished(LATE)),
                row("chunk-no-last", Malformed, post("3\r\nabc\r\n"), Unfinished(LATE)),
                row("chunk-no-end", Malformed, post("0\r\n"), Unfinished(LATE)),
            ],
        ),
    ]
    .concat()
}
