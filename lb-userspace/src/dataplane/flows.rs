//! Flows that the data plane remembers, for tools.

use super::{Dataplane, bulk, bulk::Cursor, convert, error::Result, sweep::now_ns};
use aya::{
    Pod,
    maps::{HashMap, MapData},
};
use lb_common::abi::{BackendId, FLOW_FLAG_CLOSING, FlowEntry, FlowKey, NatEntry};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};

/// Which table a flow is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowTable {
    /// Stored by its opening packet in a moved slot.
    Opened,
    /// Stored by a later packet in a moved slot.
    Missed,
    /// Translated.
    Nat,
}

/// A remembered flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flow {
    /// Which table it is in.
    pub table: FlowTable,
    /// IP protocol number.
    pub protocol: u8,
    /// Client; port 0 = every flow of the client (affinity).
    pub client: SocketAddr,
    /// What the client addresses.
    pub vip: SocketAddr,
    /// Backend name; empty = the backend is gone.
    pub backend: String,
    /// Service name; empty likewise.
    pub service: String,
    /// The router's source towards the backend (NAT only).
    pub translated: Option<SocketAddr>,
    /// Time since its last packet, milliseconds.
    pub idle_ms: u64,
    /// Whether a FIN or RST was seen.
    pub is_closing: bool,
}

impl Dataplane {
    /// Up to `limit` remembered flows, in no order.
    pub fn flows(&self, limit: usize) -> Result<Vec<Flow>> {
        let names = self.names()?;
        let now_ns = now_ns();
        let mut flows = Vec::new();
        let mut add = |table, key: FlowKey, backend: BackendId, flags, last_seen_ns: u64, nat| {
            let name = names.get(&backend.index()).filter(|name| name.id == backend);
            // An affinity record has a VIP's index in the place of the port.
            let is_affinity = key.source_port == 0;
            let vip_port = if is_affinity { 0 } else { key.destination_port };
            flows.push(Flow {
                table,
                protocol: key.protocol,
                client: socket(convert::address(key.source), key.source_port),
                vip: socket(convert::address(key.destination), vip_port),
                backend: name.map(|name| convert::text(&name.backend)).unwrap_or_default(),
                service: name.map(|name| convert::text(&name.service)).unwrap_or_default(),
                translated: nat,
                idle_ms: now_ns.saturating_sub(last_seen_ns) / 1_000_000,
                is_closing: flags & FLOW_FLAG_CLOSING != 0,
            });
        };
        let tables = [
            (FlowTable::Opened, &self.maps.flows_syn, "lb_flows_syn"),
            (FlowTable::Missed, &self.maps.flows_miss, "lb_flows_miss"),
        ];
        let mut left = limit;
        for (table, map, name) in tables {
            for (key, entry) in take::<FlowEntry>(map, left, name)? {
                add(table, key, entry.backend, entry.flags, entry.last_seen_ns, None);
                left -= 1;
            }
        }
        for (key, entry) in take::<NatEntry>(&self.maps.nat, left, "lb_nat")? {
            let translated = socket(convert::address(entry.source), entry.source_port);
            let nat = Some(translated);
            add(FlowTable::Nat, key, entry.backend, entry.flags, entry.last_seen_ns, nat);
        }
        Ok(flows)
    }
}

/// Up to `limit` entries.
fn take<V: Pod + Default>(
    map: &HashMap<MapData, FlowKey, V>,
    limit: usize,
    name: &'static str,
) -> Result<Vec<(FlowKey, V)>> {
    let mut taken = Vec::new();
    let mut cursor = Some(Cursor::default());
    while let Some(at) = cursor.filter(|_| taken.len() < limit) {
        let (entries, next) = bulk::read(map, at, name)?;
        taken.extend(entries);
        cursor = next;
    }
    taken.truncate(limit);
    Ok(taken)
}

fn socket(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, u16::from_be(port))
}
