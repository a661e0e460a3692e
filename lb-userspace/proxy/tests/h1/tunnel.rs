//! Upgrades and `CONNECT`, from both sides.

use crate::harness::{Frames, Origin, Received, local, read_until, serve, text};
use lb_model::HttpOptions;
use lb_proxy::{
    http::{
        Frame, Informational, Known, Method, Reason, Request, Response,
        h1::{Client, ExchangeOptions, ResponseLimits},
    },
    io::Io,
};
use std::{cell::RefCell, rc::Rc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::Notify,
};

const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: WebSocket\r\n\r\n";

/// Answers an upgrade with 101 once it may, and sends back what comes through the tunnel.
fn echo(gate: &Rc<Notify>, seen: &Rc<RefCell<Vec<u8>>>) -> Rc<Origin> {
    let (gate, seen) = (Rc::clone(gate), Rc::clone(seen));
    Origin::new(move |mut request, _| {
        let (gate, seen) = (Rc::clone(&gate), Rc::clone(&seen));
        async move {
            let is_tunnel = request.upgrade.is_some() || request.method == Method::Connect;
            if !is_tunnel {
                return text("plain");
            }
            let mut body = std::mem::take(&mut request.body);
            let (send, receive) = tokio::sync::mpsc::unbounded_channel();
            tokio::task::spawn_local(async move {
                while let Some(Ok(Frame::Data(data))) = body.frame().await {
                    seen.borrow_mut().extend_from_slice(&data);
                    send.send(data).unwrap();
                }
            });
            gate.notified().await;
            let status = if request.upgrade.is_some() { 101 } else { 200 };
            let mut response = Response::new(status);
            response.fields.append("x-tunnel", b"1");
            response.body = Box::new(Received(receive)).into();
            response
        }
    })
}

#[tokio::test]
async fn a_tunnel_gets_nothing_before_it_is_open_and_everything_then() {
    local(async {
        let connect = "CONNECT b:443 HTTP/1.1\r\nhost: b:443\r\n\r\n";
        for (request, head) in
            [(UPGRADE, "HTTP/1.1 101 Switching Protocols\r\n"), (connect, "HTTP/1.1 200 OK\r\n")]
        {
            let (gate, seen) = (Rc::new(Notify::new()), Rc::new(RefCell::new(Vec::new())));
            let mut served = serve(&echo(&gate, &seen), HttpOptions::default());
            served.send([request, "early"].concat()).await;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            assert!(seen.borrow().is_empty(), "bytes before the tunnel was open");
            gate.notify_one();
            let answer = served.until("\r\n\r\n").await;
            assert!(answer.starts_with(head), "{answer}");
            assert!(answer.contains("x-tunnel: 1\r\n"), "{answer}");
            let is_upgrade = answer.contains("connection: upgrade\r\nupgrade: websocket\r\n");
            assert_eq!(is_upgrade, request == UPGRADE, "{answer}");
            assert!(!answer.contains("content-length") && !answer.contains("transfer-enc"));
            assert_eq!(served.until("early").await, "early");
            served.send("late").await;
            assert_eq!(served.until("late").await, "late");
            // Each direction ends by itself.
            served.peer.shutdown().await.unwrap();
            assert_eq!(served.rest().await, "");
            served.task.await.unwrap();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_ends_its_half_does_not_keep_the_tunnel() {
    local(async {
        let ended = Rc::new(Notify::new());
        let told = Rc::clone(&ended);
        let origin = Origin::new(move |mut request, _| {
            let told = Rc::clone(&told);
            async move {
                tokio::task::spawn_local(async move {
                    while let Some(Ok(_)) = request.body.frame().await {}
                    told.notify_one();
                });
                Response::new(101)
            }
        });
        let mut served = serve(&origin, HttpOptions::default());
        served.send(UPGRADE).await;
        assert!(served.rest().await.starts_with("HTTP/1.1 101 "));
        let begin = tokio::time::Instant::now();
        ended.notified().await;
        assert_eq!(begin.elapsed().as_secs(), 30);
        assert!(served.peer.write_all(b"late").await.is_err(), "the connection is closed");
    })
    .await;
}

#[tokio::test]
async fn without_101_the_connection_stays_http() {
    local(async {
        let origin = Origin::new(|request, _| async move {
            text(if request.upgrade.is_some() { "unasked" } else { "next" })
        });
        let mut served = serve(&origin, HttpOptions::default());
        let next = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        served.send([UPGRADE, next].concat()).await;
        assert!(served.until("unasked").await.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(served.rest().await.ends_with("next"));
    })
    .await;
}

fn upgrade(key: bool) -> Request {
    let mut request = Request::new(Method::Get, "a", "/chat");
    request.upgrade = Some("websocket".into());
    if key {
        request.fields.append(Known::SecWebSocketKey, b"AAAA");
    }
    request
}

#[tokio::test]
async fn a_client_opens_a_tunnel_only_if_the_endpoint_does() {
    local(async {
        let ok = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n";
        let rows = [
            (format!("{ok}Upgrade: WebSocket\r\nSec-WebSocket-Accept: x\r\n\r\n"), true),
            (format!("{ok}Upgrade: websocket\r\n\r\n"), false),
            (format!("{ok}Upgrade: other\r\nSec-WebSocket-Accept: x\r\n\r\n"), false),
            (format!("{ok}Sec-WebSocket-Accept: x\r\n\r\n"), false),
        ];
        for (answer, is_tunnel) in rows {
            let (mut peer, ours) = tokio::io::duplex(1 << 16);
            let client = Client::new(Io::Memory(ours), ResponseLimits::default());
            let mut request = upgrade(true);
            let mut frames = Frames::of(&["through"]);
            frames.1 = None;
            request.body = frames.body();
            peer.write_all([answer.as_bytes(), b"back"].concat().as_slice()).await.unwrap();
            let none = Informational::none();
            let response = client
                .exchange(&mut request, &none, ExchangeOptions::default(), |_| panic!("released"))
                .await;
            let head = read_until(&mut peer, "\r\n\r\n").await;
            assert!(head.contains("connection: upgrade\r\nupgrade: websocket\r\n"), "{head}");
            match response {
                Ok(mut response) => {
                    assert!(is_tunnel, "{answer}");
                    assert_eq!(response.status, 101);
                    assert_eq!(read_until(&mut peer, "through").await, "through");
                    let Some(Ok(Frame::Data(data))) = response.body.frame().await else {
                        panic!("nothing came")
                    };
                    assert_eq!(data, "back");
                    // The endpoint sees the end of one direction, and still has the other.
                    assert_eq!(peer.read(&mut [0; 9]).await.unwrap(), 0);
                    peer.write_all(b"more").await.unwrap();
                    let frame = response.body.frame().await;
                    assert!(matches!(frame, Some(Ok(Frame::Data(data))) if data == "more"));
                    drop(peer);
                    assert!(response.body.frame().await.is_none());
                }
                Err(error) => {
                    assert!(!is_tunnel, "{answer}");
                    assert_eq!(error.reason, Reason::UpstreamMalformed);
                    assert_eq!(peer.read(&mut [0; 9]).await.unwrap(), 0, "bytes went on");
                }
            }
        }
    })
    .await;
}
