//! Trailer sections.

use super::{BAD, Class, Expected, Probe, TOO_MUCH, may, must, row};

pub(super) fn probes() -> Vec<Probe> {
    use Class::{Compliance, Malformed, Smuggling};
    use Expected::{Refused, Served};
    let post = |trailers: &str| {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        format!("{head}1\r\na\r\n0\r\n{trailers}\r\n")
    };
    let refused = |name, class, trailers: &str| row(name, class, post(trailers), Refused(0, BAD));
    let served = |name, class, trailers: &str| row(name, class, post(trailers), Served(1));
    [
        must(
            "RFC 9112, 7.1.2",
            vec![
                served("trailer", Compliance, "X: a\r\n"),
                served("trailer-two", Compliance, "X: a\r\nY: b\r\n"),
            ],
        ),
        may(
            "RFC 9110, 6.5.1",
            vec![
                served("trailer-length", Smuggling, "Content-Length: 50\r\n"),
                served("trailer-coding", Smuggling, "Transfer-Encoding: chunked\r\n"),
                served("trailer-host", Smuggling, "Host: b\r\n"),
            ],
        ),
        may(
            "RFC 9112, 2.2",
            vec![
                refused("trailer-bare-lf", Smuggling, "X: a\nY: b\r\n"),
                refused("trailer-bare-cr", Smuggling, "X: a\rY: b\r\n"),
            ],
        ),
        may("RFC 9112, 5.2", vec![refused("trailer-folded", Smuggling, "X: a\r\n b\r\n")]),
        may("RFC 9112, 5.1", vec![refused("trailer-space-before-colon", Smuggling, "X : a\r\n")]),
        may("RFC 9112, 5", vec![refused("trailer-no-colon", Malformed, "GET / HTTP/1.1\r\n")]),
        may("RFC 9110, 5.5", vec![refused("trailer-nul", Malformed, "X: \0\r\n")]),
        may(
            "RFC 9110, 5.4",
            vec![row(
                "trailer-too-long",
                Malformed,
                post(&format!("X: {}\r\n", "a".repeat(TOO_MUCH))),
                Refused(0, &[413, 400, 431]),
            )],
        ),
    ]
    .concat()
}
