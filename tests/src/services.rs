//! What the demo and most end-to-end tests balance: a service for each forwarding mode, and the
//! configuration of it.

use std::fmt;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::client::Protocol;
use crate::lab::{Family, Host};

/// The port of the TCP servers.
pub const TCP_PORT: u16 = 80;
/// The port of the UDP servers.
pub const UDP_PORT: u16 = 53;
/// The router's interfaces that lbd works on.
pub const INTERFACES: [&str; 3] = ["a0", "b0", "c0"];
/// Probes that notice a dead backend within about a second.
const PROBES: &str = "defaults:
  health: { tcp: { port: 80 }, interval: 500ms, timeout: 300ms, rise: 2, fall: 2 }
";
/// The weights of `b1`, `b2` and `b3`.
pub const WEIGHTS: [u32; 3] = [1, 1, 2];

/// How packets get to the backends; each mode has a VIP of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The frame's MAC is rewritten.
    L2dsr,
    /// IP in IP.
    Tunnel,
    /// Both addresses are translated.
    Nat,
    /// Only the destination is translated.
    Dnat,
}

impl Mode {
    /// All of them, in the order in which tables print them.
    pub const ALL: [Self; 4] = [Self::L2dsr, Self::Tunnel, Self::Nat, Self::Dnat];

    /// As the configuration and the table have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::L2dsr => "l2dsr",
            Self::Tunnel => "tunnel",
            Self::Nat => "nat",
            Self::Dnat => "dnat",
        }
    }

    /// `192.0.2.10`, `2001:db8::10` for the first mode, `.20` for the next ...
    pub fn vip(self, family: Family) -> IpAddr {
        let digit = match self {
            Self::L2dsr => 1,
            Self::Tunnel => 2,
            Self::Nat => 3,
            Self::Dnat => 4,
        };
        match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10 * digit)),
            Family::V6 => {
                let last = 0x10 * u16::from(digit);
                IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last))
            }
        }
    }

    /// Where clients find the service of the mode.
    pub fn target(self, family: Family, protocol: Protocol) -> SocketAddr {
        let port = match protocol {
            Protocol::Tcp | Protocol::Sctp => TCP_PORT,
            Protocol::Udp => UDP_PORT,
        };
        SocketAddr::new(self.vip(family), port)
    }

    /// Whether backends get packets that are addressed to the VIP, and so must have it on `lo`.
    fn keeps_destination(self) -> bool {
        matches!(self, Self::L2dsr | Self::Tunnel)
    }

    /// Whether backends see the client's own address.
    pub fn keeps_source(self) -> bool {
        self != Self::Nat
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// The VIPs that backends need on `lo`. Those of the NAT modes are left out on purpose: a packet
/// that was not translated must not be answered.
pub fn vips_on_backends() -> Vec<IpAddr> {
    let modes = Mode::ALL.into_iter().filter(|mode| mode.keeps_destination());
    modes.flat_map(|mode| Family::BOTH.map(|family| mode.vip(family))).collect()
}

/// Every VIP with its protocol and port.
pub fn all_targets() -> Vec<(Protocol, SocketAddr)> {
    let mut targets = Vec::new();
    for mode in Mode::ALL {
        for family in Family::BOTH {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                targets.push((protocol, mode.target(family, protocol)));
            }
        }
    }
    targets
}

/// The share of a backend by its weight, 0 to 1; `without` is out of the ring.
pub fn expected_share(backend: usize, without: Option<usize>) -> f64 {
    let weight = |index| if Some(index) == without { 0 } else { weight_of(index) };
    let sum: u32 = (0..WEIGHTS.len()).map(weight).sum();
    f64::from(weight(backend)) / f64::from(sum)
}

/// The configuration file of lbd, with health checks of all services.
pub fn configuration(backends: &[Host]) -> String {
    format!("{PROBES}{}", unprobed_configuration(backends))
}

/// The same without health checks, so that lbd itself sends nothing to the backends.
pub fn unprobed_configuration(backends: &[Host]) -> String {
    let mut text = format!("interfaces: [{}]\nservices:\n", INTERFACES.join(", "));
    for mode in Mode::ALL {
        // Writing to a string does not fail.
        write_service(&mut text, mode, backends).ok();
    }
    text
}

fn write_service(text: &mut String, mode: Mode, backends: &[Host]) -> fmt::Result {
    writeln!(text, "  - name: {mode}\n    mode: {mode}\n    vips:")?;
    for family in Family::BOTH {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            writeln!(text, "      - \"{}/{protocol}\"", mode.target(family, protocol))?;
        }
    }
    writeln!(text, "    backends:")?;
    for (index, backend) in backends.iter().enumerate() {
        writeln!(
            text,
            "      - {{ name: {}, addresses: [\"{}\", \"{}\"], weight: {} }}",
            backend.name(),
            backend.address_v4(),
            backend.address_v6(),
            weight_of(index),
        )?;
    }
    Ok(())
}

fn weight_of(backend: usize) -> u32 {
    WEIGHTS.get(backend).copied().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_weights_and_add_up() {
        for without in [None, Some(0), Some(1), Some(2)] {
            let sum: f64 = (0..3).map(|backend| expected_share(backend, without)).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{without:?}");
        }
        assert!((expected_share(2, None) - 0.5).abs() < 1e-9);
        assert!((expected_share(2, Some(1)) - 2.0 / 3.0).abs() < 1e-9);
        assert!(expected_share(1, Some(1)).abs() < 1e-9);
    }

    #[test]
    fn a_configuration_has_every_vip() {
        let text = configuration(&[]);
        for (protocol, target) in all_targets() {
            assert!(text.contains(&format!("\"{target}/{protocol}\"")), "{target}\n{text}");
        }
    }
}
