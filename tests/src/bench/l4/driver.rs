//! The driver program (`driver.c`) and the clock: runs a batch of packets through a program under
//! test and says what one packet cost.

use std::{collections::BTreeSet, net::Ipv4Addr};

use anyhow::{Context as _, Result, bail, ensure};
use aya::{
    Ebpf,
    maps::{Array, MapData, ProgramArray},
    programs::{ProgramFd, TestRun as _, TestRunOptions, Xdp},
};
use rustix::time::{ClockId, clock_gettime};

use super::flows::{ETH_BYTES, Flow, IPV4_BYTES, PACKET_BYTES, checksum};

/// The verdict of a packet that goes out again where it came in.
pub const XDP_TX: u32 = 3;
/// The verdict of the empty program.
const XDP_PASS: u32 = 2;
const ENCAPSULATED_BYTES: usize = PACKET_BYTES + IPV4_BYTES;
const IPIP: u8 = 4;
/// Enough, in shuffled order, to see each of 100 backends.
const PROVEN_FLOWS_MAX: usize = 2_000;

/// A loaded program that can be measured.
#[derive(Debug)]
pub struct Subject {
    name: &'static str,
    fd: ProgramFd,
    /// Whether it puts an outer header on every packet, or leaves packets alone.
    encapsulates: bool,
    multi_buffer: bool,
}

impl Subject {
    /// A balancer: every packet must leave it encapsulated. `multi_buffer` as its section says.
    pub fn balancer(name: &'static str, program: &Xdp, multi_buffer: bool) -> Result<Self> {
        let fd = program.fd()?.try_clone()?;
        Ok(Self { name, fd, encapsulates: true, multi_buffer })
    }
}

/// Look-ups of a balancer's flow tables, as it counts them itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookups {
    /// Packets whose flow was found.
    pub found: u64,
    /// Packets whose flow was not.
    pub missed: u64,
}

impl Lookups {
    /// What was counted after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self { found: self.found - earlier.found, missed: self.missed - earlier.missed }
    }
}

/// The driver, loaded, with its flows in place.
#[derive(Debug)]
pub struct Driver {
    object: Ebpf,
    flows: Vec<Flow>,
}

impl Driver {
    /// Loads the object that `compile::driver` made.
    pub fn load(object: &[u8]) -> Result<Self> {
        let mut object = Ebpf::load(object).context("cannot load the driver object")?;
        for name in ["lb_step", "lb_step_frags", "lb_empty", "lb_grow"] {
            xdp(&mut object, name)?.load().with_context(|| format!("cannot load {name}"))?;
        }
        Ok(Self { object, flows: Vec::new() })
    }

    /// The empty program: what it costs here is subtracted from every other figure.
    pub fn empty(&mut self) -> Result<Subject> {
        let fd = xdp(&mut self.object, "lb_empty")?.fd()?.try_clone()?;
        Ok(Subject { name: "empty", fd, encapsulates: false, multi_buffer: false })
    }

    /// The program that only makes room for an outer header.
    pub fn grow(&mut self) -> Result<Subject> {
        Subject::balancer("grow", xdp(&mut self.object, "lb_grow")?, false)
    }

    /// Makes these the flows that take turns from now on.
    pub fn set_flows(&mut self, flows: Vec<Flow>) -> Result<()> {
        let mut map: Array<_, [u8; 8]> = self.map("lb_flows")?;
        for (index, flow) in (0..).zip(&flows) {
            map.set(index, flow.entry(), 0)?;
        }
        self.flows = flows;
        Ok(())
    }

    /// Proves on the first `PROVEN_FLOWS_MAX` flows that the subject's output is the packet it
    /// got behind a right outer header to one of the backends, sent to the router. Returns how
    /// many backends were seen.
    pub fn prove(
        &mut self,
        subject: &Subject,
        is_backend: impl Fn(Ipv4Addr) -> bool,
    ) -> Result<usize> {
        self.aim(subject)?;
        let mut backends = BTreeSet::new();
        for (cursor, flow) in (0..).zip(self.flows.clone()).take(PROVEN_FLOWS_MAX) {
            self.reset(cursor)?;
            let (verdict, output) = self.run(subject, 1)?;
            ensure!(verdict == XDP_TX, "{}: {flow:?}: verdict {verdict}, not TX", subject.name);
            let backend = outer_destination(&output, flow)
                .with_context(|| format!("{}: wrong output for {flow:?}", subject.name))?;
            ensure!(is_backend(backend), "{}: {flow:?} sent to {backend}", subject.name);
            backends.insert(backend);
        }
        Ok(backends.len())
    }

    /// Runs every flow `passes_count` times through the subject, after one pass that is not timed;
    /// returns ns of this thread's CPU time a packet, driver included.
    pub fn time(&mut self, subject: &Subject, passes_count: u32) -> Result<f64> {
        self.aim(subject)?;
        self.reset(0)?;
        let pass_packets = u32::try_from(self.flows.len())?;
        self.checked_batch(subject, pass_packets)?;
        self.reset(0)?;
        let packets = pass_packets * passes_count;
        let started = cpu_time_ns();
        self.checked_batch(subject, packets)?;
        Ok((cpu_time_ns() - started) as f64 / f64::from(packets))
    }

