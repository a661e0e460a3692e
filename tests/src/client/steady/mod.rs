//! A steady flow of small numbered messages, in which every lost one counts.

mod flow;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use lb_userspace::model::Protocol;
use tokio::task::JoinSet;

use super::socket::{raise_open_file_limit, runtime, source};
use super::tally::Failure;
use crate::lab::Host;
use crate::wait::eventually;
use flow::{Flow, Shared};

/// What to send.
#[derive(Clone, Debug)]
pub struct SteadyPlan {
    /// Flows, each with its protocol and target.
    pub targets: Vec<(Protocol, SocketAddr)>,
    /// Flows to each of the targets.
    pub flow_count: u64,
    /// The client's addresses, taken in turn; empty lets the kernel choose.
    pub sources: Vec<IpAddr>,
    /// Time between two messages of a flow.
    pub interval: Duration,
    /// An answer that takes longer is late.
    pub late_after: Duration,
    /// How long answers are waited for at the end. One that has not come by then is lost.
    pub grace: Duration,
}

impl SteadyPlan {
    /// 20 flows to each target, a message every 10 ms, late after one second, lost after five.
    pub fn new(targets: Vec<(Protocol, SocketAddr)>) -> Self {
        Self {
            targets,
            flow_count: 20,
            sources: Vec::new(),
            interval: Duration::from_millis(10),
            late_after: Duration::from_secs(1),
            grace: Duration::from_secs(5),
        }
    }
}

/// What became of one flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowReport {
    /// The transport. Over TCP a lost packet shows as a retransmit and a lost flow as a reset or
    /// silence; over UDP a lost packet is a message without an answer.
    pub protocol: Protocol,
    /// Where it was sent to.
    pub target: SocketAddr,
    /// The client's side.
    pub local: SocketAddr,
    /// The backend that gave the first answer.
    pub backend: String,
    /// Messages sent.
    pub sent: u64,
    /// Messages answered, each counted once.
    pub answered: u64,
    /// Of these, the ones that took longer than [`SteadyPlan::late_after`].
    pub late: u64,
    /// Answers by another backend than the first (UDP; TCP cannot move).
    pub moved: u64,
    /// Why the flow ended before it was told to: a reset, an ICMP error.
    pub broken: Option<Failure>,
}

impl FlowReport {
    /// Messages without an answer.
    pub fn lost(&self) -> u64 {
        self.sent - self.answered
    }

    /// Whether every message was answered, by one backend.
    pub fn is_whole(&self) -> bool {
        self.lost() == 0 && self.moved == 0 && self.broken.is_none()
    }
}

/// What became of all flows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SteadyReport {
    /// Flow by flow.
    pub flows: Vec<FlowReport>,
}

impl SteadyReport {
    /// The sum of one figure over the flows of a protocol.
    pub fn sum(&self, protocol: Protocol, figure: impl Fn(&FlowReport) -> u64) -> u64 {
        self.flows.iter().filter(|flow| flow.protocol == protocol).map(figure).sum()
    }

    /// The flows that lost something, broke or moved.
    pub fn damaged(&self) -> impl Iterator<Item = &FlowReport> {
        self.flows.iter().filter(|flow| !flow.is_whole())
    }
}

/// Flows that run until they are stopped.
#[derive(Debug)]
pub struct Steady {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<SteadyReport>>>,
}

impl Steady {
    /// Opens the flows from `host` and returns when each of them has had its first answer.
    ///
    /// Errors: a flow that could not be opened or got no first answer.
    pub fn start(host: &Host, plan: &SteadyPlan) -> Result<Self> {
        raise_open_file_limit()?;
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            open_count: AtomicU64::new(0),
            answered_count: AtomicU64::new(0),
        });
        let thread = {
            let (host, plan, shared) = (host.clone(), plan.clone(), Arc::clone(&shared));
            std::thread::spawn(move || {
                host.enter(|| runtime()?.block_on(run_flows(&plan, &shared)))?
            })
        };
        let mut steady = Self { shared, thread: Some(thread) };
        steady.wait_open(plan)?;
        Ok(steady)
    }

    /// Messages answered so far, all flows together.
    pub fn answered_count(&self) -> u64 {
        self.shared.answered_count.load(Ordering::Relaxed)
    }

    /// Waits until `count` more messages are answered: a way to let load run without sleeping.
    pub fn wait_for_answers(&self, count: u64, limit: Duration) -> Result<()> {
        let aim = self.answered_count() + count;
        eventually(limit, &format!("{count} more answers"), || {
            (self.answered_count() >= aim).then_some(())
        })
    }

    /// Stops sending, waits for answers on their way, and reports.
    pub fn stop(mut self) -> Result<SteadyReport> {
        self.join()
    }

    fn wait_open(&mut self, plan: &SteadyPlan) -> Result<()> {
        let count = plan.targets.len() as u64 * plan.flow_count;
        // Flows open one after another within a step's limit each, mostly in microseconds.
        let opened = eventually(Duration::from_mins(1), "every flow to be answered", || {
            let ended = self.thread.as_ref().is_none_or(JoinHandle::is_finished);
            (ended || self.shared.open_count.load(Ordering::Relaxed) >= count).then_some(ended)
        });
        match opened {
            Ok(false) => Ok(()),
            Ok(true) => Err(self.join().err().unwrap_or_else(|| anyhow!("no flow to run"))),
            Err(error) => {
                self.join()?;
                Err(error)
            }
        }
    }

    fn join(&mut self) -> Result<SteadyReport> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("already stopped")?;
        thread.join().map_err(|_| anyhow!("the thread of the steady flows panicked"))?
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // Nobody wants the report any more.
            drop(self.join());
        }
    }
}

async fn run_flows(plan: &SteadyPlan, shared: &Arc<Shared>) -> Result<SteadyReport> {
    let mut running = JoinSet::new();
    for (protocol, target) in &plan.targets {
        for index in 0..plan.flow_count {
            let from = source(&plan.sources, index, *target);
            let flow = Flow::open(*protocol, from, *target).await;
            let flow =
                flow.map_err(|failure| anyhow!("open a steady {protocol} flow: {failure}"))?;
            let (interval, times) = (plan.interval, [plan.late_after, plan.grace]);
            let shared = Arc::clone(shared);
            shared.open_count.fetch_add(1, Ordering::Relaxed);
            running.spawn(async move { flow.run(interval, times, &shared).await });
        }
    }
    let mut flows = Vec::new();
    while let Some(flow) = running.join_next().await {
        flows.push(flow.context("a client task")?);
    }
    flows.sort_by_key(|flow| (flow.protocol, flow.target, flow.local));
    Ok(SteadyReport { flows })
}
