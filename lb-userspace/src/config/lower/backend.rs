//! Backends of one service.

use super::{Whole, address, scalar};
use crate::{
    config::{
        diagnostic::{Position, Report},
        located::Located,
        schema,
    },
    model::Backend,
};
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

/// Relative share, at most.
const WEIGHT_MAX: u16 = 1_000;
const WEIGHT_DEFAULT: u16 = 1;

/// A backend and the places that later checks point at.
pub(super) struct Placed {
    pub(super) backend: Backend,
    pub(super) name_at: Position,
    pub(super) port_at: Position,
}

/// The backends that are good by themselves, by name.
pub(super) fn lower(
    list: &Located<Vec<schema::Backend>>,
    whole: &mut Whole,
    report: &mut Report,
) -> BTreeMap<String, Placed> {
    if list.value.is_empty() {
        report.error(
            list.at,
            "a service without backends",
            "list at least one; to let all of them finish their flows, use `drain: true`",
        );
    }
    let mut names = HashMap::new();
    let mut hosts = HashMap::new();
    let mut backends = BTreeMap::new();
    for file in &list.value {
        let name = scalar::name(&file.name, report);
        let backend = one(file, &mut hosts, whole, report);
        let Some(name) = name else { continue };
        if let Some(other) = names.insert(name.clone(), file.name.at) {
            let message = format!("a second backend with the name `{name}`");
            report.error(file.name.at, message, scalar::other_at(other));
            continue;
        }
        if let Some(backend) = backend {
            let port_at = file.port.as_ref().map_or(file.name.at, |port| port.at);
            backends.insert(name, Placed { backend, name_at: file.name.at, port_at });
        }
    }
    check_weights(list, &backends, report);
    backends
}

/// Where a host is listed, by what tells two backends apart.
type Hosts = HashMap<(IpAddr, Option<u16>), Position>;

fn one(
    file: &schema::Backend,
    hosts: &mut Hosts,
    whole: &mut Whole,
    report: &mut Report,
) -> Option<Backend> {
    let port = file.port.as_ref().map(|port| scalar::port(port, report));
    let weight = file.weight.as_ref().map_or(Some(WEIGHT_DEFAULT), |weight| {
        scalar::number("weight", weight, 0..=WEIGHT_MAX, report)
    });
    let addresses = addresses(file, report);
    // A port that was refused has been reported; do not mistake it for none.
    let port = match port {
        Some(port) => Some(port?),
        None => None,
    };
    let (mut ipv4, mut ipv6) = (None, None);
    for (address, at) in addresses? {
        if let Some(other) = hosts.insert((address, port), at) {
            let message = format!("{address} is the address of another backend too");
            report.error(
                at,
                message,
                format!("{}; for a larger share use `weight`", scalar::other_at(other)),
            );
            return None;
        }
        whole.addresses.push((address, "a backend", at));
        match address {
            IpAddr::V4(address) => ipv4 = Some(address),
            IpAddr::V6(address) => ipv6 = Some(address),
        }
    }
    Some(Backend { ipv4, ipv6, port, weight: weight?, drain: file.drain.unwrap_or_default() })
}

/// One or two addresses; `None` if any was refused.
fn addresses(file: &schema::Backend, report: &mut Report) -> Option<Vec<(IpAddr, Position)>> {
    let name = &file.name;
    let list = match (&file.address, &file.addresses) {
        (Some(one), None) => std::slice::from_ref(one),
        (None, Some(list)) if !list.value.is_empty() => &list.value,
        (Some(_), Some(list)) => {
            report.error(
                list.at,
                "a backend with both `address` and `addresses`",
                "list all of them in `addresses`",
            );
            return None;
        }
        (None, _) => {
            let message = format!("backend `{}` has no address", name.value);
            report.error(
                name.at,
                message,
                "add `address: 10.0.0.1`, or `addresses` for both families",
            );
            return None;
        }
    };
    let mut found: Vec<(IpAddr, Position)> = Vec::new();
    let mut good = true;
    for text in list {
        let Some(address) = address::host(text, report) else {
            good = false;
            continue;
        };
        let same = found.iter().find(|(other, _)| other.is_ipv4() == address.is_ipv4());
        if same.is_some() {
            let family = address::family(address.is_ipv4());
            report.error(
                text.at,
                format!("a second {family} address of backend `{}`", name.value),
                "a backend is one host, with at most one address a family: list another backend",
            );
            good = false;
        }
        found.push((address, text.at));
    }
    good.then_some(found)
}

/// Somebody must take new flows, unless all are told to finish.
fn check_weights(
    list: &Located<Vec<schema::Backend>>,
    backends: &BTreeMap<String, Placed>,
    report: &mut Report,
) {
    // Backends that were refused may have had a weight.
    if backends.is_empty() || backends.len() < list.value.len() {
        return;
    }
    if backends.values().all(|placed| placed.backend.weight == 0) {
        report.error(
            list.at,
            "every backend of the service has weight 0",
            "nobody would take new flows: give one a weight, or say `drain: true` if that is meant",
        );
    } else if backends.values().all(|placed| placed.backend.drain || placed.backend.weight == 0) {
        report.warning(
            list.at,
            "no backend of the service takes new flows",
            "all are drained or have weight 0; new connections to its VIPs are dropped",
        );
    }
}
