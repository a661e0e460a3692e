//! Compile, diff and apply: what a configuration becomes in the maps, and that getting there is
//! safe at every step.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test stops where it fails")]

mod proxied;
mod sources;

use lb_common::{
    abi::{BackendId, BackendState, Features, Mode, NextHop, SLOT_MOVED},
    limits::VIPS_MAX,
};
use lb_userspace::{
    model::{
        Affinity, Backend, Desired, ForwardingMode, HostPattern, HttpOptions, Listener,
        ListenerProtocol, Protocol, Service, UdpPolicy, Vip,
    },
    reconcile::{
        CompileError, Image, Observed, Op, Plan, Reach, Summary, Tables, apply, compile, diff,
    },
};
use proptest::prelude::*;
use std::{net::IpAddr, time::Duration};

const RING_SLOTS: u32 = 307;

fn vip(last: u8, port: u16) -> Vip {
    Vip { address: [192, 0, 2, last].into(), port, protocol: Protocol::Tcp }
}

fn vip6(port: u16) -> Vip {
    Vip { address: "2001:db8::10".parse().expect("valid"), port, protocol: Protocol::Udp }
}

fn backend(number: u8) -> Backend {
    let ipv4 = Some([10, 0, 0, number].into());
    Backend { ipv4, ipv6: None, port: None, weight: 1, drain: false }
}

fn service(vips: &[Vip], backends: &[u8]) -> Service {
    Service {
        vips: vips.iter().copied().collect(),
        sources: [].into(),
        mode: ForwardingMode::Auto,
        affinity: Affinity::None,
        udp: UdpPolicy::Stick,
        idle_timeout: Duration::from_mins(1),
        ring_slots: RING_SLOTS,
        backends: backends.iter().map(|it| (format!("b{it}"), backend(*it))).collect(),
        health: None,
    }
}

fn desired(services: &[(&str, Service)]) -> Desired {
    let services = services.iter().map(|(name, it)| ((*name).to_owned(), it.clone()));
    Desired { services: services.collect(), ..Desired::default() }
}

/// Everything in 10.0.0.0/24 is on link; the rest is behind a router.
fn observed() -> Observed {
    let near = (0..=255).map(|last| (IpAddr::from([10, 0, 0, last]), true));
    let far = (0..=255).map(|last| (IpAddr::from([10, 9, 0, last]), false));
    let reach = near.chain(far).map(|(address, on_link)| {
        let next_hop = NextHop { ifindex: 3, ..NextHop::default() };
        let source = Some([10, 0, 0, 254].into());
        (address, Reach { next_hop, on_link, source, mtu: 1_450 })
    });
    Observed { reach: reach.collect(), now_ms: 1_000, ..Observed::default() }
}

fn image(desired: &Desired, observed: &Observed, running: &Image) -> Image {
    compile(desired, observed, running).expect("valid").image
}

fn id(image: &Image, vip: Vip, backend: &str) -> BackendId {
    image.vips[&vip].backends[backend].entry.id
}

