//! The rival: the kernel's `xdp_lb_bench`, loaded and populated as its own bench does it.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf,
    maps::{Array, ArrayOfMaps, HashMap, MapData, PerCpuArray},
};

use super::{
    driver::{Lookups, Subject, xdp},
    flows::{BACKEND, BACKENDS_COUNT, ROUTER_MAC, VIP, VIP_PORT, VIPS_COUNT, after},
};

/// Slots of one VIP's ring in the rival's flat ring array.
const RING_SLOTS: u32 = 65_537;
/// Its counter of flow look-ups and misses; the counters of the VIPs come first.
const STATS_LRU: u32 = VIPS_COUNT;
const TCP: u8 = 6;

/// A VIP's key (address, port, protocol) and its value (flags, number).
type Vips<'a> = HashMap<&'a mut MapData, [u8; 20], [u32; 2]>;
/// A flow's key (both addresses, both ports, protocol) and its backend with a time.
type Flows = HashMap<MapData, [u8; 40], [u64; 2]>;

/// The loaded rival.
///
/// Its flow table is the kind and the key the program itself uses, sized 131,072 instead of
/// 100,000, so that 100,000 flows fit: both sizes give the same number of hash buckets.
#[derive(Debug)]
pub struct Rival {
    object: Ebpf,
    cpu: u32,
}

impl Rival {
    /// Loads the object that `compile::rival` made and fills its maps for runs on `cpu`. Flows are
    /// stored by the program itself when it first sees them.
    pub fn load(object: &[u8], cpu: u32) -> Result<Self> {
        let mut object = Ebpf::load(object).context("cannot load xdp_lb_bench's object")?;
        xdp(&mut object, "lb_rival")?.load().context("the kernel refuses xdp_lb_bench")?;
        let mut rival = Self { object, cpu };
        rival.populate().context("cannot fill xdp_lb_bench's maps")?;
        Ok(rival)
    }

    /// What the driver measures.
    pub fn subject(&mut self) -> Result<Subject> {
        Subject::balancer("xdp_lb_bench", xdp(&mut self.object, "lb_rival")?, false)
    }

    /// Look-ups of the flow table since the program was loaded.
    pub fn lookups(&mut self) -> Result<Lookups> {
        let map = self.object.map_mut("stats").context("no map stats")?;
        let stats: PerCpuArray<_, [u64; 2]> = PerCpuArray::try_from(map)?;
        let values = stats.get(&STATS_LRU, 0)?;
        let (all, missed) =
            values.iter().fold((0, 0), |(all, missed), [v1, v2]| (all + v1, missed + v2));
        Ok(Lookups { found: all - missed, missed })
    }

    fn populate(&mut self) -> Result<()> {
        let flows =
            Flows::try_from(self.object.take_map("lb_bench_lru").context("no flow table")?)?;
        let map = self.object.map_mut("lru_mapping").context("no map lru_mapping")?;
        ArrayOfMaps::<_, Flows>::try_from(map)?.set(self.cpu, &flows, 0)?;

        let map = self.object.map_mut("vip_map").context("no map vip_map")?;
        let mut vips = Vips::try_from(map)?;
        for number in 0..VIPS_COUNT {
            vips.insert(vip_key(after(VIP, number)), [0, number], 0)?;
        }
        let mut rings: Array<_, u32> = self.array("ch_rings")?;
        ensure!(rings.len() == VIPS_COUNT * RING_SLOTS, "another ring layout: {}", rings.len());
        for index in 0..rings.len() {
            // Backend numbers start at 1. A multiplicative hash (Knuth) spreads them.
            rings.set(index, 1 + index.wrapping_mul(2_654_435_761) % BACKENDS_COUNT, 0)?;
        }
        let mut reals: Array<_, [u8; 24]> = self.array("reals")?;
        for number in 0..BACKENDS_COUNT {
            reals.set(1 + number, padded(&after(BACKEND, number).octets()), 0)?;
        }
        let mut control: Array<_, [u8; 8]> = self.array("ctl_array")?;
        control.set(0, padded(&ROUTER_MAC), 0)?;
        let mut watched: Array<_, [u8; 20]> = self.array("vip_miss_stats")?;
        watched.set(0, vip_key(VIP), 0)?;
        Ok(())
    }

    fn array<V: aya::Pod>(&mut self, name: &str) -> Result<Array<&mut MapData, V>> {
        let map = self.object.map_mut(name).with_context(|| format!("no map {name}"))?;
        Array::try_from(map).with_context(|| format!("map {name} has another layout"))
    }
}

/// `struct vip_definition`: address (room for IPv6), port, protocol, padding.
fn vip_key(address: Ipv4Addr) -> [u8; 20] {
    let [a, b, c, d] = address.octets();
    let [port_0, port_1] = VIP_PORT.to_be_bytes();
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, port_0, port_1, TCP, 0]
}

fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|index| bytes.get(index).copied().unwrap_or_default())
}
