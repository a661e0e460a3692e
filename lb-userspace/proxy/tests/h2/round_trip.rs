//! Both sides back to back: what goes in at the client comes out at the service.

use crate::harness::{Pair, pair, pipe, read, settle, test};
use bytes::Bytes;
use lb_model::HttpOptions;
use lb_proxy::{
    http::{
        Body, BodyError, Fields, Frame, Informational, Known, Method, Reason, Request, Sent,
        h2::{Client, ClientOptions},
    },
    io::Io,
};
use std::{cell::RefCell, rc::Rc, time::Duration};

#[test]
fn a_request_comes_out_as_it_went_in() {
    test(async {
        let pair = pair(HttpOptions::default()).await;
        let mut request = Request::new(Method::Get, "Shop.example:8080", "/a/b?c=%20d");
        request.fields.append("x-one", b"1");
        request.fields.append("cookie", b"a=1");
        request.fields.append("cookie", b"b=2");
        request.fields.append("connection", b"close");
        let mut response = pair.ask(&mut request).await;
        assert_eq!(response.status, 200);
        assert!(response.fields.contains(Known::Date));
        assert!(!response.fields.contains(Known::ContentLength));
        assert_eq!(response.body.length(), Some(5));
        assert_eq!(read(&mut response.body).await.unwrap().0, b"/a/b\n");
        let seen = pair.site.seen.borrow().concat();
        for part in [
            r#"authority: "Shop.example:8080""#,
            r#"target: "/a/b?c=%20d""#,
            r#""x-one": "1""#,
            r#""cookie": "a=1; b=2""#,
            "body: Empty",
        ] {
            assert!(seen.contains(part), "{part} in {seen}");
        }
        assert!(!seen.contains("connection"), "{seen}");
        settle().await;
        let sent = pair.site.sent.borrow().clone();
        assert_eq!(sent, [Sent { request_bytes: 0, response_bytes: 5, is_complete: true }]);
    });
}

#[test]
fn bodies_and_trailers_stream_both_ways_at_once() {
    test(async {
        let pair = pair(HttpOptions::default()).await;
        let (body, pipe) = pipe();
        let mut request = Request::new(Method::Post, "a", "/echo");
        request.fields.append("content-type", b"application/grpc");
        request.fields.append("grpc-timeout", b"1S");
        request.body = body;
        let mut response = pair.ask(&mut request).await;
        assert!(request.body.is_empty());
        for message in ["one", "two", "three"] {
            pipe.send(Ok(Frame::Data(message.into()))).unwrap();
            let frame = response.body.frame().await.unwrap().unwrap();
            assert!(matches!(frame, Frame::Data(bytes) if bytes == message));
            // A silent stream of gRPC is not a slow one.
            tokio::time::sleep(Duration::from_mins(10)).await;
        }
        let status: Fields = [("grpc-status", "0"), ("grpc-message", "fine")].into_iter().collect();
        pipe.send(Ok(Frame::Trailers(Box::new(status)))).unwrap();
        let (rest, trailers) = read(&mut response.body).await.unwrap();
        assert!(rest.is_empty());
        assert_eq!(trailers.unwrap().first("grpc-message"), Some(&b"fine"[..]));
        assert!(pair.site.seen.borrow().concat().contains("grpc-timeout"));
    });
}

#[test]
fn a_response_of_trailers_only_stays_one() {
    test(async {
        let pair = pair(HttpOptions::default()).await;
        let mut request = Request::new(Method::Post, "a", "/trailers-only");
        request.fields.append("content-type", b"application/grpc+proto");
        request.body = Body::from(Bytes::from_static(b"\0\0\0\0\0"));
        let response = pair.ask(&mut request).await;
        assert!(response.body.is_empty());
        assert_eq!(response.length_told, None);
        assert_eq!(response.fields.first("grpc-status"), Some(&b"12"[..]));
    });
}

