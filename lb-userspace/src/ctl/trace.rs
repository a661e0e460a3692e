//! `lbctl trace`.

use super::{
    output::{Exit, Output},
    source,
};
use crate::{
    admin::resource::{TraceRequest, TraceResource},
    model::Protocol,
    runtime::Instance,
};
use anyhow::Result;
use lb_common::verdict::Outcome;
use std::{fmt::Write as _, net::SocketAddr};

/// Arguments of `lbctl trace`.
#[derive(clap::Args)]
#[command(after_help = "\
Runs the loaded program on a packet made for the purpose. Nothing is sent, stored or counted. IPv6
addresses stand in brackets.

Examples:
  lbctl trace tcp 198.51.100.7:40000 192.0.2.10:80
  lbctl trace tcp [2001:db8:1::7]:40000 [2001:db8::10]:443 --flags ack
  lbctl trace udp 198.51.100.7:5353 192.0.2.10:53 -o json
  lbctl trace sctp 198.51.100.7:36412 192.0.2.10:36412")]
pub(super) struct Arguments {
    /// Transport protocol.
    #[arg(value_name = "tcp|udp|sctp")]
    protocol: TraceProtocol,
    /// Client address and port.
    #[arg(value_name = "SRC:PORT")]
    source: SocketAddr,
    /// VIP address and port.
    #[arg(value_name = "VIP:PORT")]
    destination: SocketAddr,
    /// Whether the TCP or SCTP packet opens a connection or belongs to one.
    #[arg(long, default_value = "syn")]
    flags: Flags,
    /// Interface it seems to come in on (default: the first attached one).
    #[arg(long, value_name = "INTERFACE")]
    interface: Option<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum TraceProtocol {
    Tcp,
    Udp,
    Sctp,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Flags {
    /// Opens a connection.
    Syn,
    /// Belongs to a connection.
    Ack,
}

/// Traces and prints.
pub(super) fn run(instance: &Instance, output: Output, arguments: &Arguments) -> Result<Exit> {
    let (source, destination) = (arguments.source, arguments.destination);
    anyhow::ensure!(
        source.is_ipv4() == destination.is_ipv4(),
        "the two addresses are of different families"
    );
    let request = TraceRequest {
        protocol: match arguments.protocol {
            TraceProtocol::Tcp => Protocol::Tcp,
            TraceProtocol::Udp => Protocol::Udp,
            TraceProtocol::Sctp => Protocol::Sctp,
        },
        source,
        destination,
        opens: arguments.flags == Flags::Syn,
        interface: arguments.interface.clone(),
    };
    let trace = source::ask_or_read(
        "lbctl",
        instance,
        async |client| client.post("/v1/trace", &request).await,
        |maps| maps.trace(&request),
    )?;
    output.object(&trace, &text(&trace))?;
    Ok(Exit::Done)
}

/// One decision a line, in the packet's order.
fn text(trace: &TraceResource) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        writeln!(text, "{name:<10}{value}").ok();
    };
    line("packet", &trace.packet);
    let owner = trace.service.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
    line("vip", &trace.vip.as_ref().map_or_else(|| "none".to_owned(), |vip| vip.clone() + &owner));
    if let Some(slot) = trace.slot {
        let moved =
            if trace.slot_moved == Some(true) { "moved: flows are looked up" } else { "not moved" };
        line("slot", &format!("{slot}, {moved}"));
    }
    line("decision", &trace.decision);
    if let Some(backend) = &trace.backend {
        let address = trace.backend_address.as_deref().unwrap_or("address unknown");
        line("backend", &format!("{backend} ({address})"));
    }
    if let Some(interface) = &trace.interface {
        let from = trace.next_hop_from.as_deref().unwrap_or("unknown");
        let mac = trace.next_hop_mac.as_deref().unwrap_or("MAC unknown");
        line("next hop", &format!("{interface} {mac} ({from})"));
    }
    let outcome = trace.outcome.as_ref().map_or_else(String::new, |name| format!(": {name}"));
    line("verdict", &format!("{}{outcome}", trace.verdict));
    if trace.outcome.as_deref() == Some(Outcome::PassToProxy.name()) {
        line("proxy", "the host's stack gives it to the proxy's listening socket");
    }
    if trace.outcome.as_deref() == Some(Outcome::DropSourceRefused.name()) {
        line("sources", "the client is in none of the VIP's source ranges (get vips -o json)");
    }
    line("output", &trace.output);
    text
}
