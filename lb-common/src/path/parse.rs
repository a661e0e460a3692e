//! Parsing by family, once more off the hot path.

use crate::{
    packet::{
        Ip, IpError, PacketView,
        ethernet::{self, Link},
        ipv4, ipv6,
        transport::{self, Transport},
    },
    tables::Tables,
};

/// The IP header behind a link layer.
#[inline(always)]
pub(super) fn ip<const V4: bool, V: PacketView>(view: &V, link: &Link) -> Result<Ip, IpError> {
    if V4 { ipv4::parse(view, link.l3) } else { ipv6::parse(view, link.l3) }
}

/// Parses a packet up to its transport header and keeps it for the detour that follows. In the
/// kernel this is a function of its own: there, what is kept goes through memory that the verifier
/// does not follow, so that a detour is checked once and not once per way of parsing.
#[inline(always)]
pub fn prepare<const V4: bool, V: PacketView, T: Tables>(view: &V, tables: &T) {
    if let Some(link) = ethernet::parse(view)
        && let Ok(ip) = ip::<V4, V>(view, &link)
    {
        tables.keep(&ip);
    }
}

/// The packet that was kept, with its transport header.
#[inline(always)]
pub(super) fn kept_flow<V: PacketView, T: Tables>(view: &V, tables: &T) -> Option<(Ip, Transport)> {
    let ip = tables.kept()?;
    let transport = transport::parse(view, &ip)?;
    Some((ip, transport))
}
