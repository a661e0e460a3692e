//! `Tables`: map contents as plain collections. What the data plane reads back from pinned maps
//! to adopt a running state, and the store that tests and dry runs apply plans to.

use super::{BackendImage, Image, MapStore, Op, Plan, RingImage, VipImage, VipInfo};
use crate::model::Vip;
use ipnet::IpNet;
use lb_common::abi::{BackendEntry, BackendId, Features, VipEntry};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    net::IpAddr,
    sync::Arc,
};

/// Contents of the L4 maps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables {
    /// Recorded generation.
    pub generation: u64,
    /// Loaded parts of the packet path.
    pub features: Features,
    /// Occupied backend indexes.
    pub backends: BTreeMap<u32, BackendRow>,
    /// Generation in the entry of every index that was ever used, free ones included.
    pub generations: BTreeMap<u32, u32>,
    /// What is remembered about VIPs, by index.
    pub infos: BTreeMap<u32, VipInfo>,
    /// Rings by VIP index, cut to the VIP's `ring_slots`.
    pub rings: BTreeMap<u32, Arc<[u32]>>,
    /// Previous backends by VIP index, cut likewise.
    pub previous: BTreeMap<u32, Arc<[u32]>>,
    /// Source ranges by VIP index, of VIPs that have any.
    pub sources: BTreeMap<u32, BTreeSet<IpNet>>,
    /// VIPs.
    pub vips: BTreeMap<Vip, VipEntry>,
    /// Addresses with a marker.
    pub markers: BTreeSet<IpAddr>,
    /// Addresses that the host's stack takes for its own because of their VIPs.
    pub locals: BTreeSet<IpAddr>,
}

/// An occupied backend index.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendRow {
    /// Map value.
    pub entry: BackendEntry,
    /// Service name.
    pub service: String,
    /// Backend name.
    pub backend: String,
    /// Weight.
    pub weight: u16,
}

impl Tables {
    /// The image that these contents are. Leftovers of a plan that was cut short are not in it;
    /// [`Self::leftovers`] removes them.
    pub fn image(&self) -> Image {
        let vips = self.vips.iter().filter_map(|(vip, entry)| {
            let info = self.infos.get(&entry.index).filter(|info| info.vip == *vip)?;
            Some((*vip, self.vip_image(entry, info)))
        });
        Image {
            generation: self.generation,
            vips: vips.collect(),
            features: self.features,
            locals: self.locals.clone(),
            generations: self.generations.clone(),
        }
    }

    /// Steps that remove what [`Self::image`] leaves out: apply them before the first plan made
    /// from it.
    pub fn leftovers(&self) -> Plan {
        let image = self.image();
        let known: BTreeSet<u32> = image.vips.values().map(|vip| vip.entry.index).collect();
        let ids: BTreeSet<BackendId> = image
            .vips
            .values()
            .flat_map(|vip| vip.backends.values().map(|backend| backend.entry.id))
            .collect();
        let is_last = |vip: &Vip| !image.vips.keys().any(|other| other.address == vip.address);
        let withdraw =
            |vip: Vip, index| Op::RemoveVip { vip, index, is_last_of_address: is_last(&vip) };
        let mut ops = Vec::new();
        let unknown = self.vips.iter().filter(|(vip, _)| !image.vips.contains_key(vip));
        ops.extend(unknown.map(|(vip, entry)| withdraw(*vip, entry.index)));
        let infos = self.infos.iter().filter(|(index, _)| !known.contains(index));
        let infos = infos.filter(|(_, info)| !self.vips.contains_key(&info.vip));
        ops.extend(infos.map(|(index, info)| withdraw(info.vip, *index)));
        let is_unknown = |index: &&u32| !known.contains(*index);
        ops.extend(self.rings.keys().filter(is_unknown).map(|vip| Op::RemoveRing { vip: *vip }));
        let sources = self.sources.iter().filter(|(index, _)| !known.contains(index));
        ops.extend(sources.map(|(vip, it)| Op::RemoveSources { vip: *vip, ranges: it.clone() }));
        let previous = self.previous.keys().filter(is_unknown);
        ops.extend(previous.map(|vip| Op::RemovePrevious { vip: *vip }));
        let backends = self.backends.values().map(|row| row.entry);
        let backends = backends.filter(|entry| !ids.contains(&entry.id));
        ops.extend(backends.map(|entry| Op::FreeBackend { id: entry.id, vip: entry.vip }));
        Plan { ops }
    }

