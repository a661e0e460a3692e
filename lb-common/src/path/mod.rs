//! The way of a packet: `parse -> classify -> pick -> forward`, ending in a
//! [`Verdict`](crate::verdict::Verdict).
//!
//! The hot path (a whole TCP, UDP or SCTP packet of an L2-DSR or tunnel VIP in a slot that has not moved)
//! is one straight function: IPv4's is inlined into the program, because a return costs tens of
//! cycles on CPUs whose return predictor cannot be trusted, and IPv6's is a function of its own,
//! because the stack has no room for both. Everything else is a [`Detour`], and so is going there.

mod classify;
mod detour;
mod flow;
mod forward;
mod fragment;
mod guard;
mod icmp;
mod nat;
mod parse;
mod reply;
mod sctp;
mod too_big;
mod tunnel;

use crate::{
    abi::Features,
    packet::{PacketView, ethernet},
    tables::Tables,
    verdict::{Outcome, Packed},
};

pub use detour::{DETOURS_MAX, Detour, take};
pub use parse::prepare4;

/// Decides and carries out what becomes of a frame. The caller counts the verdict.
pub fn process<V: PacketView, T: Tables>(view: &mut V, tables: &T) -> Packed {
    let mut verdict = start(view, tables);
    if verdict.is_pending() && verdict.is_ipv4() {
        prepare4(view, tables);
    }
    for _ in 0..DETOURS_MAX {
        if !verdict.is_pending() {
            break;
        }
        let Some(detour) = Detour::of(verdict) else { break };
        verdict = if verdict.is_ipv4() {
            take::<true, V, T>(view, tables, detour, verdict.argument())
        } else {
            take::<false, V, T>(view, tables, detour, verdict.argument())
        };
    }
    verdict
}

/// The hot path: a verdict, or the name of a detour.
#[inline(always)]
pub fn start<V: PacketView, T: Tables>(view: &mut V, tables: &T) -> Packed {
    let Some(link) = ethernet::parse(view) else {
        return Packed::passed(Outcome::PassMalformed);
    };
    match link.ether_type {
        ethernet::IPV4 if tables.features().has(Features::IPV4) => {
            classify::classify::<true, V, T>(view, tables, &link)
        }
        ethernet::IPV6 if tables.features().has(Features::IPV6) => Detour::Ipv6.needed::<false>(),
        ethernet::IPV4 | ethernet::IPV6 => Packed::passed(Outcome::PassNotVip),
        _ => Packed::passed(Outcome::PassNotIp),
    }
}
