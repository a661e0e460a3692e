//! Ours: the program `lbd` loads, with the maps it would write for the same VIPs.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, ArrayOfMaps, HashMap, MapData, PerCpuArray},
};
use lb_common::abi::{
    BackendEntry, BackendId, BackendState, Features, GLOBAL_FEATURES, GLOBAL_SEED, Mode, NextHop,
    RingTable, SLOT_MOVED, VIP_FLAG_ADDRESS, VipEntry, VipEvents, VipKey4, mapped,
};
use lb_common::limits::RING_SLOTS_MAX;

use super::{
    driver::{Lookups, Subject, xdp},
    flows::{BACKEND, BACKENDS_COUNT, OWN_MAC, ROUTER_MAC, VIP, VIP_PORT, VIPS_COUNT, after},
};

const PROGRAM: &str = "lb_forward";
/// What the rival can do too: TCP and UDP of both families into tunnels.
const FEATURES: Features = Features(Features::IPV4 | Features::IPV6 | Features::TUNNEL);
const SEED: u64 = 0x1234_5678_9abc_def0;
/// Test runs without a context arrive at the loopback interface.
const LOOPBACK: u32 = 1;
const ICMP: u8 = 1;
const TCP: u8 = 6;
/// The base of the outer source; its low 16 bits take the flow hash.
const TUNNEL_SOURCE: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 0);

type Ring = Array<MapData, RingTable>;

/// How settled the rings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rings {
    /// No slot has moved: the ring alone decides, as it does while the backends do not change.
    Settled,
    /// Every slot has moved: every flow is looked up, as right after the worst change possible.
    Moved,
}

/// Our program, loaded.
#[derive(Debug)]
pub struct Ours {
    object: Ebpf,
    rings: Rings,
}

impl Ours {
    /// Loads the object embedded in `lbd` and fills its maps.
    pub fn load(rings: Rings) -> Result<Self> {
        let mut object = EbpfLoader::new()
            .override_global(GLOBAL_FEATURES, &FEATURES.0, true)
            .override_global(GLOBAL_SEED, &SEED, true)
            .load(lb_userspace::EBPF_OBJECT)
            .context("cannot load our object")?;
        xdp(&mut object, PROGRAM)?.load().with_context(|| format!("cannot load {PROGRAM}"))?;
        let mut ours = Self { object, rings };
        ours.populate().context("cannot fill our maps")?;
        Ok(ours)
    }

    /// What the driver measures.
    pub fn subject(&mut self) -> Result<Subject> {
        let name = match self.rings {
            Rings::Settled => "ours",
            Rings::Moved => "ours, moved",
        };
        Subject::balancer(name, xdp(&mut self.object, PROGRAM)?, false)
    }

    /// Look-ups of the flow tables for the measured VIP since the program was loaded.
    pub fn lookups(&mut self) -> Result<Lookups> {
        let map = self.object.map_mut("lb_vip_events").context("no map lb_vip_events")?;
        let events: PerCpuArray<_, VipEvents> = PerCpuArray::try_from(map)?;
        let cpus = events.get(&0, 0)?;
        let missed = |cpu: &VipEvents| cpu.misses_previous + cpu.misses_current;
        Ok(Lookups {
            found: cpus.iter().map(|cpu| cpu.tracked_hits).sum(),
            missed: cpus.iter().map(missed).sum(),
        })
    }

    fn populate(&mut self) -> Result<()> {
        for number in 0..VIPS_COUNT {
            self.add_vip(number)?;
            if self.rings == Rings::Settled {
                self.add_ring("lb_rings", number, 0, 0)?;
            } else {
                self.add_ring("lb_rings", number, 1, SLOT_MOVED)?;
                self.add_ring("lb_previous", number, 0, 0)?;
            }
        }
        let map = self.object.map_mut("lb_backends").context("no map lb_backends")?;
        let mut backends: Array<_, BackendEntry> = Array::try_from(map)?;
        for vip in 0..VIPS_COUNT {
            for number in 0..BACKENDS_COUNT {
                let entry = backend(vip, number);
                backends.set(entry.id.index(), entry, 0)?;
            }
        }
        Ok(())
    }

    /// The VIP, and the mark that its address is one.
    fn add_vip(&mut self, number: u32) -> Result<()> {
        let map = self.object.map_mut("lb_vips4").context("no map lb_vips4")?;
        let mut vips: HashMap<_, VipKey4, VipEntry> = HashMap::try_from(map)?;
        let address = u32::from_ne_bytes(after(VIP, number).octets());
        let entry = VipEntry {
            index: number,
            ring_slots: RING_SLOTS_MAX,
            mode: Mode::Tunnel as u8,
            idle_timeout_s: 3600,
            ..VipEntry::default()
        };
        vips.insert(VipKey4 { address, port: VIP_PORT.to_be(), protocol: TCP, pad: 0 }, entry, 0)?;
        let mark = VipEntry { flags: VIP_FLAG_ADDRESS, ..entry };
        vips.insert(VipKey4 { address, port: 0, protocol: ICMP, pad: 0 }, mark, 0)?;
        Ok(())
    }

    /// Writes the ring of a VIP into `map`: backends shifted by `shift`, `mark` in every slot.
    #[expect(clippy::large_stack_arrays, reason = "256 KiB for a moment, on the main thread")]
    fn add_ring(&mut self, map: &str, number: u32, shift: u32, mark: u32) -> Result<()> {
        let mut table = Box::new(RingTable { slots: [0; RING_SLOTS_MAX as usize] });
        for (index, slot) in (0_u32..).zip(&mut table.slots) {
            // A multiplicative hash (Knuth) spreads the backends, as in the rival's rings.
            let spread = index.wrapping_mul(2_654_435_761).wrapping_add(shift) % BACKENDS_COUNT;
            *slot = backend_index(number, spread) | mark;
        }
        let mut ring = Ring::create(1, 0)?;
        ring.set(0, table.as_ref(), 0)?;
        let outer = self.object.map_mut(map).with_context(|| format!("no map {map}"))?;
        ArrayOfMaps::<_, Ring>::try_from(outer)?.set(number, &ring, 0)?;
        Ok(())
    }
}

/// Index 0 is no backend; every VIP has entries of its own.
fn backend_index(vip: u32, number: u32) -> u32 {
    1 + vip * BACKENDS_COUNT + number
}

fn backend(vip: u32, number: u32) -> BackendEntry {
    let address = |address: Ipv4Addr| mapped(u32::from_ne_bytes(address.octets()));
    BackendEntry {
        id: BackendId::new(backend_index(vip, number), 0),
        state: BackendState::Active as u8,
        mode: Mode::Tunnel as u8,
        is_ipv4: 1,
        pad: 0,
        address: address(after(BACKEND, number)),
        source: address(TUNNEL_SOURCE),
        next_hop: NextHop::new(LOOPBACK, ROUTER_MAC, OWN_MAC),
        port: VIP_PORT.to_be(),
        mtu: 1500,
        vip,
    }
}
