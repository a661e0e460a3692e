//! From one snapshot to the next: what changed is compiled.

use super::{
    Context, Listener, Ports, Problem, Rule, Snapshot,
    listener::{Changes, RouteChange},
    ports::ListenerChange,
    rule,
};
use crate::{
    secure::{Certificates, ClientTls},
    send::Upstream,
};
use lb_model::{AccessLog, Change, Route, Shared, StreamRoute};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// What a problem is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum About {
    /// An upstream, by name.
    Upstream(String),
    /// An HTTP route, by name.
    Route(String),
}

type RouteChanges<'a> = BTreeMap<&'a str, Change<'a, String, Shared<Route>>>;

impl Snapshot {
    /// Compiles a configuration. What cannot be compiled is left out and told in
    /// [`Snapshot::problems`].
    pub fn compile(wanted: &lb_model::Proxy, generation: u64, context: Context<'_>) -> Self {
        let previous = context.previous;
        let mut snapshot = Self {
            generation,
            certificates: Certificates::compile(&wanted.certificates, Some(&previous.certificates)),
            wanted: wanted.clone(),
            listeners: previous.listeners.clone(),
            upstreams: previous.upstreams.clone(),
            rules: previous.rules.clone(),
            client_tls: previous.client_tls.clone(),
            told: previous.told.clone(),
            logged_fields: logged_fields(wanted.settings.access_log.as_ref()),
            ..Self::default()
        };
        let are_moved = snapshot.compile_upstreams(wanted, context);
        let routes = changed_routes(wanted, context, &snapshot, are_moved);
        snapshot.compile_rules(wanted, context, &routes);
        let listeners = snapshot.compile_listeners(wanted, context, &routes, are_moved);
        let (certificates, tcp, udp) = (&snapshot.certificates, &previous.tcp, &previous.udp);
        let is_same = certificates.is_same(&previous.certificates);
        (snapshot.tcp, snapshot.udp) = (
            Ports::compile(tcp, &listeners, false, certificates, is_same),
            Ports::compile(udp, &listeners, true, certificates, is_same),
        );
        snapshot.problems = snapshot.all_problems();
        snapshot
    }

    /// Returns whether some name leads to another upstream than before.
    fn compile_upstreams(&mut self, wanted: &lb_model::Proxy, context: Context<'_>) -> bool {
        let previous = context.previous;
        let changes = wanted.upstreams.changes(&previous.wanted.upstreams, Shared::eq);
        let mut names: BTreeSet<&String> = changes.iter().map(|it| it.key).collect();
        if !self.certificates.is_same(&previous.certificates) {
            let secure = wanted.upstreams.iter().filter(|(_, it)| it.tls.is_some());
            names.extend(secure.map(|(name, _)| name));
        }
        let mut are_moved = false;
        for name in names {
            let key: Arc<str> = name.as_str().into();
            self.told.remove(&About::Upstream(name.clone()));
            let before = self.upstreams.get(&key).cloned();
            let tls_before = self.client_tls.remove(&key);
            let Some(model) = wanted.upstreams.get(name) else {
                are_moved |= self.upstreams.remove(&key).is_some();
                continue;
            };
            let compile = |tls| {
                ClientTls::compile(tls, model.protocol, &self.certificates, tls_before.as_ref())
            };
            let tls = match model.tls.as_ref().map(compile).transpose() {
                Ok(tls) => tls,
                Err(error) => {
                    are_moved |= self.upstreams.remove(&key).is_some();
                    let (object, why) = (format!("upstream {name}"), error.to_string());
                    self.tell(About::Upstream(name.clone()), Problem { object, why });
                    continue;
                }
            };
            let is_tls_same = match (&tls, &tls_before) {
                (Some(tls), Some(before)) => Arc::ptr_eq(tls, before),
                (None, None) => true,
                _ => false,
            };
            if let Some(tls) = &tls {
                self.client_tls.insert(Arc::clone(&key), Arc::clone(tls));
            }
            let kept = before.as_ref().filter(|it| is_tls_same && it.take(model, context.seed));
            let upstream = if let Some(before) = kept {
                Arc::clone(before)
            } else {
                are_moved = true;
                Upstream::compile(name, model, tls, context.seed, before.as_ref())
            };
            self.changed.push(Arc::clone(&upstream));
            self.upstreams.insert(key, upstream);
        }
        are_moved
    }

