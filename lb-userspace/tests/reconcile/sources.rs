//! Source ranges: what of a service's becomes a VIP's, and that nobody is let in or kept out on the
//! way from one set to another.

use super::{desired, image, observed, service, vip, vip6};
use ipnet::IpNet;
use lb_common::{
    abi::{Features, VIP_FLAG_SOURCES},
    limits::SOURCES_MAX,
};
use lb_userspace::{
    model::{Desired, Service, Vip},
    reconcile::{CompileError, Image, Op, Tables, apply, compile, diff},
};
use std::collections::BTreeSet;

fn nets(texts: &[&str]) -> BTreeSet<IpNet> {
    texts.iter().map(|it| it.parse().expect("a prefix")).collect()
}

fn limited(vips: &[Vip], ranges: &[&str]) -> Desired {
    desired(&[("web", Service { sources: nets(ranges), ..service(vips, &[1]) })])
}

fn compiled(desired: &Desired, running: &Image) -> Image {
    image(desired, &observed(), running)
}

#[test]
fn a_vip_gets_the_ranges_of_its_family() {
    let both = [vip(1, 80), vip6(53)];
    let made = compiled(&limited(&both, &["10.0.0.0/8", "2001:db8::/32"]), &Image::default());
    assert_eq!(made.vips[&vip(1, 80)].sources, nets(&["10.0.0.0/8"]));
    assert_eq!(made.vips[&vip6(53)].sources, nets(&["2001:db8::/32"]));
    assert!(made.vips.values().all(|it| it.entry.flags & VIP_FLAG_SOURCES != 0));
    assert!(made.features.has(Features::SOURCES));
}

#[test]
fn a_family_without_ranges_is_served_to_nobody_and_one_with_all_addresses_to_everybody() {
    let both = [vip(1, 80), vip6(53)];
    let made = compiled(&limited(&both, &["10.0.0.0/8", "::/0"]), &Image::default());
    assert!(made.vips[&vip6(53)].sources.is_empty());
    assert_eq!(made.vips[&vip6(53)].entry.flags & VIP_FLAG_SOURCES, 0, "everybody");
    let made = compiled(&limited(&both, &["10.0.0.0/8"]), &Image::default());
    assert!(made.vips[&vip6(53)].sources.is_empty());
    assert_ne!(made.vips[&vip6(53)].entry.flags & VIP_FLAG_SOURCES, 0, "nobody");
    let made = compiled(&limited(&both, &[]), &Image::default());
    assert!(!made.features.has(Features::SOURCES));
}

/// Who is let in after each step, as the kernel would decide: `None` = everybody.
fn let_in(tables: &Tables, vip: Vip) -> Option<BTreeSet<IpNet>> {
    let entry = tables.vips[&vip];
    let ranges = tables.sources.get(&entry.index).cloned().unwrap_or_default();
    (entry.flags & VIP_FLAG_SOURCES != 0).then_some(ranges)
}

#[test]
fn no_step_of_a_change_keeps_out_who_stays_or_lets_in_who_never_was() {
    let at = vip(1, 80);
    let stays = nets(&["10.1.0.0/16"]);
    let known = nets(&["10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"]);
    let mut tables = Tables::default();
    let first = compiled(&limited(&[at], &["10.1.0.0/16", "10.2.0.0/16"]), &tables.image());
    apply(&diff(&tables.image(), &first), &mut tables).expect("infallible");
    let next = compiled(&limited(&[at], &["10.1.0.0/16", "10.3.0.0/16"]), &first);
    for op in diff(&first, &next).ops {
        apply(&lb_userspace::reconcile::Plan { ops: vec![op] }, &mut tables).expect("infallible");
        let now = let_in(&tables, at).expect("limited throughout");
        assert!(now.is_superset(&stays) && now.is_subset(&known), "{now:?}");
    }
    assert_eq!(let_in(&tables, at), Some(nets(&["10.1.0.0/16", "10.3.0.0/16"])));

    // From some to everybody, and back: at no step is it nobody.
    for ranges in [&[][..], &["10.1.0.0/16"]] {
        let running = tables.image();
        let next = compiled(&limited(&[at], ranges), &running);
        for op in diff(&running, &next).ops {
            let plan = lb_userspace::reconcile::Plan { ops: vec![op] };
            apply(&plan, &mut tables).expect("infallible");
            let now = let_in(&tables, at);
            assert!(now.as_ref().is_none_or(|now| now.is_superset(&stays)), "{now:?}");
        }
    }
    assert_eq!(let_in(&tables, at), Some(stays));
}

#[test]
fn ranges_go_with_their_vip_so_that_the_next_at_its_index_has_none() {
    let mut tables = Tables::default();
    let first = compiled(&limited(&[vip(1, 80)], &["10.1.0.0/16"]), &tables.image());
    apply(&diff(&tables.image(), &first), &mut tables).expect("infallible");
    let mut plan = diff(&first, &compiled(&desired(&[]), &first));
    let is_last = |op: &Op| matches!(op, Op::RemoveSources { .. });
    plan.ops.retain(|op| !is_last(op));
    apply(&plan, &mut tables).expect("infallible");
    assert!(!tables.sources.is_empty(), "the plan was cut short");
    let leftovers = tables.leftovers();
    apply(&leftovers, &mut tables).expect("infallible");
    assert_eq!((tables.sources.len(), tables.leftovers().ops.len()), (0, 0));
}

#[test]
fn too_many_ranges_are_refused_in_words() {
    let many = (0..=SOURCES_MAX).map(|it| IpNet::new((it << 8).to_be_bytes().into(), 24));
    let sources = many.map(|it| it.expect("a prefix")).collect();
    let wanted = desired(&[("web", Service { sources, ..service(&[vip(1, 80)], &[1]) })]);
    let errors = compile(&wanted, &observed(), &Image::default()).expect_err("too many");
    let count = SOURCES_MAX as usize + 1;
    assert_eq!(errors, [CompileError::TooManySources { count }]);
}
