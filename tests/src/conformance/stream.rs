//! Connections and datagrams without requests.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader,
    },
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::{Space, Suite, Trust, ask::ANSWER_LIMIT, suite::LIMIT};
use crate::{origin::WEBSOCKET_KEY, wait::eventually};

/// How long an answer to a datagram takes that is asked for again and again, or that there should not
/// be.
const SOON: Duration = Duration::from_secs(1);

impl Suite {
    /// The first line that a stream of bytes gives: the name of the backend.
    pub fn line(&self, address: IpAddr, port: u16, trust: Option<&Trust>) -> Result<String> {
        self.runtime.block_on(async {
            let read = async {
                let stream = TcpStream::connect((address, port)).await?;
                match trust {
                    None => line(stream).await,
                    Some(trust) => line(trust.connect(stream, false).await?).await,
                }
            };
            timeout(ANSWER_LIMIT, read).await?
        })
    }

    /// The answer to a datagram.
    pub fn datagram(&self, address: IpAddr, port: u16, text: &str) -> Result<String> {
        self.datagram_within(ANSWER_LIMIT, (address, port), text)
    }

    /// The answer to a datagram that may be lost.
    pub fn datagram_soon(&self, address: IpAddr, port: u16, text: &str) -> Result<String> {
        self.datagram_within(SOON, (address, port), text)
    }

    fn datagram_within(&self, limit: Duration, to: (IpAddr, u16), text: &str) -> Result<String> {
        self.runtime.block_on(async {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            socket.connect(to).await?;
            socket.send(text.as_bytes()).await?;
            let mut buffer = [0; 2_048];
            let length = timeout(limit, socket.recv(&mut buffer)).await??;
            let answer = buffer.get(..length).unwrap_or_default();
            Ok(String::from_utf8_lossy(answer).into_owned())
        })
    }

    /// Opens a WebSocket, sends a text and gives back as many bytes as it has.
    pub fn websocket(&self, address: IpAddr, port: u16, host: &str, text: &str) -> Result<String> {
        let head = format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {WEBSOCKET_KEY}\r\n\r\n"
        );
        self.runtime.block_on(async {
            let spoken = async {
                let mut stream = BufReader::new(TcpStream::connect((address, port)).await?);
                stream.write_all(head.as_bytes()).await?;
                let mut status = String::new();
                stream.read_line(&mut status).await?;
                ensure!(status.starts_with("HTTP/1.1 101 "), "answered {status:?}");
                let mut field = status;
                while field != "\r\n" {
                    field.clear();
                    ensure!(stream.read_line(&mut field).await? > 0, "closed in the head");
                }
                stream.write_all(text.as_bytes()).await?;
                let mut echoed = vec![0; text.len()];
                stream.read_exact(&mut echoed).await?;
                Ok(String::from_utf8_lossy(&echoed).into_owned())
            };
            timeout(ANSWER_LIMIT, spoken).await?
        })
    }
}

impl Space {
    /// Waits until a connection reaches a backend of this Service.
    pub fn line_from(&self, address: IpAddr, port: u16, trust: Option<&Trust>, service: &str) {
        let line = || self.suite().line(address, port, trust);
        self.word_from(&format!("port {port}: a line from {service}"), service, line);
    }

    /// Waits until a connection reaches nobody.
    pub fn no_line(&self, address: IpAddr, port: u16, trust: Option<&Trust>) {
        let closed = eventually(LIMIT, &format!("port {port}: nobody is reached"), || {
            self.suite().line(address, port, trust).err()
        });
        self.must(closed);
    }

    /// Waits until a datagram reaches a backend of this Service.
    pub fn datagram_from(&self, address: IpAddr, port: u16, service: &str) {
        let word = || {
            let answer = self.suite().datagram_soon(address, port, "ping")?;
            let (name, text) = answer.split_once(' ').context("a name")?;
            ensure!(text == "ping", "answered {answer:?}");
            Ok(name.to_owned())
        };
        self.word_from(&format!("port {port}: a datagram from {service}"), service, word);
    }

    fn word_from(&self, what: &str, service: &str, word: impl Fn() -> Result<String>) {
        let mut last = String::new();
        let reached = eventually(LIMIT, what, || match word() {
            Ok(name) if name.rsplit_once('-').is_some_and(|it| it.0 == service) => Some(()),
            other => {
                last = format!("{other:?}");
                None
            }
        });
        self.must(reached.with_context(|| format!("{last}\n{}", self.last_words())));
    }
}

async fn line(stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<String> {
    let mut stream = BufReader::new(stream);
    stream.flush().await?;
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        bail!("closed without a word");
    }
    Ok(line.trim_end().to_owned())
}
