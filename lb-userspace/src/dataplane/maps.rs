//! Typed handles of the pinned maps.

use super::{
    error::{DataplaneError, Result},
    pin::Pins,
    rings::RingSlots,
};
use aya::{
    Pod,
    maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, PerCpuArray, PerCpuValues, SockMap},
};
use lb_common::abi::{
    BackendCounters, BackendEntry, FlowEntry, FlowKey, LoadInfo, NameEntry, NatEntry, NatReverse,
    OutcomeCounters, SourceRange, VipEntry, VipEvents, VipInfo, VipKey4, VipKey6,
};

/// Every pinned map.
pub(super) struct Maps {
    pub(super) vips4: HashMap<MapData, VipKey4, VipEntry>,
    pub(super) vips6: HashMap<MapData, VipKey6, VipEntry>,
    pub(super) sources: LpmTrie<MapData, SourceRange, u32>,
    pub(super) rings: RingSlots,
    pub(super) previous: RingSlots,
    pub(super) backends: Array<MapData, BackendEntry>,
    pub(super) backend_counters: PerCpuArray<MapData, BackendCounters>,
    pub(super) outcomes: PerCpuArray<MapData, OutcomeCounters>,
    pub(super) vip_events: PerCpuArray<MapData, VipEvents>,
    pub(super) sockets: SockMap<MapData>,
    pub(super) steering: PerCpuArray<MapData, u64>,
    pub(super) flows_syn: HashMap<MapData, FlowKey, FlowEntry>,
    pub(super) flows_miss: HashMap<MapData, FlowKey, FlowEntry>,
    pub(super) nat: HashMap<MapData, FlowKey, NatEntry>,
    pub(super) nat_reverse: HashMap<MapData, FlowKey, NatReverse>,
    pub(super) names: HashMap<MapData, u32, NameEntry>,
    pub(super) vip_info: HashMap<MapData, u32, VipInfo>,
    pub(super) info: Array<MapData, LoadInfo>,
}

impl Maps {
    /// Opens the pinned maps.
    pub(super) fn open(pins: &Pins) -> Result<Self> {
        Ok(Self {
            vips4: open(pins, "lb_vips4")?,
            vips6: open(pins, "lb_vips6")?,
            sources: open(pins, "lb_sources")?,
            rings: RingSlots::open(pins, "lb_rings")?,
            previous: RingSlots::open(pins, "lb_previous")?,
            backends: open(pins, "lb_backends")?,
            backend_counters: open(pins, "lb_backend_stat")?,
            outcomes: open(pins, "lb_outcomes")?,
            vip_events: open(pins, "lb_vip_events")?,
            sockets: open(pins, "lb_sockets")?,
            steering: open(pins, "lb_steer_stat")?,
            flows_syn: open(pins, "lb_flows_syn")?,
            flows_miss: open(pins, "lb_flows_miss")?,
            nat: open(pins, "lb_nat")?,
            nat_reverse: open(pins, "lb_nat_reverse")?,
            names: open(pins, "lb_names")?,
            vip_info: open(pins, "lb_vip_info")?,
            info: open(pins, "lb_info")?,
        })
    }

    /// The one value of `lb_info`.
    pub(super) fn load_info(&self) -> Result<LoadInfo> {
        self.info.get(&0, 0).map_err(DataplaneError::map("lb_info", "reading"))
    }

    /// Writes the one value of `lb_info`.
    pub(super) fn set_load_info(&mut self, info: LoadInfo) -> Result<()> {
        self.info.set(0, info, 0).map_err(DataplaneError::map("lb_info", "writing"))
    }

    /// The backend entry at `index`.
    pub(super) fn backend(&self, index: u32) -> Result<BackendEntry> {
        self.backends.get(&index, 0).map_err(DataplaneError::map("lb_backends", "reading"))
    }
}

/// The value of `key`, or `None` if there is none.
pub(super) fn find<K: Pod, V: Pod>(
    map: &HashMap<MapData, K, V>,
    key: &K,
    name: &'static str,
) -> Result<Option<V>> {
    match map.get(key, 0) {
        Ok(value) => Ok(Some(value)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) => Err(DataplaneError::map(name, "reading")(error)),
    }
}

/// Removes `key`; absent is fine.
pub(super) fn remove<K: Pod, V: Pod>(
    map: &mut HashMap<MapData, K, V>,
    key: &K,
    name: &'static str,
) -> Result<()> {
    absent_is_fine(map.remove(key)).map_err(DataplaneError::map(name, "removing"))
}

/// Sets every CPU's copy of a value to zero.
pub(super) fn zero<V: Pod + Default>(
    map: &mut PerCpuArray<MapData, V>,
    index: u32,
    name: &'static str,
) -> Result<()> {
    let cpus = aya::util::nr_cpus().map_err(|(path, error)| DataplaneError::io(path)(error))?;
    let zeroes = PerCpuValues::try_from(vec![V::default(); cpus])
        .map_err(DataplaneError::io("preparing one value per CPU"))?;
    map.set(index, zeroes, 0).map_err(DataplaneError::map(name, "zeroing"))
}

/// Removing what is not there succeeds.
pub(super) fn absent_is_fine(
    result: std::result::Result<(), MapError>,
) -> std::result::Result<(), MapError> {
    match result {
        Err(MapError::SyscallError(error))
            if error.io_error.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(())
        }
        other => other,
    }
}

fn open<M: TryFrom<Map, Error = MapError>>(pins: &Pins, name: &'static str) -> Result<M> {
    let failed = |error| DataplaneError::map(name, "opening")(error);
    Map::from_map_data(data(pins, name)?).and_then(M::try_from).map_err(failed)
}

pub(super) fn data(pins: &Pins, name: &'static str) -> Result<MapData> {
    MapData::from_pin(pins.map(name)).map_err(DataplaneError::map(name, "opening its pin"))
}
