//! A rule of an HTTP route, ready to be used.

use super::Context;
use crate::{
    account::RuleStats,
    exchange::Exchange,
    filter::{self, BackendFilters, FilterError, Filters},
    http::{Method, Request, Response},
    send::{Backend, BackendEdits, Lease, Plan, Upstream},
};
use lb_model::Table;
use std::{sync::Arc, time::Instant};

/// A rule of an HTTP route.
pub struct Rule {
    /// Name: the route's, and after a `/` the rule's own or its place.
    pub name: Arc<str>,
    /// What is done.
    pub filters: Arc<Filters>,
    /// Where requests are sent.
    pub plan: Plan,
    /// Whether `CONNECT` may be used.
    pub connect: bool,
    /// What is counted.
    pub stats: Arc<RuleStats>,
    body_bytes_max: Option<u64>,
}

/// A rule's name: its route's, and after a `/` its own or its place.
pub fn name(route: &str, index: usize, rule: &lb_model::Rule) -> String {
    match &rule.name {
        Some(name) => format!("{route}/{name}"),
        None => format!("{route}/{index}"),
    }
}

impl Rule {
    /// Whether requests with this method may be served. `TRACE` would show a client's secrets to
    /// scripts (RFC 9110, section 9.3.8).
    pub fn allows(&self, method: &Method) -> bool {
        match method {
            Method::Connect => self.connect,
            Method::Trace => false,
            _ => true,
        }
    }

    /// Bytes of a request body that it takes.
    #[cfg(test)]
    pub(super) const fn body_bytes_max(&self) -> Option<u64> {
        self.body_bytes_max
    }

    /// Whether compiling what it was compiled of gives the same again: nothing else differs.
    pub(super) fn is_good(
        &self,
        model: &lb_model::Rule,
        body_bytes_max: Option<u64>,
        upstreams: &Table<Arc<str>, Arc<Upstream>>,
    ) -> bool {
        let wanted = model.backends.iter().map(|it| upstreams.get(it.upstream.as_deref()?));
        let mut pairs = wanted.zip(self.plan.backends());
        self.body_bytes_max == body_bytes_max
            && pairs.all(|(wanted, it)| match (wanted, &it.upstream) {
                (Some(wanted), Some(found)) => Arc::ptr_eq(wanted, found),
                (None, None) => true,
                _ => false,
            })
    }

    pub(super) fn compile(
        name: &Arc<str>,
        model: &lb_model::Rule,
        body_bytes_max: Option<u64>,
        upstreams: &Table<Arc<str>, Arc<Upstream>>,
        context: Context<'_>,
    ) -> Result<Self, FilterError> {
        let before = context.previous.rules.get(name);
        let filters = Arc::new(Filters::compile(
            &model.filters,
            filter::Context {
                previous: before.map(|it| &*it.filters),
                body_bytes_max,
                now: Instant::now(),
            },
        )?);
        let backend = |it: &lb_model::RouteBackend| {
            let own = BackendFilters::compile(&it.filters)?;
            let edits = Edits { rule: Arc::clone(&filters), own };
            Ok(Backend {
                upstream: it.upstream.as_deref().and_then(|it| upstreams.get(it)).cloned(),
                weight: it.weight,
                edits: edits.is_needed().then(|| Arc::new(edits) as Arc<dyn BackendEdits>),
            })
        };
        let backends = model.backends.iter().map(backend).collect::<Result<_, FilterError>>()?;
        let (timeouts, retry) = (model.timeouts, model.retry.clone());
        let stats = before.map(|it| Arc::clone(&it.stats));
        Ok(Self {
            name: Arc::clone(name),
            plan: Plan::new(backends, timeouts, retry, model.persistence.clone()),
            filters,
            connect: model.connect,
            stats: stats.unwrap_or_else(|| Arc::new(RuleStats::new(context.worker_count))),
            body_bytes_max,
        })
    }
}

/// What is done once the endpoint is known: what the rule's filters left open, then the backend's.
struct Edits {
    rule: Arc<Filters>,
    own: BackendFilters,
}

impl Edits {
    fn is_needed(&self) -> bool {
        self.rule.needs_endpoint() || !self.own.leave_requests() || !self.own.leave_responses()
    }
}

impl BackendEdits for Edits {
    fn edit_request(&self, request: &mut Request, exchange: &Exchange, endpoint: &Lease) {
        let host = endpoint.authority();
        self.rule.endpoint(exchange, request, &host);
        // A path that became too long stays as it was.
        self.own.request(exchange, request, &host).ok();
    }

    fn edit_response(&self, exchange: &Exchange, response: &mut Response) {
        self.own.response(exchange, response);
    }
}
