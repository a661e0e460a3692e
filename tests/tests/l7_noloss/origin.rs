//! A server that answers every request, at once or after a while.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// How long a request for [`SLOW`] takes.
pub(super) const SLOW_TIME: Duration = Duration::from_millis(700);
/// The path that takes a while.
pub(super) const SLOW: &str = "/slow";

/// Starts a server that lives as long as the runtime; its address.
pub(super) async fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Answers requests without bodies until the client goes.
async fn serve(mut stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut received = Vec::new();
    loop {
        let end = loop {
            let end = received.windows(4).position(|it| it == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None if stream.read_buf(&mut received).await.ok()? == 0 => return None,
                None => {}
            }
        };
        let head: Vec<u8> = received.drain(..end).collect();
        if head.starts_with(format!("GET {SLOW} ").as_bytes()) {
            tokio::time::sleep(SLOW_TIME).await;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n").await.ok()?;
    }
}
