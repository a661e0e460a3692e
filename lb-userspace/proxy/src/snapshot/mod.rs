//! What workers serve: compiled from [`lb_model::Proxy`], immutable, swapped as a whole.
//!
//! What must outlive a change of the configuration (statistics, health, rate limits, TLS sessions,
//! connection limits) is shared with the snapshot before, by name.

mod listener;
mod ports;
mod rule;

use listener::Attached;
pub use listener::{Listener, Sessions};
pub use ports::{Port, Ports};
pub use rule::{Rule, name as rule_name};

use crate::{
    secure::{CertificateReport, Certificates, ClientTls},
    send::Upstream,
};
use lb_model::{AccessLog, Route, Shared, StreamRoute};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

/// What workers serve.
#[derive(Default)]
pub struct Snapshot {
    /// The generation of `Desired` that it was made of.
    pub generation: u64,
    /// Listeners by name.
    pub listeners: BTreeMap<Arc<str>, Arc<Listener>>,
    /// Upstreams by name.
    pub upstreams: BTreeMap<Arc<str>, Arc<Upstream>>,
    /// Rules by name.
    pub rules: BTreeMap<Arc<str>, Arc<Rule>>,
    /// HTTP routes by name, as they are wanted.
    pub routes: BTreeMap<String, Shared<Route>>,
    /// Routes of sessions by name, as they are wanted.
    pub stream_routes: BTreeMap<String, StreamRoute>,
    /// Listeners by where clients connect, TCP.
    pub tcp: Ports,
    /// The same, UDP.
    pub udp: Ports,
    /// What is logged.
    pub access_log: Option<AccessLog>,
    /// Request fields that the access log wants, lower case.
    pub logged_fields: Vec<Box<str>>,
    /// What does not work, while the rest does.
    pub problems: Vec<Problem>,
    certificates: Certificates,
    client_tls: BTreeMap<Arc<str>, Arc<ClientTls>>,
}

/// Something of the configuration that does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What it is: `listener web`, `route shop`.
    pub object: String,
    /// Why it does not work.
    pub why: String,
}

/// What a snapshot is compiled with.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The snapshot before.
    pub previous: &'a Snapshot,
    /// Seed of hashes; equal on all routers.
    pub seed: u64,
    /// Number of workers.
    pub worker_count: usize,
}

impl Snapshot {
    /// Compiles a configuration. What cannot be compiled is left out and told in
    /// [`Snapshot::problems`].
    pub fn compile(wanted: &lb_model::Proxy, generation: u64, context: Context<'_>) -> Self {
        let previous = context.previous;
        let mut snapshot = Self {
            generation,
            certificates: Certificates::compile(&wanted.certificates, Some(&previous.certificates)),
            routes: wanted.routes.clone(),
            stream_routes: wanted.stream_routes.clone(),
            access_log: wanted.settings.access_log.clone(),
            logged_fields: logged_fields(wanted.settings.access_log.as_ref()),
            ..Self::default()
        };
        snapshot.compile_upstreams(wanted, context);
        snapshot.compile_rules(wanted, context);
        snapshot.compile_listeners(wanted, context);
        let problems = &mut snapshot.problems;
        let listeners: Vec<_> = snapshot.listeners.values().cloned().collect();
        let certificates = &snapshot.certificates;
        snapshot.tcp = Ports::compile(&listeners, &previous.tcp, certificates, false, problems);
        snapshot.udp = Ports::compile(&listeners, &previous.udp, certificates, true, problems);
        snapshot
    }

    /// What is known of each certificate.
    pub fn certificates(&self) -> Vec<CertificateReport> {
        self.certificates.report()
    }

    /// Addresses that are bound the ordinary way, with whether each is for UDP.
    pub fn binds(&self) -> BTreeSet<(SocketAddr, bool)> {
        let of = |listener: &Arc<Listener>| {
            let is_udp = listener.is_udp();
            let binds = listener.model.binds.iter();
            binds.map(move |bind| (bind.address, is_udp)).collect::<Vec<_>>()
        };
        self.listeners.values().flat_map(of).collect()
    }

    fn compile_upstreams(&mut self, wanted: &lb_model::Proxy, context: Context<'_>) {
        let previous = context.previous;
        for (name, model) in &wanted.upstreams {
            let key: Arc<str> = name.as_str().into();
            let before = previous.client_tls.get(&key);
            let compile = |tls| ClientTls::compile(tls, model.protocol, &self.certificates, before);
            let tls = match model.tls.as_ref().map(compile).transpose() {
                Ok(tls) => tls,
                Err(error) => {
                    self.problem(format!("upstream {name}"), error.to_string());
                    continue;
                }
            };
            if let Some(tls) = &tls {
                self.client_tls.insert(Arc::clone(&key), Arc::clone(tls));
            }
            let before = previous.upstreams.get(&key);
            let upstream = Upstream::compile(name, model, tls, context.seed, before);
            self.upstreams.insert(key, upstream);
        }
    }

    fn compile_rules(&mut self, wanted: &lb_model::Proxy, context: Context<'_>) {
        for (name, route) in &wanted.routes {
            let before = context.previous.routes.get(name);
            let is_same = before.is_some_and(|it| it.is_same(route));
            for (index, rule) in route.rules.iter().enumerate() {
                let key: Arc<str> = rule::name(name, index, rule).into();
                // A body limit that the rule leaves to its listeners is the smallest of theirs.
                let listeners = route.listeners.iter().filter_map(|it| wanted.listeners.get(it));
                let body_bytes_max = listeners.filter_map(|it| it.http.body_bytes_max).min();
                let before = context.previous.rules.get_key_value(&key).filter(|_| is_same);
                if let Some((key, before)) = before
                    && before.is_good(rule, body_bytes_max, &self.upstreams)
                {
                    self.rules.insert(Arc::clone(key), Arc::clone(before));
                    continue;
                }
                match Rule::compile(&key, rule, body_bytes_max, &self.upstreams, context) {
                    Ok(compiled) => drop(self.rules.insert(key, Arc::new(compiled))),
                    Err(error) => self.problem(format!("route {key}"), error.to_string()),
                }
            }
        }
    }

    fn compile_listeners(&mut self, wanted: &lb_model::Proxy, context: Context<'_>) {
        let attached = Attached::of(wanted);
        for (name, model) in &wanted.listeners {
            let key: Arc<str> = name.as_str().into();
            let compiled = Listener::compile(
                &key,
                model,
                &attached,
                &self.rules,
                &self.upstreams,
                context,
                &mut self.problems,
            );
            self.listeners.insert(key, Arc::new(compiled));
        }
    }

    fn problem(&mut self, object: String, why: String) {
        self.problems.push(Problem { object, why });
    }
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
