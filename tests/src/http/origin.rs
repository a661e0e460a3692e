//! A strict HTTP/1 origin that tells what it saw.

use std::{
    io, mem,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use anyhow::{Context as _, Result};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use super::message::{self, Request};

/// Something that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A complete request.
    Request(Request),
    /// Bytes that are none, and why.
    Malformed(String),
}

/// A server on 127.0.0.1 that answers each request with what it saw of it. Ends when dropped.
#[derive(Debug)]
pub struct Origin {
    /// Its port.
    pub port: u16,
    seen: Log,
    _end: oneshot::Sender<()>,
}

type Log = Arc<Mutex<Vec<Seen>>>;

impl Origin {
    /// Starts it.
    pub fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let port = listener.local_addr()?.port();
        let (end, ended) = oneshot::channel::<()>();
        let seen = Log::default();
        let log = Arc::clone(&seen);
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    // Only that it is dropped counts.
                    _ = ended => {}
                    () = accept(&listener, &log) => {}
                }
            });
        };
        thread::Builder::new().name("origin".to_owned()).spawn(serve).context("start a thread")?;
        Ok(Self { port, seen, _end: end })
    }

    /// What arrived since this was called last.
    pub fn take(&self) -> Vec<Seen> {
        mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn accept(listener: &TcpListener, log: &Log) {
    // A connection that broke before it was accepted is nobody's concern.
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let log = Arc::clone(log);
            // How a connection ends is the peer's affair.
            tokio::spawn(async move { serve(stream, &log).await.ok() });
        }
    }
}

async fn serve(mut stream: TcpStream, log: &Log) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        match message::request(&buffer) {
            Ok(Some((request, length))) => {
                buffer.drain(..length);
                let answer = answer(&request);
                let closes = request.closes;
                push(log, Seen::Request(request));
                stream.write_all(&answer).await?;
                if closes {
                    return stream.shutdown().await;
                }
            }
            Ok(None) => {
                if stream.read_buf(&mut buffer).await? == 0 {
                    return Ok(());
                }
            }
            Err(what) => {
                push(log, Seen::Malformed(what));
                let refusal = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\
                               Connection: close\r\n\r\n";
                stream.write_all(refusal.as_bytes()).await?;
                return stream.shutdown().await;
            }
        }
    }
}

fn push(log: &Log, seen: Seen) {
    log.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
}

fn answer(request: &Request) -> Vec<u8> {
    let Request { method, target, body, .. } = request;
    let status = if method == "CONNECT" { "418 No Tunnel" } else { "200 OK" };
    let text = format!("seen {method} {target} with {} bytes\n", body.len());
    let keep = if request.closes { "close" } else { "keep-alive" };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: {keep}\r\n\r\n",
        text.len()
    );
    let text = if method == "HEAD" { "" } else { &*text };
    [head.as_bytes(), text.as_bytes()].concat()
}
