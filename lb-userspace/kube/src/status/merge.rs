//! What an object is to say: what we have to say put into what it says already.
//!
//! What others said stays: their conditions, and what is said for parents by other controllers.
//! A condition that holds as before keeps the time of its last change.

use super::said::Said;
use crate::{
    Condition, GATEWAY_CONTROLLER, ListenerReport, PREFIX, ParentReport, Status,
    api::{
        AddressPoolStatus, AncestorStatus, GatewayClassStatus, GatewayStatus, ListenerSetStatus,
        ListenerStatus, PolicyStatus, RouteParentStatus, RouteStatus, SupportedFeature,
    },
};
use k8s_openapi::{
    api::{
        core::v1::{LoadBalancerIngress, LoadBalancerStatus, PortStatus, ServiceStatus},
        networking::v1::{
            IngressLoadBalancerIngress, IngressLoadBalancerStatus, IngressPortStatus, IngressStatus,
        },
    },
    apimachinery::pkg::apis::meta::v1::{Condition as Written, Time},
};
use lb_model::Protocol;

/// Conditions of objects as a whole that nobody but us writes (Gateway API, condition types), beside
/// those with our prefix.
const OURS: [&str; 10] = [
    "Accepted",
    "AttachedListenerSets",
    "Conflicted",
    "InsecureFrontendValidationMode",
    "PartiallyInvalid",
    "Programmed",
    "Ready",
    "ResolvedRefs",
    "Scheduled",
    "SupportedVersion",
];

/// Parents in the status of a route (Gateway API, `RouteStatus.parents`).
const PARENTS_MAX: usize = 32;

/// Ancestors in the status of a policy (Gateway API, `PolicyStatus.ancestors`).
const ANCESTORS_MAX: usize = 16;

/// Bytes of a condition's message (Kubernetes, `Condition.message`).
const MESSAGE_MAX: usize = 32_768;

/// What is said of a port of a Service that is not served, where the reason is no short word.
const PORT_ERROR: &str = "lb.internal/NotServed";

type Port = (u16, Protocol, Option<String>);

/// What an object that says `before` is to say; `None` = its kind has no such status.
pub(super) fn merge(status: &Status, before: &Said, now: &Time) -> Option<Said> {
    let top = |before: &[Written], wanted: &[Condition]| conditions(before, wanted, is_ours, now);
    Some(match (status, before) {
        (Status::GatewayClass { conditions, features }, Said::GatewayClass(before)) => {
            let features = features.iter().map(|name| SupportedFeature { name: name.clone() });
            Said::GatewayClass(GatewayClassStatus {
                conditions: top(&before.conditions, conditions),
                supported_features: features.collect(),
            })
        }
        (
            Status::Gateway { addresses, conditions, listeners, attached_listener_sets },
            Said::Gateway(before),
        ) => {
            let count = *attached_listener_sets;
            let is_told = count > 0 || before.attached_listener_sets.is_some();
            Said::Gateway(GatewayStatus {
                addresses: addresses.clone(),
                attached_listener_sets: is_told.then_some(count),
                conditions: top(&before.conditions, conditions),
                listeners: reports(&before.listeners, listeners, now),
            })
        }
        (Status::ListenerSet { conditions, listeners }, Said::ListenerSet(before)) => {
            Said::ListenerSet(ListenerSetStatus {
                conditions: top(&before.conditions, conditions),
                listeners: reports(&before.listeners, listeners, now),
            })
        }
        (Status::Parents(wanted), Said::Route(before)) => {
            Said::Route(RouteStatus { parents: parents(&before.parents, wanted, now) })
        }
        (Status::Ancestors(wanted), Said::Policy(before)) => {
            Said::Policy(PolicyStatus { ancestors: ancestors(&before.ancestors, wanted, now) })
        }
        (Status::LoadBalancer { addresses, proxied, ports, conditions }, Said::Service(before)) => {
            let ingress = addresses.iter().map(|it| LoadBalancerIngress {
                hostname: None,
                ip: Some(it.to_string()),
                // Pods' own packets must go to a proxy too, or its rules would not count for them.
                ip_mode: Some(if proxied.contains(it) { "Proxy" } else { "VIP" }.to_owned()),
                ports: service_ports(ports),
            });
            let conditions = top(before.conditions.as_deref().unwrap_or_default(), conditions);
            Said::Service(ServiceStatus {
                conditions: some(conditions),
                load_balancer: Some(LoadBalancerStatus { ingress: some(ingress.collect()) }),
            })
        }
        (Status::LoadBalancer { addresses, ports, .. }, Said::Ingress(_)) => {
            let ingress = addresses.iter().map(|it| IngressLoadBalancerIngress {
                hostname: None,
                ip: Some(it.to_string()),
                ports: ingress_ports(ports),
            });
            let load_balancer = IngressLoadBalancerStatus { ingress: some(ingress.collect()) };
            Said::Ingress(IngressStatus { load_balancer: Some(load_balancer) })
        }
        (Status::AddressPool { assigned, free, conditions }, Said::AddressPool(before)) => {
            let conditions = top(&before.conditions, conditions);
            Said::AddressPool(AddressPoolStatus { assigned: *assigned, free: *free, conditions })
        }
        _ => return None,
    })
}

