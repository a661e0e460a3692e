//! An untranslated VIP's packet, with all that may have to be done for it.

use super::{
    classify::{find_vip, flow_of, is_proxied, to_proxy},
    forward, fragment, parse,
};
use crate::{
    balance,
    packet::{Fragment, PacketView},
    tables::Tables,
    verdict::{Outcome, Packed},
};

/// Picks by the flow tables where the slot moved, remembers a first fragment, and sends.
#[inline(always)]
pub(super) fn serve<const V4: bool, V: PacketView, T: Tables>(view: &mut V, tables: &T) -> Packed {
    let Some((ip, transport)) = parse::kept_flow(view, tables) else {
        return Packed::passed(Outcome::PassMalformed);
    };
    let port = transport.destination_port;
    let Some(vip) = find_vip::<V4, T>(tables, ip.destination, port, ip.protocol) else {
        return Packed::passed(Outcome::PassNotVip);
    };
    if is_proxied(tables, &vip) {
        // Here it is a first fragment.
        if !fragment::learn_proxied::<V4, T>(tables, &ip, vip.index) {
            return Packed::dropped(Outcome::DropFragmentUnknown);
        }
        return to_proxy(tables, vip.index);
    }
    let pick = match balance::pick(tables, &vip, &flow_of::<V4>(&ip, &transport)) {
        Ok(pick) => pick,
        Err(reason) => return Packed::dropped(reason),
    };
    if !matches!(ip.fragment, Fragment::Whole) && !fragment::learn::<V4, T>(tables, &ip, &pick) {
        return Packed::dropped(Outcome::DropFragmentUnknown);
    }
    forward::send::<V4, V, T>(view, tables, &ip, &pick)
}
