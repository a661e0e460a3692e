//! One API server of a test's own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tempfile::TempDir;

use super::hand::Hand;
use super::stand_in::{Faults, StandIn};

/// A running API server; ends, and leaves nothing behind, when dropped.
///
/// Its methods may be called inside and outside of a runtime, and block until they are done.
pub struct ApiServer {
    pub(super) hand: Hand,
    kubeconfig: String,
    directory: TempDir,
    stand_in: StandIn,
}

impl ApiServer {
    /// Starts a server.
    pub fn start() -> Result<Self> {
        Self::stand_in()
    }

    /// Starts the stand-in.
    pub fn stand_in() -> Result<Self> {
        let stand_in = StandIn::start()?;
        let kubeconfig = plain_kubeconfig(&stand_in.url());
        let directory = TempDir::new().context("make a folder for the kubeconfig")?;
        fs::write(directory.path().join(KUBECONFIG), &kubeconfig)?;
        let hand = Hand::new(&plain_kubeconfig(&stand_in.hand_url()))?;
        Ok(Self { hand, kubeconfig, directory, stand_in })
    }

    /// A kubeconfig of an administrator, as text.
    pub fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// A kubeconfig of an administrator, as a file.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.directory.path().join(KUBECONFIG)
    }

    /// A folder that goes with the server, for what else a test writes.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A client for the runtime this is called in.
    pub async fn client(&self) -> Result<Client> {
        client(&self.kubeconfig).await
    }

    /// What the stand-in can do wrong.
    pub fn faults(&self) -> Option<Faults> {
        Some(self.stand_in.faults())
    }

    /// Makes the server unreachable: connections break, new ones too, until [`Self::come_up`].
    /// The hand still reaches a stand-in, so that a client has something to miss.
    pub fn go_down(&mut self) -> Result<()> {
        self.stand_in.set_down(true);
        Ok(())
    }

    /// Makes the server reachable again where it was, with all that it held.
    pub fn come_up(&mut self) -> Result<()> {
        self.stand_in.set_down(false);
        Ok(())
    }
}

/// The name of the kubeconfig in the server's folder.
const KUBECONFIG: &str = "kubeconfig";

/// A client as a kubeconfig says.
pub(super) async fn client(kubeconfig: &str) -> Result<Client> {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).context("read a kubeconfig")?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    Client::try_from(config.context("read a kubeconfig")?).context("make a client")
}

fn plain_kubeconfig(url: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
current-context: test
clusters:
- name: test
  cluster: {{server: \"{url}\"}}
contexts:
- name: test
  context: {{cluster: test, user: test}}
users:
- name: test
  user: {{}}
"
    )
}
