//! Who writes statuses and Events: the one router that holds the Lease in the first cluster.

use super::{ClusterProblem, cluster::Tracked};
use crate::{
    Lowered, Options, World,
    lease::{Candidate, LeaseProblem, elect},
    status::{Writer, write_hint},
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
    candidate: Option<Standing>,
    /// By the clusters' tokens.
    writers: BTreeMap<u64, Writer>,
    /// What is said, for writers that begin later.
    said: Option<Arc<Lowered>>,
}

/// A candidate, and what it tells.
struct Standing {
    token: u64,
    candidate: Candidate,
    leads: watch::Receiver<bool>,
    problem: watch::Receiver<Option<LeaseProblem>>,
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
            && self.candidate.as_ref().map(|it| it.token) == tracked.first().map(|it| it.token);
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
            let (leads, problem) = (candidate.leads(), candidate.problem());
            self.candidate = Some(Standing { token, candidate, leads, problem });
        }
        let leads = self.leads.subscribe();
        let versions = tracked.watch.versions();
        let writer = Writer::start(name, client, versions, leads, &self.identity);
        self.writers.insert(token, writer);
    }

    /// Says this from now on.
    pub(super) fn say(&mut self, lowered: Arc<Lowered>, world: &World, tracked: &[Tracked]) {
        self.said = Some(lowered);
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

    /// Waits until this replica begins or ends to lead: whether it leads. `None` = nothing but
    /// [`Self::problems`] is another.
    pub(super) async fn changed(&mut self) -> Option<bool> {
        loop {
            let Some(Standing { leads, problem, .. }) = &mut self.candidate else {
                return std::future::pending().await;
            };
            let changed = tokio::select! {
                changed = leads.changed() => changed.map(|()| true),
                changed = problem.changed() => changed.map(|()| false),
            };
            let Ok(is_lead) = changed else {
                self.candidate = None;
                continue;
            };
            problem.mark_unchanged();
            if !is_lead {
                return None;
            }
            let leads = *leads.borrow_and_update();
            self.leads.send_replace(leads);
            return Some(leads);
        }
    }

    /// What the operator has to put right so that the cluster with this token is written to.
    pub(super) fn problems(&self, token: u64) -> Vec<ClusterProblem> {
        let mut problems = Vec::new();
        let standing = self.candidate.as_ref().filter(|it| it.token == token);
        if let Some(problem) = standing.and_then(|it| it.problem.borrow().clone()) {
            problems.push(ClusterProblem {
                reason: problem.reason().to_owned(),
                message: problem.message().to_owned(),
                hint: problem.hint(&self.namespace),
            });
        }
        let refused = self.writers.get(&token).map(Writer::refused).unwrap_or_default();
        problems.extend(refused.into_iter().map(|(kind, message)| ClusterProblem {
            reason: "StatusForbidden".to_owned(),
            message,
            hint: write_hint(kind),
        }));
        problems
    }

    /// Writes no more, and gives the Lease back.
    pub(super) async fn end(mut self) {
        self.writers.clear();
        if let Some(standing) = self.candidate.take() {
            standing.candidate.release().await;
        }
    }

    /// Whether this replica hands out addresses: one that never writes has nobody to leave it to.
    pub(super) fn leads(&self) -> bool {
        !self.is_on || *self.leads.borrow()
    }
}