    fn compile_rules(
        &mut self,
        wanted: &lb_model::Proxy,
        context: Context<'_>,
        changes: &RouteChanges<'_>,
    ) {
        for (name, change) in changes {
            self.told.remove(&About::Route((*name).to_owned()));
            for (index, rule) in change.before.iter().flat_map(|it| it.rules.iter().enumerate()) {
                self.rules.remove(&*rule::name(name, index, rule));
            }
        }
        for (name, change) in changes {
            let Some(route) = change.after else { continue };
            let body_bytes_max = body_bytes_max(wanted, route);
            let is_same = change.before.is_some_and(|it| it.is_same(route));
            for (index, rule) in route.rules.iter().enumerate() {
                let key: Arc<str> = rule::name(name, index, rule).into();
                let before = context.previous.rules.get_key_value(&key).filter(|_| is_same);
                if let Some((key, before)) = before
                    && before.is_good(rule, body_bytes_max, &self.upstreams)
                {
                    self.rules.insert(Arc::clone(key), Arc::clone(before));
                    continue;
                }
                match Rule::compile(&key, rule, body_bytes_max, &self.upstreams, context) {
                    Ok(compiled) => drop(self.rules.insert(key, Arc::new(compiled))),
                    Err(error) => {
                        let (object, why) = (format!("route {key}"), error.to_string());
                        self.tell(About::Route((*name).to_owned()), Problem { object, why });
                    }
                }
            }
        }
    }

    /// Returns the listeners that are not as they were, before and after.
    fn compile_listeners(
        &mut self,
        wanted: &lb_model::Proxy,
        context: Context<'_>,
        routes: &RouteChanges<'_>,
        are_moved: bool,
    ) -> Vec<ListenerChange> {
        let previous = context.previous;
        let models = wanted.listeners.changes(&previous.wanted.listeners, lb_model::Listener::eq);
        let anew: BTreeSet<&str> = models.iter().map(|it| it.key.as_str()).collect();
        let attached = Attached::of(wanted, previous, &anew, routes, are_moved);
        let names = attached.routes.keys().chain(attached.streams.iter().flat_map(|it| it.keys()));
        let names: BTreeSet<&str> = names.copied().chain(anew).collect();
        let mut compiled = Vec::new();
        for name in names {
            let key: Arc<str> = name.into();
            let before = self.listeners.remove(&key);
            let after = wanted.listeners.get(name).map(|model| {
                let routes = attached.routes.get(name).map(Vec::as_slice).unwrap_or_default();
                let streams = attached.streams.as_ref();
                let streams = streams.map(|it| it.get(name).map(Vec::as_slice).unwrap_or_default());
                let (rules, upstreams) = (&self.rules, &self.upstreams);
                let changes = Changes { routes, streams, rules, upstreams };
                let count = context.worker_count;
                Arc::new(Listener::compile(&key, model, before.as_ref(), changes, count))
            });
            if let Some(listener) = &after {
                self.listeners.insert(key, Arc::clone(listener));
            }
            compiled.push((before, after));
        }
        compiled
    }

    /// A listener with several addresses says what is wrong with it once.
    fn all_problems(&self) -> Vec<Problem> {
        let of_ports = self.tcp.problems().chain(self.udp.problems());
        let of_listeners = self.listeners.values().flat_map(|it| it.problems());
        let others = self.told.values().flatten().chain(of_listeners);
        let problems: BTreeSet<&Problem> = of_ports.chain(others).collect();
        problems.into_iter().cloned().collect()
    }

    fn tell(&mut self, about: About, problem: Problem) {
        self.told.entry(about).or_default().push(problem);
    }
}

