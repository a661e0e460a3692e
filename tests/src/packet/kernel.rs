//! The loaded program with maps of its own, in a network namespace of its own.

use std::{fs::File, os::fd::AsFd as _, process::Command};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader, Pod, TestRun as _, TestRunOptions,
    maps::{Array, ArrayOfMaps, HashMap, LpmTrie, Map, MapData, PerCpuArray, lpm_trie::Key},
    programs::Xdp,
};
use lb_common::{
    abi::{
        BackendCounters, BackendEntry, Features, OutcomeCounters, RingTable, SourceRange,
        TRACE_BYTES, TraceRecord, VipEvents, VipKey4, VipKey6,
    },
    limits::RING_SLOTS_MAX,
    verdict::Outcome,
};
use lb_userspace::dataplane::verifier;

use super::{
    delta::{Counters, EVENTS},
    machine::Machine,
    memory::event_name,
    stage::{
        BACKEND_SIDE, CLIENT_MAC, CLIENT_SIDE, EGRESS_MAC, FAMILIES, GATEWAY_MAC, NAT_PORT,
        ROUTER_MAC, backend_mac,
    },
    state::{State, words},
    stored::Stored,
};

/// Backend indexes of the test's data plane: 0 is none.
const BACKENDS: u32 = 32;
/// VIP indexes; no ring is ever set for the last one.
const VIPS: u32 = 4;
/// Entries of each flow, NAT and fragment table.
pub const TABLE_ENTRIES: u32 = 1_024;
/// Marks a run as a trace.
const COOKIE: u64 = 0x7472_6163_6521;
/// Room for what a program may put in front of a packet, and for an answer that quotes it.
const OUT_BYTES: usize = 4_096;

/// What the program is loaded with.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// [`Features`] bits.
    pub features: Features,
    /// Flow-hash seed.
    pub seed: u64,
    /// First port of full NAT and how many follow from there.
    pub nat_ports: (u16, u16),
}

impl Default for Shape {
    fn default() -> Self {
        Self { features: Features::ALL, seed: 0x5eed, nat_ports: (NAT_PORT, 1) }
    }
}

/// What an XDP program returns (`enum xdp_action`, linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The program failed.
    Aborted,
    /// Dropped.
    Drop,
    /// To the host's stack.
    Pass,
    /// Out of the interface it came in on.
    Tx,
    /// Out of another interface.
    Redirect,
}

/// What a run showed.
#[derive(Clone, Debug)]
pub struct Ran {
    /// What the program returned.
    pub verdict: Verdict,
    /// The frame afterwards.
    pub frame: Vec<u8>,
}

/// The loaded program and its maps.
#[derive(Debug)]
pub struct Kernel {
    ebpf: Ebpf,
    namespace: File,
}

impl Kernel {
    /// Loads the program and makes its namespace, which ends with the process.
    pub fn load(shape: &Shape) -> Result<Self> {
        let namespace = stage_namespace()?;
        let (first, count) = shape.nat_ports;
        let nat_ports = u32::from(first) << 16 | u32::from(count);
        let mut loader = EbpfLoader::new();
        loader
            .override_global("LB_FEATURES", &shape.features.0, true)
            .override_global("LB_SEED", &shape.seed, true)
            .override_global("LB_NAT_PORTS", &nat_ports, true)
            .override_global("LB_TRACE_COOKIE", &COOKIE, true)
            .map_max_entries("lb_vip_events", VIPS)
            .map_max_entries("lb_sources", TABLE_ENTRIES)
            .map_max_entries("lb_rings", VIPS)
            .map_max_entries("lb_previous", VIPS)
            .map_max_entries("lb_backends", BACKENDS)
            .map_max_entries("lb_backend_stat", BACKENDS);
        for table in ["lb_flows_syn", "lb_flows_miss", "lb_nat", "lb_nat_reverse", "lb_fragments"] {
            loader.map_max_entries(table, TABLE_ENTRIES);
        }
        let mut ebpf = loader.load(lb_userspace::EBPF_OBJECT).context("load the object")?;
        let program: &mut Xdp =
            ebpf.program_mut("lb_forward").context("lb_forward is in the object")?.try_into()?;
        verifier::load("lb_forward", || program.load())?;
        let mut kernel = Self { ebpf, namespace };
        kernel.make_rings()?;
        Ok(kernel)
    }

