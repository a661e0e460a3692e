//! Follows a request through what is served now, the way a worker does, without a trace of it.

mod asked;
mod backends;
mod objects;

pub use objects::name_objects;

use super::resource::{
    API_VERSION, WhyListener, WhyRequest, WhyResource, WhyRule, WhyTls, describe, protocol_name,
};
use crate::{
    health::Key,
    model::{Answer, ListenerProtocol},
    proxy::{
        http::{Reason, Scheme},
        route::Considered,
        secure::ServerTls,
        snapshot::{Listener, Port, Snapshot, rule_name},
    },
};
use asked::Asked;
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

/// Rules that are listed at most.
const RULES_MAX: usize = 1_000;

/// Follows `request`. `drained` is what an operator drained. An error says what is wrong with the
/// request itself.
pub fn why(
    snapshot: &Snapshot,
    drained: &BTreeSet<Key>,
    request: &WhyRequest,
) -> Result<WhyResource, String> {
    let asked = Asked::new(request)?;
    let mut told = empty(&asked);
    let mut addresses = addresses(snapshot, &asked, request.to).into_iter();
    let follow = Follow { snapshot, drained, asked: &asked };
    let end = match addresses.next() {
        None => Err(Refused::of(Reason::NoListener, "nothing is served at this address and port")),
        Some((address, port)) => {
            told.address = Some(address.to_string());
            told.other_addresses = addresses.map(|(address, _)| address.to_string()).collect();
            follow.port(port, &mut told)
        }
    };
    match end {
        Ok(outcome) => told.outcome = outcome,
        Err(Refused { reason, status, outcome }) => {
            told.refusal = Some(reason.name().to_owned());
            told.status = Some(status);
            told.outcome = outcome;
        }
    }
    Ok(told)
}

fn empty(asked: &Asked) -> WhyResource {
    WhyResource {
        api_version: API_VERSION.to_owned(),
        kind: WhyResource::KIND.to_owned(),
        request: asked.describe(),
        address: None,
        other_addresses: Vec::new(),
        packet: None,
        packet_error: None,
        listeners: Vec::new(),
        tls: None,
        rules: Vec::new(),
        rules_left_out: 0,
        rule: None,
        filters: Vec::new(),
        backends: Vec::new(),
        dns: None,
        objects: Vec::new(),
        outcome: String::new(),
        refusal: None,
        status: None,
    }
}

/// Where the client may connect, those where its host is served first.
fn addresses<'a>(
    snapshot: &'a Snapshot,
    asked: &Asked,
    to: Option<SocketAddr>,
) -> Vec<(SocketAddr, &'a Arc<Port>)> {
    if let Some(address) = to.or(asked.address) {
        return snapshot.tcp.find(address).map(|port| (address, port)).into_iter().collect();
    }
    let ports = snapshot.tcp.iter().filter(|(address, _)| address.port() == asked.port);
    let mut ports: Vec<_> = ports.map(|(address, port)| (*address, port)).collect();
    ports.sort_by_key(|(address, port)| (port.listener_for(Some(&asked.host)).is_none(), *address));
    let is_served = |port: &Port| port.listener_for(Some(&asked.host)).is_some();
    if ports.first().is_some_and(|(_, port)| is_served(port)) {
        ports.retain(|(_, port)| is_served(port));
    }
    ports
}

/// An answer that is made here.
struct Refused {
    reason: Reason,
    status: u16,
    outcome: String,
}

impl Refused {
    fn of(reason: Reason, why: &str) -> Self {
        let status = reason.status();
        Self { reason, status, outcome: format!("refused with {status}: {why}") }
    }
}

/// The way of one request.
struct Follow<'a> {
    snapshot: &'a Snapshot,
    drained: &'a BTreeSet<Key>,
    asked: &'a Asked,
}

