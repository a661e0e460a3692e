//! `compile`: from what is desired and observed to the next [`Image`].

use super::{
    BackendImage, CompileError, Image, Observed, RingImage, VipImage,
    allocate::{Allocator, successor},
    auto,
    entry::{self, Place},
    ring::{Step, advance},
    sources, steer,
    validate::validate,
};
use crate::model::{Affinity, Desired, Protocol, Service, Settings, UdpPolicy, Vip};
use lb_common::{
    abi::{
        BackendEntry, BackendId, BackendState, Features, Mode, VIP_FLAG_AFFINITY, VIP_FLAG_SOURCES,
        VIP_FLAG_UDP_STICKS, VipEntry,
    },
    balance::maglev::{self, Candidate},
    limits::BACKEND_ENTRIES,
};
use std::{collections::BTreeMap, net::IpAddr, rc::Rc};

/// What the transition window is longer than the idle timeout, milliseconds: `now` is taken
/// before a plan is applied, and this is how long applying it may take.
pub const WINDOW_MARGIN_MS: u64 = 10_000;

/// What `compile` made of a `Desired`.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// The next image; of the running generation if nothing changes.
    pub image: Image,
    /// Backends that cannot be used yet, for a reason other than their health.
    pub unusable: Vec<Unusable>,
}

/// A backend that is kept down because something about it is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// VIP.
    pub vip: Vip,
    /// Backend name.
    pub backend: String,
    /// Why, in words for the operator.
    pub reason: &'static str,
}

/// The image that `desired` and `observed` ask for, as a change of `running`: what stays keeps its
/// indexes, and rings move so that living flows stay where they are.
///
/// A backend that is no longer desired, or that health checks hold for dead, loses its flows at
/// once; so does one whose address or port changes. `desired.settings.seed` must be the one that
/// `running` was compiled with.
pub fn compile(
    desired: &Desired,
    observed: &Observed,
    running: &Image,
) -> Result<Compiled, Vec<CompileError>> {
    validate(desired, running)?;
    let mut job = Job {
        settings: &desired.settings,
        observed,
        running,
        allocator: Allocator::new(running),
        next: Image {
            generation: running.generation,
            generations: running.generations.clone(),
            ..Image::default()
        },
        unusable: Vec::new(),
        errors: Vec::new(),
        tables: BTreeMap::new(),
    };
    let owners = desired.services.iter();
    let owned: BTreeMap<Vip, (&str, &Service)> = owners
        .flat_map(|(name, service)| {
            service.vips.iter().map(move |vip| (*vip, (name.as_str(), service)))
        })
        .collect();
    for (vip, (name, service)) in owned {
        if let Err(error) = job.add(vip, name, service) {
            job.errors.push(error);
        }
    }
    for (vip, listeners) in steer::vips(desired) {
        if let Err(error) = job.add_proxied(vip, &listeners) {
            job.errors.push(error);
        }
    }
    job.finish()
}

/// A Maglev table by service: VIPs of a service have the same, unless a backend is usable for
/// some of them only.
type Memo = BTreeMap<String, (Vec<(String, u16)>, Rc<[u32]>)>;

struct Job<'a> {
    settings: &'a Settings,
    observed: &'a Observed,
    running: &'a Image,
    allocator: Allocator<'a>,
    next: Image,
    unusable: Vec<Unusable>,
    errors: Vec<CompileError>,
    tables: Memo,
}

