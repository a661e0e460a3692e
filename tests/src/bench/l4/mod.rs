//! `lb-bench l4`: what a packet costs on the tunnel path, against the kernel's own benchmark.
//!
//! **The rival** is `xdp_lb_bench`, the balancer the kernel's selftests measure. Its source is
//! taken from Debian's kernel source package and compiled when the bench runs; nothing of it is
//! kept in this repository. It gets an entry of ours, because its own one times a loop from within.
//!
//! **The method.** Both programs are loaded as they are and stay black boxes. `BPF_PROG_TEST_RUN`
//! repeats a driver program (`driver.c`) that takes off the outer header of the repeat before,
//! writes the next flow into the packet and tail-calls the program under test. One batch is at
//! least 50,000 packets and every flow at least once; one untimed pass over all flows goes
//! before it. The clock is the thread's CPU time, so what others take from the machine counts
//! little. A program's figure is net of the same batch through an empty program and of the strip,
//! which is half of what a program that only makes room costs beyond the empty one.
//!
//! **Why not plainer.** Summing the kernel's `duration` over runs with `repeat = 1` was tried. It is
//! about as steady, but its clock may step by 10 ns, the empty program alone reads 100 ns, and each
//! packet runs right after a system call has used the caches and branch predictors, where a driver
//! polls packets back to back. Both programs then cost more, and the ratio is some 0.1 higher.
//! Live frames (`BPF_F_TEST_XDP_LIVE_FRAMES`) put the page pool and the transmit path of a device
//! into the figure.
//!
//! **What is checked.** Before timing, one packet of 1,000 flows or more: verdict, next hop, outer
//! header and checksum, the inner packet unchanged, a known backend. In every batch: the driver's counts
//! say that each packet was encapsulated. At the end, the programs' own counters: the rival found
//! every flow, ours looked none up, and ours with every slot moved found every flow.
//!
//! **Ours** is measured twice. While a ring does not change, the ring alone decides: that is the
//! headline, the path of an established flow in normal operation. With every slot marked moved,
//! every flow is looked up, as for a while after a change of all backends: the upper end.

pub mod compile;
pub mod driver;
pub mod flows;
pub mod measure;
pub mod ours;
pub mod package;
pub mod rival;
pub mod table;

use std::{collections::HashSet, path::Path};

use anyhow::{Context as _, Result, ensure};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use driver::{Driver, Lookups};
use measure::Subjects;
use ours::{Ours, Rings};
use rival::Rival;
use table::{FlowResult, Report};

/// Flows that take turns: few enough for the first caches, and too many for them.
const FLOW_COUNTS: [u32; 2] = [1_000, 100_000];

/// Measures with so many rounds at each flow count.
pub fn run(rounds_count: u32) -> Result<Report> {
    ensure!(rustix::process::geteuid().is_root(), "loading BPF programs needs root");
    let cache = package::cache_folder()?;
    package::install_compiler()?;
    let sources = package::sources(&cache)?;
    let work = tempfile::tempdir().context("cannot create a work folder")?;
    let cpu = pin()?;
    let mut bench = Bench::load(work.path(), &sources, cpu)?;
    let mut results = Vec::new();
    for flow_count in FLOW_COUNTS {
        results.push(bench.measure(flow_count, rounds_count)?);
    }
    Ok(Report {
        bench: "l4",
        scenario: "tunnel tcp-v4",
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        rival_package: sources.package,
        cpu,
        rounds_count,
        results,
    })
}

/// Every program of a run, loaded and filled.
struct Bench {
    driver: Driver,
    rival: Rival,
    ours: Ours,
    moved: Ours,
    subjects: Subjects,
}

impl Bench {
    fn load(work: &Path, sources: &package::Sources, cpu: u32) -> Result<Self> {
        let mut driver = Driver::load(&compile::driver(work)?)?;
        let mut rival = Rival::load(&compile::rival(work, sources)?, cpu)?;
        let mut ours = Ours::load(Rings::Settled)?;
        let mut moved = Ours::load(Rings::Moved)?;
        let subjects = Subjects {
            empty: driver.empty()?,
            grow: driver.grow()?,
            rival: rival.subject()?,
            ours: ours.subject()?,
            moved: moved.subject()?,
        };
        Ok(Self { driver, rival, ours, moved, subjects })
    }

    fn measure(&mut self, flow_count: u32, rounds_count: u32) -> Result<FlowResult> {
        self.driver.set_flows(flows::shuffled(flow_count))?;
        let backends: HashSet<_> =
            (0..flows::BACKENDS_COUNT).map(|index| flows::after(flows::BACKEND, index)).collect();
        let Subjects { rival, ours, moved, .. } = &self.subjects;
        for subject in [rival, ours, moved] {
            let used = self.driver.prove(subject, |backend| backends.contains(&backend))?;
            ensure!(used == backends.len(), "only {used} of {} backends used", backends.len());
            // Flow tables are filled by the programs themselves when they first see a flow.
            self.driver.time(subject, 1)?;
        }
        let before = self.lookups()?;
        eprintln!("measuring {rounds_count} rounds at {flow_count} flows");
        let rounds = measure::rounds(&mut self.driver, &self.subjects, flow_count, rounds_count)?;
        let after = self.lookups()?;
        let packets = u64::from(rounds_count) * measure::round_packets(flow_count);
        let expected = [packets, 0, packets].map(|found| Lookups { found, missed: 0 });
        let done: Vec<_> =
            after.iter().zip(&before).map(|(after, before)| after.since(before)).collect();
        ensure!(
            done == expected,
            "flow look-ups of rival, ours, moved: {done:?}, not {expected:?}"
        );
        Ok(FlowResult::new(flow_count, &rounds))
    }

    /// Of the rival, of ours, and of ours with every slot moved.
    fn lookups(&mut self) -> Result<[Lookups; 3]> {
        Ok([self.rival.lookups()?, self.ours.lookups()?, self.moved.lookups()?])
    }
}

/// Keeps this thread on one CPU, the last it may use (the first serves most interrupts).
fn pin() -> Result<u32> {
    let allowed = sched_getaffinity(None)?;
    let cpu = (0..CpuSet::MAX_CPU).rev().find(|cpu| allowed.is_set(*cpu)).context("no CPU")?;
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only).context("cannot stay on one CPU")?;
    Ok(u32::try_from(cpu)?)
}
