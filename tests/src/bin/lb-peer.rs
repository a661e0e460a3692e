//! A real server for a backend of the lab: `lb-peer serve --name b1 --tcp 80 --udp 53`.

use anyhow::{Context, Result};
use clap::{Args, Parser};
use lb_tests::server::{Ports, serve};

/// A real server for a backend of the lab
#[derive(Parser)]
enum Command {
    /// Serve until killed; prints "ready" when all ports are bound
    Serve(Serve),
}

#[derive(Args)]
struct Serve {
    /// The name to answer with
    #[arg(long)]
    name: String,
    /// TCP ports that greet and echo
    #[arg(long)]
    tcp: Vec<u16>,
    /// UDP ports that answer each datagram
    #[arg(long)]
    udp: Vec<u16>,
    /// TCP ports that answer GET /healthz
    #[arg(long)]
    http: Vec<u16>,
}

fn main() -> Result<()> {
    let Command::Serve(Serve { name, tcp, udp, http }) = Command::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("make a tokio runtime")?;
    runtime.block_on(serve(&name, &Ports { tcp, udp, http }))
}