    /// Runs a batch and checks the driver's own counts: as many packets as asked for, each of them
    /// encapsulated.
    fn checked_batch(&mut self, subject: &Subject, packets: u32) -> Result<()> {
        let before = self.state()?;
        let (verdict, _) = self.run(subject, packets)?;
        let after = self.state()?;
        let expected = if subject.encapsulates { XDP_TX } else { XDP_PASS };
        // The last packet keeps its outer header: there is no step after it.
        let strips = if subject.encapsulates { u64::from(packets) - 1 } else { 0 };
        let done = (
            verdict,
            after.failed_count,
            after.prepared_count - before.prepared_count,
            after.stripped_count - before.stripped_count,
        );
        if done != (expected, 0, u64::from(packets), strips) {
            bail!(
                "{}: not every packet of the batch took the measured path: verdict, failed, \
                 prepared, encapsulated are {done:?} of {packets} packets",
                subject.name
            );
        }
        Ok(())
    }

    fn run(&mut self, subject: &Subject, packets: u32) -> Result<(u32, Vec<u8>)> {
        let name = if subject.multi_buffer { "lb_step_frags" } else { "lb_step" };
        let first = self.flows.first().context("no flows")?.packet();
        let mut output = vec![0; 2 * ENCAPSULATED_BYTES];
        let options = TestRunOptions {
            data_in: Some(&first),
            data_out: Some(&mut output),
            repeat: packets,
            ..TestRunOptions::new()
        };
        let result = xdp(&mut self.object, name)?.test_run(options).context("test run failed")?;
        output.truncate(result.data_size_out as usize);
        Ok((result.return_value, output))
    }

    /// Makes the driver call this program.
    fn aim(&mut self, subject: &Subject) -> Result<()> {
        let name = if subject.multi_buffer { "lb_target_frags" } else { "lb_target" };
        let map = self.object.map_mut(name).with_context(|| format!("the driver has no {name}"))?;
        let mut targets = ProgramArray::try_from(map)?;
        targets.set(0, &subject.fd, 0).with_context(|| format!("cannot call {}", subject.name))
    }

    fn reset(&mut self, cursor: u32) -> Result<()> {
        let flow_count = u32::try_from(self.flows.len())?;
        let packet = self.flows.first().context("no flows")?.packet();
        let state = State { cursor, flow_count, ..State::default() };
        let mut map: Array<_, [u8; State::BYTES]> = self.map("lb_state")?;
        map.set(0, state.to_bytes(&packet), 0)?;
        Ok(())
    }

    fn state(&mut self) -> Result<State> {
        let map: Array<_, [u8; State::BYTES]> = self.map("lb_state")?;
        Ok(State::from_bytes(&map.get(&0, 0)?))
    }

    fn map<V: aya::Pod>(&mut self, name: &str) -> Result<Array<&mut MapData, V>> {
        let map = self.object.map_mut(name).with_context(|| format!("the driver has no {name}"))?;
        Ok(Array::try_from(map)?)
    }
}

/// The program of this name in an object.
pub fn xdp<'a>(object: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    let program = object.program_mut(name).with_context(|| format!("no program {name}"))?;
    Ok(program.try_into()?)
}

/// `struct state` of `driver.c`.
#[derive(Debug, Default)]
struct State {
    cursor: u32,
    flow_count: u32,
    failed_count: u32,
    stripped_count: u64,
    prepared_count: u64,
}

impl State {
    const BYTES: usize = 48;

    fn to_bytes(&self, packet: &[u8; PACKET_BYTES]) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let fields = [
            &self.cursor.to_ne_bytes()[..],
            &self.flow_count.to_ne_bytes(),
            &(PACKET_BYTES as u32).to_ne_bytes(),
            &self.failed_count.to_ne_bytes(),
            &self.stripped_count.to_ne_bytes(),
            &self.prepared_count.to_ne_bytes(),
        ];
        let header = packet.iter().take(ETH_BYTES);
        let values = fields.into_iter().flatten().chain(header);
        for (target, value) in bytes.iter_mut().zip(values) {
            *target = *value;
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        Self {
            cursor: u32::from_ne_bytes(word(bytes, 0)),
            flow_count: u32::from_ne_bytes(word(bytes, 4)),
            failed_count: u32::from_ne_bytes(word(bytes, 12)),
            stripped_count: u64::from_ne_bytes(word(bytes, 16)),
            prepared_count: u64::from_ne_bytes(word(bytes, 24)),
        }
    }
}

fn word<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|index| bytes.get(at + index).copied().unwrap_or_default())
}

/// The outer destination of `output`, once everything else in it is as it must be.
fn outer_destination(output: &[u8], flow: Flow) -> Result<Ipv4Addr> {
    let input = flow.packet();
    ensure!(output.len() == ENCAPSULATED_BYTES, "{} bytes", output.len());
    let (eth, rest) = output.split_at(ETH_BYTES);
    let (outer, inner) = rest.split_at(IPV4_BYTES);
    ensure!(eth.starts_with(&super::flows::ROUTER_MAC), "not sent to the router: {eth:02x?}");
    ensure!(eth.get(6..12) == Some(&super::flows::OWN_MAC), "not from us: {eth:02x?}");
    ensure!(eth.ends_with(&[0x08, 0x00]), "not IPv4: {eth:02x?}");
    ensure!(input.get(ETH_BYTES..) == Some(inner), "the inner packet has changed: {inner:02x?}");
    ensure!(checksum(outer) == 0, "wrong outer checksum: {outer:02x?}");
    ensure!(outer.first() == Some(&0x45) && outer.get(9) == Some(&IPIP), "outer: {outer:02x?}");
    let total_bytes = u16::from_be_bytes(word(outer, 2));
    ensure!(usize::from(total_bytes) == IPV4_BYTES + inner.len(), "outer length {total_bytes}");
    Ok(Ipv4Addr::from(word(outer, 16)))
}

/// CPU time this thread has used, in ns: what other processes take does not count.
fn cpu_time_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}
