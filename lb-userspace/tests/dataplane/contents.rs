//! What is applied is what is read back.

use crate::host::{Host, backend, fill, vip, vip_entry, vip_info};
use aya::maps::{Map, MapData, PerCpuArray, PerCpuValues};
use lb_common::abi::{BackendCounters, Features, SLOT_MOVED};
use lb_userspace::{
    dataplane::{Dataplane, DataplaneError, TracePacket},
    model::{Protocol, Vip},
    reconcile::{MapStore, Tables},
};

/// Applies the same steps to the kernel's maps and to plain tables.
fn both(dataplane: &mut Dataplane, tables: &mut Tables, step: fn(&mut dyn Steps)) {
    step(dataplane);
    step(tables);
    assert_eq!(dataplane.tables().unwrap(), *tables);
}

/// `MapStore`, whatever the error.
trait Steps {
    fn fill(&mut self);
    fn move_ring(&mut self);
    fn add_vip6(&mut self);
    fn limit_clients(&mut self);
    fn drop_backend_two(&mut self);
    fn drop_all(&mut self);
}

const SHORT: u32 = 251;

fn vip6() -> Vip {
    Vip { address: "2001:db8::10".parse().unwrap(), port: 0, protocol: Protocol::Udp }
}

impl<S: MapStore<Error: std::fmt::Debug>> Steps for S {
    fn fill(&mut self) {
        fill(self, 7);
    }

    fn move_ring(&mut self) {
        let slots: Vec<u32> =
            (0..65_537).map(|slot| if slot % 3 == 0 { 2 | SLOT_MOVED } else { 1 }).collect();
        let previous: Vec<u32> = (0..65_537).map(|slot| u32::from(slot % 3 == 0)).collect();
        self.put_previous(0, &previous).unwrap();
        self.put_ring(0, &slots).unwrap();
        self.put_generation(2).unwrap();
    }

    fn add_vip6(&mut self) {
        let mut entry = vip_entry(4_095);
        entry.ring_slots = SHORT;
        let mut info = vip_info(vip6());
        info.mode_reason = None;
        let mut server = backend(65_536, 32_767, 7);
        server.vip = 4_095;
        self.put_backend(&server, "dns", "last", 1_000, true).unwrap();
        self.put_vip_info(4_095, &info).unwrap();
        self.put_ring(4_095, &[65_536; SHORT as usize]).unwrap();
        self.put_vip(vip6(), &entry, true).unwrap();
    }

    fn limit_clients(&mut self) {
        let nets = |texts: &[&str]| texts.iter().map(|it| it.parse().unwrap()).collect();
        let ipv4 = nets(&["198.51.100.7/32", "198.51.100.0/24", "10.0.0.0/8", "0.0.0.0/1"]);
        self.put_sources(0, &ipv4).unwrap();
        self.put_sources(4_095, &nets(&["2001:db8::/32", "::1/128", "8000::/1"])).unwrap();
        for _ in 0..2 {
            self.remove_sources(0, &nets(&["198.51.100.0/24", "192.0.2.0/24"])).unwrap();
        }
    }

    fn drop_backend_two(&mut self) {
        self.put_ring(0, &vec![1; 65_537]).unwrap();
        self.remove_previous(0).unwrap();
        self.free_backend(backend(2, 1, 7).id, 0).unwrap();
    }

    fn drop_all(&mut self) {
        for _ in 0..2 {
            self.remove_vip(vip(), 0, true).unwrap();
            self.remove_vip(vip6(), 4_095, true).unwrap();
            let all = ["198.51.100.7/32", "10.0.0.0/8", "0.0.0.0/1"];
            self.remove_sources(0, &all.map(|it| it.parse().unwrap()).into()).unwrap();
            let all = ["2001:db8::/32", "::1/128", "8000::/1"];
            self.remove_sources(4_095, &all.map(|it| it.parse().unwrap()).into()).unwrap();
            self.remove_ring(0).unwrap();
            self.remove_ring(4_095).unwrap();
            self.remove_previous(0).unwrap();
            self.free_backend(backend(1, 4, 7).id, 0).unwrap();
            self.free_backend(backend(65_536, 32_767, 7).id, 4_095).unwrap();
        }
    }
}

#[test]
fn what_is_applied_is_read_back_by_this_process_and_the_next() {
    let host = Host::new();
    let mut dataplane = host.open();
    let mut tables = Tables::default();
    assert_eq!(dataplane.tables().unwrap(), tables);
    let steps: [fn(&mut dyn Steps); 6] = [
        |store| store.fill(),
        |store| store.move_ring(),
        |store| store.add_vip6(),
        |store| store.limit_clients(),
        |store| store.drop_backend_two(),
        |store| store.drop_all(),
    ];
    for step in steps {
        both(&mut dataplane, &mut tables, step);
        let reader = Dataplane::open_pinned(&host.instance).unwrap();
        assert_eq!(reader.tables().unwrap(), tables);
        drop(dataplane);
        dataplane = host.open();
        assert_eq!(dataplane.tables().unwrap(), tables);
    }
    assert_eq!(tables.generations.len(), 3, "freed indexes keep their generation");
}

