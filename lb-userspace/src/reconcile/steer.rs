//! Proxied VIPs: what the listeners of the proxy ask of the packet path.

use super::VipImage;
use crate::model::{Desired, ListenerProtocol, Protocol, Vip};
use lb_common::{
    abi::{Features, VIP_FLAG_PROXIED, VipEntry},
    limits::NAME_BYTES_MAX,
};
use std::{collections::BTreeMap, net::IpAddr};

/// The VIPs of all listeners, with the listeners' names, sorted.
pub(super) fn vips(desired: &Desired) -> BTreeMap<Vip, Vec<&str>> {
    let mut vips: BTreeMap<Vip, Vec<&str>> = BTreeMap::new();
    for (name, listener) in &desired.proxy.listeners {
        for vip in &listener.vips {
            vips.entry(*vip).or_default().push(name);
        }
    }
    vips
}

/// The transport protocol that carries what a listener speaks.
pub(super) const fn transport(protocol: ListenerProtocol) -> Protocol {
    match protocol {
        ListenerProtocol::Http
        | ListenerProtocol::Https
        | ListenerProtocol::Tls
        | ListenerProtocol::Tcp => Protocol::Tcp,
        ListenerProtocol::Udp => Protocol::Udp,
    }
}

/// The image of a VIP that is given to these listeners.
pub(super) fn image(index: u32, listeners: &[&str]) -> VipImage {
    let entry = VipEntry { index, flags: VIP_FLAG_PROXIED, ..VipEntry::default() };
    VipImage { service: label(listeners), entry, ..VipImage::default() }
}

/// Parts of the packet path that a proxied VIP needs.
pub(super) const fn features(vip: Vip) -> u32 {
    let family = match vip.address {
        IpAddr::V4(_) => Features::IPV4,
        IpAddr::V6(_) => Features::IPV6,
    };
    family | Features::PROXY
}

/// Names in the place of one: as many as fit, and how many more there are. A first name that does
/// not fit is cut.
fn label(names: &[&str]) -> String {
    let mut label = String::new();
    for (position, name) in names.iter().enumerate() {
        let comma = if position == 0 { "" } else { "," };
        let left = names.len() - position - 1;
        let more = if left == 0 { String::new() } else { format!(",+{left}") };
        let room = NAME_BYTES_MAX.saturating_sub(more.len());
        if position == 0 && name.len() > room {
            return format!("{}{more}", name.get(..name.floor_char_boundary(room)).unwrap_or(name));
        }
        if label.len() + comma.len() + name.len() + more.len() > NAME_BYTES_MAX && position > 0 {
            return format!("{label},+{}", left + 1);
        }
        label.push_str(comma);
        label.push_str(name);
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_names_as_many_listeners_as_fit() {
        assert_eq!(label(&["web"]), "web");
        assert_eq!(label(&["a", "b", "c"]), "a,b,c");
        let long = ["x".repeat(30), "y".repeat(30), "z".repeat(30), "w".repeat(30)];
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        assert_eq!(label(&long), format!("{},+3", "x".repeat(30)));
        assert_eq!(label(&long[..2]), format!("{},{}", "x".repeat(30), "y".repeat(30)));
        let many: Vec<String> = (0..200).map(|number| format!("listener-{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for count in 1..many.len() {
            assert!(label(&many[..count]).len() <= NAME_BYTES_MAX, "{}", label(&many[..count]));
        }
        let widest = "n".repeat(NAME_BYTES_MAX);
        assert_eq!(label(&[&widest]), widest);
        let wider = format!("{widest}n");
        assert_eq!(label(&[&wider]), widest);
        assert_eq!(label(&[&wider, "b"]), format!("{},+1", &widest[..NAME_BYTES_MAX - 3]));
    }
}