impl Job<'_> {
    fn add(&mut self, vip: Vip, name: &str, service: &Service) -> Result<(), CompileError> {
        let before = self.running.vips.get(&vip);
        let (mode, mode_reason) = auto::resolve(vip, service, self.observed, before)?;
        let index = self.index(vip)?;
        let backends = self.backends(vip, name, service, mode, index)?;
        let ring = self.ring(index, name, service, &backends, before);
        let entry = vip_entry(vip, index, service, mode);
        self.next.features.0 |= features(vip, service, mode);
        let (service, sources) = (name.to_owned(), sources::of(vip, service));
        let image = VipImage { service, entry, sources, mode_reason, ring, backends };
        self.next.vips.insert(vip, image);
        Ok(())
    }

    fn add_proxied(&mut self, vip: Vip, listeners: &[&str]) -> Result<(), CompileError> {
        let index = self.index(vip)?;
        self.next.features.0 |= steer::features(vip);
        self.next.locals.insert(vip.address);
        self.next.vips.insert(vip, steer::image(index, listeners));
        Ok(())
    }

    /// The index that a VIP has, or gets.
    fn index(&mut self, vip: Vip) -> Result<u32, CompileError> {
        if let Some(before) = self.running.vips.get(&vip) {
            return Ok(before.entry.index);
        }
        self.allocator.vip().ok_or(CompileError::NoRoomForChange { what: "VIP index" })
    }

    fn backends(
        &mut self,
        vip: Vip,
        service_name: &str,
        service: &Service,
        mode: Mode,
        index: u32,
    ) -> Result<BTreeMap<String, BackendImage>, CompileError> {
        let mut images = BTreeMap::new();
        for (name, backend) in &service.backends {
            let Some(address) = backend.address_for(vip.address) else { continue };
            let place = Place { vip, vip_index: index, mode, address, port: backend.port };
            let before = self.running.vips.get(&vip).and_then(|vip| vip.backends.get(name));
            let before = before.map(|image| &image.entry).filter(|entry| place.is_of(entry));
            let key = (service_name.to_owned(), name.clone());
            let is_down = self.observed.down.contains(&key);
            let id = match before {
                Some(before) if is_down => dead_id(before),
                Some(before) => before.id,
                None => self
                    .allocator
                    .backend()
                    .ok_or(CompileError::NoRoomForChange { what: "backend index" })?,
            };
            let mut entry = entry::build(&place, id, before, self.settings, self.observed);
            entry.state = if is_down {
                BackendState::Down
            } else if let Some(reason) = entry::obstacle(&entry) {
                self.unusable.push(Unusable { vip, backend: name.clone(), reason });
                BackendState::Down
            } else if backend.drain || backend.weight == 0 || self.observed.drained.contains(&key) {
                BackendState::Draining
            } else {
                BackendState::Active
            } as u8;
            self.next.generations.insert(id.index(), id.generation());
            images.insert(name.clone(), BackendImage { entry, weight: backend.weight });
        }
        Ok(images)
    }

    fn ring(
        &mut self,
        index: u32,
        service_name: &str,
        service: &Service,
        backends: &BTreeMap<String, BackendImage>,
        before: Option<&VipImage>,
    ) -> RingImage {
        if !backends.values().any(|backend| backend.entry.is_alive()) {
            return RingImage::default();
        }
        let old = before.map(|vip| vip.ring.clone()).unwrap_or_default();
        let is_same = !old.slots.is_empty()
            && before.is_some_and(|before| members(&before.backends).eq(members(backends)));
        let current = (!is_same).then(|| self.current(service_name, service, backends));
        let step = Step {
            current: current.as_deref(),
            now_ms: self.observed.now_ms,
            window_ms: u64::from(idle_timeout_s(service)) * 1_000 + WINDOW_MARGIN_MS,
            held_slots: self.observed.held_slots.get(&index),
        };
        let mut is_living = vec![false; BACKEND_ENTRIES as usize];
        for backend in backends.values().filter(|backend| backend.entry.is_alive()) {
            if let Some(flag) = is_living.get_mut(backend.entry.id.index() as usize) {
                *flag = true;
            }
        }
        advance(&old, &step, |index| is_living.get(index as usize) == Some(&true))
    }

    /// The backend index that each slot sends new flows to, 0 if none takes any.
    fn current(
        &mut self,
        service_name: &str,
        service: &Service,
        backends: &BTreeMap<String, BackendImage>,
    ) -> Vec<u32> {
        let names: Vec<(String, u16)> =
            active(backends).map(|(name, weight, _)| (name.to_owned(), weight)).collect();
        if names.is_empty() {
            return vec![0; service.ring_slots as usize];
        }
        let known = self.tables.get(service_name).filter(|(of, _)| *of == names);
        let table = if let Some((_, table)) = known {
            table.clone()
        } else {
            let candidates: Vec<_> =
                names.iter().map(|(name, weight)| Candidate { name, weight: *weight }).collect();
            let table: Rc<[u32]> =
                maglev::table(self.settings.seed, &candidates, service.ring_slots).into();
            self.tables.insert(service_name.to_owned(), (names, table.clone()));
            table
        };
        let indexes: Vec<u32> = active(backends).map(|(_, _, index)| index).collect();
        let index_of = |position: &u32| indexes.get(*position as usize).copied().unwrap_or(0);
        table.iter().map(index_of).collect()
    }

    fn finish(mut self) -> Result<Compiled, Vec<CompileError>> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        if self.settings.packet_log {
            self.next.features.0 |= Features::LOG;
        }
        if self.next != *self.running {
            self.next.generation += 1;
        }
        Ok(Compiled { image: self.next, unusable: self.unusable })
    }
}