    /// Brings the calling thread into the namespace: its interfaces are those of the stage.
    pub fn enter(&self) -> Result<()> {
        let kind = rustix::thread::LinkNameSpaceType::Network;
        rustix::thread::move_into_link_name_space(self.namespace.as_fd(), Some(kind))
            .context("enter the namespace")
    }

    /// Runs one frame as a trace: nothing may change but the record in front of it.
    pub fn record(&mut self, frame: &[u8], ifindex: u32) -> Result<(Ran, TraceRecord)> {
        let mut data = COOKIE.to_ne_bytes().to_vec();
        data.resize(TRACE_BYTES, 0);
        data.extend(frame);
        let context = context(TRACE_BYTES, data.len(), ifindex);
        let (mut ran, front_bytes) = self.test_run(&data, &context)?;
        ensure!(front_bytes == TRACE_BYTES, "the record is {front_bytes} bytes long after the run");
        let frame = ran.frame.split_off(TRACE_BYTES);
        let record = record(&ran.frame);
        Ok((Ran { frame, ..ran }, record))
    }

    fn test_run(&mut self, data: &[u8], context: &[u8; 24]) -> Result<(Ran, usize)> {
        let program: &mut Xdp =
            self.ebpf.program_mut("lb_forward").context("lb_forward")?.try_into()?;
        let (mut frame, mut context_out) = (vec![0; OUT_BYTES], [0; 24]);
        let result = program.test_run(TestRunOptions {
            data_in: Some(data),
            data_out: Some(&mut frame),
            ctx_in: Some(context),
            ctx_out: Some(&mut context_out),
            ..TestRunOptions::default()
        })?;
        frame.truncate(result.data_size_out as usize);
        let verdict = match result.return_value {
            0 => Verdict::Aborted,
            1 => Verdict::Drop,
            2 => Verdict::Pass,
            3 => Verdict::Tx,
            4 => Verdict::Redirect,
            other => anyhow::bail!("the program returned {other}"),
        };
        let front_bytes = u32::from_ne_bytes(context_out[..4].try_into()?) as usize;
        Ok((Ran { verdict, frame }, front_bytes))
    }

    fn set_vips(&mut self, state: &State) -> Result<()> {
        let (mut vips4, mut vips6) = (Vec::new(), Vec::new());
        for vip in &state.vips {
            let (port, protocol) = (vip.port.to_be(), vip.protocol);
            let address = words(vip.address);
            if vip.address.is_ipv4() {
                vips4.push((VipKey4 { address: address[3], port, protocol, pad: 0 }, vip.entry));
            } else {
                vips6.push((VipKey6 { address, port, protocol, pad: 0 }, vip.entry));
            }
        }
        self.fill("lb_vips4", &vips4)?;
        self.fill("lb_vips6", &vips6)
    }

    fn set_sources(&mut self, state: &State) -> Result<()> {
        let mut map: LpmTrie<_, SourceRange, u32> = self.map("lb_sources")?;
        let old: Vec<Key<SourceRange>> = map.keys().collect::<Result<_, _>>()?;
        for key in old {
            map.remove(&key)?;
        }
        for (vip, address, bits) in state.sources.iter().copied() {
            map.insert(&Key::new(32 + bits, SourceRange { vip, address }), 1, 0)?;
        }
        Ok(())
    }

    fn set_stored(&mut self, stored: &[Stored]) -> Result<()> {
        let (mut syn, mut miss, mut nat) = (Vec::new(), Vec::new(), Vec::new());
        let (mut reverse, mut fragments) = (Vec::new(), Vec::new());
        for entry in stored.iter().cloned() {
            match entry {
                Stored::Syn(key, value) => syn.push((key, value)),
                Stored::Miss(key, value) => miss.push((key, value)),
                Stored::Nat(key, value) => nat.push((key, value)),
                Stored::NatReverse(key, value) => reverse.push((key, value)),
                Stored::Fragment(key, value) => fragments.push((key, value)),
            }
        }
        self.fill("lb_flows_syn", &syn)?;
        self.fill("lb_flows_miss", &miss)?;
        self.fill("lb_nat", &nat)?;
        self.fill("lb_nat_reverse", &reverse)?;
        self.fill("lb_fragments", &fragments)
    }

    /// Makes a hash map hold exactly `entries`.
    fn fill<K: Pod, V: Pod>(&mut self, name: &str, entries: &[(K, V)]) -> Result<()> {
        let mut map: HashMap<_, K, V> = self.map(name)?;
        let old: Vec<K> = map.keys().collect::<Result<_, _>>()?;
        for key in old {
            map.remove(&key)?;
        }
        for (key, value) in entries {
            map.insert(key, value, 0)?;
        }
        Ok(())
    }

