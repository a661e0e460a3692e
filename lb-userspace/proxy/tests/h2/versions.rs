//! Which version is spoken on a connection in the clear.

use crate::harness::{Site, read};
use lb_model::HttpOptions;
use lb_proxy::{
    connection::Connection,
    drain::{DrainStart, drain},
    http::{
        self, Informational, Method, Request,
        h2::{Client, ClientOptions},
    },
    io::Io,
};
use std::{rc::Rc, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, LocalSet},
};

struct Served {
    client: TcpStream,
    server: JoinHandle<()>,
    drain: DrainStart,
}

async fn served(options: HttpOptions) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let client = TcpStream::connect(address).await.unwrap();
    let (stream, peer) = listener.accept().await.unwrap();
    let connection = Connection { local: address, peer, client: peer, tls: None };
    let (start, drained) = drain();
    let site = Rc::new(Site::default());
    let (connection, options) = (Rc::new(connection), Arc::new(options));
    let server = tokio::task::spawn_local(async move {
        http::serve(Io::from(stream), connection, site, options, drained).await;
    });
    Served { client, server, drain: start }
}

#[tokio::test]
async fn a_client_with_prior_knowledge_gets_http2() {
    let run = async {
        let served = served(HttpOptions::default()).await;
        let io = Io::from(served.client);
        let client = Client::connect(io, ClientOptions::default()).await.unwrap();
        let mut request = Request::new(Method::Get, "a", "/over-http2");
        let mut response = client.exchange(&mut request, &Informational::none()).await.unwrap();
        assert_eq!(read(&mut response.body).await.unwrap().0, b"/over-http2\n");
        served.drain.start();
        served.server.await.unwrap();
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn where_http2_is_not_wanted_its_preface_is_a_bad_request() {
    let run = async {
        let options = HttpOptions { http2: false, ..HttpOptions::default() };
        let mut served = served(options).await;
        served.client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        served.client.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.1 505"),
            "{answer}"
        );
    };
    LocalSet::new().run_until(run).await;
}

#[tokio::test]
async fn a_connection_on_which_nothing_was_asked_ends_with_the_drain() {
    let run = async {
        let served = served(HttpOptions::default()).await;
        served.drain.start();
        served.server.await.unwrap();
    };
    LocalSet::new().run_until(run).await;
}
