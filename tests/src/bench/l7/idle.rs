//! What an idle connection costs in memory.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use anyhow::{Context as _, Result};

use super::report::Measured;
use crate::rivals::{Ports, process::Process};

/// Connections held open: with two files for each, HAProxy must stay below a common hard limit of
/// 20,000 open files.
const CONNECTIONS: u32 = 9_500;

/// Opens connections, has one request answered on each, and sees what memory they keep.
pub(super) fn measure(process: &Process, ports: Ports) -> Result<Measured> {
    let before = process.rss_bytes()?;
    let mut held = Vec::new();
    for number in 0..CONNECTIONS {
        held.push(ask(ports.http).with_context(|| format!("connection {number}"))?);
    }
    let kept = process.rss_bytes()?.saturating_sub(before);
    Ok(Measured { rss_bytes: kept / u64::from(CONNECTIONS), ..Measured::default() })
}

fn ask(port: u16) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET /small HTTP/1.1\r\nHost: bench.example\r\n\r\n")?;
    let mut response = Vec::new();
    let mut buffer = [0; 1_024];
    while !response.ends_with(b"xxxx") {
        let count = stream.read(&mut buffer)?;
        anyhow::ensure!(count > 0, "closed after {} bytes", response.len());
        response.extend(buffer.iter().take(count));
    }
    Ok(stream)
}
