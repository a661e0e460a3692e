//! A listener, ready to be used.

use super::{Problem, Rule};
use crate::{
    accept::ConnectionLimit,
    account::ListenerStats,
    filter::TrustedPeers,
    route::{Table, TableBuilder},
    send::Upstream,
    stream::{SniRoutes, Weighted},
};
use lb_model::{HostPattern, HttpOptions, ListenerProtocol, Route, StreamRoute};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// Where sessions go: upstreams, in turn by weight.
pub type Sessions = Arc<Weighted<Arc<Upstream>>>;

/// A listener.
pub struct Listener {
    /// Its name.
    pub name: Arc<str>,
    /// What it was compiled of.
    pub model: lb_model::Listener,
    /// How HTTP is spoken.
    pub http: Arc<HttpOptions>,
    /// Peers whose word about the client is believed.
    pub trusted: TrustedPeers,
    /// Clients that may connect; `None` = all.
    sources: Option<TrustedPeers>,
    /// Which rule an HTTP request takes.
    pub routes: Table<Arc<Rule>>,
    /// Where a session goes, by server name; those without one go where any goes.
    pub streams: Arc<SniRoutes<Sessions>>,
    /// How many connections may be open.
    pub limit: Arc<ConnectionLimit>,
    /// What is counted.
    pub stats: Arc<ListenerStats>,
    /// HTTP routes that are attached.
    attached: usize,
    /// HTTP routes that are not served as a whole, by name.
    broken: BTreeMap<Arc<str>, Problem>,
    /// Routes of sessions that are attached.
    stream_count: usize,
}

impl Listener {
    /// Compiles a listener. Of one that was there before as `model`, the tables are changed where
    /// `routes` changed, and `streams` are taken over if there are none.
    pub(super) fn compile(
        name: &Arc<str>,
        model: &lb_model::Listener,
        before: Option<&Arc<Self>>,
        changes: Changes<'_>,
        worker_count: usize,
    ) -> Self {
        let limit = before.map_or_else(
            || ConnectionLimit::new(model.connections_max),
            |it| Arc::clone(&it.limit),
        );
        limit.set_max(model.connections_max);
        let stats = before.map(|it| Arc::clone(&it.stats));
        let same = before.filter(|it| it.model == *model);
        let mut routes = match same {
            Some(it) => Routes { table: it.routes.clone(), ..Routes::of(it) },
            None => Routes::default(),
        };
        routes.change(&model.host, &changes);
        let (streams, stream_count) = match (changes.streams, same) {
            (None, Some(it)) => (Arc::clone(&it.streams), it.stream_count),
            (streams, _) => compile_streams(streams.unwrap_or_default(), model, changes.upstreams),
        };
        let http = same.map_or_else(|| Arc::new(model.http.clone()), |it| Arc::clone(&it.http));
        Self {
            name: Arc::clone(name),
            http,
            trusted: TrustedPeers::new(&model.http.trusted_peers),
            sources: (!model.sources.is_empty()).then(|| TrustedPeers::new(&model.sources)),
            routes: routes.table,
            attached: routes.attached_count,
            broken: routes.broken,
            streams,
            stream_count,
            limit,
            stats: stats.unwrap_or_else(|| Arc::new(ListenerStats::new(worker_count))),
            model: model.clone(),
        }
    }

    /// Routes that are attached.
    pub const fn attached_count(&self) -> usize {
        self.attached + self.stream_count
    }

    /// Routes that cannot be served as a whole.
    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.broken.values()
    }

    /// Whether a client may connect.
    pub fn admits(&self, client: IpAddr) -> bool {
        self.sources.as_ref().is_none_or(|it| it.hold(client))
    }

    /// Whether UDP is served.
    pub fn is_udp(&self) -> bool {
        self.model.protocol == ListenerProtocol::Udp
    }

    /// Whether TLS is spoken to clients.
    pub fn is_secure(&self) -> bool {
        matches!(self.model.protocol, ListenerProtocol::Https | ListenerProtocol::Tls)
    }

    /// Whether clients' TLS is passed on as it is.
    pub fn passes_through(&self) -> bool {
        self.model.protocol == ListenerProtocol::Tls && self.model.tls.is_none()
    }
}

