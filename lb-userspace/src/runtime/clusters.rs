//! The clusters as the daemon's second source: what they ask for, merged with the file.

use super::{Configuration, wall_ms};
use crate::{
    config,
    kube::{Agent, Channels, ClusterReport, Options, Outcome, Output, Told},
    model::Desired,
    proxy::snapshot::Problem,
    reconcile::merge,
};
use std::{fs, path::PathBuf, sync::Arc, time::Duration};
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
    told: watch::Sender<Arc<Told>>,
    saved: PathBuf,
}

/// The daemon's ends of [`Ways`].
pub(super) struct Ends {
    /// What the clusters ask for.
    pub(super) outputs: mpsc::Receiver<Output>,
    /// What became of it.
    pub(super) outcomes: watch::Sender<Outcome>,
    /// How the clusters are.
    pub(super) reports: watch::Receiver<Vec<ClusterReport>>,
    /// What became of their objects.
    pub(super) told: watch::Receiver<Arc<Told>>,
}

/// Ways between the daemon and the agent. What clusters have is kept in the directory `saved`.
pub(super) fn ways(saved: PathBuf) -> (Ways, Ends) {
    // Only the newest counts, and the agent makes none while one waits.
    let (outputs, taken) = mpsc::channel(1);
    let (told, outcomes) = watch::channel(Outcome::default());
    let (reports, seen) = watch::channel(Vec::new());
    let (objects, read) = watch::channel(Arc::default());
    let ways = Ways { outputs, outcomes, reports, told: objects, saved };
    (ways, Ends { outputs: taken, outcomes: told, reports: seen, told: read })
}

/// What the file and the clusters say.
pub(super) struct Sources {
    ways: Ways,
    agent: Option<Agent>,
    file: Arc<Desired>,
    output: Option<Output>,
    /// The last good configuration of a ConfigMap.
    more: Desired,
    /// What is wrong with the newest one.
    more_error: Option<String>,
}

impl Sources {
    /// The file says this.
    pub(super) fn new(ways: Ways, file: Desired, options: Option<Options>) -> Self {
        let mut sources = Self {
            ways,
            agent: None,
            file: Arc::default(),
            output: None,
            more: Desired::default(),
            more_error: None,
        };
        sources.take_file(file, options);
        sources
    }

    /// The file says this now.
    pub(super) fn take_file(&mut self, file: Desired, options: Option<Options>) {
        self.file = Arc::new(file);
        let Some(mut options) = options else {
            self.agent = None;
            self.output = None;
            self.forget_configuration();
            self.ways.reports.send_replace(Vec::new());
            self.ways.told.send_replace(Arc::default());
            return;
        };
        if options.config_map.is_none() {
            self.forget_configuration();
        }
        options.certificates = self.file.proxy.certificates.clone();
        let file = Desired::clone(&self.file);
        if let Some(agent) = &self.agent {
            agent.configure(options, file);
        } else {
            let channels = Channels {
                outputs: self.ways.outputs.clone(),
                outcomes: self.ways.outcomes.clone(),
                reports: self.ways.reports.clone(),
                told: self.ways.told.clone(),
                identity: identity(),
                saved: Some(self.ways.saved.clone()),
            };
            self.agent = Some(Agent::start(options, file, channels));
        }
    }

    /// The clusters ask for this now.
    pub(super) fn take_output(&mut self, output: Output) {
        // An agent that is no longer wanted may have had one on its way.
        if self.agent.is_none() {
            return;
        }
        let before = self.output.as_ref().and_then(|it| it.configuration.as_ref());
        if before != output.configuration.as_ref() {
            self.take_configuration(output.configuration.as_deref());
        }
        self.output = Some(output);
    }

    /// A ConfigMap has this configuration. One with mistakes changes nothing, and neither does one
    /// that is gone by accident; without the key in the file it no longer counts.
    fn take_configuration(&mut self, text: Option<&str>) {
        let Some(text) = text else {
            self.more_error = Some("it is gone".to_owned());
            return;
        };
        let checked = config::check("lb.yaml", text);
        self.more_error = if checked.kubernetes.is_some() {
            Some("clusters are named in the file only".to_owned())
        } else if let Some(desired) = checked.desired {
            self.more = desired;
            None
        } else {
            Some(checked.diagnostics.to_string())
        };
    }

    /// Ends in good order.
    pub(super) async fn stop(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.stop().await;
        }
    }

    /// Waits until the clusters have been read, but not for ever: without them the first
    /// configuration would take away what an earlier run of the daemon set up.
    pub(super) async fn first(&mut self, outputs: &mut mpsc::Receiver<Output>) {
        if self.agent.is_none() {
            return;
        }
        tracing::info!("reading the clusters");
        if let Ok(Some(output)) = timeout(FIRST_WAIT, outputs.recv()).await {
            self.take_output(output);
        } else {
            tracing::error!("the clusters cannot be read");
        }
    }

    /// Everything together.
    pub(super) fn configuration(&self) -> Configuration {
        let Some(output) = &self.output else { return Desired::clone(&self.file).into() };
        let (desired, mut left_out) = merge(&self.file, &self.more);
        let (desired, more) = merge(&desired, &output.desired);
        left_out.extend(more);
        let error = self.more_error.clone();
        left_out.extend(error.map(|why| (Output::CONFIGURATION.to_owned(), why)));
        let left_out = left_out.into_iter().map(|(object, why)| Problem { object, why });
        Configuration { desired, number: output.number, left_out: left_out.collect() }
    }

    fn forget_configuration(&mut self) {
        self.more = Desired::default();
        self.more_error = None;
    }
}

/// Who this replica is: where it runs, and something that no other start has.
fn identity() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}_{}_{:x}", name.trim(), std::process::id(), wall_ms())
}