#[test]
fn auto_picks_by_reach_and_says_why() {
    let chosen = |change: &dyn Fn(&mut Service, &mut Observed)| {
        let (mut service, mut observed) = (service(&[vip(1, 80)], &[1, 2, 3]), observed());
        change(&mut service, &mut observed);
        let image = image(&desired(&[("web", service)]), &observed, &Image::default());
        let vip = &image.vips[&vip(1, 80)];
        let reason = vip.mode_reason.clone().expect("auto has a reason");
        format!("{}: {reason}", vip.entry.mode().expect("valid").name())
    };
    let b2 = |service: &mut Service, change: &dyn Fn(&mut Backend)| {
        change(service.backends.get_mut("b2").expect("exists"));
    };
    let lines = [
        chosen(&|_, _| {}),
        chosen(&|service, _| b2(service, &|it| it.port = Some(8080))),
        chosen(&|service, _| b2(service, &|it| it.ipv4 = Some([10, 9, 0, 2].into()))),
        chosen(&|service, _| {
            b2(service, &|it| (it.ipv4, it.ipv6) = (None, "fd00::2".parse().ok()));
        }),
        chosen(&|_, observed| {
            observed.reach.remove(&IpAddr::from([10, 0, 0, 1]));
        }),
        chosen(&|service, _| service.backends.retain(|name, _| name == "b1")),
        chosen(&|service, _| service.backends.clear()),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    l2dsr: all 3 backends are on directly connected networks
    nat: 1 of 3 backends listens on another port than the VIP
    nat: 1 of 3 backends is not on a directly connected network
    tunnel: 1 of 3 backends has no address of the VIP's family
    nat: how 1 of 3 backends is reached is not known yet
    l2dsr: the only backend is on a directly connected network
    nat: there are no backends yet
"#);
}

#[test]
fn auto_keeps_the_running_mode_while_reach_is_unknown() {
    let desired = desired(&[("web", service(&[vip(1, 80)], &[1, 2]))]);
    let running = image(&desired, &observed(), &Image::default());
    let unknown = Observed { reach: [].into(), ..observed() };
    assert_eq!(image(&desired, &unknown, &running), running, "nothing changes at a restart");
}

#[test]
fn indexes_stay_with_the_backend_and_a_new_address_is_a_new_occupant() {
    let at = vip(1, 80);
    let first = desired(&[("web", service(&[at], &[2, 3]))]);
    let one = image(&first, &observed(), &Image::default());
    let mut second = desired(&[("web", service(&[at], &[1, 2, 3]))]);
    let two = image(&second, &observed(), &one);
    assert_eq!(id(&one, at, "b2"), id(&two, at, "b2"));
    assert_eq!(id(&one, at, "b3"), id(&two, at, "b3"));
    let backends = &mut second.services.get_mut("web").expect("exists").backends;
    backends.get_mut("b2").expect("exists").ipv4 = Some([10, 0, 0, 77].into());
    let three = image(&second, &observed(), &two);
    assert_ne!(id(&two, at, "b2"), id(&three, at, "b2"));
    let old = id(&two, at, "b2").index();
    let (before, after) = (&two.vips[&at].ring, &three.vips[&at].ring);
    assert!(!after.backends().contains(&old), "nothing names the old occupant");
    assert_eq!(after.moved_count(), before.moved_count(), "its flows are gone: nobody to protect");
}

#[test]
fn a_backend_that_died_comes_back_as_another_occupant_of_its_index() {
    let at = vip(1, 80);
    let desired = desired(&[("web", service(&[at], &[1, 2]))]);
    let running = image(&desired, &observed(), &Image::default());
    let down = Observed { down: [("web".to_owned(), "b1".to_owned())].into(), ..observed() };
    let dead = image(&desired, &down, &running);
    let alive = image(&desired, &observed(), &dead);
    let (first, second) = (id(&running, at, "b1"), id(&dead, at, "b1"));
    assert_eq!(second, BackendId::new(first.index(), first.generation() + 1));
    assert_eq!(id(&alive, at, "b1"), second);
    assert_eq!(id(&dead, at, "b2"), id(&running, at, "b2"));
    let resets =
        |plan: Plan| plan.ops.iter().any(|op| matches!(op, Op::PutBackend { is_new: true, .. }));
    assert!(!resets(diff(&running, &dead)) && !resets(diff(&dead, &alive)), "counters go on");
}

#[test]
fn nat_without_a_source_address_keeps_the_backend_down() {
    let at = vip(1, 80);
    let mut nat = service(&[at], &[1, 2]);
    nat.mode = ForwardingMode::Nat;
    let mut observed = observed();
    observed.reach.remove(&IpAddr::from([10, 0, 0, 1]));
    let compiled = compile(&desired(&[("web", nat)]), &observed, &Image::default()).expect("valid");
    let states = compiled.image.vips[&at].backends.values().map(|it| it.entry.state);
    let states: Vec<u8> = states.collect();
    assert_eq!(states, [BackendState::Down as u8, BackendState::Active as u8]);
    assert_eq!(compiled.unusable.len(), 1);
    assert_eq!(compiled.unusable[0].backend, "b1");
}

#[test]
fn entries_are_in_network_order_and_features_are_what_is_used() {
    let at = vip(1, 80);
    let mut nat = service(&[at], &[1]);
    nat.backends.get_mut("b1").expect("exists").port = Some(8080);
    let image = image(&desired(&[("web", nat)]), &observed(), &Image::default());
    let entry = image.vips[&at].backends["b1"].entry;
    assert_eq!(entry.port.to_ne_bytes(), [0x1f, 0x90]);
    assert_eq!(entry.address[2].to_ne_bytes(), [0, 0, 0xff, 0xff]);
    assert_eq!(entry.address[3].to_ne_bytes(), [10, 0, 0, 1]);
    assert_eq!(entry.source[3].to_ne_bytes(), [10, 0, 0, 254]);
    assert_eq!((entry.mode, entry.mtu), (Mode::Nat as u8, 1_450));
    assert_eq!(image.features, Features(Features::IPV4 | Features::NAT));
}

#[test]
fn no_living_backend_means_no_ring() {
    let at = vip(1, 80);
    let desired = desired(&[("web", service(&[at], &[1]))]);
    let running = image(&desired, &observed(), &Image::default());
    let down = Observed { down: [("web".to_owned(), "b1".to_owned())].into(), ..observed() };
    let next = image(&desired, &down, &running);
    assert!(next.vips[&at].ring.slots.is_empty());
    let names: Vec<_> = diff(&running, &next).ops.iter().map(Op::name).collect();
    assert_eq!(names, ["put backend", "remove ring", "put generation"]);
}

#[test]
fn what_cannot_be_compiled_is_refused_with_all_reasons() {
    let mut web = service(&[vip(1, 80)], &[1]);
    web.ring_slots = 300;
    web.backends.insert("x".repeat(64), backend(2));
    web.backends.insert("nowhere".to_owned(), Backend { ipv4: None, ..backend(3) });
    let two = desired(&[("other", service(&[vip(1, 80)], &[1])), ("web", web)]);
    let errors = compile(&two, &observed(), &Image::default()).expect_err("invalid");
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    the name "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" is empty or longer than 63 bytes
    service "web": 300 ring slots; use a prime up to 65537
    backend "nowhere" of service "web" has no address
    VIP 192.0.2.1:80/tcp belongs to both "other" and "web"
"#);

    let mut l2dsr = service(&[vip(1, 80)], &[1]);
    l2dsr.mode = ForwardingMode::L2dsr;
    l2dsr.backends.get_mut("b1").expect("exists").port = Some(1);
    let errors = compile(&desired(&[("web", l2dsr)]), &observed(), &Image::default());
    assert!(matches!(errors.expect_err("invalid")[..], [CompileError::PortNeedsNat { .. }]));

    let fine = desired(&[("web", service(&[vip(1, 80)], &[1]))]);
    let running = image(&fine, &observed(), &Image::default());
    let mut resized = service(&[vip(1, 80)], &[1]);
    resized.ring_slots = 101;
    let errors = compile(&desired(&[("web", resized)]), &observed(), &running);
    assert!(matches!(errors.expect_err("invalid")[..], [CompileError::RingResized { .. }]));
}

#[test]
fn a_summary_tells_what_would_move() {
    let running = image(
        &desired(&[
            ("dns", service(&[vip6(53)], &[1])),
            ("web", service(&[vip(1, 80), vip(1, 443)], &[1, 2, 3])),
        ]),
        &observed(),
        &Image::default(),
    );
    let mut web = service(&[vip(1, 80), vip(2, 80)], &[1, 2, 4]);
    web.backends.get_mut("b1").expect("exists").weight = 3;
    web.backends.get_mut("b2").expect("exists").drain = true;
    let next = image(
        &desired(&[("dns", service(&[vip6(53)], &[1])), ("web", web)]),
        &observed(),
        &running,
    );
    insta::assert_snapshot!(Summary::new(&running, &next).to_string(), @r#"
    ~ 192.0.2.1:80/tcp of web, l2dsr (all 3 backends are on directly connected networks): 69.06 % of the ring moves, 110 slots begin to track
        ~ b1: weight 1 -> 3
        ~ b2: active -> draining
        - b3
        + b4
    - 192.0.2.1:443/tcp of web, l2dsr
        - b1
        - b2
        - b3
    + 192.0.2.2:80/tcp of web, l2dsr (all 3 backends are on directly connected networks)
        + b1
        + b2
        + b4
"#);
    assert_eq!(Summary::new(&next, &next).to_string(), "no change\n");
}

fn any_desired() -> impl Strategy<Value = Desired> {
    let fields = (1..8_u8, 0..3_u16, any::<bool>(), prop::option::of(80..82_u16));
    let any_backend = fields.prop_map(|(address, weight, drain, port)| Backend {
        weight,
        drain,
        port,
        ..backend(address)
    });
    let backends = proptest::collection::btree_map("b[1-6]", any_backend, 0..5);
    let vips = proptest::collection::btree_set((0..3_u8, 80..83_u16), 0..3);
    let ranges = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "::/0", "2001:db8::/32"];
    let range = proptest::sample::select(ranges.to_vec());
    let sources = proptest::collection::btree_set(range, 0..3);
    let service = (vips, backends, sources).prop_map(|(vips, backends, sources)| {
        let vips: Vec<Vip> = vips.into_iter().map(|(last, port)| vip(last, port)).collect();
        let sources = sources.iter().map(|it| it.parse().expect("a prefix")).collect();
        Service { backends, sources, ..service(&vips, &[]) }
    });
    proptest::collection::vec(service, 1..4).prop_map(|services| {
        let names = ["a", "b", "c"];
        let mut desired = desired(&[]);
        let mut taken = std::collections::BTreeSet::new();
        for (name, mut service) in names.iter().zip(services) {
            service.vips.retain(|vip| taken.insert(*vip));
            desired.services.insert((*name).to_owned(), service);
        }
        desired
    })
}

fn run(plan: &Plan, tables: &mut Tables) {
    apply(plan, tables).expect("infallible");
}

#[test]
fn a_plan_cut_before_the_last_backend_left_its_ring_is_made_again() {
    let of = |weight| {
        let one = Backend { weight, ..backend(1) };
        let backends = [("b1".to_owned(), one)].into();
        desired(&[("web", Service { backends, ..service(&[vip(1, 80)], &[]) })])
    };
    let (mut tables, observed) = (Tables::default(), observed());
    let first = image(&of(1), &observed, &Image::default());
    run(&diff(&Image::default(), &first), &mut tables);
    let mut plan = diff(&first, &image(&of(0), &observed, &first));
    plan.ops.truncate(1);
    assert!(matches!(plan.ops[..], [Op::PutBackend { .. }]), "only the backend was written");
    run(&plan, &mut tables);

    let next = image(&of(0), &observed, &tables.image().doubted());
    let b1 = id(&next, vip(1, 80), "b1").index();
    let ring = &next.vips[&vip(1, 80)].ring;
    assert!(ring.slots.iter().all(|word| *word == SLOT_MOVED), "new flows go nowhere");
    let previous = ring.previous.as_ref().expect("the flows that are open stay");
    assert!(previous.iter().all(|index| *index == b1));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn applying_the_difference_gives_the_next_image(
        steps in proptest::collection::vec((any_desired(), 0..200_000_u64), 1..8),
    ) {
        let (mut tables, mut observed) = (Tables::default(), observed());
        for (desired, pass_ms) in steps {
            observed.now_ms += pass_ms;
            let running = tables.image();
            let next = image(&desired, &observed, &running);
            let plan = diff(&running, &next);
            run(&plan, &mut tables);
            prop_assert_eq!(&tables.image(), &next);
            prop_assert!(tables.leftovers().is_empty());
            let addresses = next.vips.keys().map(|vip| vip.address).collect();
            prop_assert_eq!(&tables.markers, &addresses);
            let again = image(&desired, &observed, &next);
            prop_assert!(diff(&next, &again).is_empty(), "the same again is no change");
            run(&plan, &mut tables);
            prop_assert_eq!(&tables.image(), &next, "every step is idempotent");
        }
        let empty = image(&desired(&[]), &observed, &tables.image());
        run(&diff(&tables.image(), &empty), &mut tables);
        prop_assert!(tables.backends.is_empty() && tables.rings.is_empty());
        prop_assert!(tables.sources.is_empty());
        prop_assert!(tables.infos.is_empty() && tables.markers.is_empty());
    }

    #[test]
    fn a_plan_cut_short_is_made_again(
        first in any_desired(),
        second in any_desired(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (mut tables, observed) = (Tables::default(), observed());
        let one = image(&first, &observed, &Image::default());
        run(&diff(&Image::default(), &one), &mut tables);
        let two = image(&second, &observed, &one);
        let mut plan = diff(&one, &two);
        plan.ops.truncate(cut.index(plan.ops.len() + 1));
        run(&plan, &mut tables);

        let leftovers = tables.leftovers();
        run(&leftovers, &mut tables);
        prop_assert!(tables.leftovers().is_empty());
        let adopted = tables.image();
        let next = image(&second, &observed, &adopted.doubted());
        run(&diff(&adopted, &next), &mut tables);
        prop_assert_eq!(&tables.image(), &next);
        for (vip, image) in &next.vips {
            let other = &two.vips[vip];
            prop_assert_eq!(names(image), names(other), "VIP {}", vip);
            prop_assert_eq!(image.ring.window_ends_ms, other.ring.window_ends_ms);
            prop_assert_eq!(&image.sources, &other.sources);
        }
    }
}

fn names(vip: &lb_userspace::reconcile::VipImage) -> Vec<(Option<&str>, Option<&str>)> {
    let name = |word: u32| {
        let index = word & !SLOT_MOVED;
        let named = vip.backends.iter().find(|(_, it)| it.entry.id.index() == index);
        named.map(|(name, _)| name.as_str())
    };
    let previous = |slot: usize| vip.ring.previous.as_ref().map_or(0, |table| table[slot]);
    let slots = vip.ring.slots.iter().enumerate();
    slots.map(|(slot, word)| (name(*word), name(previous(slot)))).collect()
}
