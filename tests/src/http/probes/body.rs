//! Framing and bodies.

use super::{BAD, BAD_OR_UNKNOWN, Class, Expected, LATE, Probe, TOO_MUCH, UNKNOWN_OR_BAD, row};

/// `Content-Length`.
pub(super) fn lengths() -> Vec<Probe> {
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
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn codings() -> Vec<Probe> {
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
pub(super) fn chunks() -> Vec<Probe> {
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
pub(super) fn trailers() -> Vec<Probe> {
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
