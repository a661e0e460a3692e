use super::*;
use crate::health::test_service::{backend, service, tcp_check};
use crate::model::Service;
use lb_common::abi::SLOT_MOVED;
use std::sync::Arc;

const NOW_MS: u64 = 1_800_000_000_000;

fn web() -> Service {
    let backends = [
        ("a", backend(Some("10.0.0.1"), None)),
        ("b", backend(Some("10.0.0.2"), None)),
        ("c", backend(Some("10.0.0.3"), None)),
    ];
    let mut service = service(&["192.0.2.10:80"], backends);
    service.health = Some(tcp_check(None));
    service
}

fn desired(service: Service) -> Desired {
    let services = [("web".to_owned(), service)].into();
    Desired { interfaces: vec!["eth0".to_owned()], services, ..Desired::default() }
}

fn key(backend: &str) -> (String, String) {
    ("web".to_owned(), backend.to_owned())
}

fn running() -> Driver<Tables> {
    let mut driver = Driver::adopt(Tables::default(), BTreeSet::new()).unwrap();
    driver.note(Fact::Desired(desired(web())));
    let cycle = driver.cycle(NOW_MS).unwrap().unwrap();
    assert!(cycle.took_desired);
    driver
}

fn act(driver: &mut Driver<Tables>, fact: Fact) -> Cycle {
    driver.note(fact);
    driver.cycle(NOW_MS).unwrap().unwrap()
}

/// Who takes the new flows of each slot.
fn owners(driver: &Driver<Tables>) -> Vec<Option<String>> {
    let vip = driver.running().vips.values().next().unwrap();
    let owner = |word: &u32| {
        let index = word & !SLOT_MOVED;
        let is_owner = |b: &&String| vip.backends[*b].entry.id.index() == index;
        vip.backends.keys().find(is_owner).cloned()
    };
    vip.ring.slots.iter().map(owner).collect()
}

#[test]
fn the_first_configuration_is_generation_one_on_all_interfaces() {
    let driver = running();
    assert_eq!(driver.running().generation, 1);
    assert_eq!(driver.wanted_generation(), 1);
    assert_eq!(driver.attachments().len(), 1);
    assert_eq!(driver.engine.image(), *driver.running());
    for name in ["a", "b", "c"] {
        assert!(owners(&driver).contains(&Some(name.to_owned())), "{name} owns slots");
    }
}

#[test]
fn without_news_there_is_no_cycle() {
    let mut driver = running();
    assert_eq!(driver.cycle(NOW_MS), None);
    driver.note(Fact::Health { key: key("a"), is_up: true });
    driver.note(Fact::Reach(BTreeMap::new()));
    assert_eq!(driver.cycle(NOW_MS), None);
}

#[test]
fn the_same_configuration_again_changes_nothing() {
    let mut driver = running();
    let cycle = act(&mut driver, Fact::Desired(desired(web())));
    assert_eq!((cycle.generation, cycle.steps.len()), (1, 0));
}

#[test]
fn a_configuration_that_cannot_be_used_changes_nothing() {
    let mut driver = running();
    let before = driver.engine.clone();
    let mut bad = desired(web());
    bad.services.insert("other".to_owned(), web());
    driver.note(Fact::Desired(bad));
    let error = driver.cycle(NOW_MS).unwrap().unwrap_err();
    assert!(matches!(&error, CycleError::Refused(why) if why.contains("192.0.2.10:80")), "{error}");
    assert_eq!(driver.engine, before);
    assert_eq!(driver.desired(), Some(&desired(web())));
    assert_eq!(driver.wanted_generation(), 1);
}

#[test]
fn other_facts_count_while_a_configuration_is_refused() {
    let mut driver = running();
    let mut bad = desired(web());
    bad.services.insert("other".to_owned(), web());
    driver.note(Fact::Desired(bad));
    driver.note(Fact::Health { key: key("a"), is_up: false });
    driver.cycle(NOW_MS).unwrap().unwrap_err();
    assert_eq!(driver.running().generation, 2);
    assert!(!owners(&driver).contains(&Some("a".to_owned())));
}

#[test]
fn a_setting_built_into_the_maps_is_not_changed_by_a_reload() {
    let mut driver = running();
    let mut other = desired(web());
    other.settings.seed += 1;
    driver.note(Fact::Desired(other));
    let error = driver.cycle(NOW_MS).unwrap().unwrap_err();
    assert!(error.to_string().contains("seed"), "{error}");
}

#[test]
fn a_drained_backend_takes_no_new_flows_until_undrained() {
    let mut driver = running();
    let before = owners(&driver);
    let cycle = act(&mut driver, Fact::Drain { key: key("a"), drain: true });
    assert_eq!(cycle.generation, 2);
    let during = owners(&driver);
    assert!(!during.contains(&Some("a".to_owned())));
    let vip = driver.running().vips.values().next().unwrap();
    assert_eq!(vip.backends["a"].entry.state, BackendState::Draining as u8);
    let cycle = act(&mut driver, Fact::Drain { key: key("a"), drain: false });
    assert_eq!(cycle.generation, 3);
    assert_eq!(owners(&driver), before);
}

