//! A router: the real agent, merging and reconciling, over maps that outlive it.

use super::{answer::Way, check::Check, engine::Maps, server::Server};
use lb_common::abi::NextHop;
use lb_userspace::{
    kube::{
        AddressRange, Agent, Channels, ClusterOptions, Connector, Options, Outcome, Output, Pool,
    },
    model::Desired,
    reconcile::{CycleError, Driver, Fact, Reach, merge},
    runtime::backend_addresses,
};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

/// When a plan that was cut short is tried again, as the daemon does it.
const RETRY: Duration = Duration::from_secs(2);

/// Slots of a ring: few, since thousands of them are computed.
const RING_SLOTS: u32 = 31;

/// A router, alive or not.
pub(crate) struct Router {
    pub(crate) maps: Maps,
    /// A step that fails is the last one of this life.
    pub(crate) dies_of_failure: bool,
    servers: Vec<Arc<Server>>,
    options: Options,
    /// Where it keeps what clusters have, if it does.
    state: Option<TempDir>,
    began: Instant,
    life: Option<Life>,
    lives_count: u32,
}

struct Life {
    /// Ends when dropped.
    _agent: Agent,
    outputs: mpsc::Receiver<Output>,
    outcomes: watch::Sender<Outcome>,
    driver: Driver<Maps>,
    /// What was taken last.
    number: u64,
    retry_at: Option<Instant>,
}

impl Router {
    pub(crate) fn new(servers: &[Arc<Server>], writes_status: bool, keeps: bool) -> Self {
        Self {
            maps: Maps::default(),
            dies_of_failure: false,
            servers: servers.to_vec(),
            options: options(servers, writes_status),
            state: keeps.then(|| tempfile::tempdir().expect("a directory")),
            began: Instant::now(),
            life: None,
            lives_count: 0,
        }
    }

    /// Whether it knows what clusters had when it starts.
    pub(crate) const fn keeps(&self) -> bool {
        self.state.is_some()
    }

    /// What lowering is told.
    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// Begins a life with what the maps hold.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        let (outputs, taken) = mpsc::channel(1);
        let (told, outcomes) = watch::channel(Outcome::default());
        let (reports, _) = watch::channel(Vec::new());
        self.lives_count += 1;
        let identity = format!("life {}", self.lives_count);
        let objects = watch::channel(Arc::default()).0;
        let saved = self.state.as_ref().map(|it| it.path().join("clusters"));
        let channels = Channels { outputs, outcomes, reports, told: objects, identity, saved };
        let servers = self.servers.clone();
        let connector = Connector::new(move |options: &ClusterOptions| {
            let found = servers.iter().find(|it| name(it) == options.name).map(Way::client);
            Box::pin(async move { found.ok_or_else(|| "no such cluster".to_owned()) })
        });
        let agent = Agent::start_over(self.options.clone(), file(), channels, connector);
        let driver = Driver::adopt(self.maps.clone(), [].into());
        self.life = Some(Life {
            _agent: agent,
            outputs: taken,
            outcomes: told,
            driver: driver.map_err(|error| error.to_string())?,
            number: 0,
            retry_at: None,
        });
        Ok(())
    }

    /// Ends at once; maps stay.
    pub(crate) fn die(&mut self) {
        self.life = None;
        self.maps.lock().fails_in = None;
        self.dies_of_failure = false;
    }

    /// What runs, if nothing is left to do about it.
    pub(crate) fn desired(&self) -> Option<&Desired> {
        self.life.as_ref().filter(|it| it.retry_at.is_none())?.driver.desired()
    }

    /// Lives for a while. Errors: something was programmed that must not be.
    pub(crate) async fn live(&mut self, time: Duration, check: &mut Check) -> Result<(), String> {
        let until = Instant::now() + time;
        loop {
            let Some(life) = &mut self.life else { return Err("it is dead".to_owned()) };
            let retry_at = life.retry_at.unwrap_or(until);
            tokio::select! {
                biased;
                Some(output) = life.outputs.recv() => {
                    let merged = merged(&output.desired)?;
                    let reach = backend_addresses(&merged).into_iter().map(|it| (it, reach()));
                    life.number = output.number;
                    life.driver.note(Fact::Reach(reach.collect()));
                    life.driver.note(Fact::Desired(merged));
                    self.cycle(check)?;
                }
                () = sleep_until(retry_at), if life.retry_at.is_some() => {
                    life.driver.note(Fact::Time);
                    self.cycle(check)?;
                }
                () = sleep_until(until) => return Ok(()),
            }
        }
    }

    fn cycle(&mut self, check: &mut Check) -> Result<(), String> {
        let now_ms =
            1_000_000 + u64::try_from(self.began.elapsed().as_millis()).unwrap_or_default();
        let Some(life) = &mut self.life else { return Ok(()) };
        let outcome = life.driver.cycle(now_ms);
        check.maps(&self.maps)?;
        match outcome {
            None | Some(Ok(_)) => {
                life.retry_at = None;
                let outcome = Outcome { number: life.number, ..Outcome::default() };
                life.outcomes.send_replace(outcome);
                life.driver.desired().map_or(Ok(()), |it| check.desired(it))
            }
            Some(Err(CycleError::Engine(_))) if self.dies_of_failure => {
                self.die();
                check.forgets();
                self.start()
            }
            Some(Err(CycleError::Engine(_))) => {
                life.retry_at = Some(Instant::now() + RETRY);
                Ok(())
            }
            Some(Err(CycleError::Refused(why))) => Err(format!("refused: {why}")),
        }
    }
}

/// File and clusters together, with rings as small as they are here.
pub(crate) fn merged(clusters: &Desired) -> Result<Desired, String> {
    let (mut merged, left_out) = merge(&file(), clusters);
    if !left_out.is_empty() {
        return Err(format!("left out: {left_out:?}"));
    }
    for service in merged.services.values_mut() {
        service.ring_slots = RING_SLOTS;
    }
    Ok(merged)
}

/// What the file says.
pub(crate) fn file() -> Desired {
    Desired { interfaces: vec!["eth0".to_owned()], ..Desired::default() }
}

/// How everything is reached.
pub(crate) fn reach() -> Reach {
    Reach {
        next_hop: NextHop { ifindex: 3, ..NextHop::default() },
        on_link: true,
        source: Some(IpAddr::from([10, 200, 0, 1])),
        mtu: 1_500,
    }
}

/// Name of a server's cluster.
pub(crate) fn name(server: &Server) -> String {
    format!("c{}", server.cluster)
}

fn options(servers: &[Arc<Server>], writes_status: bool) -> Options {
    let cluster = |server: &Arc<Server>| ClusterOptions {
        name: name(server),
        kubeconfig: None,
        context: None,
        namespaces: Vec::new(),
        weight: 100,
    };
    let range = AddressRange { first: [192, 0, 2, 1].into(), last: [192, 0, 2, 254].into() };
    Options {
        clusters: servers.iter().map(cluster).collect(),
        pools: vec![Pool {
            name: "all".to_owned(),
            ranges: vec![range],
            auto_assign: true,
            bind: false,
            namespace_labels: BTreeMap::new(),
            object_labels: BTreeMap::new(),
        }],
        writes_status,
        ..Options::default()
    }
}
