//! Schema to [`Desired`]: what the values mean, and every check beyond syntax.
//!
//! All mistakes of a file are reported together: a value that cannot be used is reported once
//! and left out, and the checks that follow make do without it.

mod address;
mod backend;
mod fit;
mod health;
mod policy;
mod scalar;
mod service;
mod settings;

use super::{
    diagnostic::{Position, Report},
    schema,
};
use crate::model::{Desired, Settings, Vip};
use lb_common::limits;
use policy::Policy;
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

/// Gives a file its meaning. Only valid if the report has no error afterwards.
pub(super) fn lower(file: &schema::File, report: &mut Report) -> Desired {
    let interfaces = settings::interfaces(&file.interfaces, report);
    let settings =
        file.settings.as_ref().map_or_else(Settings::default, |s| settings::lower(s, report));
    let defaults = file.defaults.as_ref().map_or_else(Policy::default, |defaults| {
        Policy::default().overridden_by(&policy::Fields::from(defaults), report)
    });
    let mut whole = Whole::default();
    let mut services = BTreeMap::new();
    for service in &file.services {
        if let Some((name, service)) = service::lower(service, &defaults, &mut whole, report) {
            services.insert(name, service);
        }
    }
    whole.nat_sources(file, &settings.nat_source);
    whole.check(report);
    Desired { interfaces, settings, services, proxy: Box::default() }
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
}

impl Whole {
    /// A service has so many VIPs and backends.
    fn count(&mut self, vips: usize, backends: usize, at: Position) {
        self.backend_count = self.backend_count.saturating_add(vips.saturating_mul(backends));
        if self.backend_count > limits::BACKENDS_MAX as usize {
            self.backends_exceeded_at.get_or_insert(at);
        }
        if self.vips.len() > limits::VIPS_MAX as usize {
            self.vips_exceeded_at.get_or_insert(at);
        }
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
        let vip_owners: HashMap<IpAddr, &str> =
            self.vips.iter().map(|(vip, (service, _))| (vip.address, service.as_str())).collect();
        for (address, what, at) in &self.addresses {
            if vip_owners.contains_key(address) {
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
                    self.vips.len(),
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
    }
}
