//! A small HTTP client over the unix socket.

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};
use tokio::net::UnixStream;

/// Bytes of an answer, at most: a listing of every flow of a full table.
const ANSWER_BYTES_MAX: usize = 4 << 30;

/// Speaks to one daemon.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// No answer, or not the one hoped for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No daemon serves the socket.
    #[error("lbd is not running (nobody answers at {})", .0.display())]
    NotRunning(PathBuf),
    /// The socket cannot be used.
    #[error("{}: {source}", .path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The daemon refused; its own words.
    #[error("{0}")]
    Refused(String),
    /// The exchange broke off or was not understood.
    #[error("talking to lbd: {0}")]
    Broken(String),
}

impl Client {
    /// A client of the daemon at `socket`.
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// `GET path`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        decode(&self.exchange(Method::GET, path, Bytes::new()).await?)
    }

    /// `GET path` of what is no JSON.
    pub async fn text(&self, path: &str) -> Result<String, ClientError> {
        let bytes = self.exchange(Method::GET, path, Bytes::new()).await?;
        String::from_utf8(bytes.into()).map_err(broken)
    }

    /// `POST path` with a JSON body.
    pub async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(broken)?;
        decode(&self.exchange(Method::POST, path, body.into()).await?)
    }

    /// `PUT path`, or `DELETE path`.
    pub async fn set<T: DeserializeOwned>(&self, path: &str, on: bool) -> Result<T, ClientError> {
        let method = if on { Method::PUT } else { Method::DELETE };
        decode(&self.exchange(method, path, Bytes::new()).await?)
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, ClientError> {
        let stream = self.connect().await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let connection = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "lbd")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(broken)?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let bytes = body.collect().await.map_err(broken)?.to_bytes();
        drop(sender);
        connection.abort();
        if status.is_success() {
            return Ok(bytes);
        }
        Err(ClientError::Refused(message(&bytes).unwrap_or_else(|| status.to_string())))
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        UnixStream::connect(&self.socket).await.map_err(|source| match source.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                ClientError::NotRunning(self.socket.clone())
            }
            _ => ClientError::Socket { path: self.socket.clone(), source },
        })
    }
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(bytes).map_err(broken)
}

/// The message of an error answer.
fn message(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    value.get("message")?.as_str().map(ToOwned::to_owned)
}

fn broken(error: impl std::fmt::Display) -> ClientError {
    ClientError::Broken(error.to_string())
}
