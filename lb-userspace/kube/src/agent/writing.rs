//! Who writes statuses and Events: the one router that holds the Lease in the first cluster.

use super::cluster::Tracked;
use crate::{
    Lowered, Options, World,
    lease::{Candidate, elect},
    status::Writer,
};
use kube::Client;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::watch;

/// Name of the Lease.
const LEASE: &str = "lbd";

/// The writers of all clusters, and whether they may.
pub(super) struct Writing {
    /// Who this replica is.
    identity: String,
    is_on: bool,
    namespace: String,
    leads: watch::Sender<bool>,
    /// In the first cluster, by its token.
    candidate: Option<(u64, Candidate, watch::Receiver<bool>)>,
    /// By the clusters' tokens.
    writers: BTreeMap<u64, Writer>,
    /// What is said, for writers that begin later.
    said: Option<Arc<Lowered>>,
}

impl Writing {
    pub(super) fn new(identity: String) -> Self {
        Self {
            identity,
            is_on: false,
            namespace: String::new(),
            leads: watch::channel(false).0,
            candidate: None,
            writers: BTreeMap::new(),
            said: None,
        }
    }

    /// The operator says something else.
    pub(super) fn configure(&mut self, options: &Options, tracked: &[Tracked]) {
        let is_same = self.is_on == options.writes_status
            && self.namespace == options.lease_namespace
            && self.candidate.as_ref().map(|it| it.0) == tracked.first().map(|it| it.token);
        self.is_on = options.writes_status;
        self.namespace.clone_from(&options.lease_namespace);
        self.writers.retain(|token, _| tracked.iter().any(|it| it.token == *token));
        if !is_same {
            self.candidate = None;
            self.writers.clear();
            for (index, one) in tracked.iter().enumerate() {
                self.connect(one, index == 0);
            }
        }
    }

    /// A cluster's API server answers, perhaps over a new way.
    pub(super) fn connect(&mut self, tracked: &Tracked, is_first: bool) {
        let client: Option<Client> = tracked.watch.client().borrow().clone();
        let Some(client) = client.filter(|_| self.is_on) else { return };
        let (name, token) = (&tracked.options.name, tracked.token);
        if is_first {
            // The same identity goes on where it was.
            let candidate = elect(client.clone(), &self.namespace, LEASE, &self.identity);
            let leads = candidate.leads();
            self.candidate = Some((token, candidate, leads));
        }
        let writer = Writer::start(name, client, self.leads.subscribe(), &self.identity);
        self.writers.insert(token, writer);
    }

    /// Says this from now on.
    pub(super) fn say(&mut self, lowered: Lowered, world: &World, tracked: &[Tracked]) {
        self.said = Some(Arc::new(lowered));
        self.repeat(world, tracked);
    }

    /// Compares what is said with what the objects say now.
    pub(super) fn repeat(&self, world: &World, tracked: &[Tracked]) {
        let Some(said) = &self.said else { return };
        for (tracked, cluster) in tracked.iter().zip(&world.clusters) {
            if let Some(writer) = self.writers.get(&tracked.token).filter(|_| tracked.is_read()) {
                writer.publish(cluster.objects.clone(), Arc::clone(said));
            }
        }
    }

    /// Waits until this replica begins or ends to lead; true = it leads.
    pub(super) async fn changed(&mut self) -> bool {
        loop {
            let Some((.., leads)) = &mut self.candidate else {
                return std::future::pending().await;
            };
            if leads.changed().await.is_err() {
                self.candidate = None;
                continue;
            }
            let leads = *leads.borrow_and_update();
            self.leads.send_replace(leads);
            return leads;
        }
    }

    /// Writes no more, and gives the Lease back.
    pub(super) async fn end(mut self) {
        self.writers.clear();
        if let Some((_, candidate, _)) = self.candidate.take() {
            candidate.release().await;
        }
    }

    /// Whether this replica hands out addresses: one that never writes has nobody to leave it to.
    pub(super) fn leads(&self) -> bool {
        !self.is_on || *self.leads.borrow()
    }
}
