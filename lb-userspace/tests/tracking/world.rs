//! The world around two routers of one ECMP group: backends that come, drain, fail and go, and
//! flows that must stay where they live.

use crate::router::{Flow, Router, vip};
use lb_common::abi::BackendId;
use lb_userspace::{
    model::{Affinity, Backend, Desired, ForwardingMode, Protocol, Service, Settings, UdpPolicy},
    reconcile::{Observed, WINDOW_MARGIN_MS, ring_hash},
};
use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

pub(crate) const BACKENDS: u8 = 6;
pub(crate) const IDLE_TIMEOUT_MS: u64 = 60_000;
pub(crate) const APPLY_MS_MAX: u64 = WINDOW_MARGIN_MS;
/// Few enough that the tuples of flows that ended are soon used again.
const CLIENTS: u32 = 60;
const RING_SLOTS: u32 = 127;
const SERVICE: &str = "web";

#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Add(u8),
    Remove(u8),
    Drain(u8),
    Undrain(u8),
    Reweight(u8, u16),
    Fail(u8),
    Recover(u8),
    /// Milliseconds pass.
    Pass(u64),
    /// One router sweeps its flow tables.
    Sweep(usize),
    /// This many flows open.
    Open(u32),
    /// One flow sends a packet.
    Talk(u64),
    /// Every flow does.
    TalkAll,
    /// One flow ends.
    Close(u64),
}

/// A flow and where it lives.
struct Living {
    flow: Flow,
    router: usize,
    backend: BackendId,
    name: u8,
    last_ms: u64,
}

pub(crate) struct World {
    desired: Desired,
    observed: Observed,
    routers: [Router; 2],
    flows: Vec<Living>,
    opened_count: u32,
    delay_ms: u64,
    is_changed: bool,
}

impl World {
    /// Three backends serve; each plan takes `delay_ms` to apply.
    pub(crate) fn new(delay_ms: u64) -> Self {
        let service = Service {
            vips: [vip(Protocol::Tcp), vip(Protocol::Udp)].into(),
            sources: [].into(),
            mode: ForwardingMode::Tunnel,
            affinity: Affinity::None,
            udp: UdpPolicy::Stick,
            idle_timeout: Duration::from_millis(IDLE_TIMEOUT_MS),
            ring_slots: RING_SLOTS,
            backends: (0..3).map(|number| (name(number), backend(number))).collect(),
            health: None,
        };
        let mut world = Self {
            desired: Desired {
                interfaces: vec![],
                settings: Settings::default(),
                services: [(SERVICE.to_owned(), service)].into(),
                ..Desired::default()
            },
            observed: Observed { now_ms: 1_000_000, ..Observed::default() },
            routers: [Router::default(), Router::default()],
            flows: vec![],
            opened_count: 0,
            delay_ms,
            is_changed: true,
        };
        world.reconcile();
        world
    }

    pub(crate) fn happen(&mut self, event: Event) {
        match event {
            Event::Add(number) => {
                self.backends().entry(name(number)).or_insert_with(|| backend(number));
            }
            Event::Remove(number) => {
                self.backends().remove(&name(number));
                self.end_flows_on(number);
            }
            Event::Drain(number) => self.with(number, |backend| backend.drain = true),
            Event::Undrain(number) => self.with(number, |backend| backend.drain = false),
            Event::Reweight(number, weight) => self.with(number, |it| it.weight = weight),
            Event::Fail(number) => {
                self.observed.down.insert((SERVICE.to_owned(), name(number)));
                self.end_flows_on(number);
            }
            Event::Recover(number) => {
                self.observed.down.remove(&(SERVICE.to_owned(), name(number)));
            }
            packets => return self.carry(packets),
        }
        // Changes gather until the next packet: a generation may hold several.
        self.is_changed = true;
    }

    /// Everything ends and time passes: no state may be left.
    pub(crate) fn settle(&mut self) {
        self.carry(Event::TalkAll);
        self.flows.clear();
        for _ in 0..2 {
            self.carry(Event::Pass(IDLE_TIMEOUT_MS + 2 * WINDOW_MARGIN_MS));
            self.carry(Event::Sweep(0));
            self.carry(Event::Sweep(1));
        }
        for router in &self.routers {
            assert_eq!(router.moved_count(), 0, "marks are cleared in the end");
        }
    }

    pub(crate) fn flow_count(&self) -> usize {
        self.flows.len()
    }

    pub(crate) fn flows_on(&self, number: u8) -> usize {
        self.flows.iter().filter(|living| living.name == number).count()
    }

