//! `Transfer-Encoding`.

use super::{
    BAD, BAD_OR_UNKNOWN, Class, Expected, Probe, UNKNOWN_OR_BAD, may, must, must_close, row,
};

#[expect(clippy::too_many_lines, reason = "a table, a row a probe")]
pub(super) fn probes() -> Vec<Probe> {
    use Class::{Compliance, Smuggling};
    use Expected::{Refused, Served};
    let post = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n0\r\n\r\n");
    let coded = |name, value: &str, statuses| {
        row(name, Smuggling, post(&format!("Transfer-Encoding:{value}\r\n")), Refused(0, statuses))
    };
    let cl_te = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
    let te_cl = "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n";
    let http10 = post("Transfer-Encoding: chunked\r\n").replace("1.1", "1.0");
    [
        must(
            "RFC 9112, 6.1",
            vec![row("coding", Compliance, post("Transfer-Encoding: chunked\r\n"), Served(1))],
        ),
        must(
            "RFC 9112, 7",
            vec![row("coding-case", Compliance, post("TRANSFER-ENCODING: Chunked\r\n"), Served(1))],
        ),
        may(
            "RFC 9112, 6.1",
            vec![
                row(
                    "coding-get",
                    Compliance,
                    post("Transfer-Encoding: chunked\r\n").replace("POST", "GET"),
                    Served(1),
                ),
                coded("coding-gzip-chunked", " gzip, chunked", UNKNOWN_OR_BAD),
                coded("coding-identity-chunked", " identity, chunked", UNKNOWN_OR_BAD),
                coded("coding-chunked-twice", " chunked, chunked", BAD_OR_UNKNOWN),
                coded("coding-empty", "", BAD_OR_UNKNOWN),
                coded("coding-comma", " chunked,", BAD_OR_UNKNOWN),
                coded("coding-comma-before", " ,chunked", BAD_OR_UNKNOWN),
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
            ],
        ),
        must_close(
            "RFC 9112, 6.1",
            vec![
                row("coding-cl-te", Smuggling, post(cl_te), Refused(0, BAD)),
                row("coding-te-cl", Smuggling, post(te_cl), Refused(0, BAD)),
                row(
                    "coding-te-cl-zero",
                    Smuggling,
                    post(&te_cl.replace('5', "0")),
                    Refused(0, BAD),
                ),
                row("coding-http10", Smuggling, http10, Refused(0, BAD)),
            ],
        ),
        must(
            "RFC 9112, 6.3",
            vec![
                coded("coding-gzip", " gzip", BAD_OR_UNKNOWN),
                coded("coding-identity", " identity", BAD_OR_UNKNOWN),
                coded("coding-not-last", " chunked, gzip", BAD_OR_UNKNOWN),
                coded("coding-chunked-identity", " chunked, identity", BAD_OR_UNKNOWN),
                coded("coding-quoted", " \"chunked\"", BAD_OR_UNKNOWN),
                coded("coding-letters-before", " xchunked", BAD_OR_UNKNOWN),
                coded("coding-letters-after", " chunkedx", BAD_OR_UNKNOWN),
                coded("coding-dotless", " chun\u{212a}ed", BAD_OR_UNKNOWN),
                coded("coding-vertical-tab", " \x0bchunked", BAD_OR_UNKNOWN),
                coded("coding-nul", " chunked\0", BAD_OR_UNKNOWN),
            ],
        ),
        may("RFC 9112, 7", vec![coded("coding-parameter", " chunked;a=b", BAD_OR_UNKNOWN)]),
        may("RFC 9112, 2.2", vec![coded("coding-bare-lf", "\nchunked", BAD)]),
        may(
            "RFC 9112, 5.2",
            vec![
                coded("coding-folded", "\r\n chunked", BAD),
                row(
                    "coding-space-before",
                    Smuggling,
                    post(" Transfer-Encoding: chunked\r\n"),
                    Refused(0, BAD),
                ),
            ],
        ),
        must(
            "RFC 9112, 5.1",
            vec![row(
                "coding-space-before-colon",
                Smuggling,
                post("Transfer-Encoding : chunked\r\n"),
                Refused(0, BAD),
            )],
        ),
        may(
            "RFC 3875, 4.1.18",
            vec![row(
                "coding-look-alike",
                Smuggling,
                post("Transfer_Encoding: chunked\r\n"),
                Refused(0, BAD),
            )],
        ),
        may(
            "RFC 9110, 7.6.1",
            vec![row(
                "coding-named-by-connection",
                Smuggling,
                post("Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n"),
                Served(1),
            )],
        ),
    ]
    .concat()
}
