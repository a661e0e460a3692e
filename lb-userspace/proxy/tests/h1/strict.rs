//! What the client refuses to send, and to take for a response.

use crate::{
    client::{Pair, get},
    harness::local,
};
use lb_proxy::{
    http::{Method, Reason, Request},
    send::SendError,
};
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn nothing_can_be_injected() {
    local(async {
        let mut bad = Vec::new();
        for (name, value) in [
            ("x", "a\r\nb: c"),
            ("x", "a\nb"),
            ("x", "\0"),
            ("x y", "a"),
            ("x\r\ny", "a"),
            ("", "a"),
        ] {
            let mut request = get();
            request.fields.append(name, value.as_bytes());
            bad.push(request);
        }
        for target in ["/ HTTP/1.1\r\nx: y", "/a b", "/\n", ""] {
            bad.push(Request::new(Method::Get, "a", target));
        }
        bad.push(Request::new(Method::Get, "a\r\nx: y", "/"));
        bad.push(Request::new(Method::Other("A B".into()), "a", "/"));
        let mut request = get();
        request.upgrade = Some("x\r\ny: z".into());
        bad.push(request);
        for mut request in bad {
            let mut pair = Pair::new();
            let error = pair.exchange(&mut request).await.unwrap_err();
            assert_eq!(error, SendError::unseen(Reason::Malformed), "{request:?}");
            assert_eq!(pair.peer.read(&mut [0; 9]).await.unwrap(), 0, "{request:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn responses_that_two_could_read_differently_are_refused() {
    local(async {
        let fields = [
            "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 2\r\nContent-Length: 2\r\n",
            "Content-Length: 2, 2\r\n",
            "Content-Length: +2\r\n",
            "Content-Length: \r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Content_Length: 2\r\n",
            "X: a\r\n b\r\n",
            "X : a\r\n",
            "X\r\n",
            "X: a\nY: b\r\n",
            "X: a\rb\r\n",
            "X: \0\r\n",
        ];
        let mut answers: Vec<_> =
            fields.iter().map(|it| format!("HTTP/1.1 200 OK\r\n{it}\r\nok")).collect();
        let lines = [
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/1.2 200 OK\r\n\r\n",
            "http/1.1 200 OK\r\n\r\n",
            "HTTP/1.1  200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1 600 OK\r\n\r\n",
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "HTTP/1.1 200\tOK\r\n\r\n",
            "HTTP/1.1 200 \0\r\n\r\n",
            "HTTP/1.1 200 OK\n\n",
            "\r\nHTTP/1.1 200 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "SSH-2.0-x\r\n",
            "\0",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        ];
        answers.extend(lines.map(str::to_owned));
        answers.push(format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "a".repeat(70_000)));
        answers.push(format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: a\r\n".repeat(201)));
        answers.push("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17));
        for answer in answers {
            let mut pair = Pair::new();
            let error = pair.answered(&mut get(), &answer).await.unwrap_err();
            assert_eq!(error, SendError::seen(Reason::UpstreamMalformed), "{answer:.80}");
            assert!(!pair.is_released());
        }
    })
    .await;
}