/// What is not as it was when a listener was compiled.
#[derive(Clone, Copy)]
pub(super) struct Changes<'a> {
    /// HTTP routes that were or are attached to it; without a listener before, all of them.
    pub(super) routes: &'a [RouteChange<'a>],
    /// All its routes of sessions; `None` = they are as they were.
    pub(super) streams: Option<&'a [(&'a str, &'a StreamRoute)]>,
    /// Rules by name.
    pub(super) rules: &'a lb_model::Table<Arc<str>, Arc<Rule>>,
    /// Upstreams by name.
    pub(super) upstreams: &'a lb_model::Table<Arc<str>, Arc<Upstream>>,
}

/// An HTTP route that is not as it was.
#[derive(Clone, Copy)]
pub(super) struct RouteChange<'a> {
    pub(super) name: &'a str,
    /// As it was attached to the listener.
    pub(super) before: Option<&'a Route>,
    /// As it is attached.
    pub(super) after: Option<&'a Route>,
}

/// The HTTP routes of a listener.
#[derive(Default)]
struct Routes {
    table: Table<Arc<Rule>>,
    attached_count: usize,
    broken: BTreeMap<Arc<str>, Problem>,
}

impl Routes {
    fn of(listener: &Listener) -> Self {
        let (attached_count, broken) = (listener.attached, listener.broken.clone());
        Self { table: Table::default(), attached_count, broken }
    }

    fn change(&mut self, host: &HostPattern, changes: &Changes<'_>) {
        if changes.routes.is_empty() {
            return;
        }
        let mut builder = TableBuilder::from_table(host.clone(), &self.table);
        for RouteChange { name, before, .. } in changes.routes {
            let Some(before) = before else { continue };
            let is_attached = builder.remove(name, before);
            let is_counted = self.broken.remove(*name).is_none() && is_attached;
            self.attached_count = self.attached_count.saturating_sub(usize::from(is_counted));
        }
        for RouteChange { name, after, .. } in changes.routes {
            let Some(route) = after else { continue };
            let rule = |index: usize| {
                let rule = route.rules.get(index)?;
                changes.rules.get(&*super::rule::name(name, index, rule)).cloned()
            };
            let key: Arc<str> = (*name).into();
            match builder.add(&key, route, rule) {
                Ok(is_attached) => self.attached_count += usize::from(is_attached),
                Err(error) => {
                    let (object, why) = (format!("route {name}"), error.to_string());
                    self.broken.insert(key, Problem { object, why });
                }
            }
        }
        self.table = builder.build();
    }
}

fn compile_streams(
    attached: &[(&str, &StreamRoute)],
    model: &lb_model::Listener,
    upstreams: &lb_model::Table<Arc<str>, Arc<Upstream>>,
) -> (Arc<SniRoutes<Sessions>>, usize) {
    let mut attached = attached.to_vec();
    attached.sort_by_key(|(name, route)| (route.age, *name));
    let mut streams = SniRoutes::default();
    for (_, route) in &attached {
        let upstream = |it: &lb_model::StreamBackend| {
            (it.weight, it.upstream.as_deref().and_then(|it| upstreams.get(it)).cloned())
        };
        let sessions = Arc::new(Weighted::new(route.backends.iter().map(upstream)));
        let any = [HostPattern::Any];
        let hosts: Vec<_> = if route.hosts.is_empty() {
            any.iter().collect()
        } else {
            route.hosts.iter().collect()
        };
        for host in hosts.into_iter().filter_map(|it| it.narrower(&model.host)) {
            streams.insert(host, Arc::clone(&sessions));
        }
    }
    (Arc::new(streams), attached.len())
}