#[test]
fn large_bodies_pass_with_windows_smaller_than_they_are() {
    test(async {
        let pair = pair(HttpOptions::default()).await;
        let mut response = pair.get("/large").await;
        assert_eq!(read(&mut response.body).await.unwrap().0.len(), 1 << 20);
        let mut request = Request::new(Method::Put, "a", "/read");
        request.body = Body::from(Bytes::from(vec![0; 3 << 20]));
        let mut response = pair.ask(&mut request).await;
        assert_eq!(read(&mut response.body).await.unwrap().0, b"3145728\n");
    });
}

#[test]
fn a_receiver_that_does_not_read_is_not_buffered_for() {
    test(async {
        let pair = pair(HttpOptions::default()).await;
        let mut response = pair.get("/large").await;
        let other = pair.get("/other").await;
        assert_eq!(other.status, 200);
        tokio::time::sleep(Duration::from_mins(1)).await;
        // body_timeout went by: the response is reset, never ended as if it were whole.
        assert_eq!(read(&mut response.body).await.unwrap_err(), BodyError::Broken);
        let sent = pair.site.sent.borrow().clone();
        let whole = sent.iter().find(|it| it.response_bytes > 10).unwrap();
        assert!(!whole.is_complete && whole.response_bytes < 128 * 1_024, "{whole:?}");
    });
}

#[test]
fn responses_without_a_body_say_its_length() {
    test(async {
        let pair = pair(HttpOptions::default()).await;
        let head = pair.ask(&mut Request::new(Method::Head, "a", "/length")).await;
        assert_eq!((head.status, head.length_told), (200, Some(8)));
        assert!(head.body.is_empty());
        let unchanged = pair.get("/unchanged").await;
        assert_eq!((unchanged.status, unchanged.length_told), (304, Some(9)));
        let empty = pair.get("/early").await;
        assert_eq!((empty.status, empty.length_told, empty.body.is_empty()), (204, None, true));
    });
}

#[test]
fn informational_responses_reach_the_client() {
    test(async {
        let pair = pair(HttpOptions::default()).await;
        let seen = Rc::new(RefCell::new(Vec::new()));
        let early = {
            let seen = seen.clone();
            Informational::new(move |status, fields| {
                seen.borrow_mut().push((status, fields.contains("link")));
            })
        };
        let mut request = Request::new(Method::Get, "a", "/early");
        let response = pair.client.exchange(&mut request, &early).await.unwrap();
        assert_eq!(response.status, 204);
        assert_eq!(*seen.borrow(), [(103, true)]);
    });
}

#[test]
fn a_client_that_goes_away_takes_the_services_work_along() {
    test(async {
        let pair = pair(HttpOptions::default()).await;
        {
            let mut request = Request::new(Method::Get, "a", "/never");
            let never = pair.ask(&mut request);
            tokio::time::timeout(Duration::from_millis(5), never).await.unwrap_err();
            assert_eq!(pair.site.dropped.get(), 0);
        }
        settle().await;
        assert_eq!((pair.site.dropped.get(), pair.client.streams_active()), (1, 0));
        let Pair { site, client, .. } = pair;
        let request = client.clone();
        tokio::task::spawn_local(async move {
            let mut never = Request::new(Method::Get, "a", "/never");
            request.exchange(&mut never, &Informational::none()).await.ok();
        })
        .abort();
        drop(client);
        settle().await;
        assert!(site.dropped.get() >= 1);
    });
}

#[test]
fn a_broken_response_is_never_a_whole_one() {
    test(async {
        let pair = pair(HttpOptions::default()).await;
        let mut response = pair.get("/broken").await;
        assert_eq!(read(&mut response.body).await.unwrap_err(), BodyError::Broken);
        settle().await;
        assert!(!pair.site.sent.borrow()[0].is_complete);
    });
}

/// The key of RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

