//! Field lines.

use super::{BAD, Class, Expected, LATE, LONG_HEADER, Probe, TOO_MUCH, may, must, row};

#[expect(clippy::too_many_lines, reason = "a table, a row a probe")]
pub(super) fn probes() -> Vec<Probe> {
    use Class::{Compliance, Malformed, Smuggling};
    use Expected::{Refused, Served, Unfinished};
    let get = |fields: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let value = get(&format!("X: {}\r\n", "a".repeat(TOO_MUCH)));
    let name = get(&format!("{}: a\r\n", "a".repeat(TOO_MUCH)));
    [
        must(
            "RFC 9110, 5.5",
            vec![
                row("field-empty-value", Compliance, get("X:\r\n"), Served(1)),
                row("field-obs-text", Compliance, get("X: \u{e4}\r\n"), Served(1)),
                row("field-tab-inside", Compliance, get("X: a\tb\r\n"), Served(1)),
                row("field-colon-in-value", Compliance, get("X: a:b:c\r\n"), Served(1)),
            ],
        ),
        must(
            "RFC 9110, 5.6.2",
            vec![
                row("field-odd-name", Compliance, get("!#$%&'*+-.^`|~: a\r\n"), Served(1)),
                row("field-underscore", Compliance, get("X_Y: a\r\n"), Served(1)),
            ],
        ),
        must(
            "RFC 9110, 5.3",
            vec![row("field-same-twice", Compliance, get("X: a\r\nX: b\r\n"), Served(1))],
        ),
        may(
            "RFC 9112, 5",
            vec![
                row("field-no-colon", Malformed, get("X\r\n"), Refused(0, BAD)),
                row("field-no-name", Malformed, get(": a\r\n"), Refused(0, BAD)),
                row("field-space-in-name", Malformed, get("X Y: a\r\n"), Refused(0, BAD)),
            ],
        ),
        must(
            "RFC 9112, 5.1",
            vec![
                row("field-space-before-colon", Smuggling, get("X : a\r\n"), Refused(0, BAD)),
                row("field-tab-before-colon", Smuggling, get("X\t: a\r\n"), Refused(0, BAD)),
                row("field-cr-before-colon", Smuggling, get("X\r: b\r\n"), Refused(0, BAD)),
            ],
        ),
        may(
            "RFC 9112, 5.2",
            vec![
                row("field-space-before-name", Smuggling, get(" X: a\r\n"), Refused(0, BAD)),
                row("field-folded", Smuggling, get("X: a\r\n b\r\n"), Refused(0, BAD)),
                row("field-folded-tab", Smuggling, get("X: a\r\n\tb\r\n"), Refused(0, BAD)),
            ],
        ),
        may(
            "RFC 9112, 2.2",
            vec![
                row(
                    "field-first-is-blank",
                    Smuggling,
                    "GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n",
                    Refused(0, BAD),
                ),
                row("field-bare-lf", Smuggling, get("X: a\nY: b\r\n"), Refused(0, BAD)),
                row("field-bare-cr", Smuggling, get("X: a\rY: b\r\n"), Refused(0, BAD)),
                row("field-lf-end", Smuggling, "GET / HTTP/1.1\r\nHost: a\r\n\n", Refused(0, BAD)),
                row("field-lf-only", Smuggling, "GET / HTTP/1.1\nHost: a\n\n", Refused(0, BAD)),
            ],
        ),
        may(
            "RFC 9110, 5.5",
            vec![
                row("field-nul-in-value", Smuggling, get("X: a\0b\r\n"), Refused(0, BAD)),
                row("field-control-in-value", Malformed, get("X: a\x01b\r\n"), Refused(0, BAD)),
                row("field-vertical-tab", Smuggling, get("X: a\x0bb\r\n"), Refused(0, BAD)),
                row("field-del-in-value", Malformed, get("X: a\x7f\r\n"), Refused(0, BAD)),
            ],
        ),
        may(
            "RFC 9110, 5.1",
            vec![
                row("field-nul-in-name", Smuggling, get("X\0: b\r\n"), Refused(0, BAD)),
                row("field-utf8-name", Malformed, get("Ä: a\r\n"), Refused(0, BAD)),
                row("field-bracket-name", Malformed, get("X[]: a\r\n"), Refused(0, BAD)),
            ],
        ),
        may(
            "RFC 9110, 5.4",
            vec![
                row(
                    "field-many",
                    Malformed,
                    get(&"X: a\r\n".repeat(20_000)),
                    Refused(0, LONG_HEADER),
                ),
                row(
                    "field-more-than-allowed",
                    Malformed,
                    get(&"X: a\r\n".repeat(2_000)),
                    Refused(0, LONG_HEADER),
                ),
                row("field-long-value", Malformed, value, Refused(0, LONG_HEADER)),
                row("field-long-name", Malformed, name, Refused(0, LONG_HEADER)),
            ],
        ),
        must(
            "RFC 9112, 8",
            vec![
                row(
                    "field-unfinished",
                    Malformed,
                    "GET / HTTP/1.1\r\nHost: a\r\nX",
                    Unfinished(LATE),
                ),
                row("field-no-end", Malformed, "GET / HTTP/1.1\r\nHost: a\r\n", Unfinished(LATE)),
            ],
        ),
    ]
    .concat()
}
