//! Connections that need no proxy: their packets are forwarded as they are.

use super::backend::{Context, weight};
use crate::{
    api::StreamRule,
    lower::{
        name::fitted,
        upstream::{Place, backends, forwarding},
    },
};
use lb_model::{ListenerProtocol, Vip};
use std::collections::{BTreeMap, BTreeSet};

/// Forwards what the VIPs of `listeners` get, by the name `name`. Listeners that are left with no
/// address are taken from `listeners` and from the proxy.
///
/// The proxy stays where it is needed: for backends that are not there, whose share is to be
/// refused, for those that are spoken to in a way of their own, and for VIPs of a family that no
/// endpoint has.
pub(super) fn take(
    cx: &mut Context<'_, '_>,
    rule: &StreamRule,
    name: &str,
    listeners: &mut BTreeSet<String>,
) {
    let has_vips = |name: &String| {
        cx.draft.desired.proxy.listeners.get(name).is_some_and(|it| !it.vips.is_empty())
    };
    if !listeners.iter().any(has_vips) {
        return;
    }
    let Some(lots) = lots(cx, rule) else { return };
    for is_ipv4 in [true, false] {
        forward(cx, &lots, name, listeners, is_ipv4);
    }
    listeners.retain(|name| {
        let listeners = &mut cx.draft.desired.proxy.listeners;
        let is_left =
            listeners.get(name).is_none_or(|it| !it.vips.is_empty() || !it.binds.is_empty());
        if !is_left {
            listeners.remove(name);
        }
        is_left
    });
}

/// Whether some endpoint of a family takes new flows.
fn takes(places: Vec<Place<'_>>, is_ipv4: bool, is_udp: bool) -> bool {
    backends(vec![(1, places)], is_ipv4, is_udp).values().any(|it| it.weight > 0)
}

/// The endpoints of each backend with its share; `None` = the proxy is needed. Those of a backend
/// without a share keep the connections they have.
fn lots<'w>(cx: &mut Context<'_, 'w>, rule: &StreamRule) -> Option<Vec<(u32, Vec<Place<'w>>)>> {
    let mut lots = Vec::new();
    for backend in &rule.backend_refs {
        let places = cx.forwardable(backend)?;
        lots.push((weight(backend), places));
    }
    Some(lots)
}

fn forward(
    cx: &mut Context<'_, '_>,
    lots: &[(u32, Vec<Place<'_>>)],
    name: &str,
    listeners: &BTreeSet<String>,
    is_ipv4: bool,
) {
    // A service has one port and one set of backends, which may depend on the protocol.
    let mut vips: BTreeMap<(u16, bool), BTreeSet<Vip>> = BTreeMap::new();
    let proxy = &mut cx.draft.desired.proxy;
    for listener in listeners {
        let Some(listener) = proxy.listeners.get_mut(listener) else { continue };
        let is_udp = listener.protocol == ListenerProtocol::Udp;
        let of_family = listener.vips.iter().filter(|it| it.address.is_ipv4() == is_ipv4);
        for vip in of_family {
            vips.entry((vip.port, is_udp)).or_default().insert(*vip);
        }
    }
    let ports = vips.len();
    for ((port, is_udp), vips) in vips {
        // A backend that is there in the other family only has a share of this one's clients too.
        let is_served = lots.iter().filter(|(share, _)| *share > 0).all(|(_, places)| {
            takes(places.clone(), is_ipv4, is_udp) || !takes(places.clone(), !is_ipv4, is_udp)
        });
        let backends = backends(lots.to_vec(), is_ipv4, is_udp);
        if !is_served || !backends.values().any(|it| it.weight > 0) {
            continue;
        }
        for listener in listeners {
            if let Some(listener) = cx.draft.desired.proxy.listeners.get_mut(listener) {
                listener.vips.retain(|it| !vips.contains(it));
            }
        }
        let mode = cx.draft.world.options.mode;
        let port = if ports > 1 { format!(":{port}") } else { String::new() };
        let family = if is_ipv4 { "" } else { " +ipv6" };
        let name = fitted(format!("{name}{port}{family}"));
        cx.draft.desired.services.insert(name, forwarding(vips, backends, mode));
    }
}
