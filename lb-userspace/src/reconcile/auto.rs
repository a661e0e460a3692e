//! Which forwarding mode a VIP uses, and why.

use super::{CompileError, Observed, VipImage};
use crate::model::{Backend, ForwardingMode, Service, Vip};
use lb_common::abi::Mode;

/// The mode for `vip`, with the reason if it was `auto`. `running` is the VIP as it runs.
pub(super) fn resolve(
    vip: Vip,
    service: &Service,
    observed: &Observed,
    running: Option<&VipImage>,
) -> Result<(Mode, Option<String>), CompileError> {
    let needs = Needs::of(vip, service);
    let mode = match service.mode {
        ForwardingMode::L2dsr => Mode::L2Dsr,
        ForwardingMode::Tunnel => Mode::Tunnel,
        ForwardingMode::Nat => Mode::Nat,
        ForwardingMode::Dnat => Mode::Dnat,
        ForwardingMode::Auto => {
            let (mode, reason) = choose(vip, service, observed, running, &needs);
            needs.check(vip, mode)?;
            return Ok((mode, Some(reason)));
        }
    };
    needs.check(vip, mode)?;
    Ok((mode, None))
}

/// Backends that not every mode can reach.
struct Needs<'a> {
    other_port: Vec<&'a str>,
    other_family: Vec<&'a str>,
}

impl<'a> Needs<'a> {
    fn of(vip: Vip, service: &'a Service) -> Self {
        let names = |is_special: &dyn Fn(&Backend) -> bool| {
            let backends = service.backends.iter().filter(|(_, backend)| is_special(backend));
            backends.map(|(name, _)| name.as_str()).collect()
        };
        Self {
            other_port: names(&|backend| backend.port.is_some_and(|port| port != vip.port)),
            other_family: names(&|backend| {
                let address = backend.address_for(vip.address);
                address.is_some_and(|address| address.is_ipv4() != vip.address.is_ipv4())
            }),
        }
    }

    fn check(&self, vip: Vip, mode: Mode) -> Result<(), CompileError> {
        let translates_ports = matches!(mode, Mode::Nat | Mode::Dnat);
        if let Some(backend) = self.other_port.first().filter(|_| !translates_ports) {
            let backend = (*backend).to_owned();
            return Err(CompileError::PortNeedsNat { vip, backend, mode: mode.name() });
        }
        if let Some(backend) = self.other_family.first().filter(|_| translates_ports) {
            let backend = (*backend).to_owned();
            return Err(CompileError::FamilyNeedsTunnel { vip, backend, mode: mode.name() });
        }
        Ok(())
    }
}

fn choose(
    vip: Vip,
    service: &Service,
    observed: &Observed,
    running: Option<&VipImage>,
    needs: &Needs<'_>,
) -> (Mode, String) {
    let total = service.backends.len();
    if !needs.other_port.is_empty() {
        let who = some_of(needs.other_port.len(), total, "listens", "listen");
        return (Mode::Nat, format!("{who} on another port than the VIP"));
    }
    if !needs.other_family.is_empty() {
        let who = some_of(needs.other_family.len(), total, "has", "have");
        return (Mode::Tunnel, format!("{who} no address of the VIP's family"));
    }
    let addresses = service.backends.values().filter_map(|it| it.address_for(vip.address));
    let reach: Vec<_> = addresses.map(|address| observed.reach.get(&address)).collect();
    let off_link = reach.iter().filter(|reach| reach.is_some_and(|it| !it.on_link)).count();
    let unknown = reach.iter().filter(|reach| reach.is_none()).count();
    if off_link > 0 {
        let who = some_of(off_link, total, "is", "are");
        return (Mode::Nat, format!("{who} not on a directly connected network"));
    }
    if unknown > 0 || total == 0 {
        return undecided(running, unknown, total);
    }
    let who = some_of(total, total, "is", "are");
    (
        Mode::L2Dsr,
        format!(
            "{who} on {}",
            plural(total, "a directly connected network", "directly connected networks")
        ),
    )
}

/// Nothing speaks for or against: what runs stays, with its reason.
fn undecided(running: Option<&VipImage>, unknown: usize, total: usize) -> (Mode, String) {
    let running = running.and_then(|vip| Some((vip.entry.mode()?, vip.mode_reason.clone()?)));
    running.unwrap_or_else(|| {
        let reason = if total == 0 {
            "there are no backends yet".to_owned()
        } else {
            let verb = plural(unknown, "is", "are");
            format!("how {unknown} of {total} backends {verb} reached is not known yet")
        };
        (Mode::Nat, reason)
    })
}

fn some_of(count: usize, total: usize, one: &str, many: &str) -> String {
    match (count, total) {
        (1, 1) => format!("the only backend {one}"),
        _ if count == total => format!("all {total} backends {many}"),
        _ => format!("{count} of {total} backends {}", plural(count, one, many)),
    }
}

fn plural<'a>(count: usize, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}
