//! hyper as an origin, on a thread of its own that ends with the program.

use std::{convert::Infallible, net::Ipv4Addr, thread};

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, StatusCode, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::desync::echo::Echo;

/// Starts it; its port on 127.0.0.1.
pub(super) fn start() -> Result<u16> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    let port = listener.local_addr()?.port();
    let serve = move || {
        runtime.block_on(async {
            while let Ok((stream, _)) = listener.accept().await {
                // How a connection ends is the peer's affair.
                tokio::spawn(async move {
                    stream.set_nodelay(true).ok();
                    let builder = hyper::server::conn::http1::Builder::new();
                    builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await.ok()
                });
            }
        });
    };
    thread::Builder::new().name("hyper".to_owned()).spawn(serve).context("start a thread")?;
    Ok(port)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let method = request.method().to_string();
    let target = request.uri().to_string();
    let Ok(body) = request.into_body().collect().await else {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    let text = Echo::Whole.of(&method, &target, Some(&body.to_bytes())).unwrap_or_default();
    Ok(Response::new(Full::new(text.into())))
}
