//! One cluster as the agent knows it.

use super::{ClusterReport, ClusterState};
use crate::{
    ClusterOptions, ObjectKey, Objects, Options,
    needs::Needs,
    watch::{ClusterWatch, KINDS, Report, Source},
};
use std::collections::{BTreeMap, BTreeSet};

/// Objects that cannot be read, remembered at most.
const MALFORMED_MAX: usize = 100;

/// Failures of a source in a row that make its cluster count as away: one may be a mere hiccup.
const FAILURES_MIN: u32 = 2;

/// One cluster as the agent knows it, beside what is in force of its objects.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) token: u64,
    pub(super) options: ClusterOptions,
    pub(super) watch: ClusterWatch,
    pub(super) needs: Needs,
    /// What was read so far, until that is everything: half a state must not be served.
    staged: Option<Objects>,
    progress: Progress,
}

/// What is known of a cluster's sources.
#[derive(Debug)]
struct Progress {
    sources: Option<BTreeSet<Source>>,
    listed: BTreeSet<Source>,
    failing: BTreeMap<Source, Failing>,
    away: Option<String>,
    last_error: Option<String>,
    malformed: BTreeMap<(&'static str, ObjectKey), String>,
    state: ClusterState,
    since_ms: u64,
}

/// A source that does not work.
#[derive(Debug)]
struct Failing {
    error: String,
    code: Option<u16>,
    count: u32,
}

impl Failing {
    /// The server says no: nothing comes of waiting.
    const fn is_refused(&self) -> bool {
        matches!(self.code, Some(403..=405))
    }
}

impl Tracked {
    pub(super) fn new(
        token: u64,
        options: ClusterOptions,
        watch: ClusterWatch,
        now_ms: u64,
    ) -> Self {
        let progress = Progress {
            sources: None,
            listed: BTreeSet::new(),
            failing: BTreeMap::new(),
            away: None,
            last_error: None,
            malformed: BTreeMap::new(),
            state: ClusterState::Starting,
            since_ms: now_ms,
        };
        let staged = Some(Objects::default());
        Self { token, options, watch, needs: Needs::default(), staged, progress }
    }

    /// Whether everything was read once.
    pub(super) const fn is_read(&self) -> bool {
        self.staged.is_none()
    }

    /// Takes a report. Tells whether lowering may come to another result.
    pub(super) fn take(&mut self, report: Report, objects: &mut Objects, now_ms: u64) -> bool {
        let is_staged = self.staged.is_some();
        let place = self.staged.as_mut().unwrap_or(objects);
        let is_news = self.progress.take(report, place);
        if is_staged && self.progress.is_complete() {
            *objects = self.staged.take().unwrap_or_default();
        }
        self.judge(now_ms);
        is_news && self.is_read()
    }

    /// Notes what its objects refer to; true if there is something that was not referred to before.
    pub(super) fn need(
        &mut self,
        objects: &mut Objects,
        options: &Options,
        is_first: bool,
    ) -> bool {
        let needs = Needs::of_cluster(objects, options, is_first);
        for kind in KINDS.iter().filter(|it| it.is_by_need) {
            let needed = needs.of(kind.name);
            // A namespace that is watched as a whole has others, too.
            if (kind.count)(objects) > needed.len() || needs != self.needs {
                (kind.retain)(objects, &|key| needed.contains(key));
            }
        }
        if needs == self.needs {
            return false;
        }
        self.watch.need(&needs);
        let before = std::mem::replace(&mut self.needs, needs);
        KINDS
            .iter()
            .filter(|it| it.is_by_need)
            .any(|kind| !self.needs.of(kind.name).is_subset(before.of(kind.name)))
    }

    /// Whether all that its objects refer to was looked for.
    pub(super) fn has_needs(&self) -> bool {
        let is_known = |kind: &'static str, key: &ObjectKey| {
            let progress = &self.progress;
            let refused = progress.failing.iter().filter(|(_, it)| it.is_refused());
            let mut known = progress.listed.iter().chain(refused.map(|(source, _)| source));
            known.any(|it| it.kind == kind && it.scope.has(key))
        };
        let by_need = KINDS.iter().filter(|it| it.is_by_need);
        by_need
            .flat_map(|kind| self.needs.of(kind.name).iter().map(|key| (kind.name, key)))
            .all(|(kind, key)| is_known(kind, key))
    }

