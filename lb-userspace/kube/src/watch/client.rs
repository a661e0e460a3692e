//! The way to an API server.

use super::request::chain;
use crate::ClusterOptions;
use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use std::time::Duration;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Makes a client as the operator says; files are read anew, so that renewed credentials count.
pub(super) async fn connect(options: &ClusterOptions) -> Result<Client, String> {
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