#[test]
fn counters_of_a_vip_outlive_its_backends() {
    let host = Host::new();
    let mut dataplane = host.open();
    fill(&mut dataplane, 7);
    count(&host, 1, 10);
    count(&host, 2, 7);
    let before = dataplane.stats().unwrap();
    let cpus = aya::util::nr_cpus().unwrap() as u64;
    assert_eq!(before.vips[0].traffic.packets, 17 * cpus);
    assert_eq!(before.vips[0].backends[1].backend, "two");
    assert_eq!(before.vips[0].backends[1].traffic.packets, 7 * cpus);

    dataplane.free_backend(backend(2, 1, 7).id, 0).unwrap();
    let after = dataplane.stats().unwrap();
    assert_eq!(after.vips[0].traffic, before.vips[0].traffic);
    assert_eq!(after.vips[0].backends.len(), 1);

    // The next occupant of the index begins at zero and adds to the sum.
    dataplane.put_backend(&backend(2, 2, 7), "web", "three", 1, true).unwrap();
    count(&host, 2, 1);
    let reused = dataplane.stats().unwrap();
    assert_eq!(reused.vips[0].traffic.packets, 18 * cpus);
    assert_eq!(reused.vips[0].backends[1].traffic.packets, cpus);

    // Telling the VIP's window anew keeps its sums; another VIP at the index begins at zero.
    dataplane.put_vip_info(0, &vip_info(vip())).unwrap();
    assert_eq!(dataplane.stats().unwrap().vips[0].traffic.packets, 18 * cpus);
}

#[test]
fn other_sizes_are_refused_and_nothing_changes() {
    let mut host = Host::new();
    let mut dataplane = host.open();
    fill(&mut dataplane, 7);
    let before = dataplane.tables().unwrap();
    drop(dataplane);
    let flows_max = std::mem::replace(&mut host.settings.flows_max, 8_192);
    let error = host.try_open().err().expect("another capacity").to_string();
    assert!(error.contains("lb_flows_syn") || error.contains("capacity"), "{error}");
    assert!(error.contains("lbd detach"), "{error}");
    host.settings.flows_max = flows_max;
    assert_eq!(host.open().tables().unwrap(), before);
}

#[test]
fn nothing_pinned_is_said_plainly() {
    let error = Dataplane::open_pinned("test-never-there").err().expect("nothing there");
    assert!(matches!(error, DataplaneError::NotRunning { .. }), "{error}");
}

#[test]
fn a_trace_names_each_decision_and_leaves_no_mark() {
    let host = Host::new().with_veth();
    let mut dataplane = host.open();
    fill(&mut dataplane, 1);
    // No traffic of the network's own may count.
    host.beyond("link set outer down");
    dataplane.attach(&["inner".to_owned()]).unwrap();
    let before = dataplane.stats().unwrap();
    let packet = TracePacket {
        protocol: Protocol::Tcp,
        source: "198.51.100.1:40000".parse().unwrap(),
        destination: "192.0.2.10:80".parse().unwrap(),
        is_opening: true,
    };
    let reader = Dataplane::open_pinned(&host.instance).unwrap();
    let trace = reader.trace(&packet, None).unwrap();
    assert_eq!(trace.vip.as_deref(), Some("192.0.2.10:80/tcp"));
    assert_eq!(trace.service.as_deref(), Some("web"));
    assert_eq!((trace.decision, trace.is_moved), ("ring", false));
    let chosen = trace.backend.unwrap();
    assert_eq!((chosen.index, chosen.generation), (1, 4));
    assert_eq!((chosen.name.as_str(), chosen.address.as_str()), ("one", "10.9.0.2"));
    assert_eq!(trace.next_hop.unwrap().origin, "cached");
    assert_eq!(trace.outcome, None);

    let elsewhere = TracePacket { destination: "203.0.113.9:80".parse().unwrap(), ..packet };
    // The program that a test runs knows one VIP; anything else passes.
    let trace = reader.trace(&elsewhere, None).unwrap();
    assert_eq!((trace.verdict, trace.outcome), ("pass", Some("pass_not_vip")));
    assert_eq!(trace.vip, None);
    assert_eq!(reader.stats().unwrap(), before);
    assert_eq!(dataplane.info().unwrap().features, Features::ALL.0);
}

/// Sets a backend's packets on every CPU.
fn count(host: &Host, index: u32, packets: u64) {
    let path = format!("/sys/fs/bpf/lb/{}/maps/lb_backend_stat", host.instance);
    let map = Map::PerCpuArray(MapData::from_pin(path).unwrap());
    let mut map: PerCpuArray<_, BackendCounters> = map.try_into().unwrap();
    let counters = BackendCounters { packets, ..BackendCounters::default() };
    let values = vec![counters; aya::util::nr_cpus().unwrap()];
    map.set(index, PerCpuValues::try_from(values).unwrap(), 0).unwrap();
}
