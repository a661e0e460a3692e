//! Cases of HTTP/2 over TCP, with prior knowledge.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::net::TcpStream;

use crate::http2::{
    cases::Case,
    probe::{self, Report},
};

/// Runs each case on a connection of its own.
pub async fn run(cases: &[Case], server: SocketAddr) -> Result<Vec<Report>> {
    let mut reports = Vec::with_capacity(cases.len());
    for case in cases {
        let stream = TcpStream::connect(server).await.context("connect")?;
        stream.set_nodelay(true)?;
        reports.push(probe::run(case, stream).await);
    }
    Ok(reports)
}
