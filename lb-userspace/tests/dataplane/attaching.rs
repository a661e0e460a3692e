//! The program on real interfaces.

use crate::host::{Host, fill, run};
use aya::programs::links::{FdLink, PinnedLink};
use lb_common::abi::Features;
use lb_userspace::{
    dataplane::{AttachMode, Dataplane, DataplaneError, OpenOptions, detach},
    reconcile::MapStore,
};

fn names(interfaces: &[&str]) -> Vec<String> {
    interfaces.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_restart_adopts_the_links_and_new_parts_replace_the_program_in_place() {
    let host = Host::new().with_veth();
    let mut dataplane = host.open();
    dataplane.put_features(Features(Features::IPV4 | Features::L2DSR)).unwrap();
    let first = dataplane.attach(&names(&["inner"])).unwrap();
    assert_eq!(first[0].mode, AttachMode::Native);
    assert_eq!(first[0].native_error, None);
    drop(dataplane);

    // The daemon is gone: the program runs on, and the tool sees it.
    let reader = Dataplane::open_pinned(&host.instance).unwrap();
    assert_eq!(reader.attachments().unwrap(), first);

    // The same again: the very same program.
    let mut dataplane = host.open();
    assert_eq!(dataplane.attach(&names(&["inner"])).unwrap(), first);

    // More parts: another program, the same link.
    let link_before = link_id(&host);
    dataplane.put_features(Features::ALL).unwrap();
    let now = dataplane.attachments().unwrap();
    assert_ne!(now[0].program_id, first[0].program_id);
    assert_eq!(now[0].mode, AttachMode::Native);
    assert_eq!(link_id(&host), link_before);

    // Fewer parts: not worth a change.
    dataplane.put_features(Features(Features::IPV4)).unwrap();
    assert_eq!(dataplane.attachments().unwrap(), now);
    assert_eq!(dataplane.tables().unwrap().features, Features(Features::IPV4));
    let status = dataplane.status().unwrap();
    assert_eq!(status.attachments, now);
    let program = status.program.unwrap();
    assert_eq!(program.id, now[0].program_id);
    assert_eq!(program.name, "lb_forward");
    assert!(program.jited_bytes > 0);
    assert!(status.maps.iter().any(|map| map.name == "lb_rings" && map.entries_max == 4_096));
}

#[test]
fn another_seed_loads_another_program_on_the_same_links() {
    let mut host = Host::new().with_veth();
    let mut dataplane = host.open();
    fill(&mut dataplane, 1);
    let first = dataplane.attach(&names(&["inner"])).unwrap();
    let tables = dataplane.tables().unwrap();
    drop(dataplane);
    host.settings.seed = 99;
    let dataplane = host.open();
    let now = dataplane.attachments().unwrap();
    assert_ne!(now[0].program_id, first[0].program_id);
    assert_eq!(dataplane.info().unwrap().seed, 99);
    assert_eq!(dataplane.tables().unwrap(), tables);
}

#[test]
fn a_new_version_that_cannot_be_loaded_leaves_the_running_one_alone() {
    let host = Host::new().with_veth();
    let mut dataplane = host.open();
    fill(&mut dataplane, 1);
    let running = dataplane.attach(&names(&["inner"])).unwrap();
    let tables = dataplane.tables().unwrap();
    drop(dataplane);
    let broken = OpenOptions {
        instance: &host.instance,
        object: b"not an object file",
        settings: host.settings.clone(),
    };
    assert!(matches!(Dataplane::open(&broken), Err(DataplaneError::Object(_))));
    let reader = Dataplane::open_pinned(&host.instance).unwrap();
    assert_eq!(reader.attachments().unwrap(), running);
    assert_eq!(reader.tables().unwrap(), tables);
}

#[test]
fn a_data_plane_can_move_between_threads() {
    fn movable<T: Send>() {}
    movable::<Dataplane>();
}

#[test]
fn a_driver_without_xdp_gets_the_generic_kind_and_says_why() {
    let host = Host::new().with_veth();
    let mut dataplane = host.open();
    let attached = dataplane.attach(&names(&["lo", "inner"])).unwrap();
    let modes: Vec<_> = attached.iter().map(|one| (one.interface.as_str(), one.mode)).collect();
    assert_eq!(modes, [("lo", AttachMode::Generic), ("inner", AttachMode::Native)]);
    assert!(attached[0].native_error.is_some());

    // Out of the list: detached.
    let attached = dataplane.attach(&names(&["inner"])).unwrap();
    assert_eq!(attached.len(), 1);
    assert!(!run("ip link show dev lo").contains("xdp"));
    assert!(run("ip link show dev inner").contains("xdp"));
}

#[test]
fn an_interface_that_comes_back_is_attached_again() {
    let host = Host::new().with_veth();
    let mut dataplane = host.open();
    let first = dataplane.attach(&names(&["inner"])).unwrap();
    run("ip link del inner");
    let error = dataplane.attach(&names(&["inner", "lo"])).expect_err("it is gone");
    assert!(matches!(&error, DataplaneError::NoInterface { name } if name == "inner"), "{error}");
    assert_eq!(dataplane.attachments().unwrap().len(), 1, "the other one is served");
    host.add_veth();
    let again = dataplane.attach(&names(&["inner"])).unwrap();
    assert_ne!(again[0].ifindex, first[0].ifindex);
    assert_eq!(again[0].mode, AttachMode::Native);
    assert_eq!(dataplane.attachments().unwrap(), again);
}

#[test]
fn a_recreated_interface_is_noticed_even_if_nobody_looked_in_between() {
    let host = Host::new().with_veth();
    let mut dataplane = host.open();
    dataplane.attach(&names(&["inner"])).unwrap();
    run("ip link del inner");
    host.add_veth();
    assert_eq!(dataplane.attachments().unwrap(), []);
    let again = dataplane.attach(&names(&["inner"])).unwrap();
    assert_eq!(again[0].mode, AttachMode::Native);
    assert!(run("ip link show dev inner").contains("xdp"));
}

#[test]
fn detaching_removes_everything_and_can_be_repeated() {
    let host = Host::new().with_veth();
    let mut dataplane = host.open();
    fill(&mut dataplane, 1);
    dataplane.attach(&names(&["inner"])).unwrap();
    drop(dataplane);
    assert_eq!(detach(&host.instance).unwrap(), ["inner"]);
    assert!(!run("ip link show dev inner").contains("xdp"));
    assert!(!std::path::Path::new("/sys/fs/bpf/lb").join(&host.instance).exists());
    assert_eq!(detach(&host.instance).unwrap(), Vec::<String>::new());
}

/// Id of the BPF link on `inner`.
fn link_id(host: &Host) -> u32 {
    let path = format!("/sys/fs/bpf/lb/{}/links/inner", host.instance);
    FdLink::from(PinnedLink::from_pin(path).unwrap()).info().unwrap().id()
}
