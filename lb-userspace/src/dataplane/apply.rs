//! Steps of a plan, taken on the pinned maps.

use super::{
    Dataplane, convert,
    convert::VipKey,
    error::{DataplaneError, Result},
    maps::{find, remove, zero},
    netlink::{Locals, Netlink},
    stats,
};
use crate::{
    model::Vip,
    reconcile::{MapStore, VipInfo},
};
use ipnet::IpNet;
use lb_common::abi::{
    self, BackendCounters, BackendEntry, BackendId, BackendState, Features, NameEntry,
    VIP_FLAG_ADDRESS, VipEntry,
};
use std::{collections::BTreeSet, net::IpAddr};

impl MapStore for Dataplane {
    type Error = DataplaneError;

    fn put_features(&mut self, features: Features) -> Result<()> {
        self.ensure_features(features)
    }

    fn put_backend(
        &mut self,
        entry: &BackendEntry,
        service: &str,
        backend: &str,
        weight: u16,
        is_new: bool,
    ) -> Result<()> {
        let index = entry.id.index();
        if is_new {
            zero(&mut self.maps.backend_counters, index, "lb_backend_stat")?;
        }
        // Names of another id than the entry's are not believed, so a crash between the two
        // writes leaves a nameless entry, never a misnamed one.
        let names = NameEntry {
            service: convert::padded(service),
            backend: convert::padded(backend),
            id: entry.id,
            weight: weight.into(),
        };
        self.maps
            .names
            .insert(index, names, 0)
            .map_err(DataplaneError::map("lb_names", "writing"))?;
        self.write_backend(entry)
    }

    fn put_vip_info(&mut self, index: u32, info: &VipInfo) -> Result<()> {
        let wanted = info_entry(info);
        let before = find(&self.maps.vip_info, &index, "lb_vip_info")?;
        let same = before.filter(|before| {
            before.address == wanted.address
                && before.port == wanted.port
                && before.protocol == wanted.protocol
        });
        if same.is_none() {
            zero(&mut self.maps.vip_events, index, "lb_vip_events")?;
        }
        let retired = same.map_or_else(BackendCounters::default, |before| before.retired);
        self.write_vip_info(index, abi::VipInfo { retired, ..wanted })
    }

    fn put_previous(&mut self, vip: u32, slots: &[u32]) -> Result<()> {
        self.maps.previous.swap(vip, slots)
    }

    fn put_ring(&mut self, vip: u32, slots: &[u32]) -> Result<()> {
        self.maps.rings.swap(vip, slots)
    }

    fn put_sources(&mut self, vip: u32, ranges: &BTreeSet<IpNet>) -> Result<()> {
        self.allow(vip, ranges)
    }

    fn remove_sources(&mut self, vip: u32, ranges: &BTreeSet<IpNet>) -> Result<()> {
        self.disallow(vip, ranges)
    }

    fn put_locals(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<()> {
        Netlink::open()?.put_locals(Locals::of(&self.pins), addresses)
    }

    fn put_vip(&mut self, vip: Vip, entry: &VipEntry, is_first_of_address: bool) -> Result<()> {
        self.insert_vip(convert::vip_key(vip), *entry)?;
        if is_first_of_address {
            let marker = VipEntry { flags: VIP_FLAG_ADDRESS, ..VipEntry::default() };
            self.insert_vip(convert::marker_key(vip.address), marker)?;
        }
        Ok(())
    }

    fn remove_vip(&mut self, vip: Vip, index: u32, is_last_of_address: bool) -> Result<()> {
        self.delete_vip(convert::vip_key(vip))?;
        if is_last_of_address {
            self.delete_vip(convert::marker_key(vip.address))?;
        }
        remove(&mut self.maps.vip_info, &index, "lb_vip_info")
    }

    fn remove_ring(&mut self, vip: u32) -> Result<()> {
        self.maps.rings.remove(vip)
    }

    fn remove_previous(&mut self, vip: u32) -> Result<()> {
        self.maps.previous.remove(vip)
    }

    fn free_backend(&mut self, id: BackendId, vip: u32) -> Result<()> {
        let index = id.index();
        // The entry goes first: from then on its counters stand still.
        let free = BackendEntry { id, state: BackendState::Free as u8, ..BackendEntry::default() };
        self.write_backend(&free)?;
        if let Some(mut info) = find(&self.maps.vip_info, &vip, "lb_vip_info")? {
            let counters = stats::backend_counters(&self.maps, index)?;
            info.retired = stats::sum(info.retired, counters);
            // Zeroed before they are added: a crash in between loses them instead of counting
            // them twice.
            zero(&mut self.maps.backend_counters, index, "lb_backend_stat")?;
            self.write_vip_info(vip, info)?;
        } else {
            zero(&mut self.maps.backend_counters, index, "lb_backend_stat")?;
        }
        remove(&mut self.maps.names, &index, "lb_names")
    }

    fn put_generation(&mut self, generation: u64) -> Result<()> {
        let info = self.maps.load_info()?;
        self.maps.set_load_info(abi::LoadInfo { generation, ..info })
    }
}

impl Dataplane {
    fn write_backend(&mut self, entry: &BackendEntry) -> Result<()> {
        self.maps
            .backends
            .set(entry.id.index(), entry, 0)
            .map_err(DataplaneError::map("lb_backends", "writing"))
    }

    fn write_vip_info(&mut self, index: u32, info: abi::VipInfo) -> Result<()> {
        self.maps
            .vip_info
            .insert(index, info, 0)
            .map_err(DataplaneError::map("lb_vip_info", "writing"))
    }

    fn insert_vip(&mut self, key: VipKey, entry: VipEntry) -> Result<()> {
        match key {
            VipKey::V4(key) => self.maps.vips4.insert(key, entry, 0),
            VipKey::V6(key) => self.maps.vips6.insert(key, entry, 0),
        }
        .map_err(DataplaneError::map("lb_vips", "writing"))
    }

    fn delete_vip(&mut self, key: VipKey) -> Result<()> {
        match key {
            VipKey::V4(key) => remove(&mut self.maps.vips4, &key, "lb_vips4"),
            VipKey::V6(key) => remove(&mut self.maps.vips6, &key, "lb_vips6"),
        }
    }
}

fn info_entry(info: &VipInfo) -> abi::VipInfo {
    abi::VipInfo {
        address: convert::words(info.vip.address),
        port: info.vip.port.to_be(),
        protocol: info.vip.protocol.number(),
        is_ipv4: info.vip.address.is_ipv4().into(),
        pad: 0,
        window_ends_ms: info.window_ends_ms,
        retired: BackendCounters::default(),
        service: convert::padded(&info.service),
        mode_reason: convert::padded(info.mode_reason.as_deref().unwrap_or_default()),
    }
}
