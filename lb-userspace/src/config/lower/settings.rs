//! Interfaces and settings.

use super::{address, scalar};
use crate::{
    config::{diagnostic::Report, located::Located, schema},
    model::{Settings, TunnelSource},
};
use lb_common::limits;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Bytes of an interface name: the kernel's IFNAMSIZ of 16 less its zero byte.
const INTERFACE_BYTES_MAX: usize = 15;

/// Smallest flow table: below it even a quiet router forgets flows all the time.
const FLOWS_MIN: u32 = 1_024;

/// Linux' own source ports by default (`ip_local_port_range`).
const EPHEMERAL_PORTS: (u16, u16) = (32_768, 60_999);

/// The interfaces, in file order.
pub(super) fn interfaces(list: &Located<Vec<Located<String>>>, report: &mut Report) -> Vec<String> {
    let mut seen = HashMap::new();
    let mut names = Vec::new();
    for name in &list.value {
        if !interface_name(name, report) {
            continue;
        }
        if let Some(other) = seen.insert(&name.value, name.at) {
            let message = format!("interface `{}` is listed twice", name.value);
            report.error(name.at, message, scalar::other_at(other));
            continue;
        }
        names.push(name.value.clone());
    }
    names
}

/// The rule of the kernel's `dev_valid_name`.
fn interface_name(name: &Located<String>, report: &mut Report) -> bool {
    let value = name.value.as_str();
    let forbidden = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    let hint = if value.len() > INTERFACE_BYTES_MAX {
        format!("at most {INTERFACE_BYTES_MAX} bytes")
    } else if value.is_empty() || value == "." || value == ".." || value.contains(forbidden) {
        "an interface name has no `/`, `:` or space; `ip link` shows the names".to_owned()
    } else {
        return true;
    };
    report.error(name.at, format!("`{value}` cannot be an interface name"), hint);
    false
}

/// The settings, defaults filled in.
pub(super) fn lower(file: &schema::Settings, report: &mut Report) -> Settings {
    let default = Settings::default();
    Settings {
        seed: file.seed.as_ref().and_then(|seed| seed_of(seed, report)).unwrap_or(default.seed),
        flows_max: file
            .flows_max
            .as_ref()
            .and_then(|n| {
                scalar::number("flow table size", n, FLOWS_MIN..=limits::FLOWS_MAX, report)
            })
            .unwrap_or(default.flows_max),
        nat_ports: file
            .nat_ports
            .as_ref()
            .and_then(|text| nat_ports(text, report))
            .unwrap_or(default.nat_ports),
        nat_source: nat_source(file.nat_source.as_deref().unwrap_or_default(), report),
        tunnel_source: file
            .tunnel_source
            .as_ref()
            .map_or(default.tunnel_source, |source| tunnel_source(source, report)),
        packet_log: file.packet_log.unwrap_or(default.packet_log),
    }
}

fn seed_of(seed: &Located<schema::TextOrNumber>, report: &mut Report) -> Option<u64> {
    match &seed.value {
        schema::TextOrNumber::Number(number) => {
            let value = u64::try_from(*number).ok();
            if value.is_none() {
                let hint = format!("write a number from 0 to {}, or a text", u64::MAX);
                report.error(seed.at, format!("{number} is not a seed"), hint);
            }
            value
        }
        schema::TextOrNumber::Text(text) if text.is_empty() => {
            report.error(seed.at, "an empty seed", "leave the key out for the built-in seed");
            None
        }
        schema::TextOrNumber::Text(text) => Some(fnv1a(text.as_bytes())),
    }
}

/// FNV-1a, 64 bits: small, and the same in any other program that must agree on a seed.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn nat_ports(text: &Located<String>, report: &mut Report) -> Option<(u16, u16)> {
    let value = text.value.trim();
    let span = scalar::span(value).filter(|_| value.contains('-'));
    let Some((first, last)) = span else {
        let hint = "write FIRST-LAST, like 1024-32767";
        report.error(text.at, format!("`{value}` is not a range of ports"), hint);
        return None;
    };
    let (Ok(first), Ok(last)) = (u16::try_from(first), u16::try_from(last)) else {
        report.error(text.at, format!("`{value}` is not a range of ports"), "ports end at 65535");
        return None;
    };
    if first < limits::NAT_PORT_FIRST {
        let hint = format!("start at {} or above", limits::NAT_PORT_FIRST);
        report.error(text.at, "NAT must not take privileged ports as source ports", hint);
        return None;
    }
    if first > last {
        let message = format!("the range {first}-{last} is the wrong way round");
        report.error(text.at, message, format!("write {last}-{first}"));
        return None;
    }
    if first <= EPHEMERAL_PORTS.1 && last >= EPHEMERAL_PORTS.0 {
        let (low, high) = EPHEMERAL_PORTS;
        report.warning(
            text.at,
            format!("Linux takes its own source ports from {low}-{high} unless told otherwise"),
            "a connection of the router itself may collide with a translated one: end the range \
             below, or change net.ipv4.ip_local_port_range",
        );
    }
    Some((first, last))
}

fn nat_source(list: &[Located<String>], report: &mut Report) -> Vec<IpAddr> {
    let mut found: Vec<(IpAddr, _)> = Vec::new();
    for text in list {
        let Some(address) = address::host(text, report) else { continue };
        let same = found.iter().find(|(other, _)| other.is_ipv4() == address.is_ipv4());
        if let Some((_, at)) = same {
            let family = address::family(address.is_ipv4());
            let message = format!("a second {family} source address for NAT");
            report.error(text.at, message, scalar::other_at(*at));
            continue;
        }
        found.push((address, text.at));
    }
    found.into_iter().map(|(address, _)| address).collect()
}

fn tunnel_source(file: &schema::TunnelSource, report: &mut Report) -> TunnelSource {
    let default = TunnelSource::default();
    let ipv4 = file.ipv4.as_ref().and_then(|text| {
        let hint = "write the first address of a /16, like 172.16.0.0";
        let address: Ipv4Addr = prefix(text, "an IPv4", hint, report)?;
        let [_, _, third, fourth] = address.octets();
        aligned(text, (third, fourth) == (0, 0), address.into(), hint, report).then_some(address)
    });
    let ipv6 = file.ipv6.as_ref().and_then(|text| {
        let hint = "write the first address of a /64, like \"100::\"";
        let address: Ipv6Addr = prefix(text, "an IPv6", hint, report)?;
        let low = address.to_bits() as u64;
        aligned(text, low == 0, address.into(), hint, report).then_some(address)
    });
    TunnelSource { ipv4: ipv4.unwrap_or(default.ipv4), ipv6: ipv6.unwrap_or(default.ipv6) }
}

fn prefix<T: std::str::FromStr>(
    text: &Located<String>,
    family: &str,
    hint: &str,
    report: &mut Report,
) -> Option<T> {
    let address = text.value.trim().parse().ok();
    if address.is_none() {
        report.error(text.at, format!("`{}` is not {family} address", text.value), hint);
    }
    address
}

fn aligned(
    text: &Located<String>,
    aligned: bool,
    address: IpAddr,
    hint: &str,
    report: &mut Report,
) -> bool {
    if let Some((why, hint)) = address::unsuitable(address) {
        report.error(text.at, format!("{address} is {why}"), hint);
        return false;
    }
    if !aligned {
        let bits = if address.is_ipv4() { 16 } else { 64 };
        let message = format!("{address} has bits set beyond its first {bits}");
        report.error(text.at, message, format!("the flow hash fills those: {hint}"));
    }
    aligned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_seeds_hash_as_published() {
        // Test vectors of the FNV authors.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
