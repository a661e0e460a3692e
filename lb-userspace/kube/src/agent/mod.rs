//! From watched clusters to what is to run: collects changes, lowers them, and sends on what
//! differs from before.

mod cluster;
mod local;
mod report;
mod run;
mod told;
mod writing;

pub use report::{ClusterProblem, ClusterReport, ClusterState};
pub use told::{
    EndpointCount, GatewayListenerReport, GatewayReport, RouteReport, ServiceReport, Told,
};

use crate::{Connector, Options};
use lb_model::Desired;
use run::Run;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

/// What the clusters ask for now.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Counts up; named again in [`Outcome`].
    pub number: u64,
    /// What to run beside what the file says.
    pub desired: Arc<Desired>,
    /// Text of the configuration in a ConfigMap, if there is one.
    pub configuration: Option<Arc<str>>,
}

impl Output {
    /// What [`Outcome::problems`] calls [`Output::configuration`].
    pub const CONFIGURATION: &str = run::CONFIG_MAP;
}

/// What became of an [`Output`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Of which.
    pub number: u64,
    /// Why it does not run; `None` = the data plane and all workers of the proxy run it.
    pub refused: Option<String>,
    /// Objects of it that do not work while the rest does, by name, with the reason.
    pub problems: Vec<(String, String)>,
}

/// The agent; ends when dropped.
#[derive(Debug)]
pub struct Agent {
    settings: watch::Sender<Settings>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// How long the end may take: what clusters have is written to a disk that may be slow.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);

/// Who the agent speaks with.
#[derive(Debug)]
pub struct Channels {
    /// Takes what the clusters ask for, each time that is something else.
    pub outputs: mpsc::Sender<Output>,
    /// Tells what became of the newest output that was taken.
    pub outcomes: watch::Receiver<Outcome>,
    /// Takes how the clusters are.
    pub reports: watch::Sender<Vec<ClusterReport>>,
    /// Takes what became of objects.
    pub told: watch::Sender<Arc<Told>>,
    /// Who this replica is among all that watch the clusters, new with each start.
    pub identity: String,
    /// Directory where what clusters have is kept for the next start; `None` = nowhere.
    pub saved: Option<PathBuf>,
}

/// What the operator says.
#[derive(Clone, Debug)]
struct Settings {
    options: Arc<Options>,
    file: Arc<Desired>,
}

impl Agent {
    /// Begins to watch the clusters that `options` names. `file` is what the file says beside
    /// clusters. Must be called within a tokio runtime.
    pub fn start(options: Options, file: Desired, channels: Channels) -> Self {
        Self::start_over(options, file, channels, Connector::default())
    }

    /// [`Self::start`] over other ways to API servers.
    pub fn start_over(
        options: Options,
        file: Desired,
        channels: Channels,
        connector: Connector,
    ) -> Self {
        let settings = Settings { options: Arc::new(options), file: Arc::new(file) };
        let (settings, given) = watch::channel(settings);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(Run::new(given, channels, connector).run(stopped));
        Self { settings, stop: Some(stop), task }
    }

    /// Ends in good order: another router may write at once.
    pub async fn stop(mut self) {
        // Nobody listens: it has ended already.
        self.stop.take().map(|it| it.send(()).ok());
        timeout(STOP_TIMEOUT, &mut self.task).await.ok();
    }

    /// The operator says something else from now on. Clusters about which nothing else is said go
    /// on being watched.
    pub fn configure(&self, options: Options, file: Desired) {
        self.settings.send_replace(Settings { options: Arc::new(options), file: Arc::new(file) });
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
    }
}