    fn carry(&mut self, event: Event) {
        if self.is_changed {
            self.reconcile();
        }
        match event {
            Event::Pass(ms) => {
                self.pass(ms);
                self.reconcile();
            }
            Event::Sweep(router) => self.sweep(router),
            Event::Open(count) => (0..count).for_each(|_| self.open()),
            Event::Talk(which) if !self.flows.is_empty() => {
                self.talk(which as usize % self.flows.len());
            }
            Event::TalkAll => (0..self.flows.len()).for_each(|which| self.talk(which)),
            Event::Close(which) if !self.flows.is_empty() => {
                let which = which as usize % self.flows.len();
                self.talk(which);
                self.flows.swap_remove(which);
            }
            _ => {}
        }
    }

    fn open(&mut self) {
        let number = self.opened_count;
        self.opened_count += 1;
        let is_tcp = !number.is_multiple_of(3);
        let protocol = if is_tcp { Protocol::Tcp } else { Protocol::Udp };
        let flow = Flow { vip: vip(protocol), client: number % CLIENTS };
        if self.flows.iter().any(|living| living.flow == flow) {
            return;
        }
        let router = (number % 2) as usize;
        let now_ms = self.observed.now_ms;
        let Some(backend) = self.routers[router].pick(flow, is_tcp, now_ms) else { return };
        let occupant = self.routers[router].kernel.maps.backends[&backend.index()].backend.clone();
        if is_tcp {
            let wanted = &self.desired.services[SERVICE].backends[&occupant];
            let is_down = self.observed.down.contains(&(SERVICE.to_owned(), occupant.clone()));
            assert!(!wanted.drain && wanted.weight > 0 && !is_down, "new flow on {occupant}");
        }
        let name = occupant.trim_start_matches('b').parse().expect("a number");
        self.flows.push(Living { flow, router, backend, name, last_ms: now_ms });
    }

    fn talk(&mut self, which: usize) {
        let now_ms = self.observed.now_ms;
        let living = &mut self.flows[which];
        let picked = self.routers[living.router].pick(living.flow, false, now_ms);
        assert_eq!(picked, Some(living.backend), "flow {:?} left b{}", living.flow, living.name);
        living.last_ms = now_ms;
    }

    fn pass(&mut self, ms: u64) {
        self.observed.now_ms += ms;
        let now_ms = self.observed.now_ms;
        self.flows.retain(|living| living.last_ms + IDLE_TIMEOUT_MS > now_ms);
    }

    fn sweep(&mut self, router: usize) {
        let held = self.routers[router].sweep(self.observed.now_ms, IDLE_TIMEOUT_MS);
        self.observed.held_slots = held;
        let plan = self.routers[router].plan(&self.desired, &self.observed);
        self.observed.held_slots.clear();
        let (half, rest) = plan.ops.split_at(plan.ops.len() / 2);
        self.take(router, half);
        self.take(router, rest);
        self.routers[router].check_applied();
    }

    /// Compiles and applies on both routers, with packets between the steps.
    fn reconcile(&mut self) {
        self.is_changed = false;
        let plans = [0, 1].map(|router| self.routers[router].plan(&self.desired, &self.observed));
        self.pass(self.delay_ms);
        for (router, plan) in plans.iter().enumerate() {
            self.take(router, &plan.ops);
            self.routers[router].check_applied();
        }
        self.check_agreement();
    }

    fn take(&mut self, router: usize, ops: &[lb_userspace::reconcile::Op]) {
        for (position, op) in ops.iter().enumerate() {
            self.routers[router].take(op);
            if !self.flows.is_empty() {
                self.talk(position * 7 % self.flows.len());
            }
        }
    }

    /// Routers that saw the same generations decide alike about flows they do not track.
    fn check_agreement(&self) {
        let [one, other] = &self.routers;
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let vip = vip(protocol);
            for slot in 0..RING_SLOTS {
                assert_eq!(one.untracked(vip, slot), other.untracked(vip, slot), "slot {slot}");
            }
            let hash = |router: &Router| {
                let image = &router.image.vips[&vip];
                let names: BTreeMap<u32, &str> = image
                    .backends
                    .iter()
                    .map(|(name, backend)| (backend.entry.id.index(), name.as_str()))
                    .collect();
                ring_hash(&image.ring, |index| names.get(&index).copied())
            };
            assert_eq!(hash(one), hash(other));
        }
    }

    fn with(&mut self, number: u8, change: impl FnOnce(&mut Backend)) {
        if let Some(backend) = self.backends().get_mut(&name(number)) {
            change(backend);
        }
    }

    fn backends(&mut self) -> &mut BTreeMap<String, Backend> {
        &mut self.desired.services.get_mut(SERVICE).expect("there is one").backends
    }

    fn end_flows_on(&mut self, number: u8) {
        self.flows.retain(|living| living.name != number);
    }
}

fn name(number: u8) -> String {
    format!("b{number}")
}

fn backend(number: u8) -> Backend {
    let ipv4 = Some(Ipv4Addr::new(10, 0, 0, number + 1));
    Backend { ipv4, ipv6: None, port: None, weight: 1, drain: false }
}
