//! Parsing by family, and what is kept of it for detours.

use crate::{
    abi::Features,
    packet::{
        Ip, IpError, PacketView,
        ethernet::{self, Link},
        ipv4, ipv6,
        sctp::{self, SCTP},
        transport::{self, TCP, Transport},
    },
    tables::Tables,
};

/// The IP header behind a link layer.
#[inline(always)]
pub(super) fn ip<const V4: bool, V: PacketView>(view: &V, link: &Link) -> Result<Ip, IpError> {
    if V4 { ipv4::parse(view, link.l3) } else { ipv6::parse(view, link.l3) }
}

/// The transport header of a packet that is balanced by its ports; `None` if it is cut short. What is
/// not TCP, nor SCTP where that is loaded, is UDP.
#[inline(always)]
pub(super) fn transport<V: PacketView, T: Tables>(
    view: &V,
    tables: &T,
    ip: &Ip,
) -> Option<Transport> {
    match ip.protocol {
        TCP => transport::tcp(view, ip),
        SCTP if tables.features().has(Features::SCTP) => sctp::parse(view, ip),
        _ => transport::udp(view, ip),
    }
}

/// Parses an IPv4 packet once more and keeps it for the detour that follows: the hot path, where
/// every instruction counts, keeps nothing.
#[inline(always)]
pub fn prepare4<V: PacketView, T: Tables>(view: &V, tables: &T) {
    if let Some(link) = ethernet::parse(view)
        && let Ok(ip) = ipv4::parse(view, link.l3)
    {
        tables.keep(&ip);
    }
}

/// The packet that was kept, with its transport header.
#[inline(always)]
pub(super) fn kept_flow<V: PacketView, T: Tables>(view: &V, tables: &T) -> Option<(Ip, Transport)> {
    let ip = tables.kept()?;
    let transport = transport(view, tables, &ip)?;
    Some((ip, transport))
}
