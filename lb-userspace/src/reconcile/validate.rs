//! What must hold of a `Desired` for it to be compiled, whatever source it came from.

use super::{CompileError, Image, sources, steer};
use crate::model::{Desired, Listener, Service, Vip};
use lb_common::limits::{BACKENDS_MAX, NAME_BYTES_MAX, RING_SLOTS_MAX, SOURCES_MAX, VIPS_MAX};
use std::collections::BTreeMap;

/// All reasons why `desired` cannot replace `running`.
pub(super) fn validate(desired: &Desired, running: &Image) -> Result<(), Vec<CompileError>> {
    let mut errors = Vec::new();
    check_limits(desired, &mut errors);
    let mut owners: BTreeMap<Vip, &str> = BTreeMap::new();
    for (name, service) in &desired.services {
        check_service(name, service, &mut errors);
        for vip in &service.vips {
            if let Some(first) = owners.insert(*vip, name) {
                let (first, second) = (first.to_owned(), name.clone());
                errors.push(CompileError::SharedVip { vip: *vip, first, second });
            }
            check_resize(*vip, service, running, &mut errors);
        }
    }
    for (name, listener) in &desired.proxy.listeners {
        check_listener(name, listener, &owners, &mut errors);
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn check_limits(desired: &Desired, errors: &mut Vec<CompileError>) {
    let forwarded: usize = desired.services.values().map(|service| service.vips.len()).sum();
    let vips = forwarded + steer::vips(desired).len();
    if vips > VIPS_MAX as usize {
        errors.push(CompileError::TooManyVips { count: vips });
    }
    let per_service = desired.services.values().map(|it| it.vips.len() * it.backends.len());
    let backends = per_service.sum();
    if backends > BACKENDS_MAX as usize {
        errors.push(CompileError::TooManyBackends { count: backends });
    }
    let sources = desired.services.values().map(sources::count).sum();
    if sources > SOURCES_MAX as usize {
        errors.push(CompileError::TooManySources { count: sources });
    }
}

fn check_service(name: &str, service: &Service, errors: &mut Vec<CompileError>) {
    let names = std::iter::once(name).chain(service.backends.keys().map(String::as_str));
    let bad = names.filter(|name| name.is_empty() || name.len() > NAME_BYTES_MAX);
    errors.extend(bad.map(|name| CompileError::BadName { name: name.to_owned() }));
    let ring_slots = service.ring_slots;
    if ring_slots > RING_SLOTS_MAX || !is_prime(ring_slots) {
        errors.push(CompileError::BadRingSlots { service: name.to_owned(), ring_slots });
    }
    let unaddressed =
        service.backends.iter().filter(|(_, it)| it.ipv4.is_none() && it.ipv6.is_none());
    errors.extend(unaddressed.map(|(backend, _)| CompileError::NoAddress {
        service: name.to_owned(),
        backend: backend.clone(),
    }));
}

fn check_listener(
    name: &str,
    listener: &Listener,
    services: &BTreeMap<Vip, &str>,
    errors: &mut Vec<CompileError>,
) {
    // However long it is: maps hold labels of listeners, which are cut.
    if name.is_empty() {
        errors.push(CompileError::BadName { name: name.to_owned() });
    }
    let needed = steer::transport(listener.protocol);
    for vip in &listener.vips {
        let (vip, listener) = (*vip, name.to_owned());
        if vip.port == 0 {
            errors.push(CompileError::ProxiedWithoutPort { vip, listener });
        } else if vip.protocol != needed {
            errors.push(CompileError::ProxiedProtocol { vip, listener, needed });
        } else if let Some(service) = services.get(&vip) {
            let service = (*service).to_owned();
            errors.push(CompileError::ForwardedAndProxied { vip, service, listener });
        }
    }
}

fn check_resize(vip: Vip, service: &Service, running: &Image, errors: &mut Vec<CompileError>) {
    let Some(before) = running.vips.get(&vip).filter(|it| !it.ring.slots.is_empty()) else {
        return;
    };
    let (running, desired) = (before.entry.ring_slots, service.ring_slots);
    if running != desired {
        errors.push(CompileError::RingResized { vip, running, desired });
    }
}

fn is_prime(number: u32) -> bool {
    let divisors = (2..).take_while(|divisor| divisor * divisor <= number);
    number >= 2 && divisors.into_iter().all(|divisor| !number.is_multiple_of(divisor))
}
