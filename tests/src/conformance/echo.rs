//! Backends that say who they are and what they were asked.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode, Version,
    body::{Frame, Incoming},
    header::HeaderValue,
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::ServerConfig;
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::Suite;
use crate::origin::WEBSOCKET_ACCEPT;

/// What a backend speaks.
#[derive(Clone, Debug)]
pub enum Speaks {
    /// HTTP/1.1 and HTTP/2 in the clear, WebSocket, gRPC.
    Http,
    /// The same over TLS.
    Https(Arc<ServerConfig>),
    /// A line with its name, then what it gets.
    Lines,
    /// The same over TLS.
    TlsLines(Arc<ServerConfig>),
    /// Its name, a space and the datagram.
    Datagrams,
}

/// A backend; ends when dropped.
#[derive(Debug)]
pub struct Echo {
    name: String,
    address: SocketAddr,
    asked: Asked,
    task: JoinHandle<()>,
}

/// Paths that were asked for.
type Asked = Arc<Mutex<Vec<String>>>;

/// Who answers.
#[derive(Clone, Debug)]
struct Me {
    name: String,
    namespace: String,
    is_tls: bool,
    asked: Asked,
}

impl Me {
    /// Notes what is asked for. Whether it gets the `status` and the `delay_ms` that its query
    /// wishes for: always, or the first `times` that it is asked for.
    fn is_faulty(&self, request: &Request<Incoming>, path: String) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let count = asked.iter().filter(|it| **it == path).count() + 1;
        asked.push(path);
        let times = parameter(request, "times").and_then(|it| it.parse().ok());
        times.is_none_or(|times: usize| count <= times)
    }
}

impl Echo {
    /// Starts a backend on a port of 127.0.0.1.
    pub(super) fn start(
        suite: &Suite,
        name: &str,
        namespace: &str,
        speaks: Speaks,
    ) -> Result<Self> {
        let asked = Asked::default();
        let me = Me {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            is_tls: false,
            asked: Arc::clone(&asked),
        };
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (address, task) = suite.runtime.block_on(async {
            if let Speaks::Datagrams = speaks {
                let socket = UdpSocket::bind(any).await?;
                let address = socket.local_addr()?;
                return anyhow::Ok((address, tokio::spawn(datagrams(socket, me))));
            }
            let listener = TcpListener::bind(any).await.context("bind a backend")?;
            let address = listener.local_addr()?;
            Ok((address, tokio::spawn(accept(listener, me, speaks))))
        })?;
        Ok(Self { name: name.to_owned(), address, asked, task })
    }

    /// Its name: that of its Service and a number.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Paths and queries that it was asked for so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, me: Me, speaks: Speaks) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, me.clone(), speaks.clone()));
    }
}

/// Who breaks the connection is not this side's business.
async fn serve(stream: TcpStream, mut me: Me, speaks: Speaks) {
    match speaks {
        Speaks::Http => http(stream, me).await,
        Speaks::Lines => lines(stream, &me).await,
        Speaks::Https(config) => {
            me.is_tls = true;
            if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                http(stream, me).await;
            }
        }
        Speaks::TlsLines(config) => {
            if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                lines(stream, &me).await;
            }
        }
        Speaks::Datagrams => {}
    }
}

async fn lines(stream: impl AsyncRead + AsyncWrite + Unpin, me: &Me) {
    let mut stream = BufReader::new(stream);
    let hello = format!("{}\n", me.name);
    if stream.write_all(hello.as_bytes()).await.is_err() || stream.flush().await.is_err() {
        return;
    }
    let mut line = String::new();
    while matches!(stream.read_line(&mut line).await, Ok(length) if length > 0) {
        if stream.write_all(line.as_bytes()).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        line.clear();
    }
}

async fn datagrams(socket: UdpSocket, me: Me) {
    let mut buffer = [0; 2_048];
    while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
        let mut answer = format!("{} ", me.name).into_bytes();
        answer.extend(buffer.iter().take(length));
        socket.send_to(&answer, from).await.ok();
    }
}