#[test]
fn a_dead_backend_moves_few_slots_but_its_own() {
    let mut driver = running();
    let before = owners(&driver);
    act(&mut driver, Fact::Health { key: key("b"), is_up: false });
    let during = owners(&driver);
    assert!(!during.contains(&Some("b".to_owned())));
    let others = before.iter().zip(&during).filter(|(was, _)| was.as_deref() != Some("b"));
    let moved = others.filter(|(was, is)| was != is).count();
    assert!(moved * 20 < before.len(), "{moved} slots of living backends moved");
    act(&mut driver, Fact::Health { key: key("b"), is_up: true });
    assert_eq!(owners(&driver), before);
}

#[test]
fn a_restart_adopts_what_runs() {
    let mut driver = running();
    act(&mut driver, Fact::Health { key: key("b"), is_up: false });
    act(&mut driver, Fact::Drain { key: key("c"), drain: true });
    let (tables, image) = (driver.engine.clone(), driver.running().clone());

    let mut driver = Driver::adopt(tables.clone(), [key("c")].into()).unwrap();
    assert_eq!(*driver.running(), image);
    assert_eq!(driver.observed().down, [key("b")].into());
    let cycle = act(&mut driver, Fact::Desired(desired(web())));
    assert_eq!((cycle.generation, cycle.steps), (3, BTreeMap::new()));
    assert_eq!(driver.engine, tables);
}

#[test]
fn what_is_no_longer_checked_is_up_and_what_is_gone_is_not_drained() {
    let mut driver = running();
    act(&mut driver, Fact::Health { key: key("b"), is_up: false });
    act(&mut driver, Fact::Drain { key: key("c"), drain: true });
    let mut service = web();
    service.health = None;
    service.backends.remove("c");
    act(&mut driver, Fact::Desired(desired(service)));
    assert_eq!(driver.observed().down, BTreeSet::new());
    assert_eq!(driver.observed().drained, BTreeSet::new());
    assert!(owners(&driver).contains(&Some("b".to_owned())));
}

#[test]
fn a_sweep_of_another_generation_says_nothing() {
    let mut driver = running();
    act(&mut driver, Fact::Drain { key: key("a"), drain: true });
    assert!(driver.window_ends_ms().is_some());
    let held_slots = BTreeMap::from([(0, BTreeSet::new())]);
    driver.note(Fact::Swept { generation: 1, held_slots });
    assert_eq!(driver.cycle(NOW_MS), None);
}

/// An engine that refuses rings while it is broken.
struct Broken {
    tables: Tables,
    is_broken: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("no rings today")]
struct NoRings;

macro_rules! delegate {
    ($($name:ident($($argument:ident: $kind:ty),*);)+) => {$(
        fn $name(&mut self, $($argument: $kind),*) -> Result<(), NoRings> {
            let Ok(()) = self.tables.$name($($argument),*);
            Ok(())
        }
    )+};
}

impl MapStore for Broken {
    type Error = NoRings;

    fn put_ring(&mut self, vip: u32, slots: &[u32]) -> Result<(), NoRings> {
        if self.is_broken {
            return Err(NoRings);
        }
        let Ok(()) = self.tables.put_ring(vip, slots);
        Ok(())
    }

    delegate! {
        put_features(features: lb_common::abi::Features);
        put_backend(
            entry: &lb_common::abi::BackendEntry, service: &str, backend: &str, weight: u16,
            is_new: bool
        );
        put_vip_info(index: u32, info: &crate::reconcile::VipInfo);
        put_previous(vip: u32, slots: &[u32]);
        put_sources(vip: u32, ranges: &BTreeSet<ipnet::IpNet>);
        remove_sources(vip: u32, ranges: &BTreeSet<ipnet::IpNet>);
        put_locals(addresses: &BTreeSet<IpAddr>);
        put_vip(
            vip: crate::model::Vip, entry: &lb_common::abi::VipEntry, is_first_of_address: bool
        );
        remove_vip(vip: crate::model::Vip, index: u32, is_last_of_address: bool);
        remove_ring(vip: u32);
        remove_previous(vip: u32);
        free_backend(id: lb_common::abi::BackendId, vip: u32);
        put_generation(generation: u64);
    }
}

impl Engine for Broken {
    fn read(&mut self) -> Result<Tables, NoRings> {
        Ok(self.tables.clone())
    }

    fn attach(&mut self, _interfaces: &[String]) -> Result<Vec<Attached>, NoRings> {
        Ok(Vec::new())
    }
}

#[test]
fn a_plan_cut_short_is_finished_by_the_next_cycle() {
    let tables = running().engine;
    let engine = Broken { tables, is_broken: false };
    let mut driver = Driver::adopt(engine, BTreeSet::new()).unwrap();
    driver.note(Fact::Desired(desired(web())));
    driver.cycle(NOW_MS).unwrap().unwrap();
    driver.engine.is_broken = true;
    driver.note(Fact::Drain { key: key("a"), drain: true });
    let error = driver.cycle(NOW_MS).unwrap().unwrap_err();
    assert!(error.to_string().contains("no rings today"), "{error}");
    assert_eq!((driver.running().generation, driver.wanted_generation()), (1, 2));
    driver.engine.is_broken = false;
    driver.note(Fact::Time);
    let cycle = driver.cycle(NOW_MS).unwrap().unwrap();
    assert_eq!((cycle.generation, driver.wanted_generation()), (2, 2));
    assert_eq!(driver.engine.tables.image(), *driver.running());
    let ring: Arc<[u32]> = driver.running().vips.values().next().unwrap().ring.slots.clone();
    assert_eq!(driver.engine.tables.rings.values().next(), Some(&ring));
}
