//! Which parts of the packet path are needed, and when that takes another program.

use lb_common::abi::{Features, Mode, VIP_FLAG_AFFINITY, VIP_FLAG_SOURCES, VipEntry};

/// The parts that a VIP needs.
pub fn needed_by(entry: &VipEntry, is_ipv4: bool, port: u16) -> Features {
    let mut bits = if is_ipv4 { Features::IPV4 } else { Features::IPV6 };
    if entry.is_proxied() {
        return Features(bits | Features::PROXY);
    }
    bits |= match entry.mode() {
        Some(Mode::L2Dsr) => Features::L2DSR,
        Some(Mode::Tunnel) => Features::TUNNEL,
        Some(Mode::Nat | Mode::Dnat) => Features::NAT,
        None => 0,
    };
    if port == 0 {
        bits |= Features::ALL_PORTS;
    }
    if entry.flags & VIP_FLAG_AFFINITY != 0 {
        bits |= Features::AFFINITY;
    }
    if entry.flags & VIP_FLAG_SOURCES != 0 {
        bits |= Features::SOURCES;
    }
    Features(bits)
}

/// Whether a program loaded with `loaded` does not serve `needed`. A part too many is kept (a
/// reload is a change of the running program for nothing but speed), except logging, whose cost
/// nobody asked for.
pub(super) fn needs_reload(loaded: Features, needed: Features) -> bool {
    !loaded.has(needed.0) || (loaded.has(Features::LOG) && !needed.has(Features::LOG))
}

/// Names of the parts, for tools.
pub fn names(features: Features) -> Vec<&'static str> {
    [
        (Features::IPV4, "ipv4"),
        (Features::IPV6, "ipv6"),
        (Features::L2DSR, "l2dsr"),
        (Features::TUNNEL, "tunnel"),
        (Features::NAT, "nat"),
        (Features::ALL_PORTS, "all_ports"),
        (Features::AFFINITY, "affinity"),
        (Features::PROXY, "proxy"),
        (Features::SOURCES, "sources"),
        (Features::SCTP, "sctp"),
        (Features::LOG, "log"),
    ]
    .into_iter()
    .filter_map(|(bit, name)| features.has(bit).then_some(name))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_kept_while_it_serves() {
        let small = Features(Features::IPV4 | Features::TUNNEL);
        assert!(!needs_reload(Features::ALL, small));
        assert!(!needs_reload(small, small));
        assert!(needs_reload(small, Features::ALL));
        let logged = Features(small.0 | Features::LOG);
        assert!(needs_reload(small, logged));
        assert!(needs_reload(logged, small));
    }

    #[test]
    fn a_vip_needs_its_family_mode_ports_and_flags() {
        let flags = VIP_FLAG_AFFINITY | VIP_FLAG_SOURCES;
        let entry = VipEntry { mode: Mode::Dnat as u8, flags, ..VipEntry::default() };
        let needed = needed_by(&entry, false, 0);
        assert_eq!(names(needed), ["ipv6", "nat", "all_ports", "affinity", "sources"]);
    }
}
