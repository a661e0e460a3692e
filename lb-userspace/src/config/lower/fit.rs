//! Whether VIPs, mode and backends fit together.

use super::{address, backend::Placed, policy::Policy};
use crate::{
    config::diagnostic::{Position, Report},
    model::{ForwardingMode, Probe, Protocol, Vip},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// One service, as far as it is good by itself.
pub(super) struct Parts<'a> {
    pub(super) vips: &'a BTreeSet<Vip>,
    pub(super) policy: &'a Policy,
    pub(super) backends: &'a BTreeMap<String, Placed>,
    /// Where the service asks for its probe, or else its name.
    pub(super) probe_at: Position,
}

impl Parts<'_> {
    /// Reports what does not fit; at most one finding a backend.
    pub(super) fn check(&self, report: &mut Report) {
        for (name, placed) in self.backends {
            if let Some(vip) = self.vips.iter().find(|vip| rewrites_port(vip, placed)) {
                self.check_port(name, placed, *vip, report);
            } else if let Some(vip) = self.vips.iter().find(|vip| lacks_family(vip, placed)) {
                self.check_family(name, placed, *vip, report);
            }
        }
        if self.policy.mode == ForwardingMode::Auto {
            self.check_auto(report);
        }
        self.check_probe_port(report);
    }

    /// A backend listens on another port than a VIP.
    fn check_port(&self, name: &str, placed: &Placed, vip: Vip, report: &mut Report) {
        let mode = mode_name(self.policy.mode);
        if matches!(self.policy.mode, ForwardingMode::L2dsr | ForwardingMode::Tunnel) {
            report.error(
                placed.port_at,
                format!("mode `{mode}` cannot change the port of {vip} for backend `{name}`"),
                "the packet arrives as the client sent it: let the backend listen on the VIP's \
                 port, or use mode `nat` or `dnat`",
            );
        } else if vip.port == 0 {
            report.error(
                placed.port_at,
                format!("{vip} takes every port, but backend `{name}` has one"),
                "all ports would end on that one: remove `port`, or give the VIP a port",
            );
        }
    }

    /// A backend has no address of a VIP's family.
    fn check_family(&self, name: &str, placed: &Placed, vip: Vip, report: &mut Report) {
        let (mode, family) = (mode_name(self.policy.mode), address::family(vip.address.is_ipv4()));
        if matches!(self.policy.mode, ForwardingMode::Auto | ForwardingMode::Tunnel) {
            return;
        }
        report.error(
            placed.name_at,
            format!("backend `{name}` has no {family} address, but {vip} needs one in mode `{mode}`"),
            format!("add its {family} address to `addresses`, or use mode `tunnel`, which alone bridges families"),
        );
    }

    /// `auto` takes one mode for a whole VIP: there must be one that can do it.
    fn check_auto(&self, report: &mut Report) {
        for vip in self.vips {
            let needs_nat = self.backends.iter().find(|(_, placed)| rewrites_port(vip, placed));
            let needs_tunnel = self.backends.iter().find(|(_, placed)| lacks_family(vip, placed));
            if let (Some((nat, placed)), Some((tunnel, _))) = (needs_nat, needs_tunnel) {
                let family = address::family(vip.address.is_ipv4());
                report.error(
                    placed.port_at,
                    format!(
                        "no mode can serve {vip}: backend `{nat}` needs its port changed (NAT), \
                         backend `{tunnel}` has no {family} address (tunnel)"
                    ),
                    "a VIP has one mode: give every backend an address of the VIP's family, or \
                     let all of them listen on the VIP's port",
                );
                return;
            }
        }
    }

    /// A probe without a port goes to the backend's, or to the first VIP's, which may be "all"; and
    /// nothing answers a probe at a port of SCTP.
    fn check_probe_port(&self, report: &mut Report) {
        let Some(health) = &self.policy.health else { return };
        let (Probe::Tcp { port: None } | Probe::Http { port: None, .. }) = &health.probe else {
            return;
        };
        if !self.vips.is_empty() && self.vips.iter().all(|vip| vip.protocol == Protocol::Sctp) {
            report.error(
                self.probe_at,
                "probes are of TCP, but the service is of SCTP only",
                "add the `port` of something that answers them, or write `health: { none: {} }`",
            );
            return;
        }
        let all_ports = self.vips.first().is_some_and(|vip| vip.port == 0);
        let portless = self.backends.iter().find(|(_, placed)| placed.backend.port.is_none());
        if let (true, Some((name, _))) = (all_ports, portless) {
            report.error(
                self.probe_at,
                format!("which port of backend `{name}` should be probed?"),
                "its service's first VIP takes every port: add `port` to the probe",
            );
        }
    }
}

fn rewrites_port(vip: &Vip, placed: &Placed) -> bool {
    placed.backend.port.is_some_and(|port| port != vip.port)
}

fn lacks_family(vip: &Vip, placed: &Placed) -> bool {
    match vip.address {
        IpAddr::V4(_) => placed.backend.ipv4.is_none(),
        IpAddr::V6(_) => placed.backend.ipv6.is_none(),
    }
}

const fn mode_name(mode: ForwardingMode) -> &'static str {
    match mode {
        ForwardingMode::Auto => "auto",
        ForwardingMode::L2dsr => "l2dsr",
        ForwardingMode::Tunnel => "tunnel",
        ForwardingMode::Nat => "nat",
        ForwardingMode::Dnat => "dnat",
    }
}