async fn http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, me: Me) {
    let service = service_fn(move |request| {
        let me = me.clone();
        async move { Ok::<_, Infallible>(answer(request, &me).await) }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    server.serve_connection_with_upgrades(TokioIo::new(stream), service).await.ok();
}

type Body = BoxBody<Bytes, Infallible>;

async fn answer(mut request: Request<Incoming>, me: &Me) -> Response<Body> {
    let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let is_faulty = me.is_faulty(&request, path);
    if request.headers().contains_key("sec-websocket-key") {
        return websocket(&mut request);
    }
    let grpc = request
        .headers()
        .get("content-type")
        .is_some_and(|it| it.to_str().is_ok_and(|it| it.starts_with("application/grpc")));
    let delay = parameter(&request, "delay_ms").and_then(|it| it.parse().ok());
    if let Some(delay) = delay.filter(|_| is_faulty) {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    let mut response = if grpc { call(&request, me) } else { page(request, me, is_faulty).await };
    let name = HeaderValue::from_str(&me.name).unwrap_or(HeaderValue::from_static("?"));
    response.headers_mut().insert("x-backend", name);
    response
}

/// Tells what was asked as JSON.
async fn page(request: Request<Incoming>, me: &Me, is_faulty: bool) -> Response<Body> {
    let status = parameter(&request, "status").and_then(|it| it.parse().ok());
    let status = status.filter(|_| is_faulty);
    let set: Vec<String> = request
        .headers()
        .get_all("x-echo-set-header")
        .iter()
        .filter_map(|it| it.to_str().ok().map(ToOwned::to_owned))
        .collect();
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let host = parts.uri.authority().map(ToString::to_string).or_else(|| {
        parts.headers.get("host").and_then(|it| it.to_str().ok()).map(ToOwned::to_owned)
    });
    let told = json!({
        "backend": me.name,
        "namespace": me.namespace,
        "method": parts.method.as_str(),
        "path": parts.uri.path_and_query().map(ToString::to_string),
        "host": host,
        "protocol": if parts.version == Version::HTTP_2 { "HTTP/2" } else { "HTTP/1.1" },
        "tls": me.is_tls,
        "headers": fields(&parts.headers),
        "body_bytes": body.len(),
    });
    let mut response = Response::new(Full::new(Bytes::from(told.to_string())).boxed());
    *response.status_mut() = status.unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    for pair in set.iter().flat_map(|it| it.split(',')) {
        if let Some((name, value)) = pair.split_once(':')
            && let Ok(name) = name.trim().parse::<hyper::header::HeaderName>()
            && let Ok(value) = value.trim().parse()
        {
            headers.append(name, value);
        }
    }
    response
}

fn fields(headers: &HeaderMap) -> Value {
    let mut fields: Map<String, Value> = Map::new();
    for (name, value) in headers {
        let values = fields.entry(name.as_str().to_owned()).or_insert_with(|| json!([]));
        if let (Some(values), Ok(value)) = (values.as_array_mut(), value.to_str()) {
            values.push(json!(value));
        }
    }
    Value::Object(fields)
}

/// An empty message, and that all went well.
fn call(request: &Request<Incoming>, me: &Me) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let message = Frame::data(Bytes::from_static(&[0, 0, 0, 0, 0]));
    let frames = [Ok(message), Ok(Frame::trailers(trailers))];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let mut response = Response::new(body.boxed());
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    let told = json!({
        "backend": me.name,
        "path": request.uri().path(),
        "headers": fields(request.headers()),
    });
    if let Ok(told) = HeaderValue::from_str(&told.to_string()) {
        headers.insert("x-echoed", told);
    }
    response
}

fn websocket(request: &mut Request<Incoming>) -> Response<Body> {
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
        tokio::io::copy(&mut reader, &mut writer).await.ok();
    });
    let mut response = Response::new(Full::new(Bytes::new()).boxed());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("connection", HeaderValue::from_static("upgrade"));
    headers.insert("upgrade", HeaderValue::from_static("websocket"));
    headers.insert("sec-websocket-accept", HeaderValue::from_static(WEBSOCKET_ACCEPT));
    response
}

fn parameter<'a>(request: &'a Request<Incoming>, name: &str) -> Option<&'a str> {
    let pairs = request.uri().query()?.split('&');
    pairs.filter_map(|it| it.split_once('=')).find(|it| it.0 == name).map(|it| it.1)
}