/// The id of a backend that is held for dead. When it dies it counts as another occupant from
/// then on, so that flows stored for it stay dead: they have moved since, and a recovery must not
/// call them back. Translated flows are stored anew when they move, so with NAT it stays the same.
fn dead_id(before: &BackendEntry) -> BackendId {
    let is_translated = matches!(Mode::from_wire(before.mode), Some(Mode::Nat | Mode::Dnat));
    if before.is_alive() && !is_translated { successor(before.id) } else { before.id }
}

/// All that a ring depends on, and backends that take no new flows beside it: of a doubted image
/// those may be all there are.
fn members(
    backends: &BTreeMap<String, BackendImage>,
) -> impl Iterator<Item = (&str, u16, u32, bool)> {
    backends.iter().map(|(name, it)| {
        let is_active = it.entry.state == BackendState::Active as u8;
        (name.as_str(), it.weight, it.entry.id.index(), is_active)
    })
}

/// The backends that take new flows: name, weight and index, by name.
fn active(backends: &BTreeMap<String, BackendImage>) -> impl Iterator<Item = (&str, u16, u32)> {
    let active = backends.iter().filter(|(_, it)| it.entry.state == BackendState::Active as u8);
    active.map(|(name, it)| (name.as_str(), it.weight, it.entry.id.index()))
}

fn vip_entry(vip: Vip, index: u32, service: &Service, mode: Mode) -> VipEntry {
    let affinity = if service.affinity == Affinity::Source { VIP_FLAG_AFFINITY } else { 0 };
    let udp = if service.udp == UdpPolicy::Stick { VIP_FLAG_UDP_STICKS } else { 0 };
    let sources = if sources::are_given(vip, service) { VIP_FLAG_SOURCES } else { 0 };
    VipEntry {
        index,
        ring_slots: service.ring_slots,
        mode: mode as u8,
        flags: affinity | udp | sources,
        pad: [0; 2],
        idle_timeout_s: idle_timeout_s(service),
    }
}

/// Idle timeout in whole seconds, rounded up, at least one.
fn idle_timeout_s(service: &Service) -> u32 {
    let timeout = service.idle_timeout;
    let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}

fn features(vip: Vip, service: &Service, mode: Mode) -> u32 {
    let family = match vip.address {
        IpAddr::V4(_) => Features::IPV4,
        IpAddr::V6(_) => Features::IPV6,
    };
    let forwarding = match mode {
        Mode::L2Dsr => Features::L2DSR,
        Mode::Tunnel => Features::TUNNEL,
        Mode::Nat | Mode::Dnat => Features::NAT,
    };
    let all_ports = if vip.port == 0 { Features::ALL_PORTS } else { 0 };
    let affinity = if service.affinity == Affinity::Source { Features::AFFINITY } else { 0 };
    let sources = if sources::are_given(vip, service) { Features::SOURCES } else { 0 };
    let sctp = if vip.protocol == Protocol::Sctp { Features::SCTP } else { 0 };
    family | forwarding | all_ports | affinity | sources | sctp
}
