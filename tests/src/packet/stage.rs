//! The stage that every row plays on: one client, one router, its VIP and its backends, in both
//! families.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::build::Outer;

/// Interface of the router on which the client's frames arrive.
pub const CLIENT_SIDE: u32 = 10;
/// Interface of the router towards the backends.
pub const BACKEND_SIDE: u32 = 11;

/// The client's MAC.
pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xc1];
/// The router's MAC on the client side.
pub const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x10];
/// The router's MAC on the backend side.
pub const EGRESS_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x11];

/// MAC of a gateway behind which more backends are.
pub const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xfe];

/// MAC of the `number`-th backend.
pub const fn backend_mac(number: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0x0b, number]
}

/// The client's port in most rows.
pub const CLIENT_PORT: u16 = 40_000;
/// The VIP's port in most rows.
pub const VIP_PORT: u16 = 80;
/// The only source port that full NAT may take, unless the program was loaded otherwise.
pub const NAT_PORT: u16 = 20_000;

/// Which IP family a row plays in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

pub use Family::{V4, V6};

/// Both families.
pub const FAMILIES: [Family; 2] = [V4, V6];

impl Family {
    /// The name in descriptions.
    pub const fn name(self) -> &'static str {
        match self {
            V4 => "IPv4",
            V6 => "IPv6",
        }
    }

    /// The client.
    pub const fn client(self) -> IpAddr {
        self.address(Ipv4Addr::new(192, 0, 2, 7), [0x2001, 0xdb8, 2, 7])
    }

    /// Another client.
    pub const fn other_client(self) -> IpAddr {
        self.address(Ipv4Addr::new(192, 0, 2, 8), [0x2001, 0xdb8, 2, 8])
    }

    /// The VIP's address.
    pub const fn vip(self) -> IpAddr {
        self.address(Ipv4Addr::new(198, 51, 100, 10), [0x2001, 0xdb8, 100, 10])
    }

    /// An address that is no VIP.
    pub const fn stranger(self) -> IpAddr {
        self.address(Ipv4Addr::new(203, 0, 113, 9), [0x2001, 0xdb8, 113, 9])
    }

    /// Address of the `number`-th backend.
    pub const fn backend(self, number: u8) -> IpAddr {
        self.address(Ipv4Addr::new(10, 0, 0, 100 + number), [0xfd00, 0, 0, 100 + number as u16])
    }

    /// A gateway on the backend side.
    pub const fn gateway(self) -> IpAddr {
        self.address(Ipv4Addr::new(10, 0, 0, 254), [0xfd00, 0, 0, 254])
    }

    /// A backend behind the gateway.
    pub const fn remote_backend(self) -> IpAddr {
        self.address(Ipv4Addr::new(10, 7, 0, 1), [0xfd07, 0, 0, 1])
    }

    /// A backend to which a black hole leads.
    pub const fn unreachable_backend(self) -> IpAddr {
        self.address(Ipv4Addr::new(10, 8, 0, 1), [0xfd08, 0, 0, 1])
    }

    /// The router's own address towards the backends: full NAT's source.
    pub const fn router(self) -> IpAddr {
        self.address(Ipv4Addr::new(10, 0, 0, 1), [0xfd00, 0, 0, 1])
    }

    /// What tunnel sources start with; the program fills the low bits with a flow hash.
    pub const fn tunnel_source(self) -> IpAddr {
        self.address(Ipv4Addr::new(10, 9, 0, 0), [0xfd09, 0, 0, 0])
    }

    /// The tunnel header towards the `number`-th backend.
    pub const fn outer(self, number: u8) -> Outer {
        Outer { source: self.tunnel_source(), destination: self.backend(number), spread: true }
    }

    /// The echo request's ICMP type and the reply's.
    pub const fn echo(self) -> (u8, u8) {
        match self {
            V4 => (8, 0),
            V6 => (128, 129),
        }
    }

    /// Bytes of an IP header without options.
    pub const fn header_bytes(self) -> usize {
        match self {
            V4 => 20,
            V6 => 40,
        }
    }

    /// The protocol number of the family's ICMP.
    pub const fn icmp(self) -> u8 {
        match self {
            V4 => super::checksum::ICMP,
            V6 => super::checksum::ICMPV6,
        }
    }

    const fn address(self, v4: Ipv4Addr, v6: [u16; 4]) -> IpAddr {
        match self {
            V4 => IpAddr::V4(v4),
            V6 => IpAddr::V6(Ipv6Addr::new(v6[0], v6[1], v6[2], 0, 0, 0, 0, v6[3])),
        }
    }
}
