//! The packet path in memory: the same code that the kernel runs, over plain maps.

mod frame;
mod tables;

pub use frame::MemoryFrame;
pub use tables::{MemoryTables, event_name};

use std::{collections::HashMap, hash::Hash, net::IpAddr};

use anyhow::Result;
use lb_common::{
    abi::{NextHop, VipKey4, VipKey6, Words},
    tables::{Route, RouteStatus},
    verdict::Verdict as PathVerdict,
};

use super::{
    delta::Counters,
    kernel::{Ran, Shape, Verdict},
    machine::Machine,
    stage::{
        BACKEND_SIDE, CLIENT_MAC, CLIENT_SIDE, EGRESS_MAC, FAMILIES, GATEWAY_MAC, ROUTER_MAC,
        backend_mac,
    },
    state::{State, words},
    stored::{Stored, address, monotonic_ns},
};

/// The path over maps in memory.
#[derive(Debug)]
pub struct Memory {
    tables: MemoryTables,
}

impl Memory {
    /// Empty maps under a program of this shape.
    pub fn new(shape: &Shape) -> Self {
        let mut tables = MemoryTables::new(shape.features, shape.seed, shape.nat_ports);
        tables.route = stage_route;
        Self { tables }
    }
}

impl Machine for Memory {
    fn shortest_bytes(&self) -> usize {
        0
    }

    fn set(&mut self, state: &State) -> Result<()> {
        let tables = &mut self.tables;
        let counters = tables.counters.take();
        let mut empty = MemoryTables::new(tables.features, tables.seed, tables.nat_ports);
        empty.route = tables.route;
        *tables = empty;
        tables.counters.replace(counters);
        for vip in &state.vips {
            let (port, protocol, pad) = (vip.port.to_be(), vip.protocol, 0);
            let address = words(vip.address);
            if vip.address.is_ipv4() {
                let key = VipKey4 { address: address[3], port, protocol, pad };
                tables.vips4.insert(key, vip.entry);
            } else {
                tables.vips6.insert(VipKey6 { address, port, protocol, pad }, vip.entry);
            }
        }
        tables.sources.clone_from(&state.sources);
        tables.backends = state.backends.clone().into_iter().collect();
        // As in the kernel: every VIP index but the last has rings, of zeroes unless given.
        for vip in 0..3 {
            let slots = |wanted: Option<&Vec<u32>>| wanted.cloned().unwrap_or_default();
            tables.rings.insert(vip, slots(state.rings.get(&vip)));
            tables.previous.insert(vip, slots(state.previous.get(&vip)));
        }
        for entry in state.stored.iter().cloned() {
            match entry {
                Stored::Syn(key, value) => drop(tables.opened.get_mut().insert(key, value)),
                Stored::Miss(key, value) => drop(tables.missed.get_mut().insert(key, value)),
                Stored::Nat(key, value) => drop(tables.nat.get_mut().insert(key, value)),
                Stored::NatReverse(key, value) => drop(tables.reverse.get_mut().insert(key, value)),
                Stored::Fragment(key, value) => drop(tables.fragments.get_mut().insert(key, value)),
            }
        }
        Ok(())
    }

    fn stored(&mut self) -> Result<Vec<Stored>> {
        let mut all = entries(self.tables.opened.get_mut(), Stored::Syn);
        all.extend(entries(self.tables.missed.get_mut(), Stored::Miss));
        all.extend(entries(self.tables.nat.get_mut(), Stored::Nat));
        all.extend(entries(self.tables.reverse.get_mut(), Stored::NatReverse));
        all.extend(entries(self.tables.fragments.get_mut(), Stored::Fragment));
        Ok(all)
    }

    fn counters(&mut self) -> Result<Counters> {
        Ok(self.tables.counters.get_mut().clone())
    }

    fn run(&mut self, frame: &[u8], ifindex: u32) -> Result<Ran> {
        self.tables.now_ns = monotonic_ns();
        let mut frame = MemoryFrame::new(frame, ifindex);
        let verdict = match self.tables.process(&mut frame) {
            PathVerdict::Pass(_) | PathVerdict::Proxy { .. } => Verdict::Pass,
            PathVerdict::Drop(_) => Verdict::Drop,
            PathVerdict::Forward { ifindex: egress, .. } if egress == ifindex => Verdict::Tx,
            PathVerdict::Forward { .. } | PathVerdict::Answer(_) => Verdict::Redirect,
        };
        Ok(Ran { verdict, frame: frame.bytes().to_vec() })
    }

    fn trace(&mut self, _frame: &[u8], _ifindex: u32) -> Result<Option<Ran>> {
        Ok(None)
    }
}

fn entries<K, V>(map: &HashMap<K, V>, make: fn(K, V) -> Stored) -> Vec<Stored>
where
    K: Copy + Eq + Hash,
    V: Copy,
{
    map.iter().map(|(key, value)| make(*key, *value)).collect()
}

/// The routes and neighbours of the stage's namespace.
fn stage_route(destination: &Words) -> Route {
    let destination: IpAddr = address(*destination);
    let client = |mac| Route::found(NextHop::new(CLIENT_SIDE, mac, ROUTER_MAC));
    let backend = |mac| Route::found(NextHop::new(BACKEND_SIDE, mac, EGRESS_MAC));
    for f in FAMILIES {
        if destination == f.client() || destination == f.other_client() {
            return client(CLIENT_MAC);
        }
        if destination == f.backend(1) || destination == f.backend(2) {
            return backend(backend_mac(if destination == f.backend(1) { 1 } else { 2 }));
        }
        if destination == f.gateway() || destination == f.remote_backend() {
            return backend(GATEWAY_MAC);
        }
        if (3..=9).any(|number| destination == f.backend(number)) {
            return Route::missing(RouteStatus::NoNeighbour, 0);
        }
    }
    Route::missing(RouteStatus::None, 0)
}
