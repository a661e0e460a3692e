//! What one thing that is lowered looked up: when that changes, the thing is lowered again.

use super::upstream::ResolvedKey;
use crate::{ObjectKey, api::ParentRef};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What was looked up for something.
#[derive(Debug)]
pub(super) struct Uses {
    /// Somebody is served with what is looked up now; else it is only for telling what is wrong.
    pub(super) are_served: bool,
    /// Backends; true = somebody is served with it.
    pub(super) backends: BTreeMap<Arc<ResolvedKey>, bool>,
    /// Services that policies are for, with the Gateways that they are used under.
    pub(super) told: Vec<(ObjectKey, Vec<ParentRef>)>,
    /// Routes of the proxy that were made of it.
    pub(super) routes: Vec<String>,
    /// Services, whether they are there or not.
    services: RefCell<BTreeSet<ObjectKey>>,
}

impl Default for Uses {
    fn default() -> Self {
        Self {
            are_served: true,
            backends: BTreeMap::new(),
            told: Vec::new(),
            routes: Vec::new(),
            services: RefCell::default(),
        }
    }
}

impl Uses {
    /// Notes that a backend is used.
    pub(super) fn note(&mut self, key: Arc<ResolvedKey>) {
        *self.backends.entry(key).or_default() |= self.are_served;
    }

    /// Notes that a Service is looked at.
    pub(super) fn see(&self, service: &ObjectKey) {
        let mut services = self.services.borrow_mut();
        if !services.contains(service) {
            services.insert(service.clone());
        }
    }

    /// Whether it uses no backends but Services.
    pub(super) fn is_of_services(&self) -> bool {
        self.backends.keys().all(|it| it.is_service)
    }

    /// Services that were looked at.
    pub(super) fn services(&self) -> BTreeSet<ObjectKey> {
        self.services.take()
    }
}
