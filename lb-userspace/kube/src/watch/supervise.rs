//! The task of a cluster: connects, discovers, starts and stops reflectors.

use super::{
    backoff::Backoff,
    client::Connector,
    discover::{self, Served, Versions},
    kind::{KINDS, Kind},
    reflect::Watch,
    report::{Report, Reports},
    request::Failure,
    source::{Scope, Source},
};
use crate::{ClusterOptions, needs::Needs};
use kube::Client;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, sleep_until},
};

/// How often an API server that answers is asked whether it still does.
const PROBE_PERIOD: Duration = Duration::from_secs(10);

/// How often kinds that are missing are looked for.
const DISCOVERY_PERIOD: Duration = Duration::from_secs(30);

/// Objects of one kind and namespace that are each watched alone; with more, the namespace is.
const ALONE_MAX: usize = 16;

/// The task of a cluster.
pub(super) struct Supervisor {
    options: ClusterOptions,
    connector: Connector,
    needs: watch::Receiver<Needs>,
    found: watch::Sender<Option<Client>>,
    versions: watch::Sender<Versions>,
    reports: Reports,
    /// The way to the API server for reflectors, once there is one.
    clients: Option<watch::Sender<Client>>,
    served: Served,
    running: BTreeMap<Source, Running>,
    tasks: JoinSet<()>,
    /// A kind that was there was not at the last look.
    misses_one: bool,
}

/// A reflector that runs.
struct Running {
    version: String,
    task: AbortHandle,
}

/// Nobody listens any more.
type Told = Result<(), ()>;

impl Supervisor {
    pub(super) fn new(
        options: ClusterOptions,
        connector: Connector,
        needs: watch::Receiver<Needs>,
        (found, versions): (watch::Sender<Option<Client>>, watch::Sender<Versions>),
        reports: Reports,
    ) -> Self {
        Self {
            options,
            connector,
            needs,
            found,
            versions,
            reports,
            clients: None,
            served: Served::default(),
            running: BTreeMap::new(),
            tasks: JoinSet::new(),
            misses_one: false,
        }
    }

    /// Runs until nobody listens.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            match self.connect().await {
                Ok(client) => {
                    backoff.reset();
                    if self.supervise(client).await.is_err() {
                        return;
                    }
                }
                Err(why) => {
                    if self.reports.send(Report::Away(why)).await.is_err() {
                        return;
                    }
                    sleep(backoff.next()).await;
                }
            }
        }
    }

    /// Finds a way to the API server and what that has.
    async fn connect(&mut self) -> Result<Client, String> {
        let client = self.connector.connect(&self.options).await?;
        let served = discover::discover(&client).await.map_err(|error| error.to_string())?;
        self.take_served(served);
        match &self.clients {
            Some(clients) => drop(clients.send_replace(client.clone())),
            None => self.clients = Some(watch::channel(client.clone()).0),
        }
        self.found.send_replace(Some(client.clone()));
        Ok(client)
    }

    /// Looks after the reflectors while the API server answers.
    async fn supervise(&mut self, client: Client) -> Told {
        self.reports.send(Report::Reachable).await?;
        self.reconcile().await?;
        let mut discovery = Instant::now() + DISCOVERY_PERIOD;
        let mut probe = Instant::now() + PROBE_PERIOD;
        loop {
            let is_partial = self.served.is_partial() || self.misses_one;
            tokio::select! {
                biased;
                changed = self.needs.changed() => {
                    changed.map_err(drop)?;
                    self.reconcile().await?;
                }
                () = sleep_until(discovery), if is_partial => {
                    if let Ok(served) = discover::discover(&client).await {
                        self.take_served(served);
                        self.reconcile().await?;
                    }
                    discovery = Instant::now() + DISCOVERY_PERIOD;
                }
                () = sleep_until(probe) => {
                    if !is_there(&client).await {
                        return Ok(());
                    }
                    probe = Instant::now() + PROBE_PERIOD;
                }
            }
        }
    }

    /// Notes what is there. A kind must be missing twice to be gone: a server that starts, or one
    /// behind it that is away, does not say everything.
    fn take_served(&mut self, found: Served) {
        let may_be_there =
            |kind: &&'static str| found.versions.contains_key(kind) || found.silent.contains(kind);
        let misses_one = !self.served.versions.keys().all(may_be_there);
        let confirmed = std::mem::replace(&mut self.misses_one, misses_one) && misses_one;
        if confirmed {
            self.served.versions.retain(|kind, _| may_be_there(kind));
            self.misses_one = false;
        }
        self.served.streams = found.streams;
        self.served.versions.extend(found.versions);
        self.served.silent = found.silent;
        self.versions.send_if_modified(|it| {
            let is_news = *it != self.served.versions;
            it.clone_from(&self.served.versions);
            is_news
        });
    }

    /// Runs a reflector for what is wanted and there, and for nothing else.
    async fn reconcile(&mut self) -> Told {
        let wanted = self.wanted();
        self.running.retain(|source, it| {
            let stays = wanted.get(source).is_some_and(|(_, version)| *version == it.version);
            if !stays {
                it.task.abort();
            }
            stays
        });
        // Those that were stopped are done with.
        while self.tasks.try_join_next().is_some() {}
        let sources = wanted.keys().cloned().collect();
        self.reports.send(Report::Sources(sources, self.served.silent.clone())).await?;
        let Some(clients) = &self.clients else { return Ok(()) };
        for (source, (kind, version)) in wanted {
            if self.running.contains_key(&source) {
                continue;
            }
            let watch = Watch {
                kind,
                version: version.clone(),
                scope: source.scope.clone(),
                clients: clients.subscribe(),
                reports: self.reports.clone(),
                streams: self.served.streams,
            };
            let task = self.tasks.spawn((kind.watch)(watch));
            self.running.insert(source, Running { version, task });
        }
        Ok(())
    }

    fn wanted(&mut self) -> BTreeMap<Source, (&'static Kind, String)> {
        let needs = self.needs.borrow_and_update().clone();
        let mut wanted = BTreeMap::new();
        for kind in &KINDS {
            let Some(version) = self.served.versions.get(kind.name) else { continue };
            for scope in scopes(kind, &self.options.namespaces, &needs) {
                wanted.insert(Source { kind: kind.name, scope }, (kind, version.clone()));
            }
        }
        wanted
    }
}

