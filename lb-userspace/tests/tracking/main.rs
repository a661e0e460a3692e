//! Just-enough tracking against a model: whatever happens to the backends, no flow leaves a
//! backend that still lives.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test stops where it fails")]

mod kernel;
mod router;
mod world;

use proptest::prelude::*;
use world::{Event, World};

fn event() -> impl Strategy<Value = Event> {
    let backend = 0..world::BACKENDS;
    prop_oneof![
        2 => backend.clone().prop_map(Event::Add),
        1 => backend.clone().prop_map(Event::Remove),
        2 => backend.clone().prop_map(Event::Drain),
        2 => backend.clone().prop_map(Event::Undrain),
        1 => (backend.clone(), 0..4_u16).prop_map(|(backend, weight)| Event::Reweight(backend, weight)),
        1 => backend.clone().prop_map(Event::Fail),
        2 => backend.prop_map(Event::Recover),
        4 => (1_000..world::IDLE_TIMEOUT_MS + 20_000).prop_map(Event::Pass),
        2 => (0..2_usize).prop_map(Event::Sweep),
        6 => (1..20_u32).prop_map(Event::Open),
        3 => any::<u64>().prop_map(Event::Talk),
        2 => Just(Event::TalkAll),
        2 => any::<u64>().prop_map(Event::Close),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn no_flow_leaves_a_living_backend(
        events in proptest::collection::vec(event(), 1..100),
        delay_ms in 0..world::APPLY_MS_MAX,
    ) {
        let mut world = World::new(delay_ms);
        for event in events {
            world.happen(event);
        }
        world.settle();
    }
}

#[test]
fn a_flow_survives_the_drain_and_the_end_of_the_window() {
    let mut world = World::new(0);
    world.happen(Event::Open(60));
    world.happen(Event::Drain(0));
    for _ in 0..6 {
        world.happen(Event::TalkAll);
        world.happen(Event::Pass(30_000));
        world.happen(Event::Sweep(0));
    }
    assert!(world.flows_on(0) > 0, "flows of the drained backend are still there");
    world.happen(Event::Undrain(0));
    world.happen(Event::TalkAll);
    world.settle();
}

#[test]
fn flows_survive_when_every_backend_drains() {
    let mut world = World::new(0);
    world.happen(Event::Open(50));
    for backend in 0..world::BACKENDS {
        world.happen(Event::Drain(backend));
    }
    world.happen(Event::TalkAll);
    assert_eq!(world.flow_count(), 50);
    world.happen(Event::Pass(30_000));
    world.happen(Event::TalkAll);
    // That no new TCP flow lands on a draining backend, `open` asserts.
    world.happen(Event::Open(10));
    world.happen(Event::TalkAll);
    assert!(world.flow_count() >= 50);
    world.settle();
}
