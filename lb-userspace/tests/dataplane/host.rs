//! A router of a test's own: an instance name, a network namespace for the calling thread, and a
//! second one beyond a veth pair.

use lb_common::{
    abi::{BackendEntry, BackendId, BackendState, Mode, NextHop, VipEntry, mapped},
    limits::RING_SLOTS_MAX,
};
use lb_userspace::{
    dataplane::{Dataplane, OpenOptions, detach},
    model::{Protocol, Settings, Vip},
    reconcile::{MapStore, VipInfo},
};
use std::{
    net::Ipv4Addr,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// The VIP of these tests.
pub(crate) const VIP: &str = "192.0.2.10";

/// How long anything may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// A test's own corner of the machine; cleaned up when dropped.
pub(crate) struct Host {
    pub(crate) instance: String,
    pub(crate) settings: Settings,
    peer: Option<String>,
}

impl Host {
    /// Moves the calling thread to a new network namespace.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let instance = format!("test-{}-{count}", std::process::id());
        #[expect(unsafe_code, reason = "a network namespace of the test's own")]
        // SAFETY: only this thread moves, and it shares no file table with code that minds.
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
            .expect("unshare; these tests run as root");
        run("ip link set lo up");
        let settings = Settings { flows_max: 4_096, ..Settings::default() };
        Self { instance, settings, peer: None }
    }

    /// Adds `inner` (10.9.0.1/24, fd09::1/64) and, in the namespace beyond, its peer
    /// (10.9.0.2/24, fd09::2/64).
    pub(crate) fn with_veth(mut self) -> Self {
        let peer = self.instance.replace("test", "lbdp");
        run(&format!("ip netns add {peer}"));
        self.peer = Some(peer);
        self.add_veth();
        self
    }

    pub(crate) fn add_veth(&self) {
        let peer = self.peer.as_ref().unwrap();
        run(&format!("ip link add inner type veth peer name outer netns {peer}"));
        run("ip addr add 10.9.0.1/24 dev inner");
        run("ip addr add fd09::1/64 dev inner nodad");
        run("ip link set inner up");
        run(&format!("ip -n {peer} addr add 10.9.0.2/24 dev outer"));
        run(&format!("ip -n {peer} addr add fd09::2/64 dev outer nodad"));
        run(&format!("ip -n {peer} link set outer up"));
    }

    /// Name of the namespace beyond.
    pub(crate) fn peer_name(&self) -> &str {
        self.peer.as_ref().unwrap()
    }

    /// Output of `ip` in the namespace beyond.
    pub(crate) fn beyond(&self, arguments: &str) -> String {
        run(&format!("ip -n {} {arguments}", self.peer.as_ref().unwrap()))
    }

    pub(crate) fn open(&self) -> Dataplane {
        self.try_open().unwrap()
    }

    pub(crate) fn try_open(&self) -> lb_userspace::dataplane::Result<Dataplane> {
        Dataplane::open(&OpenOptions {
            instance: &self.instance,
            object: lb_userspace::EBPF_OBJECT,
            settings: self.settings.clone(),
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A failed test must still clean up all it can.
        let detached = detach(&self.instance);
        if let Some(peer) = &self.peer {
            let deleted = Command::new("ip").args(["netns", "del", peer]).status();
            assert!(std::thread::panicking() || deleted.unwrap().success());
        }
        assert!(std::thread::panicking() || detached.is_ok(), "{detached:?}");
    }
}

/// Runs a command; answers what it printed.
pub(crate) fn run(line: &str) -> String {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until `condition` answers something.
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let limit = Instant::now() + LIMIT;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < limit, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn vip() -> Vip {
    Vip { address: VIP.parse().unwrap(), port: 80, protocol: Protocol::Tcp }
}

pub(crate) fn vip_entry(index: u32) -> VipEntry {
    VipEntry {
        index,
        ring_slots: RING_SLOTS_MAX,
        mode: Mode::L2Dsr as u8,
        idle_timeout_s: 300,
        ..VipEntry::default()
    }
}

pub(crate) fn vip_info(vip: Vip) -> VipInfo {
    VipInfo {
        vip,
        service: "web".to_owned(),
        mode_reason: Some("every backend is on link".to_owned()),
        window_ends_ms: 1_234_567_890_123,
    }
}

pub(crate) fn backend(index: u32, generation: u32, ifindex: u32) -> BackendEntry {
    let address = u32::from_ne_bytes(Ipv4Addr::new(10, 9, 0, index as u8 + 1).octets());
    BackendEntry {
        id: BackendId::new(index, generation),
        state: BackendState::Active as u8,
        mode: Mode::L2Dsr as u8,
        is_ipv4: 1,
        address: mapped(address),
        next_hop: NextHop::new(ifindex, [2, 0, 0, 0, 9, 9], [2, 0, 0, 0, 9, 1]),
        port: 80_u16.to_be(),
        mtu: 1500,
        ..BackendEntry::default()
    }
}

/// One VIP (index 0) with backends 1 and 2, every slot on backend 1.
pub(crate) fn fill<S: MapStore<Error: std::fmt::Debug>>(store: &mut S, ifindex: u32) {
    let features = lb_common::abi::Features::ALL;
    store.put_features(features).unwrap();
    store.put_backend(&backend(1, 4, ifindex), "web", "one", 10, true).unwrap();
    store.put_backend(&backend(2, 1, ifindex), "web", "two", 20, true).unwrap();
    store.put_vip_info(0, &vip_info(vip())).unwrap();
    store.put_ring(0, &vec![1; RING_SLOTS_MAX as usize]).unwrap();
    store.put_vip(vip(), &vip_entry(0), true).unwrap();
    store.put_generation(1).unwrap();
}
