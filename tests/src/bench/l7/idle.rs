//! What an idle connection costs in memory.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use anyhow::{Context as _, Result, ensure};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

use super::{Scenario, report::Measured, tls};
use crate::rivals::{Ports, process::Process};

/// Connections held open: with two files for each, HAProxy must stay below a common hard limit of
/// 20,000 open files.
const CONNECTIONS: u32 = 9_500;
/// The same with TLS, where opening one takes longer.
const TLS_CONNECTIONS: u32 = 2_000;

/// Opens connections, has one request answered on each, and sees what memory they keep.
pub(super) fn measure(scenario: Scenario, process: &Process, ports: Ports) -> Result<Measured> {
    let config = scenario.is_secure().then(tls::config).transpose()?;
    let count = if config.is_some() { TLS_CONNECTIONS } else { CONNECTIONS };
    let before = process.rss_bytes()?;
    let mut held = Vec::new();
    let mut held_tls = Vec::new();
    for number in 0..count {
        let opened = match &config {
            Some(config) => open_tls(ports.https, config).map(|it| held_tls.push(it)),
            None => open(ports.http).map(|it| held.push(it)),
        };
        opened.with_context(|| format!("connection {number}"))?;
    }
    let kept = process.rss_bytes()?.saturating_sub(before);
    Ok(Measured { rss_bytes: kept / u64::from(count), ..Measured::default() })
}

fn open(port: u16) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    ask(&mut stream)?;
    Ok(stream)
}

fn open_tls(
    port: u16,
    config: &Arc<ClientConfig>,
) -> Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from("bench.example")?;
    let connection = ClientConnection::new(Arc::clone(config), name)?;
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    // The request follows the end of the handshake, which it would wait for the other side to
    // have acknowledged.
    stream.set_nodelay(true)?;
    let mut stream = StreamOwned::new(connection, stream);
    ask(&mut stream)?;
    Ok(stream)
}

fn ask(stream: &mut (impl Read + Write)) -> Result<()> {
    stream.write_all(b"GET /small HTTP/1.1\r\nHost: bench.example\r\n\r\n")?;
    let mut response = Vec::new();
    let mut buffer = [0; 1_024];
    while !response.ends_with(b"xxxx") {
        let count = stream.read(&mut buffer)?;
        ensure!(count > 0, "closed after {} bytes", response.len());
        response.extend(buffer.iter().take(count));
    }
    Ok(())
}
