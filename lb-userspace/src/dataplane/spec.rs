//! The maps of a data plane: names, shapes and capacities. What the object file declares, what the
//! agent creates beside it, and what a pinned map must look like to be used.

use super::error::{DataplaneError, Result};
use crate::model::Settings;
use aya::maps::{MapInfo, MapType, lpm_trie::Key};
use lb_common::{abi, limits, steer, verdict};

/// `BPF_F_NO_PREALLOC`: memory for entries is taken when they come (names are few and large).
pub(super) const NO_PREALLOC: u32 = 1;

/// Shape of a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct MapSpec {
    pub(super) name: &'static str,
    pub(super) map_type: MapType,
    pub(super) key_bytes: usize,
    pub(super) value_bytes: usize,
    pub(super) entries_max: u32,
    /// Created by the agent, unknown to the kernel programs.
    pub(super) is_agents: bool,
}

/// All pinned maps, for these settings.
pub(super) fn maps(settings: &Settings) -> Vec<MapSpec> {
    maps_for(settings.flows_max)
}

/// All pinned maps, with flow tables of `flows_max` entries.
pub(super) fn maps_for(flows_max: u32) -> Vec<MapSpec> {
    let shape = |name, map_type, (key_bytes, value_bytes), entries_max| MapSpec {
        name,
        map_type,
        key_bytes,
        value_bytes,
        entries_max,
        is_agents: false,
    };
    let agents = |spec| MapSpec { is_agents: true, ..spec };
    let (vips, backends) = (limits::VIPS_MAX, limits::BACKEND_ENTRIES);
    let vip_entries = limits::VIP_ENTRIES_MAX;
    vec![
        shape("lb_vips4", MapType::Hash, sizes::<abi::VipKey4, abi::VipEntry>(), vip_entries),
        shape("lb_vips6", MapType::Hash, sizes::<abi::VipKey6, abi::VipEntry>(), vip_entries),
        shape(
            "lb_sources",
            MapType::LpmTrie,
            sizes::<Key<abi::SourceRange>, u32>(),
            limits::SOURCE_ENTRIES_MAX,
        ),
        shape("lb_rings", MapType::ArrayOfMaps, sizes::<u32, u32>(), vips),
        shape("lb_previous", MapType::ArrayOfMaps, sizes::<u32, u32>(), vips),
        shape("lb_backends", MapType::Array, sizes::<u32, abi::BackendEntry>(), backends),
        shape(
            "lb_backend_stat",
            MapType::PerCpuArray,
            sizes::<u32, abi::BackendCounters>(),
            backends,
        ),
        shape(
            "lb_outcomes",
            MapType::PerCpuArray,
            sizes::<u32, abi::OutcomeCounters>(),
            verdict::OUTCOMES,
        ),
        shape("lb_vip_events", MapType::PerCpuArray, sizes::<u32, abi::VipEvents>(), vips),
        shape("lb_flows_syn", MapType::LruHash, sizes::<abi::FlowKey, abi::FlowEntry>(), flows_max),
        shape(
            "lb_flows_miss",
            MapType::LruHash,
            sizes::<abi::FlowKey, abi::FlowEntry>(),
            flows_max,
        ),
        shape("lb_nat", MapType::LruHash, sizes::<abi::FlowKey, abi::NatEntry>(), flows_max),
        shape(
            "lb_nat_reverse",
            MapType::LruHash,
            sizes::<abi::FlowKey, abi::NatReverse>(),
            flows_max,
        ),
        shape(
            "lb_fragments",
            MapType::LruHash,
            sizes::<abi::FragmentKey, abi::FragmentEntry>(),
            limits::FRAGMENTS_MAX,
        ),
        shape("lb_sockets", MapType::SockMap, sizes::<u32, u32>(), steer::SOCKET_SLOTS),
        shape("lb_steer_stat", MapType::PerCpuArray, sizes::<u32, u64>(), steer::STEER_OUTCOMES),
        agents(shape("lb_names", MapType::Hash, sizes::<u32, abi::NameEntry>(), backends)),
        agents(shape("lb_vip_info", MapType::Hash, sizes::<u32, abi::VipInfo>(), vips)),
        agents(shape("lb_info", MapType::Array, sizes::<u32, abi::LoadInfo>(), 1)),
    ]
}

impl MapSpec {
    /// Refuses a pinned map of another shape.
    pub(super) fn check(&self, info: &MapInfo) -> Result<()> {
        let differs = |what: &str, is: u64, should: u64| {
            Err(DataplaneError::Incompatible {
                what: format!("the pinned map {} has {what} {is}, {should} is needed", self.name),
            })
        };
        let map_type =
            info.map_type().map_err(DataplaneError::map(self.name, "reading its type"))?;
        if map_type != self.map_type {
            return differs("type", map_type as u64, self.map_type as u64);
        }
        if info.key_size() as usize != self.key_bytes {
            return differs("a key size of", info.key_size().into(), self.key_bytes as u64);
        }
        if info.value_size() as usize != self.value_bytes {
            return differs("a value size of", info.value_size().into(), self.value_bytes as u64);
        }
        if info.max_entries() != self.entries_max {
            return differs("a capacity of", info.max_entries().into(), self.entries_max.into());
        }
        Ok(())
    }
}

const fn sizes<K, V>() -> (usize, usize) {
    (size_of::<K>(), size_of::<V>())
}
