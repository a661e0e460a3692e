//! Schema to [`Desired`]: what the values mean, and every check beyond syntax.
//!
//! All mistakes of a file are reported together: a value that cannot be used is reported once
//! and left out, and the checks that follow make do without it.

mod address;
mod backend;
mod fit;
mod health;
mod kubernetes;
mod policy;
mod proxy;
mod scalar;
mod service;
mod settings;

use super::{
    diagnostic::{Position, Report},
    files::Files,
    located::Located,
    schema,
};
use crate::{
    kube::Options,
    model::{Desired, Settings, Vip},
};
use ipnet::IpNet;
use lb_common::limits;
use policy::Policy;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
};

/// Gives a file its meaning. Only valid if the report has no error afterwards.
pub(super) fn lower(
    located: &Located<schema::File>,
    files: &mut Files,
    report: &mut Report,
) -> (Desired, Option<Options>) {
    let file = &located.value;
    something_is_wanted(located, report);
    let interfaces = file.interfaces.as_ref();
    let interfaces = interfaces.map_or_else(Vec::new, |list| settings::interfaces(list, report));
    let settings =
        file.settings.as_ref().map_or_else(Settings::default, |s| settings::lower(s, report));
    let defaults = file.defaults.as_ref().map_or_else(Policy::default, |defaults| {
        Policy::default().overridden_by(&policy::Fields::from(defaults), report)
    });
    let mut whole = Whole::default();
    let mut services = BTreeMap::new();
    for service in file.services.iter().flatten() {
        if let Some((name, service)) = service::lower(service, &defaults, &mut whole, report) {
            services.insert(name, service);
        }
    }
    let proxy = proxy::lower(file, &mut whole, files, report);
    let options = kubernetes::lower(file, files, report);
    whole.nat_sources(file, &settings.nat_source);
    whole.check(report);
    packets_arrive_somewhere(file, report);
    (Desired { interfaces, settings, services: services.into(), proxy: Box::new(proxy) }, options)
}

/// A file that was cut or emptied by accident must not take everything away.
fn something_is_wanted(file: &Located<schema::File>, report: &mut Report) {
    let schema::File { services, listeners, kubernetes, .. } = &file.value;
    if services.is_none() && listeners.is_none() && kubernetes.is_none() {
        report.error(
            file.at,
            "neither `services` nor `listeners` nor `kubernetes`",
            "to forward nothing, write `services: []`; check the indentation if they are there",
        );
    }
}

/// Whoever has VIPs needs interfaces.
fn packets_arrive_somewhere(file: &schema::File, report: &mut Report) {
    if file.interfaces.as_ref().is_some_and(|list| !list.value.is_empty()) {
        return;
    }
    let service = file.services.iter().flatten().next().map(|service| service.name.at);
    let vip = file.listeners.iter().flatten().find_map(|listener| {
        listener.vips.as_ref().filter(|vips| !vips.value.is_empty()).map(|vips| vips.at)
    });
    let pools = file.kubernetes.iter().flat_map(|it| it.pools.iter().flatten());
    let mut steered = pools.filter(|it| it.bind != Some(true));
    let pool = steered.next().map(|it| it.name.at);
    let Some(at) = service.or(vip).or(pool) else { return };
    report.error(
        file.interfaces.as_ref().map_or(at, |list| list.at),
        "no interfaces",
        "list those that traffic for VIPs arrives on, like `interfaces: [eth0]`",
    );
}

/// What must hold over all services.
#[derive(Default)]
struct Whole {
    service_names: HashMap<String, Position>,
    /// Every VIP, with its service and where it is listed.
    vips: HashMap<Vip, (String, Position)>,
    /// Addresses that must not be VIPs, with what they are.
    addresses: Vec<(IpAddr, &'static str, Position)>,
    /// Backends over all VIPs, as the data plane counts them.
    backend_count: usize,
    /// The first service that is beyond the limit.
    backends_exceeded_at: Option<Position>,
    vips_exceeded_at: Option<Position>,
    /// Source ranges over all VIPs, as the data plane counts them.
    source_count: usize,
    sources_exceeded_at: Option<Position>,
    /// VIPs of the proxy's listeners, which several may share.
    listener_vips: HashSet<Vip>,
}

impl Whole {
    /// A service has so many VIPs and backends.
    fn count(&mut self, vips: usize, backends: usize, at: Position) {
        self.backend_count = self.backend_count.saturating_add(vips.saturating_mul(backends));
        if self.backend_count > limits::BACKENDS_MAX as usize {
            self.backends_exceeded_at.get_or_insert(at);
        }
        self.count_vips(at);
    }

    /// A service serves these clients only.
    fn count_sources(&mut self, vips: &BTreeSet<Vip>, sources: &BTreeSet<IpNet>, at: Position) {
        let of = |vip: &Vip| {
            sources.iter().filter(|it| it.addr().is_ipv4() == vip.address.is_ipv4()).count()
        };
        self.source_count = self.source_count.saturating_add(vips.iter().map(of).sum());
        if self.source_count > limits::SOURCES_MAX as usize {
            self.sources_exceeded_at.get_or_insert(at);
        }
    }

    /// A listener of the proxy has this VIP, which is no service's.
    fn listener_vip(&mut self, vip: Vip, at: Position) {
        self.listener_vips.insert(vip);
        self.count_vips(at);
    }

    fn count_vips(&mut self, at: Position) {
        if self.vip_count() > limits::VIPS_MAX as usize {
            self.vips_exceeded_at.get_or_insert(at);
        }
    }

    fn vip_count(&self) -> usize {
        self.vips.len() + self.listener_vips.len()
    }

    fn nat_sources(&mut self, file: &schema::File, used: &[IpAddr]) {
        let list = file.settings.as_ref().and_then(|settings| settings.nat_source.as_ref());
        for text in list.into_iter().flatten() {
            if let Some(address) = text.value.parse().ok().filter(|it| used.contains(it)) {
                self.addresses.push((address, "a source address of NAT", text.at));
            }
        }
    }

    fn check(self, report: &mut Report) {
        let vips = self.vips.keys().chain(&self.listener_vips);
        let vips: HashSet<IpAddr> = vips.map(|vip| vip.address).collect();
        for (address, what, at) in &self.addresses {
            if vips.contains(address) {
                report.error(
                    *at,
                    format!("{address} is a VIP and cannot be {what} too"),
                    "packets to it would come back to the load balancer: use the host's own address",
                );
            }
        }
        if let Some(at) = self.vips_exceeded_at {
            report.error(
                at,
                format!(
                    "{} VIPs are more than the {} of one data plane",
                    self.vip_count(),
                    limits::VIPS_MAX
                ),
                "use all-ports VIPs (`*`), or share the services between routers",
            );
        }
        if let Some(at) = self.backends_exceeded_at {
            report.error(
                at,
                format!(
                    "{} backends over all VIPs are more than the {} of one data plane",
                    self.backend_count,
                    limits::BACKENDS_MAX
                ),
                "a backend counts once for every VIP of its service; all-ports VIPs (`*`) save some",
            );
        }
        if let Some(at) = self.sources_exceeded_at {
            report.error(
                at,
                format!(
                    "{} source ranges over all VIPs are more than the {} of one data plane",
                    self.source_count,
                    limits::SOURCES_MAX
                ),
                "a range counts once for every VIP of its family; join ranges that are neighbours",
            );
        }
    }
}