    /// How it is.
    pub(super) fn report(&self, objects: &Objects) -> ClusterReport {
        let objects = self.staged.as_ref().unwrap_or(objects);
        let progress = &self.progress;
        let refused = progress.failing.iter().filter(|(_, it)| it.is_refused());
        let malformed = progress.malformed.iter();
        let counts = KINDS.iter().map(|it| (it.name.to_owned(), (it.count)(objects)));
        ClusterReport {
            name: self.options.name.clone(),
            state: progress.state,
            since_ms: progress.since_ms,
            last_error: progress.last_error.clone(),
            forbidden: refused.map(|(it, why)| (it.to_string(), why.error.clone())).collect(),
            malformed: malformed
                .map(|((kind, key), why)| (format!("{kind} {key}"), why.clone()))
                .collect(),
            objects: counts.filter(|it| it.1 > 0).collect(),
        }
    }

    /// Tells once when it goes away or comes back.
    fn judge(&mut self, now_ms: u64) {
        let state = self.progress.judged(self.staged.is_some());
        if state == self.progress.state {
            return;
        }
        let (cluster, before) = (&self.options.name, self.progress.state);
        self.progress.state = state;
        self.progress.since_ms = now_ms;
        match state {
            ClusterState::Away => {
                let error = self.progress.last_error.as_deref().unwrap_or_default();
                tracing::warn!(
                    cluster,
                    error,
                    "the cluster is away; its last good state is served"
                );
            }
            ClusterState::Watching if before == ClusterState::Away => {
                tracing::info!(cluster, "the cluster is back");
            }
            ClusterState::Watching => tracing::info!(cluster, "the cluster is watched"),
            ClusterState::Starting => {}
        }
    }
}

impl Progress {
    fn take(&mut self, report: Report, objects: &mut Objects) -> bool {
        match report {
            Report::Sources(sources) => return self.take_sources(sources, objects),
            Report::Listed(source, change) => {
                self.failing.remove(&source);
                self.malformed
                    .retain(|(kind, key), _| *kind != source.kind || !source.scope.has(key));
                self.listed.insert(source);
                return change.apply(objects);
            }
            Report::Changed(kind, key, change) => {
                self.malformed.remove(&(kind, key));
                return change.apply(objects);
            }
            Report::Well(source) => drop(self.failing.remove(&source)),
            Report::Failing { source, error, code } => {
                let count = self.failing.get(&source).map_or(0, |it| it.count) + 1;
                let failing = Failing { error, code, count };
                if !failing.is_refused() {
                    self.last_error = Some(format!("{source}: {}", failing.error));
                } else if count == 1 {
                    tracing::warn!(%source, error = failing.error, "may not be read");
                }
                self.failing.insert(source, failing);
            }
            Report::Malformed { kind, key, error } => {
                tracing::warn!(kind, %key, error, "cannot be read");
                if self.malformed.len() < MALFORMED_MAX {
                    self.malformed.insert((kind, key), error);
                }
            }
            Report::Reachable => self.away = None,
            Report::Away(error) => {
                self.last_error = Some(error.clone());
                self.away = Some(error);
            }
        }
        false
    }

    /// What is no longer watched is no longer there; but what is watched by need stays until
    /// nothing refers to it.
    fn take_sources(&mut self, sources: BTreeSet<Source>, objects: &mut Objects) -> bool {
        let mut is_news = false;
        for gone in self.sources.iter().flatten().filter(|it| !sources.contains(it)) {
            let Some(kind) = KINDS.iter().find(|it| it.name == gone.kind && !it.is_by_need) else {
                continue;
            };
            let is_watched = |key: &ObjectKey| {
                sources.iter().any(|it| it.kind == kind.name && it.scope.has(key))
            };
            (kind.retain)(objects, &|key| !gone.scope.has(key) || is_watched(key));
            is_news = true;
        }
        self.listed.retain(|it| sources.contains(it));
        self.failing.retain(|it, _| sources.contains(it));
        self.sources = Some(sources);
        is_news
    }

    /// Whether all sources were read, but for those that may not be.
    fn is_complete(&self) -> bool {
        let is_done = |source: &Source| {
            self.listed.contains(source)
                || self.failing.get(source).is_some_and(Failing::is_refused)
        };
        self.sources.as_ref().is_some_and(|it| it.iter().all(is_done))
    }

    fn judged(&self, is_staged: bool) -> ClusterState {
        let mut failing = self.failing.values();
        if self.away.is_some() || failing.any(|it| !it.is_refused() && it.count >= FAILURES_MIN) {
            ClusterState::Away
        } else if is_staged {
            ClusterState::Starting
        } else {
            ClusterState::Watching
        }
    }
}
