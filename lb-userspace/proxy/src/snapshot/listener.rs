//! A listener, ready to be used.

use super::{Context, Problem, Rule};
use crate::{
    accept::ConnectionLimit,
    account::ListenerStats,
    filter::TrustedPeers,
    route::{Table, TableBuilder},
    send::Upstream,
    stream::{SniRoutes, Weighted},
};
use lb_model::{HostPattern, HttpOptions, ListenerProtocol, Route, StreamRoute};
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
};

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
    pub streams: SniRoutes<Sessions>,
    /// How many connections may be open.
    pub limit: Arc<ConnectionLimit>,
    /// What is counted.
    pub stats: Arc<ListenerStats>,
    /// Routes that are attached.
    pub attached_count: usize,
}

impl Listener {
    pub(super) fn compile(
        name: &Arc<str>,
        model: &lb_model::Listener,
        attached: &Attached<'_>,
        rules: &BTreeMap<Arc<str>, Arc<Rule>>,
        upstreams: &BTreeMap<Arc<str>, Arc<Upstream>>,
        context: Context<'_>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let before = context.previous.listeners.get(name);
        let limit = before.map_or_else(
            || ConnectionLimit::new(model.connections_max),
            |it| Arc::clone(&it.limit),
        );
        limit.set_max(model.connections_max);
        let stats = before.map(|it| Arc::clone(&it.stats));
        let (routes, http_count) = routes(attached.routes_of(name), model, rules, problems);
        let (streams, stream_count) = streams(attached.streams_of(name), model, upstreams);
        Self {
            name: Arc::clone(name),
            http: Arc::new(model.http.clone()),
            trusted: TrustedPeers::new(&model.http.trusted_peers),
            sources: (!model.sources.is_empty()).then(|| TrustedPeers::new(&model.sources)),
            routes,
            streams,
            limit,
            stats: stats.unwrap_or_else(|| Arc::new(ListenerStats::new(context.worker_count))),
            attached_count: http_count + stream_count,
            model: model.clone(),
        }
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

/// Routes by listener, in order of their names: found once for all listeners, of which there may
/// be thousands.
pub(super) struct Attached<'a> {
    routes: HashMap<&'a str, Vec<(&'a str, &'a Route)>>,
    streams: HashMap<&'a str, Vec<(&'a str, &'a StreamRoute)>>,
}

impl<'a> Attached<'a> {
    pub(super) fn of(wanted: &'a lb_model::Proxy) -> Self {
        let mut attached = Self { routes: HashMap::new(), streams: HashMap::new() };
        for (name, route) in &wanted.routes {
            for listener in &route.listeners {
                attached.routes.entry(listener).or_default().push((name, &**route));
            }
        }
        for (name, route) in &wanted.stream_routes {
            for listener in &route.listeners {
                attached.streams.entry(listener).or_default().push((name, route));
            }
        }
        attached
    }

    fn routes_of(&self, listener: &str) -> &[(&'a str, &'a Route)] {
        self.routes.get(listener).map(Vec::as_slice).unwrap_or_default()
    }

    fn streams_of(&self, listener: &str) -> &[(&'a str, &'a StreamRoute)] {
        self.streams.get(listener).map(Vec::as_slice).unwrap_or_default()
    }
}

fn routes(
    attached: &[(&str, &Route)],
    model: &lb_model::Listener,
    rules: &BTreeMap<Arc<str>, Arc<Rule>>,
    problems: &mut Vec<Problem>,
) -> (Table<Arc<Rule>>, usize) {
    let mut builder = TableBuilder::new(model.host.clone());
    let mut attached_count = 0;
    for (route_name, route) in attached {
        let rule = |index: usize| {
            let rule = route.rules.get(index)?;
            rules.get(&*super::rule::name(route_name, index, rule)).cloned()
        };
        match builder.add(&(*route_name).into(), route, rule) {
            Ok(is_attached) => attached_count += usize::from(is_attached),
            Err(error) => problems
                .push(Problem { object: format!("route {route_name}"), why: error.to_string() }),
        }
    }
    (builder.build(), attached_count)
}

fn streams(
    attached: &[(&str, &StreamRoute)],
    model: &lb_model::Listener,
    upstreams: &BTreeMap<Arc<str>, Arc<Upstream>>,
) -> (SniRoutes<Sessions>, usize) {
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
    (streams, attached.len())
}
