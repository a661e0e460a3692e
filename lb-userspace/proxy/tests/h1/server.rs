//! What the server does beside parsing: timeouts, bodies, informational responses, ends.

use crate::harness::{Frames, Origin, Served, collect, counting, local, serve, text};
use lb_model::HttpOptions;
use lb_proxy::http::{Body, BodyError, Fields, Known, Response};
use std::{cell::RefCell, rc::Rc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// Serves one response to each request.
fn answering(answer: impl Fn() -> Response + 'static) -> Served {
    let origin = Origin::new(move |_, _| std::future::ready(answer()));
    serve(&origin, HttpOptions::default())
}

/// What is answered to one request.
async fn answered(request: &str, answer: impl Fn() -> Response + 'static) -> String {
    let mut served = answering(answer);
    served.send(request).await;
    served.rest().await
}

#[tokio::test]
async fn lengths_are_told_and_bodies_left_out_where_they_have_to_be() {
    local(async {
        let head = LAST.replace("GET", "HEAD");
        let with = |status, told, body: &'static str| {
            move || {
                let mut response = text(body);
                (response.status, response.length_told) = (status, told);
                response
            }
        };
        let end = "connection: close\r\n\r\n";
        let ok = "HTTP/1.1 200 OK\r\ndate: now\r\n";
        let rows = [
            (LAST, with(200, None, "abc"), format!("{ok}content-length: 3\r\n{end}abc")),
            (LAST, with(200, None, ""), format!("{ok}content-length: 0\r\n{end}")),
            (&head, with(200, None, "abc"), format!("{ok}content-length: 3\r\n{end}")),
            (&head, with(200, Some(7), ""), format!("{ok}content-length: 7\r\n{end}")),
            (&head, with(200, None, ""), format!("{ok}{end}")),
            (
                LAST,
                with(204, Some(1), "x"),
                format!("HTTP/1.1 204 No Content\r\ndate: now\r\n{end}"),
            ),
            (
                LAST,
                with(304, Some(9), ""),
                format!("HTTP/1.1 304 Not Modified\r\ndate: now\r\ncontent-length: 9\r\n{end}"),
            ),
        ];
        for (request, answer, expected) in rows {
            assert_eq!(answered(request, answer).await, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn only_sound_fields_are_sent() {
    local(async {
        let answer = answered(LAST, || {
            let mut response = Response::new(599);
            let fields = [
                ("X-One", "1"),
                ("Connection", "x-one"),
                ("Keep-Alive", "timeout=5"),
                ("Transfer-Encoding", "gzip"),
                ("Content-Length", "5"),
                ("Upgrade", "x"),
                ("X-Two", "a\r\nSet-Cookie: b"),
                ("X Three", "c"),
                ("X-Four", ""),
            ];
            response.fields = fields.into_iter().collect();
            response
        });
        let answer = answer.await;
        let (start, rest) = answer.split_once("date: ").unwrap();
        assert_eq!(start, "HTTP/1.1 599 \r\nX-One: 1\r\nX-Four: \r\n");
        let (date, rest) = rest.split_once("\r\n").unwrap();
        assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
        assert_eq!(rest, "content-length: 0\r\nconnection: close\r\n\r\n");
    })
    .await;
}

#[tokio::test]
async fn streams_are_chunked_and_trailers_follow() {
    local(async {
        let stream = || {
            let mut frames = Frames::of(&["abc", "0123456789abcdef"]);
            let trailers = [("grpc-status", "0"), ("content-length", "1")];
            let fields: Fields = trailers.into_iter().collect();
            frames.0.push_back(Ok(lb_proxy::http::Frame::Trailers(Box::new(fields))));
            let mut response = text("");
            response.body = frames.body();
            response
        };
        let answer = answered(LAST, stream).await;
        let body = "3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\ngrpc-status: 0\r\n\r\n";
        assert!(answer.contains("\r\ntransfer-encoding: chunked\r\n"), "{answer}");
        assert!(answer.ends_with(&format!("\r\n\r\n{body}")), "{answer}");

        let answer = answered("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", stream).await;
        assert!(!answer.contains("transfer-encoding"), "{answer}");
        assert!(answer.ends_with("connection: close\r\n\r\nabc0123456789abcdef"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn a_body_that_breaks_never_looks_complete() {
    local(async {
        for length in [None, Some(9)] {
            let answer = answered(GET, move || {
                let mut frames = Frames::of(&["abc"]);
                frames.0.push_back(Err(BodyError::Broken));
                frames.1 = length;
                let mut response = text("");
                response.body = frames.body();
                response
            });
            let answer = answer.await;
            assert!(!answer.contains("\r\n0\r\n"), "{answer}");
        }
        // More or less than was said.
        for (pieces, length) in [(["abc", "def"], 5), (["abc", "def"], 7)] {
            let answer = answered(GET, move || {
                let mut frames = Frames::of(&pieces);
                frames.1 = Some(length);
                let mut response = text("");
                response.body = frames.body();
                response
            });
            let answer = answer.await;
            let body = answer.split_once("\r\n\r\n").map_or("", |it| it.1);
            assert!(body.len() as u64 != length && body.len() < 7, "{answer}");
        }
    })
    .await;
}

#[tokio::test]
async fn continue_is_sent_when_the_body_is_wanted_and_not_before() {
    local(async {
        let post =
            "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n";
        let origin = counting(Rc::default());
        let mut served = serve(&origin, HttpOptions::default());
        served.send(post).await;
        assert_eq!(served.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
        served.send("abc").await;
        assert!(served.until("3 bytes\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
        served.send(LAST).await;
        assert!(served.rest().await.ends_with("0 bytes\n"));

        // Nobody can tell whether a client sends a body that it was not invited to send.
        let mut served = answering(|| text("unasked"));
        served.send(post).await;
        let answer = served.until("unasked").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    })
    .await;
}

#[tokio::test]
async fn informational_responses_are_written_at_once() {
    local(async {
        let go = Rc::new(Notify::new());
        let gate = Rc::clone(&go);
        let origin = Origin::new(move |_, early| {
            let gate = Rc::clone(&gate);
            async move {
                early.send(103, &[("link", "</a>")].into_iter().collect());
                // Not for senders: they are said otherwise, or mean something else.
                early.send(100, &Fields::new());
                early.send(101, &Fields::new());
                gate.notified().await;
                text("ok")
            }
        });
        let mut served = serve(&origin, HttpOptions::default());
        served.send(GET).await;
        let early = served.until("\r\n\r\n").await;
        assert_eq!(early, "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n");
        go.notify_one();
        assert!(served.until("ok").await.starts_with("HTTP/1.1 200 OK\r\n"));

        let mut served = serve(&origin, HttpOptions::default());
        served.send("GET / HTTP/1.0\r\n\r\n").await;
        go.notify_one();
        assert!(served.rest().await.starts_with("HTTP/1.1 200 OK\r\n"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn unread_bodies_are_drained_or_end_the_connection() {
    local(async {
        let head =
            |bytes: u32| format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {bytes}\r\n\r\n");
        let mut served = answering(|| text("early"));
        served.send(head(3)).await;
        let answer = served.until("early").await;
        assert!(!answer.contains("connection: close"), "{answer}");
        served.send(["abc", LAST].concat()).await;
        assert!(served.rest().await.starts_with("HTTP/1.1 200 OK\r\n"));

        let mut served = answering(|| text("early"));
        served.send(head(1_000_000)).await;
        let answer = served.until("early").await;
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        // What comes nevertheless is no request.
        served.send([GET, GET].concat()).await;
        assert_eq!(served.rest().await, "");
    })
    .await;
}

#[tokio::test]
async fn a_half_written_message_is_told_apart_from_a_whole_one() {
    local(async {
        let origin = Origin::new(|mut request, _| async move {
            let body = collect(&mut request.body).await;
            text(&format!("{}", body.unwrap().0.len()))
        });
        let mut served = serve(&origin, HttpOptions::default());
        let body = "a".repeat(50_000);
        let chunked = format!("c350\r\n{body}\r\n0\r\n\r\n");
        served
            .send(format!(
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunked}"
            ))
            .await;
        served.until("\r\n\r\n50000").await;
        let sent = origin.sent.borrow()[0];
        assert!(sent.is_complete);
        assert_eq!((sent.request_bytes, sent.response_bytes), (50_000, 5));
    })
    .await;
}

#[tokio::test]
async fn the_request_is_what_the_client_said() {
    local(async {
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&seen);
        let origin = Origin::new(move |request, _| {
            log.borrow_mut().push(format!("{request:?}"));
            assert!(!request.fields.contains(Known::Host) && !request.fields.contains("x-hop"));
            assert!(matches!(request.body, Body::Empty));
            std::future::ready(text(""))
        });
        let mut served = serve(&origin, HttpOptions::default());
        let fields = "X-Hop: 1\r\nAccept: */*\r\nConnection: x-hop, close\r\nTE: trailers\r\n";
        served
            .send(format!("GET http://B.example:81/a/%2e/b?c HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
            .await;
        served.rest().await;
        let mut served = serve(&origin, HttpOptions::default());
        served.send("GET / HTTP/1.0\r\n\r\n").await;
        served.peer.flush().await.unwrap();
        let mut answer = String::new();
        served.peer.read_to_string(&mut answer).await.unwrap();
        let seen = seen.borrow();
        for part in [r#""B.example:81""#, r#""/a/b?c""#, r#"{"Accept": "*/*"}"#] {
            assert!(seen[0].contains(part), "{}", seen[0]);
        }
        assert!(seen[1].contains(r#"authority: "192.0.2.1:80""#), "{}", seen[1]);
    })
    .await;
}