    fn entries<K: Pod, V: Pod>(&mut self, name: &str) -> Result<Vec<(K, V)>> {
        let map: HashMap<_, K, V> = self.map(name)?;
        Ok(map.iter().collect::<Result<_, _>>()?)
    }

    fn make_rings(&mut self) -> Result<()> {
        for name in ["lb_rings", "lb_previous"] {
            let mut maps: ArrayOfMaps<_, Array<MapData, RingTable>> = self.map(name)?;
            for vip in 0..VIPS - 1 {
                maps.set(vip, &Array::create(1, 0)?, 0)?;
            }
        }
        Ok(())
    }

    fn map<'a, M>(&'a mut self, name: &str) -> Result<M>
    where
        M: TryFrom<&'a mut Map>,
        M::Error: std::error::Error + Send + Sync + 'static,
    {
        let map =
            self.ebpf.map_mut(name).with_context(|| format!("map {name} is in the object"))?;
        M::try_from(map).with_context(|| format!("map {name} has another shape"))
    }
}

impl Machine for Kernel {
    fn shortest_bytes(&self) -> usize {
        // The kernel runs nothing shorter than an Ethernet header (`bpf_prog_test_run_xdp`).
        14
    }

    fn set(&mut self, state: &State) -> Result<()> {
        self.set_vips(state)?;
        self.set_sources(state)?;
        let mut backends: Array<_, BackendEntry> = self.map("lb_backends")?;
        for index in 0..BACKENDS {
            let entry = state.backends.get(&index).copied().unwrap_or_default();
            backends.set(index, entry, 0)?;
        }
        for (table, wanted) in [("lb_rings", &state.rings), ("lb_previous", &state.previous)] {
            let maps: ArrayOfMaps<_, Array<MapData, RingTable>> = self.map(table)?;
            for vip in 0..VIPS - 1 {
                #[expect(
                    clippy::large_stack_arrays,
                    reason = "a test thread's stack holds one ring"
                )]
                let mut ring = Box::new(RingTable { slots: [0; RING_SLOTS_MAX as usize] });
                let slots = wanted.get(&vip).map_or(&[][..], Vec::as_slice);
                ring.slots[..slots.len()].copy_from_slice(slots);
                maps.get(&vip, 0)?.set(0, ring.as_ref(), 0)?;
            }
        }
        self.set_stored(&state.stored)
    }

    fn stored(&mut self) -> Result<Vec<Stored>> {
        let mut all = Vec::new();
        all.extend(self.entries("lb_flows_syn")?.into_iter().map(|(k, v)| Stored::Syn(k, v)));
        all.extend(self.entries("lb_flows_miss")?.into_iter().map(|(k, v)| Stored::Miss(k, v)));
        all.extend(self.entries("lb_nat")?.into_iter().map(|(k, v)| Stored::Nat(k, v)));
        let reverse = self.entries("lb_nat_reverse")?;
        all.extend(reverse.into_iter().map(|(k, v)| Stored::NatReverse(k, v)));
        all.extend(self.entries("lb_fragments")?.into_iter().map(|(k, v)| Stored::Fragment(k, v)));
        Ok(all)
    }

    fn counters(&mut self) -> Result<Counters> {
        let mut all = Counters::new();
        let mut note = |name: String, value: u64| {
            if value != 0 {
                all.insert(name, value);
            }
        };
        let backends: PerCpuArray<_, BackendCounters> = self.map("lb_backend_stat")?;
        for index in 0..BACKENDS {
            let cpus = backends.get(&index, 0)?;
            let sum = |field: fn(&BackendCounters) -> u64| cpus.iter().map(field).sum();
            note(format!("backend[{index}].packets"), sum(|c| c.packets));
            note(format!("backend[{index}].bytes"), sum(|c| c.bytes));
            note(format!("backend[{index}].reply_packets"), sum(|c| c.reply_packets));
            note(format!("backend[{index}].reply_bytes"), sum(|c| c.reply_bytes));
        }
        let outcomes: PerCpuArray<_, OutcomeCounters> = self.map("lb_outcomes")?;
        for outcome in Outcome::ALL {
            let cpus = outcomes.get(&(*outcome as u32), 0)?;
            let sum = |field: fn(&OutcomeCounters) -> u64| cpus.iter().map(field).sum();
            note(format!("outcome[{}].packets", outcome.name()), sum(|c| c.packets));
            note(format!("outcome[{}].bytes", outcome.name()), sum(|c| c.bytes));
        }
        let events: PerCpuArray<_, VipEvents> = self.map("lb_vip_events")?;
        for index in 0..VIPS {
            let cpus = events.get(&index, 0)?;
            for (event, field) in EVENTS {
                let name = format!("vip[{index}].{}", event_name(event));
                note(name, cpus.iter().map(field).sum());
            }
            let sum = |field: fn(&VipEvents) -> u64| cpus.iter().map(field).sum();
            note(format!("vip[{index}].proxied"), sum(|events| events.proxied_packets));
            note(format!("vip[{index}].proxied_bytes"), sum(|events| events.proxied_bytes));
        }
        Ok(all)
    }

    fn run(&mut self, frame: &[u8], ifindex: u32) -> Result<Ran> {
        let context = context(0, frame.len(), ifindex);
        self.test_run(frame, &context).map(|(ran, _)| ran)
    }

    fn trace(&mut self, frame: &[u8], ifindex: u32) -> Result<Option<Ran>> {
        self.record(frame, ifindex).map(|(ran, _)| Some(ran))
    }
}