#[test]
fn a_websocket_runs_over_a_stream() {
    test(async {
        let pair = pair(HttpOptions::default()).await;
        let (body, pipe) = pipe();
        let mut request = Request::new(Method::Get, "a", "/tunnel");
        request.upgrade = Some("websocket".into());
        request.fields.append("sec-websocket-key", KEY.as_bytes());
        request.body = body;
        let mut response = pair.ask(&mut request).await;
        assert_eq!(response.status, 101);
        assert_eq!(response.fields.first("sec-websocket-protocol"), Some(&b"chat"[..]));
        for message in ["ping", "pong"] {
            pipe.send(Ok(Frame::Data(message.into()))).unwrap();
            let frame = response.body.frame().await.unwrap().unwrap();
            assert!(matches!(frame, Frame::Data(bytes) if bytes == message));
            tokio::time::sleep(Duration::from_mins(10)).await;
        }
        drop(pipe);
        assert!(response.body.frame().await.is_none());
        let seen = pair.site.seen.borrow().concat();
        assert!(seen.contains(r#"upgrade: Some("websocket")"#) && seen.contains("Get"), "{seen}");
        // What HTTP/1.1 needs on either side is made where it is missing.
        assert_eq!(
            response.fields.first(Known::SecWebSocketAccept),
            Some(&b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="[..])
        );
        assert!(seen.contains("sec-websocket-key") && !seen.contains(KEY), "{seen}");
        // A response that is no 101 must not look like an open tunnel.
        let mut request = Request::new(Method::Get, "a", "/plain");
        request.upgrade = Some("websocket".into());
        assert_eq!(pair.ask(&mut request).await.status, 502);
    });
}

#[test]
fn connect_is_a_tunnel() {
    test(async {
        let pair = pair(HttpOptions::default()).await;
        let mut request = Request::new(Method::Connect, "db.example:5432", "/");
        request.body = Body::from(Bytes::from_static(b"hello"));
        let mut response = pair.ask(&mut request).await;
        assert_eq!(response.status, 200);
        read(&mut response.body).await.unwrap();
        let seen = pair.site.seen.borrow().concat();
        assert!(seen.contains("Connect") && seen.contains("db.example:5432"), "{seen}");
    });
}

#[test]
fn draining_finishes_what_is_under_way() {
    test(async {
        let pair = pair(HttpOptions::default()).await;
        let (body, pipe) = pipe();
        let mut request = Request::new(Method::Post, "a", "/echo");
        request.body = body;
        let mut response = pair.ask(&mut request).await;
        pair.drain.start();
        settle().await;
        assert!(pair.client.is_closed() && !pair.client.has_capacity());
        let mut late = Request::new(Method::Get, "a", "/late");
        late.body = Body::from(Bytes::from_static(b"kept"));
        let error = pair.client.exchange(&mut late, &Informational::none()).await.unwrap_err();
        assert!(error.is_unseen && !late.body.is_empty());
        assert!(!pair.server.is_finished());
        pipe.send(Ok(Frame::Data("last".into()))).unwrap();
        drop(pipe);
        assert_eq!(read(&mut response.body).await.unwrap().0, b"last");
        drop(response);
        settle().await;
        assert!(pair.server.is_finished());
    });
}

#[test]
fn connections_nobody_uses_are_closed() {
    test(async {
        let pair = pair(HttpOptions::default()).await;
        pair.get("/").await;
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert!(!pair.client.is_closed());
        pair.get("/").await;
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert!(!pair.client.is_closed());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(pair.client.is_closed() && pair.server.is_finished());
    });
}

#[test]
fn the_last_request_of_a_connection_is_answered() {
    test(async {
        let pair = pair(HttpOptions { requests_max: Some(2), ..HttpOptions::default() }).await;
        assert_eq!(pair.get("/1").await.status, 200);
        assert!(!pair.client.is_closed());
        let mut last = pair.get("/2").await;
        assert_eq!(read(&mut last.body).await.unwrap().0, b"/2\n");
        settle().await;
        assert!(pair.client.is_closed() && pair.server.is_finished());
    });
}

#[test]
fn what_cannot_be_answered_is_refused_and_told() {
    test(async {
        let options = HttpOptions { header_fields_max: 3, ..HttpOptions::default() };
        let pair = pair(options).await;
        let mut request = Request::new(Method::Get, "a", "/");
        for name in ["x-a", "x-b", "x-c", "x-d"] {
            request.fields.append(name, b"1");
        }
        assert_eq!(pair.ask(&mut request).await.status, 431);
        let mut climbing = Request::new(Method::Get, "a", "/../a");
        assert_eq!(pair.ask(&mut climbing).await.status, 400);
        climbing.method = Method::Head;
        let mut head = pair.ask(&mut climbing).await;
        assert_eq!((head.status, read(&mut head.body).await.unwrap().0), (400, Vec::new()));
        let expected = [Reason::HeaderTooLarge, Reason::Malformed, Reason::Malformed];
        assert_eq!(*pair.site.refused.borrow(), expected);
        assert!(pair.site.seen.borrow().is_empty());
    });
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    test(async {
        let pair = pair(HttpOptions::default()).await;
        let (body, _pipe) = pipe();
        let mut request = Request::new(Method::Post, "a", "/read");
        request.body = body;
        assert_eq!(pair.ask(&mut request).await.status, 400);
        assert_eq!(*pair.site.errors.borrow(), [BodyError::Timeout]);
    });
}

#[test]
fn a_dead_endpoint_is_noticed() {
    test(async {
        let (near, far) = tokio::io::duplex(64 * 1_024);
        let silent = tokio::task::spawn_local(async move {
            // Speaks until the request is there, then never again.
            let mut server = h2::server::handshake(far).await.unwrap();
            let stream = server.accept().await.unwrap().unwrap();
            std::future::pending::<()>().await;
            drop((server, stream));
        });
        let client = Client::connect(Io::Memory(near), ClientOptions::default()).await.unwrap();
        let mut request = Request::new(Method::Get, "a", "/");
        let error = client.exchange(&mut request, &Informational::none()).await.unwrap_err();
        assert_eq!((error.reason, error.is_unseen), (Reason::UpstreamReset, false));
        assert!(client.is_closed());
        silent.abort();
    });
}

#[test]
fn refused_streams_and_goaway_leave_the_request_unseen() {
    test(async {
        let (near, far) = tokio::io::duplex(64 * 1_024);
        tokio::task::spawn_local(async move {
            let mut server = h2::server::handshake(far).await.unwrap();
            let (_, mut respond) = server.accept().await.unwrap().unwrap();
            respond.send_reset(h2::Reason::REFUSED_STREAM);
            let (_, mut respond) = server.accept().await.unwrap().unwrap();
            respond.send_reset(h2::Reason::INTERNAL_ERROR);
            std::future::poll_fn(|context| server.poll_closed(context)).await.ok();
        });
        let client = Client::connect(Io::Memory(near), ClientOptions::default()).await.unwrap();
        let none = Informational::none();
        let mut request = Request::new(Method::Post, "a", "/");
        assert!(client.exchange(&mut request, &none).await.unwrap_err().is_unseen);
        let error = client.exchange(&mut request, &none).await.unwrap_err();
        assert_eq!((error.reason, error.is_unseen), (Reason::UpstreamReset, false));
        assert!(!client.is_closed());
    });
}

#[test]
fn an_endpoint_without_http2_is_found_out_when_connecting() {
    test(async {
        let (near, mut far) = tokio::io::duplex(64 * 1_024);
        tokio::io::AsyncWriteExt::write_all(&mut far, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        let error =
            Client::connect(Io::Memory(near), ClientOptions::default()).await.err().unwrap();
        assert!(error.is_unseen);
        assert_eq!(error.reason, Reason::UpstreamMalformed);
    });
}
