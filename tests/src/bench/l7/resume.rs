//! Connections with resumed TLS sessions: one after the other, each with a ticket of the one before.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned, pki_types::ServerName};

use super::{
    latency::Latency,
    load::Load,
    scenario::Scenario,
    tls,
    websocket::{LIMIT, stay_on},
};
use crate::rivals::process::Cores;

/// Longest response.
const RESPONSE_BYTES_MAX: usize = 8 * 1_024;

/// Makes connections for so long, and asks once on each. A session that was not resumed, but for
/// the first, is a failure.
pub(super) fn run(address: SocketAddr, duration: Duration, cores: Cores) -> Result<Load> {
    let run = move || {
        stay_on(cores.others)?;
        let config = tls::config()?;
        // It gets the first ticket.
        ask(address, &config)?;
        let (mut load, mut times) = (Load::default(), Vec::new());
        let begin = Instant::now();
        while begin.elapsed() < duration {
            let began = Instant::now();
            let is_resumed = ask(address, &config)?;
            times.push(began.elapsed());
            load.requests += u64::from(is_resumed);
            load.failures += u64::from(!is_resumed);
        }
        load.took = begin.elapsed();
        load.latency = Latency::of(times);
        Ok(load)
    };
    // A thread of its own, so that this one may go on where it likes.
    thread::spawn(run).join().map_err(|_| anyhow::anyhow!("the client panicked"))?
}

/// Asks once over a connection; whether its session was resumed.
fn ask(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<bool> {
    let name = ServerName::try_from("bench.example")?;
    let connection = ClientConnection::new(Arc::clone(config), name)?;
    let stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_nodelay(true)?;
    let mut stream = StreamOwned::new(connection, stream);
    let (path, host) = (Scenario::TlsResume.path(), Scenario::TlsResume.host());
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let body = Scenario::TlsResume.body();
    let mut response = Vec::new();
    let mut buffer = [0; 1_024];
    while !response.ends_with(&body) {
        ensure!(response.len() < RESPONSE_BYTES_MAX, "an endless response");
        let count = stream.read(&mut buffer).context("no response")?;
        ensure!(count > 0, "closed after {} bytes", response.len());
        response.extend(buffer.iter().take(count));
    }
    ensure!(response.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&response));
    Ok(stream.conn.handshake_kind() == Some(HandshakeKind::Resumed))
}
