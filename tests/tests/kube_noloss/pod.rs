//! A pod: it serves until it is told to end, then takes nothing new and finishes what it has.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::{Frame, Incoming},
    header::HeaderValue,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use lb_tests::{
    lab::{Family, Host},
    load::{BODY, CALL, CHAT, SLOW},
    origin::WEBSOCKET_ACCEPT,
};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{mpsc, watch},
};
use tokio_rustls::TlsAcceptor;

use super::site::LIMIT;

/// Ports of HTTP, with any of its versions; of HTTP over TLS; of lines, by TCP and by UDP.
pub(super) const HTTP: [u16; 2] = [8080, 8081];
pub(super) const TLS: u16 = 8443;
pub(super) const LINES: u16 = 7000;
/// How long a request for [`SLOW`] takes.
const SLOW_TIME: Duration = Duration::from_millis(300);

/// A pod that serves.
pub(super) struct Pod {
    pub(super) host: Host,
    stop: watch::Sender<bool>,
    /// Ends when nothing is open any more.
    over: mpsc::Receiver<Infallible>,
}

/// What each task of a pod has.
#[derive(Clone)]
struct Life {
    name: String,
    stop: watch::Receiver<bool>,
    _alive: mpsc::Sender<Infallible>,
}

impl Life {
    async fn is_over(&mut self) {
        // The pod is told to end, or is gone.
        self.stop.wait_for(|it| *it).await.ok();
    }
}

impl Pod {
    /// Starts one that has a host's address for itself. In a runtime.
    pub(super) fn start(host: &Host, tls: &Arc<ServerConfig>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (alive, over) = mpsc::channel(1);
        let life = Life { name: host.name().to_owned(), stop: stopped, _alive: alive };
        for port in HTTP {
            tokio::spawn(accept(listen(host, port), None, life.clone()));
        }
        let acceptor = TlsAcceptor::from(Arc::clone(tls));
        tokio::spawn(accept(listen(host, TLS), Some(acceptor), life.clone()));
        tokio::spawn(accept_lines(listen(host, LINES), life.clone()));
        let address = SocketAddr::new(host.address(Family::V4), LINES);
        let socket = host.enter(|| std::net::UdpSocket::bind(address)).unwrap().unwrap();
        socket.set_nonblocking(true).unwrap();
        tokio::spawn(answer_datagrams(UdpSocket::from_std(socket).unwrap(), life));
        Self { host: host.clone(), stop, over }
    }

    /// Its address.
    pub(super) fn address(&self) -> IpAddr {
        self.host.address(Family::V4)
    }

    /// Refuses what is new, and returns when all that was open is over.
    pub(super) async fn end(&mut self) {
        self.stop.send_replace(true);
        let over = tokio::time::timeout(LIMIT, self.over.recv()).await;
        assert!(over.is_ok(), "{}: something stays open", self.host.name());
    }
}

fn listen(host: &Host, port: u16) -> TcpListener {
    let address = SocketAddr::new(host.address(Family::V4), port);
    let listener = host.enter(|| std::net::TcpListener::bind(address)).unwrap().unwrap();
    listener.set_nonblocking(true).unwrap();
    TcpListener::from_std(listener).unwrap()
}

/// Takes connections until the pod ends, those too that had come before and that nobody had time for.
async fn accept_all(
    listener: TcpListener,
    mut life: Life,
    take: impl Fn(TcpStream, SocketAddr, Life),
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = life.is_over() => break,
        };
        if let Ok((stream, from)) = accepted {
            take(stream, from, life.clone());
        }
    }
    let listener = listener.into_std().unwrap();
    while let Ok((stream, from)) = listener.accept() {
        stream.set_nonblocking(true).unwrap();
        take(TcpStream::from_std(stream).unwrap(), from, life.clone());
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, life: Life) {
    let take = |stream: TcpStream, _: SocketAddr, life: Life| {
        let tls = tls.clone();
        tokio::spawn(async move {
            match tls {
                None => http(stream, life).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        http(stream, life).await;
                    }
                }
            }
        });
    };
    accept_all(listener, life, take).await;
}

async fn http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, mut life: Life) {
    let answering = life.clone();
    let service = service_fn(move |request| {
        let life = answering.clone();
        async move { Ok::<_, Infallible>(answer(request, life).await) }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    let connection = server.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // Who breaks it is not this side's business.
        _ = connection.as_mut() => return,
        () = life.is_over() => connection.as_mut().graceful_shutdown(),
    }
    connection.await.ok();
}

async fn answer(
    mut request: Request<Incoming>,
    life: Life,
) -> Response<BoxBody<Bytes, Infallible>> {
    match request.uri().path() {
        CHAT => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let Ok(upgraded) = upgrade.await else { return };
                let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
                tokio::io::copy(&mut reader, &mut writer).await.ok();
                drop(life);
            });
            let mut response = Response::new(Full::new(Bytes::new()).boxed());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            for (name, value) in [
                ("connection", "upgrade"),
                ("upgrade", "websocket"),
                ("sec-websocket-accept", WEBSOCKET_ACCEPT),
            ] {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            return response;
        }
        CALL => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let frames = [
                Ok(Frame::data(Bytes::from_static(&[0, 0, 0, 0, 0]))),
                Ok(Frame::trailers(trailers)),
            ];
            let body = StreamBody::new(futures_util::stream::iter(frames));
            let mut response = Response::new(body.boxed());
            let kind = HeaderValue::from_static("application/grpc");
            response.headers_mut().insert("content-type", kind);
            return response;
        }
        SLOW => tokio::time::sleep(SLOW_TIME).await,
        _ => {}
    }
    Response::new(Full::new(Bytes::from_static(BODY.as_bytes())).boxed())
}

async fn accept_lines(listener: TcpListener, life: Life) {
    let take = |stream: TcpStream, from: SocketAddr, life: Life| {
        tokio::spawn(echo(stream, from, life));
    };
    accept_all(listener, life, take).await;
}

/// As `lb-peer` does it: a line that tells who this is and who that is, then what comes.
async fn echo(mut stream: TcpStream, from: SocketAddr, life: Life) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    stream.write_all(format!("{} {from}\n", life.name).as_bytes()).await.ok()?;
    let mut buffer = Vec::new();
    while stream.read_buf(&mut buffer).await.ok()? > 0 {
        stream.write_all(&buffer).await.ok()?;
        buffer.clear();
    }
    stream.shutdown().await.ok()
}

async fn answer_datagrams(socket: UdpSocket, mut life: Life) {
    let mut buffer = [0; 2048];
    let answer = |datagram: &[u8], from: SocketAddr, name: &str| {
        [format!("{name} {from}\n").as_bytes(), datagram].concat()
    };
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            () = life.is_over() => break,
        };
        let Ok((count, from)) = received else { continue };
        socket.send_to(&answer(&buffer[..count], from, &life.name), from).await.ok();
    }
    // As of connections, those too that had come before.
    let socket = socket.into_std().unwrap();
    while let Ok((count, from)) = socket.recv_from(&mut buffer) {
        socket.send_to(&answer(&buffer[..count], from, &life.name), from).ok();
    }
}