/// Asked twice: one lost answer means nothing.
async fn is_there(client: &Client) -> bool {
    for _ in 0..2 {
        match discover::probe(client).await {
            Ok(()) | Err(Failure::Refused { code: 403 | 429, .. }) => return true,
            Err(error) => tracing::debug!(%error, "the API server does not answer"),
        }
    }
    false
}

/// What of a kind is watched.
fn scopes(kind: &Kind, namespaces: &[String], needs: &Needs) -> BTreeSet<Scope> {
    if kind.is_by_need {
        return needed(needs.of(kind.name), namespaces);
    }
    if namespaces.is_empty() || !kind.is_namespaced {
        return BTreeSet::from([Scope::All]);
    }
    namespaces.iter().cloned().map(Scope::Namespace).collect()
}

fn needed(keys: &BTreeSet<crate::ObjectKey>, namespaces: &[String]) -> BTreeSet<Scope> {
    let mut by_namespace: BTreeMap<&str, Vec<&crate::ObjectKey>> = BTreeMap::new();
    for key in keys {
        let is_watched = namespaces.is_empty() || namespaces.contains(&key.namespace);
        if is_watched && is_label(&key.namespace) {
            by_namespace.entry(&key.namespace).or_default().push(key);
        }
    }
    let scopes = by_namespace.into_iter().flat_map(|(namespace, keys)| {
        if keys.len() > ALONE_MAX {
            vec![Scope::Namespace(namespace.to_owned())]
        } else {
            keys.into_iter().cloned().map(Scope::One).collect()
        }
    });
    scopes.collect()
}

/// Whether a text can be a namespace (RFC 1123): some come from annotations, and go into paths.
fn is_label(text: &str) -> bool {
    let is_allowed = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    !text.is_empty() && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectKey;

    fn keys(count: usize) -> BTreeSet<ObjectKey> {
        (0..count).map(|index| ObjectKey::new("a", index.to_string())).collect()
    }

    #[test]
    fn few_secrets_are_watched_alone_and_many_by_namespace() {
        assert!(needed(&keys(0), &[]).is_empty());
        assert_eq!(needed(&keys(ALONE_MAX), &[]).len(), ALONE_MAX);
        let many = needed(&keys(ALONE_MAX + 1), &[]);
        assert_eq!(many, BTreeSet::from([Scope::Namespace("a".to_owned())]));
    }

    #[test]
    fn nothing_outside_of_the_namespaces_is_watched() {
        assert!(needed(&keys(3), &["b".to_owned()]).is_empty());
        let service = KINDS.iter().find(|it| it.name == "Service").unwrap();
        let namespaces = ["a".to_owned(), "b".to_owned()];
        let watched = scopes(service, &namespaces, &Needs::default());
        assert_eq!(watched, namespaces.map(Scope::Namespace).into());
    }
}
