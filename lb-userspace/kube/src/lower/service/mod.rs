//! Services of type `LoadBalancer`.
//!
//! Each port is forwarded to endpoints (never to cluster IPs), or goes through the proxy where it
//! must: at addresses of this host, and with the PROXY protocol.
//!
//! Not looked at: node ports and `allocateLoadBalancerNodePorts`, since nothing goes through nodes;
//! `internalTrafficPolicy`, which is about traffic of pods; `healthCheckNodePort`, which the agent
//! answers at.

mod claim;
mod port;
mod proxied;
mod sources;
mod wish;

use super::{
    address::{self, Assigned},
    age::created,
    condition::Problem,
    draft::Draft,
    upstream::{self, Annotations},
};
use crate::{Condition, ObjectId, ObjectKey, ObjectKind, Options, Status};
use claim::Claims;
use k8s_openapi::api::core::v1::{Service, ServiceSpec};
use lb_model::Protocol;
use port::Outcome;
use std::{collections::BTreeSet, net::IpAddr};
use wish::Wishes;

/// A Service of ours.
struct Ours<'a> {
    key: &'a ObjectKey,
    /// Clusters where it is ours, by place in the configuration.
    clusters: Vec<usize>,
    /// It in the first of them: its spec rules.
    service: &'a Service,
    spec: &'a ServiceSpec,
    ids: Vec<ObjectId>,
    age: u64,
    addresses: Vec<Assigned>,
}

/// Lowers the Services of type `LoadBalancer`.
pub(super) fn lower(draft: &mut Draft<'_>) {
    let mut claims = Claims::new(draft);
    for mut ours in all(draft) {
        match addresses(draft, &ours) {
            Ok(addresses) => {
                ours.addresses = addresses;
                serve(draft, &mut claims, &ours);
            }
            Err(problem) => tell(draft, &ours, None, &[], &[problem]),
        }
    }
    upstream::report(draft);
}

/// Whether a Service is ours to serve.
pub(crate) fn is_ours(spec: &ServiceSpec, options: &Options) -> bool {
    let class = spec.load_balancer_class.as_deref();
    spec.type_.as_deref() == Some("LoadBalancer")
        && class.map_or(options.takes_unclassed_services, |it| it == options.load_balancer_class)
}

/// All Services of ours, the eldest first: it has an address and port that several want.
fn all<'a>(draft: &Draft<'a>) -> Vec<Ours<'a>> {
    let options = &draft.world.options;
    let mut all = Vec::new();
    for (key, mut found) in draft.index.merged(|it| &it.services) {
        found.retain(|(_, it)| it.spec.as_ref().is_some_and(|it| is_ours(it, options)));
        let Some((_, service)) = found.first().copied() else { continue };
        let Some(spec) = &service.spec else { continue };
        let age = created(service);
        let clusters: Vec<usize> = found.iter().map(|it| it.0).collect();
        let ids = clusters.iter().map(|it| draft.id(*it, ObjectKind::Service, key)).collect();
        all.push(Ours { key, clusters, service, spec, ids, age, addresses: Vec::new() });
    }
    all.sort_by_key(|it| (it.age, it.key));
    all
}

