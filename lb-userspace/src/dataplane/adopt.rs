//! The pinned maps read back, so that a restart continues from what runs.

use super::{
    Dataplane, bulk, convert,
    error::{DataplaneError, Result},
    netlink::{Locals, Netlink},
};
use crate::{
    model::Vip,
    reconcile::{BackendRow, Tables, VipInfo},
};
use aya::maps::IterableMap;
use lb_common::{
    abi::{self, BackendEntry, BackendState, Features, VIP_FLAG_ADDRESS, VipEntry},
    limits::RING_SLOTS_MAX,
};
use std::collections::BTreeMap;

impl Dataplane {
    /// What the maps hold. `tables().image()` is the running image.
    pub fn tables(&self) -> Result<Tables> {
        let info = self.maps.load_info()?;
        let mut tables = Tables {
            generation: info.generation,
            features: Features(info.needed_features),
            infos: self.vip_infos()?,
            sources: self.sources()?,
            locals: Netlink::open()?.locals(Locals::of(&self.pins))?,
            ..Tables::default()
        };
        for (vip, entry) in self.vip_entries()? {
            match vip {
                Ok(vip) => {
                    tables.vips.insert(vip, entry);
                }
                Err(marked) => {
                    tables.markers.insert(marked);
                }
            }
        }
        self.read_rings(&mut tables)?;
        self.read_backends(&mut tables)?;
        Ok(tables)
    }

    /// Every VIP, and every marked address.
    fn vip_entries(&self) -> Result<Vec<(std::result::Result<Vip, std::net::IpAddr>, VipEntry)>> {
        let mut entries = Vec::new();
        for item in &self.maps.vips4 {
            let (key, entry) = item.map_err(DataplaneError::map("lb_vips4", "listing"))?;
            let address = convert::address(abi::mapped(key.address));
            entries.push((convert::vip4(key).ok_or(address), entry));
        }
        for item in &self.maps.vips6 {
            let (key, entry) = item.map_err(DataplaneError::map("lb_vips6", "listing"))?;
            let address = std::net::IpAddr::V6(convert::ipv6(key.address));
            entries.push((convert::vip6(&key).ok_or(address), entry));
        }
        entries.retain(|(vip, entry)| vip.is_ok() || entry.flags & VIP_FLAG_ADDRESS != 0);
        Ok(entries)
    }

    /// VIPs in service, by index.
    pub(super) fn vips_by_index(&self) -> Result<BTreeMap<u32, (Vip, VipEntry)>> {
        let entries = self.vip_entries()?;
        Ok(entries
            .into_iter()
            .filter_map(|(vip, entry)| Some((entry.index, (vip.ok()?, entry))))
            .collect())
    }

    /// What is remembered about VIPs, by index.
    pub(super) fn raw_vip_infos(&self) -> Result<BTreeMap<u32, abi::VipInfo>> {
        self.maps
            .vip_info
            .iter()
            .map(|item| item.map_err(DataplaneError::map("lb_vip_info", "listing")))
            .collect()
    }

    fn vip_infos(&self) -> Result<BTreeMap<u32, VipInfo>> {
        let infos = self.raw_vip_infos()?;
        Ok(infos.into_iter().filter_map(|(index, info)| Some((index, vip_info(&info)?))).collect())
    }

    fn read_rings(&self, tables: &mut Tables) -> Result<()> {
        let slots: BTreeMap<u32, u32> =
            tables.vips.values().map(|entry| (entry.index, entry.ring_slots)).collect();
        let (rings, previous) = (self.maps.rings.indexes()?, self.maps.previous.indexes()?);
        let count = |vip| slots.get(vip).copied().unwrap_or(RING_SLOTS_MAX);
        for vip in &rings {
            if let Some(ring) = self.maps.rings.read(*vip, count(vip))? {
                tables.rings.insert(*vip, ring.into());
            }
        }
        for vip in &previous {
            if let Some(ring) = self.maps.previous.read(*vip, count(vip))? {
                tables.previous.insert(*vip, ring.into());
            }
        }
        Ok(())
    }

    fn read_backends(&self, tables: &mut Tables) -> Result<()> {
        let names = self.names()?;
        bulk::for_each(self.maps.backends.map(), "lb_backends", |index, entry: BackendEntry| {
            if entry.id.0 == 0 {
                return;
            }
            tables.generations.insert(index, entry.id.generation());
            if entry.state == BackendState::Free as u8 {
                return;
            }
            let named = names.get(&index).filter(|name| name.id == entry.id);
            tables.backends.insert(
                index,
                BackendRow {
                    entry,
                    service: named.map(|name| convert::text(&name.service)).unwrap_or_default(),
                    backend: named.map(|name| convert::text(&name.backend)).unwrap_or_default(),
                    weight: named.map_or(0, |name| name.weight as u16),
                },
            );
        })
    }

    /// Names of backends by index; believed only with the id of the entry.
    pub(super) fn names(&self) -> Result<BTreeMap<u32, abi::NameEntry>> {
        self.maps
            .names
            .iter()
            .map(|item| item.map_err(DataplaneError::map("lb_names", "listing")))
            .collect()
    }
}

fn vip_info(info: &abi::VipInfo) -> Option<VipInfo> {
    let address = if info.is_ipv4 == 0 {
        std::net::IpAddr::V6(convert::ipv6(info.address))
    } else {
        convert::address(info.address)
    };
    let reason = convert::text(&info.mode_reason);
    Some(VipInfo {
        vip: convert::vip(address, info.port, info.protocol)?,
        service: convert::text(&info.service),
        mode_reason: (!reason.is_empty()).then_some(reason),
        window_ends_ms: info.window_ends_ms,
    })
}
