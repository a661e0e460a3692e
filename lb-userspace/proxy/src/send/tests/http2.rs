//! Connections that requests share.

use super::{
    backend::{TestBackend, in_worker},
    compile,
    dispatch::{Proxy, plan},
    model_at,
};
use lb_model::{UpstreamLimits, UpstreamProtocol};
use std::{cell::Cell, net::SocketAddr, rc::Rc};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::spawn_local,
};

/// A server that answers when it is told to.
#[derive(Default)]
struct Shared {
    connections: Cell<usize>,
    requests: Cell<usize>,
    asked: Notify,
    go: Cell<bool>,
    going: Notify,
}

async fn start(streams_max: u32) -> (SocketAddr, Rc<Shared>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Rc::new(Shared::default());
    let serving = Rc::clone(&shared);
    spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            spawn_local(serve(stream, Rc::clone(&serving), streams_max));
        }
    });
    (address, shared)
}

async fn serve(stream: TcpStream, shared: Rc<Shared>, streams_max: u32) {
    shared.connections.set(shared.connections.get() + 1);
    let mut builder = h2::server::Builder::new();
    let handshake = builder.max_concurrent_streams(streams_max).handshake(stream);
    let mut connection = handshake.await.unwrap();
    while let Some(Ok((_, mut respond))) = connection.accept().await {
        let shared = Rc::clone(&shared);
        spawn_local(async move {
            shared.requests.set(shared.requests.get() + 1);
            shared.asked.notify_one();
            while !shared.go.get() {
                shared.going.notified().await;
            }
            let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
            stream.send_data(bytes::Bytes::from_static(b"two"), true).unwrap();
        });
    }
}

impl Shared {
    async fn wait_for_requests(&self, count: usize) {
        while self.requests.get() < count {
            self.asked.notified().await;
        }
    }

    fn answer(&self) {
        self.go.set(true);
        self.going.notify_waiters();
    }
}

fn http2(address: SocketAddr) -> lb_model::Upstream {
    lb_model::Upstream { protocol: UpstreamProtocol::Http2, ..model_at(&[address]) }
}

#[tokio::test]
async fn requests_share_a_connection() {
    in_worker(async {
        let (address, server) = start(100).await;
        let upstream = compile(&http2(address));
        let (proxy, plan) = (Proxy::new(), plan(&upstream));
        let all = (0..20).map(|_| proxy.asked(&plan));
        let all = futures_util::future::join_all(all);
        let told = async {
            server.wait_for_requests(20).await;
            server.answer();
        };
        let (all, ()) = tokio::join!(all, told);
        assert!(all.iter().all(|it| *it == (200, "two".to_owned())), "{all:?}");
        assert_eq!(server.connections.get(), 1);
        assert_eq!(upstream.snapshot().endpoints[0].connections_opened_count, 1);
    })
    .await;
}

#[tokio::test]
async fn another_connection_is_opened_when_streams_run_out() {
    in_worker(async {
        let (address, server) = start(2).await;
        let upstream = compile(&http2(address));
        let (proxy, plan) = (Proxy::new(), plan(&upstream));
        let all = (0..5).map(|_| proxy.asked(&plan));
        let all = futures_util::future::join_all(all);
        let told = async {
            server.wait_for_requests(5).await;
            server.answer();
        };
        let (all, ()) = tokio::join!(all, told);
        assert!(all.iter().all(|it| it.0 == 200), "{all:?}");
        assert_eq!(server.connections.get(), 3);
    })
    .await;
}

#[tokio::test]
async fn without_more_connections_requests_wait_for_a_stream() {
    in_worker(async {
        let (address, server) = start(2).await;
        server.answer();
        let limits = UpstreamLimits { connections_max: 1, ..UpstreamLimits::default() };
        let upstream = compile(&lb_model::Upstream { limits, ..http2(address) });
        let (proxy, plan) = (Proxy::new(), plan(&upstream));
        let all = futures_util::future::join_all((0..20).map(|_| proxy.asked(&plan))).await;
        assert!(all.iter().all(|it| it.0 == 200), "{all:?}");
        assert_eq!(server.connections.get(), 1);
        let statistics = upstream.snapshot();
        assert_eq!((statistics.pending, statistics.under_way), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_does_not_speak_it_is_passed_over() {
    in_worker(async {
        let other = TestBackend::start("other").await;
        let (address, server) = start(100).await;
        server.answer();
        let mut model = http2(address);
        let others = model_at(&[other.address]).endpoints.into_values();
        model.endpoints.extend(others.map(|it| ("other".to_owned(), it)));
        let upstream = compile(&model);
        let (proxy, plan) = (Proxy::new(), plan(&upstream));
        for _ in 0..20 {
            assert_eq!(proxy.asked(&plan).await, (200, "two".to_owned()));
        }
        let statistics = upstream.snapshot();
        assert!(statistics.endpoints[1].failures_count > 0);
        assert!(statistics.endpoints[1].connect_errors_count > 0);
    })
    .await;
}
