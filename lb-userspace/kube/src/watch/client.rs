//! The way to an API server.

use super::request::chain;
use crate::ClusterOptions;
use futures_util::future::BoxFuture;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use std::{fmt, sync::Arc, time::Duration};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

type Connect =
    dyn Fn(&ClusterOptions) -> BoxFuture<'static, Result<Client, String>> + Send + Sync + 'static;

/// Makes the way to a cluster's API server, anew each time that the one before is lost.
#[derive(Clone)]
pub struct Connector(Arc<Connect>);

impl Connector {
    /// Makes ways by `connect`, which tells people why where it cannot.
    pub fn new(
        connect: impl Fn(&ClusterOptions) -> BoxFuture<'static, Result<Client, String>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self(Arc::new(connect))
    }

    pub(super) async fn connect(&self, options: &ClusterOptions) -> Result<Client, String> {
        (self.0)(options).await
    }
}

impl Default for Connector {
    /// As kubeconfigs and service accounts say.
    fn default() -> Self {
        Self::new(|options| {
            let options = options.clone();
            Box::pin(async move { connect(&options).await })
        })
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}

/// Makes a client as the operator says; files are read anew, so that renewed credentials count.
async fn connect(options: &ClusterOptions) -> Result<Client, String> {
    let mut config = config(options).await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    // Who asks waits by itself, and says so.
    config.default_retry = false;
    Client::try_from(config).map_err(|error| chain(&error))
}

async fn config(options: &ClusterOptions) -> Result<Config, String> {
    let Some(path) = &options.kubeconfig else {
        return Config::incluster().map_err(|error| chain(&error));
    };
    let path = path.clone();
    let read = tokio::task::spawn_blocking(move || Kubeconfig::read_from(path)).await;
    let kubeconfig = read.map_err(|error| error.to_string())?.map_err(|error| chain(&error))?;
    let chosen =
        KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &chosen).await.map_err(|error| chain(&error))
}