/// What is said of an object that lowering says nothing of any more: routes and policies that left
/// us still name our parents. `None` = nothing of ours is there.
pub(super) fn farewell(before: &Said) -> Option<Status> {
    match before {
        Said::Route(it) if it.parents.iter().any(|it| it.controller_name == GATEWAY_CONTROLLER) => {
            Some(Status::Parents(Vec::new()))
        }
        Said::Policy(it)
            if it.ancestors.iter().any(|it| it.controller_name == GATEWAY_CONTROLLER) =>
        {
            Some(Status::Ancestors(Vec::new()))
        }
        _ => None,
    }
}

fn is_ours(kind: &str) -> bool {
    OURS.contains(&kind) || kind.split_once('/').is_some_and(|(prefix, _)| prefix == PREFIX)
}

fn conditions(
    before: &[Written],
    wanted: &[Condition],
    is_ours: impl Fn(&str) -> bool,
    now: &Time,
) -> Vec<Written> {
    let of_kind = |kind: &str| wanted.iter().find(|it| it.kind == kind);
    let kept = before.iter().filter_map(|before| match of_kind(&before.type_) {
        Some(wanted) => Some(condition(Some(before), wanted, now)),
        None => (!is_ours(&before.type_)).then(|| before.clone()),
    });
    let is_new = |it: &&Condition| !before.iter().any(|before| before.type_ == it.kind);
    let added = wanted.iter().filter(is_new).map(|it| condition(None, it, now));
    kept.chain(added).collect()
}

fn condition(before: Option<&Written>, wanted: &Condition, now: &Time) -> Written {
    let status = match wanted.holds {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    let since = before.filter(|it| it.status == status).map(|it| &it.last_transition_time);
    let end = wanted.message.floor_char_boundary(MESSAGE_MAX);
    Written {
        last_transition_time: since.unwrap_or(now).clone(),
        message: wanted.message.get(..end).unwrap_or_default().to_owned(),
        observed_generation: Some(wanted.generation),
        reason: wanted.reason.to_owned(),
        status: status.to_owned(),
        type_: wanted.kind.to_owned(),
    }
}

fn reports(
    before: &[ListenerStatus],
    wanted: &[ListenerReport],
    now: &Time,
) -> Vec<ListenerStatus> {
    let report = |wanted: &ListenerReport| {
        let before = before.iter().find(|it| it.name == wanted.name);
        let before = before.map(|it| it.conditions.as_slice()).unwrap_or_default();
        ListenerStatus {
            name: wanted.name.clone(),
            attached_routes: wanted.attached_routes,
            conditions: conditions(before, &wanted.conditions, |_| true, now),
            supported_kinds: wanted.supported_kinds.clone(),
        }
    };
    wanted.iter().map(report).collect()
}

fn parents(
    before: &[RouteParentStatus],
    wanted: &[ParentReport],
    now: &Time,
) -> Vec<RouteParentStatus> {
    let others = before.iter().filter(|it| it.controller_name != GATEWAY_CONTROLLER).cloned();
    let mut parents: Vec<_> = others.collect();
    for report in wanted.iter().take(PARENTS_MAX.saturating_sub(parents.len())) {
        let before = before
            .iter()
            .find(|it| it.controller_name == GATEWAY_CONTROLLER && it.parent_ref == report.parent);
        let before = before.map(|it| it.conditions.as_slice()).unwrap_or_default();
        parents.push(RouteParentStatus {
            parent_ref: report.parent.clone(),
            controller_name: GATEWAY_CONTROLLER.to_owned(),
            conditions: conditions(before, &report.conditions, |_| true, now),
        });
    }
    parents
}

fn ancestors(
    before: &[AncestorStatus],
    wanted: &[ParentReport],
    now: &Time,
) -> Vec<AncestorStatus> {
    let others = before.iter().filter(|it| it.controller_name != GATEWAY_CONTROLLER).cloned();
    let mut ancestors: Vec<_> = others.collect();
    for report in wanted.iter().take(ANCESTORS_MAX.saturating_sub(ancestors.len())) {
        let before = before.iter().find(|it| {
            it.controller_name == GATEWAY_CONTROLLER && it.ancestor_ref == report.parent
        });
        let before = before.map(|it| it.conditions.as_slice()).unwrap_or_default();
        ancestors.push(AncestorStatus {
            ancestor_ref: report.parent.clone(),
            controller_name: GATEWAY_CONTROLLER.to_owned(),
            conditions: conditions(before, &report.conditions, |_| true, now),
        });
    }
    ancestors
}

fn service_ports(ports: &[Port]) -> Option<Vec<PortStatus>> {
    let port = |(port, protocol, error): &Port| PortStatus {
        error: error.as_deref().map(port_error),
        port: (*port).into(),
        protocol: protocol.to_string().to_uppercase(),
    };
    some(ports.iter().map(port).collect())
}

fn ingress_ports(ports: &[Port]) -> Option<Vec<IngressPortStatus>> {
    let port = |(port, protocol, error): &Port| IngressPortStatus {
        error: error.as_deref().map(port_error),
        port: (*port).into(),
        protocol: protocol.to_string().to_uppercase(),
    };
    some(ports.iter().map(port).collect())
}

/// Errors of ports are words in CamelCase (Kubernetes, `PortStatus.error`).
fn port_error(error: &str) -> String {
    let is_word = !error.is_empty() && error.len() <= 253;
    let is_word = is_word && error.bytes().all(|it| it.is_ascii_alphanumeric());
    if is_word { error.to_owned() } else { PORT_ERROR.to_owned() }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