    fn vip_image(&self, entry: &VipEntry, info: &VipInfo) -> VipImage {
        let ring = RingImage {
            slots: self.rings.get(&entry.index).cloned().unwrap_or_default(),
            previous: self.previous.get(&entry.index).cloned(),
            window_ends_ms: info.window_ends_ms,
        };
        let named = ring.backends();
        let mut backends: BTreeMap<String, BackendImage> = BTreeMap::new();
        for row in self.backends.values().filter(|row| row.entry.vip == entry.index) {
            // Two occupants of one name: a change of address was cut short. The ring tells which
            // one is in force.
            let is_in_force = named.contains(&row.entry.id.index());
            if is_in_force || !backends.contains_key(&row.backend) {
                let image = BackendImage { entry: row.entry, weight: row.weight };
                backends.insert(row.backend.clone(), image);
            }
        }
        VipImage {
            service: info.service.clone(),
            entry: *entry,
            sources: self.sources.get(&entry.index).cloned().unwrap_or_default(),
            mode_reason: info.mode_reason.clone(),
            ring,
            backends,
        }
    }
}

impl MapStore for Tables {
    type Error = Infallible;

    fn put_features(&mut self, features: Features) -> Result<(), Infallible> {
        self.features = features;
        Ok(())
    }

    fn put_backend(
        &mut self,
        entry: &BackendEntry,
        service: &str,
        backend: &str,
        weight: u16,
        _is_new: bool,
    ) -> Result<(), Infallible> {
        let (service, backend) = (service.to_owned(), backend.to_owned());
        let row = BackendRow { entry: *entry, service, backend, weight };
        self.backends.insert(entry.id.index(), row);
        self.generations.insert(entry.id.index(), entry.id.generation());
        Ok(())
    }

    fn put_vip_info(&mut self, index: u32, info: &VipInfo) -> Result<(), Infallible> {
        self.infos.insert(index, info.clone());
        Ok(())
    }

    fn put_previous(&mut self, vip: u32, slots: &[u32]) -> Result<(), Infallible> {
        self.previous.insert(vip, slots.into());
        Ok(())
    }

    fn put_ring(&mut self, vip: u32, slots: &[u32]) -> Result<(), Infallible> {
        self.rings.insert(vip, slots.into());
        Ok(())
    }

    fn put_sources(&mut self, vip: u32, ranges: &BTreeSet<IpNet>) -> Result<(), Infallible> {
        if !ranges.is_empty() {
            self.sources.entry(vip).or_default().extend(ranges);
        }
        Ok(())
    }

    fn remove_sources(&mut self, vip: u32, ranges: &BTreeSet<IpNet>) -> Result<(), Infallible> {
        if let Some(known) = self.sources.get_mut(&vip) {
            known.retain(|it| !ranges.contains(it));
            if known.is_empty() {
                self.sources.remove(&vip);
            }
        }
        Ok(())
    }

    fn put_locals(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<(), Infallible> {
        self.locals.clone_from(addresses);
        Ok(())
    }

    fn put_vip(
        &mut self,
        vip: Vip,
        entry: &VipEntry,
        is_first_of_address: bool,
    ) -> Result<(), Infallible> {
        if is_first_of_address {
            self.markers.insert(vip.address);
        }
        self.vips.insert(vip, *entry);
        Ok(())
    }

    fn remove_vip(
        &mut self,
        vip: Vip,
        index: u32,
        is_last_of_address: bool,
    ) -> Result<(), Infallible> {
        self.vips.remove(&vip);
        if is_last_of_address {
            self.markers.remove(&vip.address);
        }
        self.infos.remove(&index);
        Ok(())
    }

    fn remove_ring(&mut self, vip: u32) -> Result<(), Infallible> {
        self.rings.remove(&vip);
        Ok(())
    }

    fn remove_previous(&mut self, vip: u32) -> Result<(), Infallible> {
        self.previous.remove(&vip);
        Ok(())
    }

    fn free_backend(&mut self, id: BackendId, _vip: u32) -> Result<(), Infallible> {
        self.backends.remove(&id.index());
        Ok(())
    }

    fn put_generation(&mut self, generation: u64) -> Result<(), Infallible> {
        self.generation = generation;
        Ok(())
    }
}
