//! `diff`: the ordered steps from the running image to the next.

use super::{BackendImage, Image, Op, Plan, VipImage, VipInfo};
use crate::model::Vip;
use ipnet::IpNet;
use lb_common::abi::Features;
use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

/// The steps from `running` to `next`, which was compiled as a change of `running`. Nothing to do
/// is an empty plan.
///
/// What is pointed to comes before the pointer (features, backends, VIP infos, previous tables,
/// rings, source ranges, local addresses, VIPs), what is removed goes after (VIPs, source ranges, local addresses, rings,
/// previous tables, backends, features), and the generation last.
pub fn diff(running: &Image, next: &Image) -> Plan {
    let mut ops = Vec::new();
    let both = Features(running.features.0 | next.features.0);
    if both != running.features {
        ops.push(Op::PutFeatures { features: both });
    }
    put_backends(running, next, &mut ops);
    put_infos(running, next, &mut ops);
    put_rings(running, next, &mut ops);
    put_sources(running, next, &mut ops);
    let locals = &running.locals | &next.locals;
    if locals != running.locals {
        ops.push(Op::PutLocals { addresses: locals.clone() });
    }
    put_vips(running, next, &mut ops);
    remove_vips(running, next, &mut ops);
    remove_sources(running, next, &mut ops);
    if locals != next.locals {
        ops.push(Op::PutLocals { addresses: next.locals.clone() });
    }
    remove_rings(running, next, &mut ops);
    free_backends(running, next, &mut ops);
    if both != next.features {
        ops.push(Op::PutFeatures { features: next.features });
    }
    if running.generation != next.generation {
        ops.push(Op::PutGeneration { generation: next.generation });
    }
    Plan { ops }
}

fn put_backends(running: &Image, next: &Image, ops: &mut Vec<Op>) {
    let known = indexes(running);
    for (vip, image) in &next.vips {
        let before = running.vips.get(vip);
        let is_same_owner = before.is_some_and(|before| before.service == image.service);
        for (name, backend) in &image.backends {
            let old = before.and_then(|before| before.backends.get(name));
            if is_same_owner && old == Some(backend) {
                continue;
            }
            ops.push(Op::PutBackend {
                entry: backend.entry,
                service: image.service.clone(),
                backend: name.clone(),
                weight: backend.weight,
                is_new: !known.contains(&backend.entry.id.index()),
            });
        }
    }
}

fn put_infos(running: &Image, next: &Image, ops: &mut Vec<Op>) {
    for (vip, image) in &next.vips {
        let info = info(*vip, image);
        if running.vips.get(vip).map(|before| self::info(*vip, before)).as_ref() != Some(&info) {
            ops.push(Op::PutVipInfo { index: image.entry.index, info });
        }
    }
}

fn put_rings(running: &Image, next: &Image, ops: &mut Vec<Op>) {
    let changed = |of: fn(&VipImage) -> Option<&Arc<[u32]>>| {
        next.vips.iter().filter_map(move |(vip, image)| {
            let slots = of(image)?;
            let before = running.vips.get(vip).and_then(of);
            let is_same = before.is_some_and(|it| Arc::ptr_eq(it, slots) || it == slots);
            (!is_same).then(|| (image.entry.index, slots.clone()))
        })
    };
    let put_previous = |(vip, slots)| Op::PutPrevious { vip, slots };
    ops.extend(changed(previous).map(put_previous));
    ops.extend(changed(ring).map(|(vip, slots)| Op::PutRing { vip, slots }));
}

fn put_sources(running: &Image, next: &Image, ops: &mut Vec<Op>) {
    ops.extend(sources_beyond(next, running).map(|(vip, ranges)| Op::PutSources { vip, ranges }));
}

fn remove_sources(running: &Image, next: &Image, ops: &mut Vec<Op>) {
    let removed = sources_beyond(running, next);
    ops.extend(removed.map(|(vip, ranges)| Op::RemoveSources { vip, ranges }));
}

/// By VIP index, the source ranges of one image that the other lacks.
fn sources_beyond<'a>(
    image: &'a Image,
    other: &'a Image,
) -> impl Iterator<Item = (u32, BTreeSet<IpNet>)> + 'a {
    image.vips.iter().filter_map(|(vip, it)| {
        let ranges = match other.vips.get(vip) {
            Some(other) => &it.sources - &other.sources,
            None => it.sources.clone(),
        };
        (!ranges.is_empty()).then_some((it.entry.index, ranges))
    })
}

fn put_vips(running: &Image, next: &Image, ops: &mut Vec<Op>) {
    let mut marked = addresses(running);
    for (vip, image) in &next.vips {
        if running.vips.get(vip).is_some_and(|before| before.entry == image.entry) {
            continue;
        }
        let is_first_of_address = marked.insert(vip.address);
        ops.push(Op::PutVip { vip: *vip, entry: image.entry, is_first_of_address });
    }
}

fn remove_vips(running: &Image, next: &Image, ops: &mut Vec<Op>) {
    let mut marked = addresses(next);
    let gone: Vec<_> = gone(running, next).collect();
    // The marker goes with the last VIP of its address: walk backwards to find which that is.
    let removals = gone.iter().rev().map(|(vip, image)| Op::RemoveVip {
        vip: **vip,
        index: image.entry.index,
        is_last_of_address: marked.insert(vip.address),
    });
    let removals: Vec<Op> = removals.collect();
    ops.extend(removals.into_iter().rev());
}

fn remove_rings(running: &Image, next: &Image, ops: &mut Vec<Op>) {
    let removed = |of: fn(&VipImage) -> Option<&Arc<[u32]>>| {
        let is_gone = move |vip: &Vip| next.vips.get(vip).and_then(of).is_none();
        let had = running.vips.iter().filter(move |(_, image)| of(image).is_some());
        had.filter(move |(vip, _)| is_gone(vip)).map(|(_, image)| image.entry.index)
    };
    ops.extend(removed(ring).map(|vip| Op::RemoveRing { vip }));
    ops.extend(removed(previous).map(|vip| Op::RemovePrevious { vip }));
}

fn free_backends(running: &Image, next: &Image, ops: &mut Vec<Op>) {
    let kept = indexes(next);
    let entries = backends(running).map(|backend| backend.entry);
    let freed = entries.filter(|entry| !kept.contains(&entry.id.index()));
    ops.extend(freed.map(|entry| Op::FreeBackend { id: entry.id, vip: entry.vip }));
}

fn info(vip: Vip, image: &VipImage) -> VipInfo {
    VipInfo {
        vip,
        service: image.service.clone(),
        mode_reason: image.mode_reason.clone(),
        window_ends_ms: image.ring.window_ends_ms,
    }
}

fn ring(image: &VipImage) -> Option<&Arc<[u32]>> {
    Some(&image.ring.slots).filter(|slots| !slots.is_empty())
}

fn previous(image: &VipImage) -> Option<&Arc<[u32]>> {
    image.ring.previous.as_ref()
}

fn gone<'a>(running: &'a Image, next: &'a Image) -> impl Iterator<Item = (&'a Vip, &'a VipImage)> {
    running.vips.iter().filter(|(vip, _)| !next.vips.contains_key(vip))
}

fn backends(image: &Image) -> impl Iterator<Item = &BackendImage> {
    image.vips.values().flat_map(|vip| vip.backends.values())
}

fn indexes(image: &Image) -> BTreeSet<u32> {
    backends(image).map(|backend| backend.entry.id.index()).collect()
}

fn addresses(image: &Image) -> BTreeSet<IpAddr> {
    image.vips.keys().map(|vip| vip.address).collect()
}