/// Routes that changed, or whose rules lead elsewhere than before.
fn changed_routes<'a>(
    wanted: &'a lb_model::Proxy,
    context: Context<'a>,
    snapshot: &Snapshot,
    are_moved: bool,
) -> RouteChanges<'a> {
    let previous = &context.previous.wanted;
    let changes = wanted.routes.changes(&previous.routes, Shared::eq);
    let mut changed: RouteChanges<'_> =
        changes.into_iter().map(|it| (it.key.as_str(), it)).collect();
    let limit = |it: &lb_model::Listener| it.http.body_bytes_max;
    let limits = wanted.listeners.changes(&previous.listeners, |one, it| limit(one) == limit(it));
    if !are_moved && limits.is_empty() {
        return changed;
    }
    for (name, route) in &wanted.routes {
        let body_bytes_max = body_bytes_max(wanted, route);
        let is_good = |(index, rule): (usize, &lb_model::Rule)| {
            let compiled = snapshot.rules.get(&*rule::name(name, index, rule));
            compiled.is_some_and(|it| it.is_good(rule, body_bytes_max, &snapshot.upstreams))
        };
        if !changed.contains_key(name.as_str()) && !route.rules.iter().enumerate().all(is_good) {
            // As it was is as it is, only what it leads to is not.
            let both = Some(route);
            changed.insert(name, Change { key: name, before: both, after: both });
        }
    }
    changed
}

/// A body limit that a rule leaves to its listeners is the smallest of theirs.
fn body_bytes_max(wanted: &lb_model::Proxy, route: &Route) -> Option<u64> {
    let listeners = route.listeners.iter().filter_map(|it| wanted.listeners.get(it));
    listeners.filter_map(|it| it.http.body_bytes_max).min()
}

/// Routes by listener, as far as listeners have to be compiled for them.
struct Attached<'a> {
    routes: HashMap<&'a str, Vec<RouteChange<'a>>>,
    /// All of them; `None` = they are as they were.
    streams: Option<HashMap<&'a str, Vec<(&'a str, &'a StreamRoute)>>>,
}

impl<'a> Attached<'a> {
    /// `anew` = listeners for which all routes are looked for.
    fn of(
        wanted: &'a lb_model::Proxy,
        previous: &'a Snapshot,
        anew: &BTreeSet<&str>,
        changes: &RouteChanges<'a>,
        are_moved: bool,
    ) -> Self {
        let mut routes: HashMap<&str, Vec<RouteChange<'_>>> = HashMap::new();
        for (name, change) in changes {
            let (before, after) = (change.before, change.after);
            let listeners = before.into_iter().chain(after).flat_map(|it| &it.listeners);
            let listeners: BTreeSet<&String> = listeners.collect();
            for listener in listeners {
                let attached = |it: &&'a Shared<Route>| it.listeners.contains(listener);
                let change = RouteChange {
                    name,
                    before: before.filter(attached).map(|it| &**it),
                    after: after.filter(attached).map(|it| &**it),
                };
                if !anew.contains(listener.as_str()) {
                    routes.entry(listener).or_default().push(change);
                }
            }
        }
        for (name, route) in wanted.routes.iter().filter(|_| !anew.is_empty()) {
            for listener in route.listeners.iter().filter(|it| anew.contains(it.as_str())) {
                let change = RouteChange { name, before: None, after: Some(route) };
                routes.entry(listener).or_default().push(change);
            }
        }
        let are_same = wanted.stream_routes == previous.wanted.stream_routes;
        let streams =
            (!are_same || are_moved || !anew.is_empty()).then(|| streams(wanted, previous));
        Self { routes, streams }
    }
}

/// Routes of sessions by listener; those that had some and have none any more are there too.
fn streams<'a>(
    wanted: &'a lb_model::Proxy,
    previous: &'a Snapshot,
) -> HashMap<&'a str, Vec<(&'a str, &'a StreamRoute)>> {
    let mut streams: HashMap<&str, Vec<_>> = HashMap::new();
    for listener in previous.wanted.stream_routes.values().flat_map(|it| &it.listeners) {
        streams.entry(listener).or_default();
    }
    for (name, route) in &wanted.stream_routes {
        for listener in &route.listeners {
            streams.entry(listener).or_default().push((name.as_str(), route));
        }
    }
    streams
}

fn logged_fields(log: Option<&AccessLog>) -> Vec<Box<str>> {
    use lb_model::LogField::{Referer, RequestHeader, UserAgent};
    let Some(log) = log else { return Vec::new() };
    if log.fields.is_empty() {
        return vec!["referer".into(), "user-agent".into()];
    }
    let name = |field: &lb_model::LogField| match field {
        Referer => Some("referer".into()),
        UserAgent => Some("user-agent".into()),
        RequestHeader(name) => Some(name.as_str().into()),
        _ => None,
    };
    log.fields.iter().filter_map(name).collect()
}
