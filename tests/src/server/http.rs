//! The HTTP server: as much of it as a health check needs.

use std::io;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Longest request head.
const HEAD_BYTES_MAX: usize = 4096;
/// How long a client may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// Answers one request on each connection until the process ends.
pub(super) async fn serve(listener: TcpListener, name: String) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let name = name.clone();
        tokio::spawn(async move {
            // A client that gives up is no concern of the server's.
            drop(timeout(REQUEST_LIMIT, answer(stream, &name)).await);
        });
    }
}

async fn answer(mut stream: TcpStream, name: &str) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > HEAD_BYTES_MAX {
            return Ok(());
        }
    }
    let (status, body) = if head.starts_with(b"GET /healthz ") {
        ("200 OK", name)
    } else {
        ("404 Not Found", "not found")
    };
    let length = body.len();
    let response =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}
