//! Probe: `GET` is answered with an expected status.

use super::tcp;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request,
    body::{Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;

/// Bytes of an answer's body that are read before the connection is closed: enough for a server
/// to finish an ordinary health page, little enough that an endless one costs nothing.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// What to ask for.
pub(super) struct Question<'a> {
    /// Path and query.
    pub(super) path: &'a str,
    /// `Host` header; `None` = the address.
    pub(super) host: Option<&'a str>,
    /// Inclusive range of healthy status codes.
    pub(super) expect: (u16, u16),
}

/// Asks once, on a connection of its own. The error is in the operator's words.
pub(super) async fn probe(address: SocketAddr, question: &Question<'_>) -> Result<(), String> {
    let stream = tcp::connect(address).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| format!("http: {error}"))?;
    let exchange = async {
        let response = sender
            .send_request(request(address, question)?)
            .await
            .map_err(|error| format!("http: {error}"))?;
        let status = response.status().as_u16();
        read_some(response.into_body()).await;
        let (low, high) = question.expect;
        if (low..=high).contains(&status) {
            Ok(())
        } else {
            Err(format!("status {status}, expected {low}-{high}"))
        }
    };
    tokio::pin!(exchange);
    tokio::select! {
        result = &mut exchange => result,
        // The connection may end before the exchange has read what was already received.
        _ = connection => exchange.await,
    }
}

fn request(address: SocketAddr, question: &Question<'_>) -> Result<Request<Empty<Bytes>>, String> {
    let host = question.host.map_or_else(|| address.to_string(), ToOwned::to_owned);
    Request::get(question.path)
        .header(header::HOST, host)
        .header(header::USER_AGENT, concat!("lbd/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| format!("request: {error}"))
}

/// Reads a bounded part of the body; what it says does not matter.
async fn read_some(mut body: Incoming) {
    let mut read_bytes = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read_bytes += frame.data_ref().map_or(0, Bytes::len);
        if read_bytes >= BODY_BYTES_MAX {
            return;
        }
    }
}