/// `struct xdp_md` (linux/bpf.h) for a run: metadata of `front_bytes` in front of the frame.
fn context(front_bytes: usize, data_bytes: usize, ifindex: u32) -> [u8; 24] {
    let words = [front_bytes as u32, data_bytes as u32, 0, ifindex, 0, 0];
    let mut context = [0; 24];
    for (bytes, word) in context.chunks_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    context
}

fn record(bytes: &[u8]) -> TraceRecord {
    let word = |at: usize| u32::from_ne_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    TraceRecord {
        cookie: u64::from(word(0)) | u64::from(word(4)) << 32,
        slot: word(8),
        slot_word: word(12),
        backend: word(16),
        ifindex: word(20),
        vip_plus_one: word(24) as u16,
        decision: bytes[26],
        next_hop: bytes[27],
        outcome: bytes[28],
        pad: [0; 3],
    }
}

/// Moves the calling thread into a fresh network namespace and furnishes it.
fn stage_namespace() -> Result<File> {
    let flags = rustix::thread::UnshareFlags::NEWNET;
    // SAFETY: only a new file table would be unsafe; NEWNET leaves descriptors alone.
    #[expect(unsafe_code, reason = "a thread's own network namespace keeps runs apart")]
    unsafe { rustix::thread::unshare_unsafe(flags) }.context("unshare (root?)")?;
    let namespace = File::open("/proc/thread-self/ns/net").context("open the namespace")?;
    let mac = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
    for line in [
        "link set lo up".to_owned(),
        format!("link add client index {CLIENT_SIDE} type veth peer name client-peer"),
        format!("link add backend index {BACKEND_SIDE} type veth peer name backend-peer"),
        format!("link set client address {} up", mac(ROUTER_MAC)),
        format!("link set backend address {} up", mac(EGRESS_MAC)),
        "link set client-peer up".to_owned(),
        "link set backend-peer up".to_owned(),
        "addr add 192.0.2.1/24 dev client".to_owned(),
        "addr add 2001:db8:2::1/64 dev client nodad".to_owned(),
        "addr add 10.0.0.1/24 dev backend".to_owned(),
        "addr add fd00::1/64 dev backend nodad".to_owned(),
    ] {
        ip(&line)?;
    }
    for f in FAMILIES {
        let known = [
            (f.client(), CLIENT_MAC, "client"),
            (f.other_client(), CLIENT_MAC, "client"),
            (f.backend(1), backend_mac(1), "backend"),
            (f.backend(2), backend_mac(2), "backend"),
            (f.gateway(), GATEWAY_MAC, "backend"),
        ];
        for (address, link, device) in known {
            ip(&format!("neigh add {address} lladdr {} nud permanent dev {device}", mac(link)))?;
        }
        ip(&format!("route add {} via {}", f.remote_backend(), f.gateway()))?;
        ip(&format!("route add blackhole {}", f.unreachable_backend()))?;
    }
    for family in ["ipv4", "ipv6"] {
        std::fs::write(format!("/proc/sys/net/{family}/conf/all/forwarding"), "1")?;
    }
    Ok(namespace)
}

/// Runs `ip` with these words in the namespace of the calling thread.
pub fn ip(line: &str) -> Result<()> {
    let output = Command::new("ip").args(line.split(' ')).output().context("run ip")?;
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {line}: {message}");
    Ok(())
}
