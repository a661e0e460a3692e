//! A TLS connection to the proxy that is kept, and a look at the certificate that is served.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::authority::Authority;
use crate::lab::Host;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Longest header section of a response.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// One connection with TLS.
pub struct TlsConnection {
    stream: StreamOwned<ClientConnection, TcpStream>,
    name: String,
}

impl TlsConnection {
    /// Connects from a host, asks for `name` and trusts that authority alone.
    pub fn open(client: &Host, to: SocketAddr, name: &str, trusted: &Authority) -> Result<Self> {
        let stream = client.enter(|| TcpStream::connect_timeout(&to, LIMIT))??;
        stream.set_read_timeout(Some(LIMIT))?;
        let server = ServerName::try_from(name.to_owned()).context("a server name")?;
        let connection = ClientConnection::new(trusted.client()?, server)?;
        Ok(Self { stream: StreamOwned::new(connection, stream), name: name.to_owned() })
    }

    /// Asks for a path, with more header fields (`Name: value\r\n`), and returns the header
    /// section of the answer in lower case; what follows it is left to be read.
    pub fn ask(&mut self, path: &str, fields: &str) -> Result<String> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", self.name);
        self.stream.write_all(request.as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            ensure!(head.len() < HEAD_BYTES_MAX, "an endless header section");
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        Ok(String::from_utf8(head)?.to_ascii_lowercase())
    }

    /// Asks for a path and returns the body of the answer, which must be 200 and tell its length.
    pub fn get(&mut self, path: &str) -> Result<String> {
        let head = self.ask(path, "")?;
        ensure!(head.starts_with("http/1.1 200 "), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.context("no length")?.parse()?];
        self.stream.read_exact(&mut body)?;
        Ok(String::from_utf8(body)?)
    }

    /// The bytes in it.
    pub fn stream(&mut self) -> &mut (impl Read + Write + use<>) {
        &mut self.stream
    }
}

/// What `openssl s_client` prints, the server's certificate (PEM) in it.
pub fn served_certificate(client: &Host, to: SocketAddr, name: &str) -> Result<String> {
    let mut command = client.command("openssl")?;
    command.args(["s_client", "-connect", &to.to_string(), "-servername", name]);
    let output = command.stdin(Stdio::null()).output().context("start openssl")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
