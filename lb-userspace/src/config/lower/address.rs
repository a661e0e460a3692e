//! Addresses that a packet can have as its source or destination.

use crate::{
    config::{diagnostic::Report, located::Located},
    model::{Vip, VipSyntaxError},
};
use ipnet::IpNet;
use std::net::IpAddr;

/// An address of one host.
pub(super) fn host(text: &Located<String>, report: &mut Report) -> Option<IpAddr> {
    let value = text.value.trim();
    let Ok(address) = value.parse::<IpAddr>() else {
        let hint = if value.parse::<std::net::SocketAddr>().is_ok() {
            "write the address alone; the port is a key of its own"
        } else if value.contains('/') {
            "write one address, not a prefix"
        } else {
            "write an IPv4 or IPv6 address; names are not resolved"
        };
        report.error(text.at, format!("`{value}` is not an address"), hint);
        return None;
    };
    match unsuitable(address) {
        Some((why, hint)) => {
            report.error(text.at, format!("{address} is {why}"), hint);
            None
        }
        None => Some(address),
    }
}

/// Addresses and prefixes.
pub(super) fn prefixes(list: &[Located<String>], report: &mut Report) -> Vec<IpNet> {
    list.iter().filter_map(|text| prefix(text, report)).collect()
}

fn prefix(text: &Located<String>, report: &mut Report) -> Option<IpNet> {
    let value = text.value.trim();
    if let Ok(address) = value.parse::<IpAddr>() {
        return Some(address.into());
    }
    let Ok(prefix) = value.parse::<IpNet>() else {
        let hint = "write an address, or a prefix like 10.0.0.0/8 or 2001:db8::/32";
        report.error(text.at, format!("`{value}` is not a prefix"), hint);
        return None;
    };
    if prefix != prefix.trunc() {
        let message = format!("{value} has bits set beyond its first {}", prefix.prefix_len());
        report.error(text.at, message, format!("write {}", prefix.trunc()));
        return None;
    }
    Some(prefix)
}

/// A VIP that packets can be sent to.
pub(super) fn vip(text: &Located<String>, report: &mut Report) -> Option<Vip> {
    let vip: Vip = match text.value.trim().parse() {
        Ok(vip) => vip,
        Err(error) => {
            let error: VipSyntaxError = error;
            report.error(text.at, error.message, error.hint);
            return None;
        }
    };
    if let Some((why, hint)) = unsuitable(vip.address) {
        report.error(text.at, format!("VIP address {} is {why}", vip.address), hint);
        return None;
    }
    Some(vip)
}

/// Why an address cannot be that of one host on the network.
pub(super) fn unsuitable(address: IpAddr) -> Option<(&'static str, String)> {
    let one = |why| Some((why, "use a unicast address that is routed to the host".to_owned()));
    match address {
        address if address.is_unspecified() => one("the unspecified address"),
        address if address.is_loopback() => one("a loopback address"),
        address if address.is_multicast() => one("a multicast address"),
        IpAddr::V4(address) if address.is_broadcast() => one("the broadcast address"),
        IpAddr::V6(address) if address.is_unicast_link_local() => {
            one("a link-local address, which means another host on every link")
        }
        IpAddr::V6(address) => address.to_ipv4_mapped().map(|inner| {
            ("an IPv4-mapped address", format!("write the IPv4 address itself: {inner}"))
        }),
        IpAddr::V4(_) => None,
    }
}

/// "IPv4" or "IPv6".
pub(super) const fn family(ipv4: bool) -> &'static str {
    if ipv4 { "IPv4" } else { "IPv6" }
}