/// Its addresses: those assigned to it, and those of `externalIPs` that lie in a pool. Others
/// would let whoever makes a Service take traffic that is none of theirs (CVE-2020-8554).
fn addresses(draft: &mut Draft<'_>, ours: &Ours<'_>) -> Result<Vec<Assigned>, Problem> {
    let assigned = match ours.ids.first() {
        Some(id) => draft.addresses.of(id).map(<[Assigned]>::to_vec),
        None => Ok(Vec::new()),
    };
    let mut external = Vec::new();
    for text in ours.spec.external_ips.iter().flatten() {
        let labels = ours.service.metadata.labels.as_ref();
        let pooled =
            |it| address::pooled(draft, ours.clusters.first().copied(), ours.key, labels, it);
        if let Some(address) = text.parse::<IpAddr>().ok().and_then(pooled) {
            external.push(address);
        } else {
            let message = format!("external IP {text} is of no pool, and is not served");
            warn(draft, ours, "ExternalIPRefused", &message);
        }
    }
    let mut addresses = match assigned {
        Ok(addresses) => addresses,
        Err(_) if !external.is_empty() => Vec::new(),
        Err(why) => return Err(Problem::new(why.reason, why.message)),
    };
    for address in external {
        if !addresses.iter().any(|it| it.address == address.address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn serve(draft: &mut Draft<'_>, claims: &mut Claims, ours: &Ours<'_>) {
    let mut annotations = Annotations::of(ours.service);
    let wishes = Wishes::of(ours, &draft.world.options, &mut annotations);
    for problem in annotations.problems {
        warn(draft, ours, "InvalidAnnotation", &problem);
    }
    let mut ports = Vec::new();
    let mut problems = Vec::new();
    let mut is_any_served = false;
    let wishes = match wishes {
        Ok(wishes) => wishes,
        Err(problem) => {
            warn(draft, ours, problem.reason, &problem.message);
            return tell(draft, ours, None, &ports, &[problem]);
        }
    };
    for spec in ours.spec.ports.iter().flatten() {
        let Ok(number) = u16::try_from(spec.port) else { continue };
        let transport = spec.protocol.as_deref().unwrap_or("TCP");
        let protocol = match transport {
            "TCP" => Protocol::Tcp,
            "UDP" => Protocol::Udp,
            "SCTP" => Protocol::Sctp,
            other => {
                let message = format!("port {number}: {other} is not forwarded");
                problems.push(Problem::new("UnsupportedProtocol", message));
                continue;
            }
        };
        let wanted = port::Port { spec, number, protocol };
        let Outcome { is_served, problem } = port::serve(draft, claims, ours, &wishes, &wanted);
        is_any_served |= is_served;
        ports.push((number, protocol, problem.clone()));
        let named = |it: String| Problem::new("PortNotServed", format!("port {number}: {it}"));
        problems.extend(problem.map(named));
    }
    for problem in &problems {
        warn(draft, ours, problem.reason, &problem.message);
    }
    tell(draft, ours, Some(&wishes).filter(|_| is_any_served), &ports, &problems);
}

/// Tells the users of a Service in all clusters.
fn warn(draft: &mut Draft<'_>, ours: &Ours<'_>, reason: &'static str, message: &str) {
    for id in &ours.ids {
        draft.warn(id.clone(), reason, message.to_owned());
    }
}

/// Says what came of a Service, in all clusters that have it. `served` = how it is, if any port is.
fn tell(
    draft: &mut Draft<'_>,
    ours: &Ours<'_>,
    served: Option<&Wishes>,
    ports: &[(u16, Protocol, Option<String>)],
    problems: &[Problem],
) {
    let problem = problems.first().map(|first| {
        let messages: Vec<&str> = problems.iter().map(|it| it.message.as_str()).collect();
        Problem::new(first.reason, messages.join("; "))
    });
    // Addresses at which nothing is served are not told: clients would be sent nowhere.
    let given = || ours.addresses.iter().filter(|_| served.is_some());
    let addresses: Vec<IpAddr> = given().map(|it| it.address).collect();
    let is_proxied = |it: &&Assigned| it.bind || served.is_some_and(Wishes::needs_proxy);
    let proxied: BTreeSet<IpAddr> = given().filter(is_proxied).map(|it| it.address).collect();
    for (cluster, id) in ours.clusters.iter().zip(&ours.ids) {
        let services = draft.cluster(*cluster).map(|it| &it.objects.services);
        let object = services.and_then(|it| it.get(ours.key));
        let generation = object.and_then(|it| it.metadata.generation).unwrap_or_default();
        let every = "every port is served";
        let condition = Condition::unless(
            problem.as_ref(),
            "lb.internal/Programmed",
            "Programmed",
            every,
            generation,
        );
        let status = Status::LoadBalancer {
            addresses: addresses.clone(),
            proxied: proxied.clone(),
            ports: ports.to_vec(),
            conditions: vec![condition],
        };
        draft.tell(id.clone(), status);
    }
}
