//! One cluster as the agent knows it.

use super::{ClusterProblem, ClusterReport, ClusterState};
use crate::{
    ClusterOptions, ObjectKey, Objects, Options,
    lower::IngressClasses,
    needs::Needs,
    saved::{Assigned, Keeper, Saved},
    watch::{ClusterWatch, KINDS, Kind, Report, Source},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Objects that cannot be read, remembered at most.
const MALFORMED_MAX: usize = 100;

/// Problems of a cluster that are told at most.
pub(super) const PROBLEMS_MAX: usize = 100;

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
    saving: Saving,
}

/// What is saved of it, and what of that is served.
#[derive(Debug)]
struct Saving {
    keeper: Option<Keeper>,
    /// What was saved was asked for, if it is there or not.
    is_asked: bool,
    /// Of when it is, while it is served: milliseconds since the Unix epoch.
    at_ms: Option<u64>,
    /// Changes of objects so far.
    changes: u64,
    /// What was given to keep last.
    kept: Option<(u64, Assigned)>,
    /// There was something to keep, but not all of it.
    is_owed: bool,
}

/// What is known of a cluster's sources.
#[derive(Debug)]
struct Progress {
    sources: Option<BTreeSet<Source>>,
    /// Kinds that may be there, and cannot be watched now.
    silent: BTreeSet<&'static str>,
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
        keeper: Option<Keeper>,
        now_ms: u64,
    ) -> Self {
        let progress = Progress {
            sources: None,
            silent: BTreeSet::new(),
            listed: BTreeSet::new(),
            failing: BTreeMap::new(),
            away: None,
            last_error: None,
            malformed: BTreeMap::new(),
            state: ClusterState::Starting,
            since_ms: now_ms,
        };
        let is_asked = keeper.is_none();
        let saving =
            Saving { keeper, is_asked, at_ms: None, changes: 0, kept: None, is_owed: false };
        let staged = Some(Objects::default());
        Self { token, options, watch, needs: Needs::default(), staged, progress, saving }
    }

    /// Whether everything was read once.
    pub(super) const fn is_read(&self) -> bool {
        self.staged.is_none()
    }

    /// Whether there is something to serve: everything was read once, or what was saved is there.
    pub(super) const fn is_served(&self) -> bool {
        self.is_read() || self.is_recalled()
    }

    /// Whether what was saved is wanted: it was not read, and does not answer, or `is_late`.
    pub(super) fn wants_saved(&self, is_late: bool) -> bool {
        let is_away = is_late || self.progress.state == ClusterState::Away;
        is_away && !self.is_read() && !self.saving.is_asked
    }

    /// Serves what was saved, if there is something, until everything is read.
    pub(super) fn take_saved(
        &mut self,
        saved: Option<Saved>,
        objects: &mut Objects,
        now_ms: u64,
    ) -> Assigned {
        self.saving.is_asked = true;
        let Some(saved) = saved else { return Assigned::new() };
        self.saving.at_ms = Some(saved.at_ms);
        *objects = saved.objects;
        self.judge(now_ms);
        saved.assigned
    }

    /// Whether what was saved is served.
    pub(super) const fn is_recalled(&self) -> bool {
        self.saving.at_ms.is_some()
    }

    /// Has what it has kept for a later start, if that is all there is now.
    pub(super) fn keep(&mut self, objects: &Objects, assigned: &Assigned) {
        let is_whole = self.progress.state == ClusterState::Watching && self.has_needs();
        self.saving.is_owed = !is_whole;
        let Some(keeper) = self.saving.keeper.as_ref().filter(|_| is_whole) else { return };
        let own = assigned.iter().filter(|it| it.0.cluster == self.options.name);
        let own: Assigned = own.map(|(id, it)| (id.clone(), it.clone())).collect();
        let kept = Some((self.saving.changes, own.clone()));
        if self.saving.kept != kept {
            self.saving.kept = kept;
            keeper.keep(objects.clone(), own);
        }
    }

    /// Whether it could not be kept when it was last lowered.
    pub(super) const fn is_owed(&self) -> bool {
        self.saving.is_owed
    }

    /// Ends, when what is to be kept is kept.
    pub(super) async fn end(self) {
        if let Some(keeper) = self.saving.keeper {
            keeper.finish().await;
        }
    }

    /// Takes a report. Tells whether lowering may come to another result.
    pub(super) fn take(&mut self, report: Report, objects: &mut Objects, now_ms: u64) -> bool {
        let is_staged = self.staged.is_some();
        let place = self.staged.as_mut().unwrap_or(objects);
        let is_news = self.progress.take(report, place);
        self.saving.changes += u64::from(is_news);
        if is_staged && self.progress.is_complete() {
            let mut read = self.staged.take().unwrap_or_default();
            // What was not read yet holds until it is.
            for kind in KINDS.iter().filter(|it| it.is_by_need || self.progress.is_silent(it)) {
                (kind.hand_over)(&mut read, objects);
            }
            *objects = read;
            self.saving.at_ms = None;
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
        classes: &IngressClasses,
    ) -> bool {
        let needs = Needs::of_cluster(objects, options, is_first, classes);
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
        let staged = self.staged.as_ref().filter(|_| self.saving.at_ms.is_none());
        let objects = staged.unwrap_or(objects);
        let progress = &self.progress;
        let refused = progress.failing.iter().filter(|(_, it)| it.is_refused());
        let malformed = progress.malformed.iter();
        let counts = KINDS.iter().map(|it| (it.name.to_owned(), (it.count)(objects)));
        ClusterReport {
            name: self.options.name.clone(),
            state: progress.state,
            since_ms: progress.since_ms,
            saved_at_ms: self.saving.at_ms,
            last_error: progress.last_error.clone(),
            problems: self.problems(),
            forbidden: refused.map(|(it, why)| (it.to_string(), why.error.clone())).collect(),
            malformed: malformed
                .map(|((kind, key), why)| (format!("{kind} {key}"), why.clone()))
                .collect(),
            objects: counts.filter(|it| it.1 > 0).collect(),
        }
    }

    /// What the operator has to put right, as far as it is about reading and keeping.
    fn problems(&self) -> Vec<ClusterProblem> {
        let refused = self.progress.failing.iter().filter(|(_, it)| it.is_refused());
        let unexpected = refused.filter(|(source, _)| !self.may_be_refused(source));
        let mut problems: Vec<_> = unexpected
            .take(PROBLEMS_MAX)
            .map(|(source, why)| ClusterProblem {
                reason: "ReadForbidden".to_owned(),
                message: format!("{source}: {}", why.error),
                hint: read_hint(source),
            })
            .collect();
        let unsaved = self.saving.keeper.as_ref().and_then(Keeper::problem);
        problems.extend(unsaved.map(|error| ClusterProblem {
            reason: "NotSaved".to_owned(),
            message: format!("what the cluster has is not kept for the next start: {error}"),
            hint: "have lbd write to its state directory (`lbd run --state-directory`)".to_owned(),
        }));
        problems
    }

    /// Where only some namespaces are watched, what is in none is read only if that is allowed.
    fn may_be_refused(&self, source: &Source) -> bool {
        let is_namespaced = KINDS.iter().any(|it| it.name == source.kind && it.is_namespaced);
        !self.options.namespaces.is_empty() && !is_namespaced
    }

    /// Tells once when it goes away or comes back.
    fn judge(&mut self, now_ms: u64) {
        let state = match self.saving.at_ms {
            Some(_) => ClusterState::Saved,
            None => self.progress.judged(self.staged.is_some()),
        };
        if let Some(keeper) = &self.saving.keeper {
            keeper.set_live(state == ClusterState::Watching);
        }
        if state == self.progress.state {
            return;
        }
        let (cluster, before) = (&self.options.name, self.progress.state);
        self.progress.state = state;
        self.progress.since_ms = now_ms;
        let error = self.progress.last_error.as_deref().unwrap_or_default();
        match state {
            ClusterState::Away if !self.is_read() => {
                tracing::warn!(cluster, error, "the cluster cannot be read");
            }
            ClusterState::Away => {
                tracing::warn!(
                    cluster,
                    error,
                    "the cluster is away; its last good state is served"
                );
            }
            ClusterState::Saved => {
                let age = now_ms.saturating_sub(self.saving.at_ms.unwrap_or(now_ms));
                let age = Duration::from_secs(age / 1_000);
                tracing::warn!(
                    cluster,
                    error,
                    ?age,
                    "the cluster is away; what was saved of it is served"
                );
            }
            ClusterState::Watching
                if matches!(before, ClusterState::Away | ClusterState::Saved) =>
            {
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
            Report::Sources(sources, silent) => {
                self.silent = silent;
                return self.take_sources(sources, objects);
            }
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
                    let (error, hint) = (&failing.error, read_hint(&source));
                    tracing::warn!(%source, error, hint, "may not be read");
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
    /// nothing refers to it, and what was kept of a kind that may be there until that can be watched.
    fn take_sources(&mut self, sources: BTreeSet<Source>, objects: &mut Objects) -> bool {
        let mut is_news = false;
        for kind in KINDS.iter().filter(|it| !it.is_by_need) {
            let is_of_kind = |it: &&Source| it.kind == kind.name;
            let watched: Vec<_> = sources.iter().filter(is_of_kind).map(|it| &it.scope).collect();
            let is_held = watched.is_empty() && self.silent.contains(kind.name);
            if is_held || (kind.count)(objects) == 0 {
                continue;
            }
            let mut before = self.sources.iter().flatten().filter(is_of_kind);
            if watched.is_empty() || before.any(|it| !watched.contains(&&it.scope)) {
                (kind.retain)(objects, &|key| watched.iter().any(|it| it.has(key)));
                is_news = true;
            }
        }
        self.listed.retain(|it| sources.contains(it));
        self.failing.retain(|it, _| sources.contains(it));
        self.sources = Some(sources);
        is_news
    }

    /// Whether a kind may be there that cannot be watched now.
    fn is_silent(&self, kind: &Kind) -> bool {
        let mut sources = self.sources.iter().flatten();
        self.silent.contains(kind.name) && !sources.any(|it| it.kind == kind.name)
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

/// What to grant so that a source can be read.
fn read_hint(source: &Source) -> String {
    let Some(kind) = KINDS.iter().find(|it| it.name == source.kind) else { return String::new() };
    let group = if kind.group.is_empty() { "the core API group" } else { kind.group };
    let role = match source.scope.namespace() {
        Some(namespace) => format!("a Role in `{namespace}` or a ClusterRole"),
        None => "a ClusterRole".to_owned(),
    };
    format!("allow its user to list and watch `{}` of {group}, by {role}", kind.plural)
}
