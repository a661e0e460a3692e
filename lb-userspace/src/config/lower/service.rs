//! One service.

use super::{Whole, address, backend, fit, policy, policy::Policy, scalar};
use crate::{
    config::{diagnostic::Report, located::Located, schema},
    model::{Service, Vip},
};
use ipnet::IpNet;
use std::collections::BTreeSet;

/// The service with its name; `None` if it has no usable name.
pub(super) fn lower(
    file: &schema::Service,
    defaults: &Policy,
    whole: &mut Whole,
    report: &mut Report,
) -> Option<(String, Service)> {
    let name = scalar::name(&file.name, report);
    if let Some(name) = &name
        && let Some(other) = whole.service_names.insert(name.clone(), file.name.at)
    {
        let message = format!("a second service with the name `{name}`");
        report.error(file.name.at, message, scalar::other_at(other));
    }
    let called = &file.name.value;
    let vips = vips(&file.vips, called, whole, report);
    let policy = defaults.overridden_by(&policy::Fields::from(file), report);
    let backends = backend::lower(&file.backends, whole, report);
    policy.check_ring(called, backends.len(), file.name.at, report);
    whole.count(vips.len(), backends.len(), file.name.at);
    let probe_at = file.health.as_ref().map_or(file.name.at, |health| health.at);
    let sources = sources(file.sources.as_ref(), &vips, report);
    whole.count_sources(&vips, &sources, file.name.at);
    fit::Parts { vips: &vips, policy: &policy, backends: &backends, probe_at }.check(report);
    let service = Service {
        vips,
        sources,
        mode: policy.mode,
        affinity: policy.affinity,
        udp: policy.udp,
        idle_timeout: policy.idle_timeout,
        ring_slots: policy.ring_slots,
        backends: backends.into_iter().map(|(name, placed)| (name, placed.backend)).collect(),
        health: policy.health,
    };
    name.map(|name| (name, service))
}

/// Clients that are served: nobody is served by mistake, and nobody is kept out by one.
fn sources(
    list: Option<&Located<Vec<Located<String>>>>,
    vips: &BTreeSet<Vip>,
    report: &mut Report,
) -> BTreeSet<IpNet> {
    let Some(list) = list else { return BTreeSet::new() };
    if list.value.is_empty() {
        report.error(list.at, "nobody is served", "list prefixes, or remove `sources`");
    }
    let prefixes = address::prefixes(&list.value, report);
    let is_of = |ipv4: bool| prefixes.iter().any(|it| it.addr().is_ipv4() == ipv4);
    let unserved = vips.iter().find(|vip| !is_of(vip.address.is_ipv4()));
    if let Some(vip) =
        unserved.filter(|_| prefixes.len() == list.value.len() && !prefixes.is_empty())
    {
        let family = address::family(vip.address.is_ipv4());
        let any = if vip.address.is_ipv4() { "0.0.0.0/0" } else { "::/0" };
        let message = format!("`sources` has no {family} prefix, so {vip} would serve nobody");
        report.error(list.at, message, format!("add {family} prefixes; `{any}` is everybody"));
    }
    prefixes.into_iter().collect()
}

fn vips(
    list: &Located<Vec<Located<String>>>,
    service: &str,
    whole: &mut Whole,
    report: &mut Report,
) -> BTreeSet<Vip> {
    if list.value.is_empty() {
        let hint = "list at least one, like `vips: [\"192.0.2.10:80/tcp\"]`";
        report.error(list.at, "a service without VIPs", hint);
    }
    let mut vips = BTreeSet::new();
    for text in &list.value {
        let Some(vip) = address::vip(text, report) else { continue };
        if let Some((owner, at)) = whole.vips.get(&vip) {
            let message = if owner == service {
                format!("VIP {vip} is listed twice")
            } else {
                format!("VIP {vip} belongs to service `{owner}` already")
            };
            report.error(text.at, message, scalar::other_at(*at));
            continue;
        }
        whole.vips.insert(vip, (service.to_owned(), text.at));
        vips.insert(vip);
    }
    vips
}
