//! Addresses that the host's stack takes for its own though no interface has them: `local` routes
//! (`ip route add local ADDRESS dev lo table local`).
//!
//! A route of ours has our protocol number and the instance's metric; no other is touched.

use super::{Netlink, family, route_address};
use crate::dataplane::{
    error::{DataplaneError, Result},
    pin::Pins,
};
use lb_common::balance::name::{Fnv, mix};
use rtnetlink::{
    packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP},
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        route::{RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType},
    },
};
use std::{collections::BTreeSet, io, net::IpAddr};

/// Protocol number of our routes: one that linux/rtnetlink.h and iproute2's rt_protos leave free.
const PROTOCOL: u8 = 76;
/// `RT_TABLE_LOCAL` of linux/rtnetlink.h.
const TABLE_LOCAL: u8 = 255;
/// `LOOPBACK_IFINDEX` of the kernel: `lo` in every network namespace.
const LOOPBACK: u32 = 1;

/// Whose routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dataplane) struct Locals {
    metric: u32,
}

impl Locals {
    /// Those of an instance: its metric is a hash of its name, so that two instances on a host can
    /// want the same address and leave it independently.
    pub(in crate::dataplane) fn of(pins: &Pins) -> Self {
        let hash = mix(Fnv::new().with(pins.instance().as_bytes()).finish());
        // 0 would be "the default".
        Self { metric: hash as u32 | 1 }
    }

    fn message(self, address: IpAddr) -> RouteMessage {
        let mut message = RouteMessage::default();
        let header = &mut message.header;
        header.address_family = family(address);
        header.destination_prefix_length = prefix_length(address);
        header.table = TABLE_LOCAL;
        header.protocol = RouteProtocol::Other(PROTOCOL);
        header.scope = RouteScope::Host;
        header.kind = RouteType::Local;
        message.attributes = vec![
            RouteAttribute::Destination(address.into()),
            RouteAttribute::Oif(LOOPBACK),
            RouteAttribute::Priority(self.metric),
        ];
        message
    }

    /// The address of a route, if it is one of ours.
    fn address_of(self, message: &RouteMessage) -> Option<IpAddr> {
        let header = &message.header;
        let is_ours = header.table == TABLE_LOCAL
            && header.protocol == RouteProtocol::Other(PROTOCOL)
            && header.kind == RouteType::Local
            && message.attributes.contains(&RouteAttribute::Priority(self.metric));
        let address = message.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Destination(address) => route_address(address),
            _ => None,
        })?;
        let is_whole = header.destination_prefix_length == prefix_length(address);
        (is_ours && is_whole).then_some(address)
    }
}

impl Netlink {
    /// The addresses that are local because of the instance.
    pub(in crate::dataplane) fn locals(&mut self, locals: Locals) -> Result<BTreeSet<IpAddr>> {
        // Without strict checking the kernel ignores the filter and lists every route there is.
        // Before Linux 4.20 it has no strict checking, and no steering either.
        if self.socket.set_netlink_get_strict_chk(true).is_err() {
            return Ok(BTreeSet::new());
        }
        let mut addresses = BTreeSet::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            message.header.table = TABLE_LOCAL;
            message.header.protocol = RouteProtocol::Other(PROTOCOL);
            message.header.kind = RouteType::Local;
            let answers = match self.question(RouteNetlinkMessage::GetRoute(message), NLM_F_DUMP) {
                Ok(answers) => answers,
                Err(error) if has_no_table(&error) => continue,
                Err(error) => return Err(DataplaneError::io("listing local routes")(error)),
            };
            addresses.extend(answers.iter().filter_map(|answer| match answer {
                RouteNetlinkMessage::NewRoute(message) => locals.address_of(message),
                _ => None,
            }));
        }
        Ok(addresses)
    }

    /// Makes exactly these addresses local because of the instance.
    pub(in crate::dataplane) fn put_locals(
        &mut self,
        locals: Locals,
        addresses: &BTreeSet<IpAddr>,
    ) -> Result<()> {
        let current = self.locals(locals)?;
        for address in addresses.difference(&current) {
            let message = RouteNetlinkMessage::NewRoute(locals.message(*address));
            absorb(self.question(message, NLM_F_ACK | NLM_F_CREATE), libc::EEXIST)
                .map_err(DataplaneError::io(format!("adding the local route to {address}")))?;
        }
        for address in current.difference(addresses) {
            let message = RouteNetlinkMessage::DelRoute(locals.message(*address));
            absorb(self.question(message, NLM_F_ACK), libc::ESRCH)
                .map_err(DataplaneError::io(format!("removing the local route to {address}")))?;
        }
        Ok(())
    }
}

/// A namespace without a single address has no local table yet, a host may lack a whole family.
fn has_no_table(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOENT | libc::EAFNOSUPPORT | libc::EOPNOTSUPP | libc::EPFNOSUPPORT)
    )
}

/// What is as wanted already is no error.
fn absorb<T>(result: io::Result<T>, fine: i32) -> io::Result<()> {
    match result {
        Err(error) if error.raw_os_error() != Some(fine) => Err(error),
        _ => Ok(()),
    }
}

const fn prefix_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}
