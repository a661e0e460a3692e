//! Maps that fail when they are told to, and outlive the router.

use ipnet::IpNet;
use lb_common::abi::{BackendEntry, BackendId, Features, VipEntry};
use lb_userspace::{
    model::Vip,
    reconcile::{Attached, Engine, MapStore, Tables, VipInfo},
};
use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard},
};

/// A step that did not work.
#[derive(Debug, thiserror::Error)]
#[error("told to fail")]
pub(crate) struct Failed;

/// The maps; a clone is the same ones.
#[derive(Clone, Default)]
pub(crate) struct Maps(Arc<Mutex<Held>>);

/// What they hold.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) tables: Tables,
    /// Steps until one fails; `None` = none does.
    pub(crate) fails_in: Option<u32>,
    /// VIPs and backends (service, name) that were written since somebody looked.
    pub(crate) vips: BTreeSet<Vip>,
    pub(crate) backends: BTreeSet<(String, String)>,
}

impl Maps {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().expect("nobody panics with it")
    }

    fn step<T>(
        &self,
        step: impl FnOnce(&mut Tables) -> Result<T, std::convert::Infallible>,
    ) -> Result<T, Failed> {
        let mut held = self.lock();
        match &mut held.fails_in {
            Some(0) => {
                held.fails_in = None;
                return Err(Failed);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(step(&mut held.tables).unwrap_or_else(|never| match never {}))
    }
}

impl MapStore for Maps {
    type Error = Failed;

    fn put_features(&mut self, features: Features) -> Result<(), Failed> {
        self.step(|it| it.put_features(features))
    }

    fn put_backend(
        &mut self,
        entry: &BackendEntry,
        service: &str,
        backend: &str,
        weight: u16,
        is_new: bool,
    ) -> Result<(), Failed> {
        self.lock().backends.insert((service.to_owned(), backend.to_owned()));
        self.step(|it| it.put_backend(entry, service, backend, weight, is_new))
    }

    fn put_vip_info(&mut self, index: u32, info: &VipInfo) -> Result<(), Failed> {
        self.step(|it| it.put_vip_info(index, info))
    }

    fn put_previous(&mut self, vip: u32, slots: &[u32]) -> Result<(), Failed> {
        self.step(|it| it.put_previous(vip, slots))
    }

    fn put_ring(&mut self, vip: u32, slots: &[u32]) -> Result<(), Failed> {
        self.step(|it| it.put_ring(vip, slots))
    }

    fn put_sources(&mut self, vip: u32, ranges: &BTreeSet<IpNet>) -> Result<(), Failed> {
        self.step(|it| it.put_sources(vip, ranges))
    }

    fn remove_sources(&mut self, vip: u32, ranges: &BTreeSet<IpNet>) -> Result<(), Failed> {
        self.step(|it| it.remove_sources(vip, ranges))
    }

    fn put_locals(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<(), Failed> {
        self.step(|it| it.put_locals(addresses))
    }

    fn put_vip(&mut self, vip: Vip, entry: &VipEntry, is_first: bool) -> Result<(), Failed> {
        self.lock().vips.insert(vip);
        self.step(|it| it.put_vip(vip, entry, is_first))
    }

    fn remove_vip(&mut self, vip: Vip, index: u32, is_last: bool) -> Result<(), Failed> {
        self.step(|it| it.remove_vip(vip, index, is_last))
    }

    fn remove_ring(&mut self, vip: u32) -> Result<(), Failed> {
        self.step(|it| it.remove_ring(vip))
    }

    fn remove_previous(&mut self, vip: u32) -> Result<(), Failed> {
        self.step(|it| it.remove_previous(vip))
    }

    fn free_backend(&mut self, id: BackendId, vip: u32) -> Result<(), Failed> {
        self.step(|it| it.free_backend(id, vip))
    }

    fn put_generation(&mut self, generation: u64) -> Result<(), Failed> {
        self.step(|it| it.put_generation(generation))
    }
}

impl Engine for Maps {
    fn read(&mut self) -> Result<Tables, Failed> {
        Ok(self.lock().tables.clone())
    }

    fn attach(&mut self, interfaces: &[String]) -> Result<Vec<Attached>, Failed> {
        self.step(|it| it.attach(interfaces))
    }
}
