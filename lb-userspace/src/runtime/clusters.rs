//! The clusters as the daemon's second source: what they ask for, merged with the file.

use super::Configuration;
use crate::{
    kube::{Agent, Channels, ClusterReport, Options, Outcome, Output},
    model::Desired,
    proxy::snapshot::Problem,
    reconcile::merge,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

/// How long the first configuration waits for clusters: longer than the agent waits for one that
/// is away.
const FIRST_WAIT: Duration = Duration::from_secs(15);

/// Ways between the daemon and the agent, which last as long as the daemon, agent or not.
pub(super) struct Ways {
    outputs: mpsc::Sender<Output>,
    outcomes: watch::Receiver<Outcome>,
    reports: watch::Sender<Vec<ClusterReport>>,
}

/// The daemon's ends of [`Ways`].
pub(super) struct Ends {
    /// What the clusters ask for.
    pub(super) outputs: mpsc::Receiver<Output>,
    /// What became of it.
    pub(super) outcomes: watch::Sender<Outcome>,
    /// How the clusters are.
    pub(super) reports: watch::Receiver<Vec<ClusterReport>>,
}

/// Ways between the daemon and the agent.
pub(super) fn ways() -> (Ways, Ends) {
    // Only the newest counts, and the agent makes none while one waits.
    let (outputs, taken) = mpsc::channel(1);
    let (told, outcomes) = watch::channel(Outcome::default());
    let (reports, seen) = watch::channel(Vec::new());
    let ways = Ways { outputs, outcomes, reports };
    (ways, Ends { outputs: taken, outcomes: told, reports: seen })
}

/// What the file and the clusters say.
pub(super) struct Sources {
    ways: Ways,
    agent: Option<Agent>,
    file: Arc<Desired>,
    output: Option<Output>,
}

impl Sources {
    /// The file says this.
    pub(super) fn new(ways: Ways, file: Desired, options: Option<Options>) -> Self {
        let mut sources = Self { ways, agent: None, file: Arc::default(), output: None };
        sources.take_file(file, options);
        sources
    }

    /// The file says this now.
    pub(super) fn take_file(&mut self, file: Desired, options: Option<Options>) {
        self.file = Arc::new(file);
        let Some(mut options) = options else {
            self.agent = None;
            self.output = None;
            self.ways.reports.send_replace(Vec::new());
            return;
        };
        options.certificates = self.file.proxy.certificates.clone();
        let file = Desired::clone(&self.file);
        if let Some(agent) = &self.agent {
            agent.configure(options, file);
        } else {
            let channels = Channels {
                outputs: self.ways.outputs.clone(),
                outcomes: self.ways.outcomes.clone(),
                reports: self.ways.reports.clone(),
            };
            self.agent = Some(Agent::start(options, file, channels));
        }
    }

    /// The clusters ask for this now.
    pub(super) fn take_output(&mut self, output: Output) {
        // An agent that is no longer wanted may have had one on its way.
        if self.agent.is_some() {
            self.output = Some(output);
        }
    }

    /// Waits until the clusters have been read, but not for ever: without them the first
    /// configuration would take away what an earlier run of the daemon set up.
    pub(super) async fn first(&mut self, outputs: &mut mpsc::Receiver<Output>) {
        if self.agent.is_none() {
            return;
        }
        tracing::info!("reading the clusters");
        match timeout(FIRST_WAIT, outputs.recv()).await {
            Ok(Some(output)) => self.take_output(output),
            Ok(None) | Err(_) => tracing::error!("the clusters cannot be read"),
        }
    }

    /// Everything together.
    pub(super) fn configuration(&self) -> Configuration {
        let Some(output) = &self.output else { return Desired::clone(&self.file).into() };
        let (desired, left_out) = merge(&self.file, &output.desired);
        let left_out = left_out.into_iter().map(|(object, why)| Problem { object, why });
        Configuration { desired, number: output.number, left_out: left_out.collect() }
    }
}
