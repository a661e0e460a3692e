//! Requests.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use super::{Answer, Suite};
use crate::authority::Issued;

/// How long one request may take.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// How TLS is spoken.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Server name.
    pub name: String,
    /// What is trusted, and what is shown.
    pub config: Arc<ClientConfig>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Ask {
    to: SocketAddr,
    host: String,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    tls: Option<Trust>,
    is_h2: bool,
}

impl Ask {
    /// `GET path` of a host at a Gateway's address and port.
    pub fn get(address: IpAddr, port: u16, host: &str, path: &str) -> Self {
        Self {
            to: SocketAddr::new(address, port),
            host: host.to_owned(),
            method: "GET".to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            tls: None,
            is_h2: false,
        }
    }

    /// A gRPC call.
    pub fn call(address: IpAddr, port: u16, host: &str, path: &str) -> Self {
        let call = Self::get(address, port, host, path).method("POST").h2();
        let call = call.header("content-type", "application/grpc").header("te", "trailers");
        Self { body: vec![0; 5], ..call }
    }

    /// With another method.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        Self { method: method.to_owned(), ..self }
    }

    /// With one more field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Over HTTP/2.
    #[must_use]
    pub fn h2(self) -> Self {
        Self { is_h2: true, ..self }
    }

    /// Over TLS.
    #[must_use]
    pub fn tls(self, trust: Trust) -> Self {
        Self { tls: Some(trust), ..self }
    }

    /// Over TLS for the request's host, trusting the suite's authority.
    #[must_use]
    pub fn secure(self, suite: &Suite) -> Self {
        let trust = Trust::of(suite, &self.host);
        self.tls(trust)
    }

    /// With another path.
    #[must_use]
    pub fn path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// With another host.
    #[must_use]
    pub fn host(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    /// Asks once, on a new connection.
    pub fn once(&self, suite: &Suite) -> Result<Answer> {
        suite.runtime.block_on(async { timeout(ANSWER_LIMIT, self.asked()).await? })
    }

    async fn asked(&self) -> Result<Answer> {
        let stream = TcpStream::connect(self.to).await?;
        match &self.tls {
            None => self.over(stream).await,
            Some(trust) => self.over(trust.connect(stream, self.is_h2).await?).await,
        }
    }

    async fn over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Answer> {
        let stream = TokioIo::new(stream);
        if self.is_h2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(connection);
            answer(sender.send_request(self.request()?).await?).await
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
            tokio::spawn(connection);
            answer(sender.send_request(self.request()?).await?).await
        }
    }

    fn request(&self) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(self.method.as_str());
        if self.is_h2 {
            let scheme = if self.tls.is_some() { "https" } else { "http" };
            request = request.uri(format!("{scheme}://{}{}", self.host, self.path));
        } else {
            request = request.uri(&self.path).header("host", &self.host);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        Ok(request.body(Full::new(Bytes::from(self.body.clone())))?)
    }
}

impl Trust {
    /// Trusts the suite's authority and asks for `name`.
    pub fn of(suite: &Suite, name: &str) -> Self {
        #[expect(clippy::expect_used, reason = "the suite's own authority is a good one")]
        let config = suite.authority.client().expect("the suite's authority");
        Self { name: name.to_owned(), config }
    }

    /// The same, and shows a certificate.
    pub fn showing(suite: &Suite, name: &str, shown: &Issued) -> Self {
        #[expect(clippy::expect_used, reason = "what an authority of a test issued is a good one")]
        let config = suite.authority.client_showing(shown).expect("an issued certificate");
        Self { name: name.to_owned(), config }
    }

    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        is_h2: bool,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let mut config = (*self.config).clone();
        config.alpn_protocols = vec![if is_h2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        let name = ServerName::try_from(self.name.clone()).context("a server name")?;
        Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
    }
}

async fn answer(response: Response<Incoming>) -> Result<Answer> {
    let (parts, body) = response.into_parts();
    let pairs = |headers: &hyper::HeaderMap| {
        let text = |value: &hyper::header::HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect::<Vec<_>>()
    };
    let collected = body.collect().await?;
    let trailers = collected.trailers().map(pairs).unwrap_or_default();
    let body = collected.to_bytes().to_vec();
    let told = parts.headers.get("x-echoed").map(|it| it.as_bytes().to_vec());
    let echoed = serde_json::from_slice(told.as_deref().unwrap_or(&body)).ok();
    let echoed = echoed.filter(|_| parts.headers.contains_key("x-backend"));
    let headers = pairs(&parts.headers);
    Ok(Answer { status: parts.status.as_u16(), headers, trailers, body, echoed })
}
