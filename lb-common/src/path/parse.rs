//! Parsing by family, and anew off the hot path.

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

/// A packet that was parsed before, up to its IP header.
#[inline(always)]
pub(super) fn again<const V4: bool, V: PacketView, T: Tables>(
    view: &V,
    tables: &T,
) -> Option<(Link, Ip)> {
    let link = ethernet::parse(view)?;
    Some((link, tables.settle(ip::<V4, V>(view, &link).ok()?)))
}

/// A packet that was parsed before, up to its transport header.
#[inline(always)]
pub(super) fn flow_again<const V4: bool, V: PacketView, T: Tables>(
    view: &V,
    tables: &T,
) -> Option<(Ip, Transport)> {
    let (_, ip) = again::<V4, V, T>(view, tables)?;
    let transport = transport::parse(view, &ip)?;
    Some((ip, transport))
}