impl Follow<'_> {
    fn port(&self, port: &Port, told: &mut WhyResource) -> Result<String, Refused> {
        let sessions = port.first().is_some_and(|it| it.model.protocol == ListenerProtocol::Tcp);
        let chosen =
            if sessions { port.first() } else { port.listener_for(Some(&self.asked.host)) };
        let of = |it: &Arc<Listener>| WhyListener {
            listener: it.name.to_string(),
            protocol: protocol_name(it.model.protocol).to_owned(),
            host: it.model.host.to_string(),
            rejected: match chosen {
                Some(chosen) if Arc::ptr_eq(chosen, it) => None,
                Some(chosen) if it.model.host.matches(&self.asked.host) => {
                    Some(format!("the host of {} is more specific", chosen.name))
                }
                _ => Some("the host is another".to_owned()),
            },
        };
        told.listeners = port.listeners.iter().map(of).collect();
        let Some(listener) = chosen else {
            return Err(Refused::of(Reason::NoListener, "no listener serves this host"));
        };
        if let Some(tls) = port.tls.as_ref().filter(|_| !listener.passes_through()) {
            told.tls = Some(self.tls(tls, listener));
        }
        self.check_scheme(listener, told)?;
        match listener.model.protocol {
            ListenerProtocol::Http | ListenerProtocol::Https => self.request(listener, told),
            _ => self.session(listener, told),
        }
    }

    fn tls(&self, tls: &ServerTls, listener: &Listener) -> WhyTls {
        let report = tls.report().into_iter().find(|it| *it.listener == *listener.name);
        WhyTls {
            server_name: self.asked.server_name().map(ToOwned::to_owned),
            certificates: tls.certificates_for(&listener.name, &self.asked.host),
            usable: report.as_ref().is_some_and(|it| it.is_usable),
            problems: report.map(|it| it.problems).unwrap_or_default(),
        }
    }

    fn check_scheme(&self, listener: &Listener, told: &WhyResource) -> Result<(), Refused> {
        let is_https = self.asked.request.scheme == Scheme::Https;
        if is_https && listener.model.protocol == ListenerProtocol::Http {
            return Err(Refused::of(Reason::Malformed, "the listener speaks no TLS"));
        }
        if !is_https && listener.is_secure() {
            return Err(Refused::of(Reason::Malformed, "the listener speaks TLS only"));
        }
        if told.tls.as_ref().is_some_and(|tls| !tls.usable) {
            return Err(Refused {
                reason: Reason::Internal,
                status: 0,
                outcome: "the TLS handshake fails: no certificate can be used".to_owned(),
            });
        }
        Ok(())
    }

    fn request(&self, listener: &Listener, told: &mut WhyResource) -> Result<String, Refused> {
        let request = &self.asked.request;
        let considered = listener.routes.explain(request);
        told.rules_left_out = considered.len().saturating_sub(RULES_MAX) as u64;
        told.rules = considered.iter().take(RULES_MAX).map(|it| self.rule(it)).collect();
        let Some(found) = listener.routes.find(request) else {
            return Err(Refused::of(Reason::NoRoute, "no rule matches"));
        };
        let rule = found.value;
        told.rule = Some(rule.name.to_string());
        if !rule.allows(&request.method) {
            return Err(Refused::of(Reason::MethodRefused, "the rule does not allow this method"));
        }
        let taken = considered.iter().find(|it| it.mismatch.is_none());
        let model = taken.and_then(|it| {
            self.snapshot.wanted.routes.get(&*it.source.route)?.rules.get(it.source.rule)
        });
        if let Some(model) = model {
            told.filters = model.filters.names().into_iter().map(ToOwned::to_owned).collect();
            if let Some(answer) = &model.filters.answer {
                return Err(answered(answer));
            }
        }
        let backends = rule.plan.backends().iter();
        let backends: Vec<_> = backends.map(|it| (it.weight, it.upstream.as_ref())).collect();
        self.send(&backends, told)
    }

    fn rule(&self, considered: &Considered) -> WhyRule {
        let source = &considered.source;
        let route = self.snapshot.wanted.routes.get(&*source.route);
        let rule = route.and_then(|it| it.rules.get(source.rule));
        let wanted = rule.and_then(|it| it.matches.get(source.place));
        WhyRule {
            rule: rule.map_or_else(
                || source.route.to_string(),
                |it| rule_name(&source.route, source.rule, it),
            ),
            wants: wanted.map_or_else(|| "every request".to_owned(), describe),
            rejected: considered.mismatch.as_ref().map(ToString::to_string),
        }
    }

    fn session(&self, listener: &Listener, told: &mut WhyResource) -> Result<String, Refused> {
        let Some(sessions) = listener.streams.find(self.asked.server_name()) else {
            return Err(Refused::of(Reason::NoRoute, "no route takes this server name"));
        };
        let backends: Vec<_> = sessions.backends().collect();
        self.send(&backends, told)
    }
}

fn answered(answer: &Answer) -> Refused {
    match answer {
        Answer::Redirect(redirect) => Refused {
            reason: Reason::Redirected,
            status: redirect.status,
            outcome: format!("redirected with {}", redirect.status),
        },
        Answer::Fixed { status, .. } => Refused {
            reason: Reason::FixedAnswer,
            status: *status,
            outcome: format!("answered by the rule with {status}"),
        },
    }
}

#[cfg(test)]
mod tests;
