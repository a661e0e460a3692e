//! One API server of a test's own.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tempfile::TempDir;

use super::access::Access;
use super::hand::Hand;
use super::real::{Assets, Real};
use super::relay::Relay;
use super::stand_in::{Faults, StandIn};
use crate::lab::Host;

/// A running API server; ends, and leaves nothing behind, when dropped.
///
/// Its methods may be called inside and outside of a runtime, and block until they are done.
#[derive(Debug)]
pub struct ApiServer {
    pub(super) hand: Hand,
    /// Where clients find it, but those in namespaces of labs.
    address: SocketAddr,
    kubeconfig: String,
    /// What clients connect to; the first is here, the others are in namespaces of labs.
    relays: Vec<Relay>,
    serving: Serving,
    /// Dropped last, after the processes that write to it.
    directory: TempDir,
}

#[derive(Debug)]
enum Serving {
    Real(Real),
    StandIn(StandIn),
}

impl ApiServer {
    /// Starts a real server if its binaries are found, else the stand-in.
    ///
    /// They are looked for where `KUBEBUILDER_ASSETS` says, else where
    /// `cargo xtask setup --kube-server` puts them.
    pub fn start() -> Result<Self> {
        match Assets::find() {
            Some(assets) => Self::real(&assets),
            None => Self::stand_in(),
        }
    }

    /// Starts the stand-in.
    pub fn stand_in() -> Result<Self> {
        let stand_in = StandIn::start()?;
        let hand = Hand::new(&Access::plain(stand_in.hand_address()).kubeconfig())?;
        Self::with(Serving::StandIn(stand_in), hand, folder()?)
    }

    /// Whether `start` gives a real server.
    pub fn has_real() -> bool {
        Assets::find().is_some()
    }

    /// Whether this is a real server.
    pub fn is_real(&self) -> bool {
        matches!(self.serving, Serving::Real(_))
    }

    /// A kubeconfig of an administrator, as text.
    pub fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    /// A kubeconfig of an administrator, as a file.
    pub fn kubeconfig_path(&self) -> PathBuf {
        self.directory.path().join(KUBECONFIG)
    }

    /// Makes the server reachable from a host of a lab, and returns a kubeconfig for there.
    pub fn kubeconfig_on(&mut self, host: &Host) -> Result<PathBuf> {
        let (listener, address) = host.enter(Relay::listen)??;
        let relay = self.relay(listener)?;
        self.relays.push(relay);
        let name = format!("{KUBECONFIG}-{}-{}", host.name(), self.relays.len());
        self.write(&name, &self.access(address).kubeconfig())
    }

    /// Gives the server an address of a host of a lab, and returns a kubeconfig, as text, for all
    /// hosts that reach it; with a user, for somebody who may do only what roles allow.
    pub fn kubeconfig_at(&mut self, host: &Host, user: Option<&str>) -> Result<String> {
        let (listener, address) = host.enter(|| Relay::listen_at(host.address_v4()))??;
        let relay = self.relay(listener)?;
        self.relays.push(relay);
        let access = Access { user: user.map(str::to_owned), ..self.access(address) };
        Ok(access.kubeconfig())
    }

    /// A kubeconfig of a user, such as `system:serviceaccount:NAMESPACE:NAME`, who may do only
    /// what roles allow.
    pub fn kubeconfig_as(&self, user: &str) -> Result<PathBuf> {
        let access = Access { user: Some(user.to_owned()), ..self.access(self.address) };
        let name = format!("{KUBECONFIG}-{}", user.replace([':', '/'], "-"));
        self.write(&name, &access.kubeconfig())
    }

    /// A folder that goes with the server, for what else a test writes.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A client for the runtime this is called in.
    pub async fn client(&self) -> Result<Client> {
        client(&self.kubeconfig).await
    }

    /// A client of a user, who may do only what roles allow.
    pub async fn client_as(&self, user: &str) -> Result<Client> {
        let access = Access { user: Some(user.to_owned()), ..self.access(self.address) };
        client(&access.kubeconfig()).await
    }

    /// What a stand-in can do wrong; nothing of a real server.
    pub fn faults(&self) -> Option<Faults> {
        match &self.serving {
            Serving::StandIn(stand_in) => Some(stand_in.faults()),
            Serving::Real(_) => None,
        }
    }

    /// Makes the server unreachable for clients: connections break, new ones too, until
    /// [`Self::come_up`]. The test's own hand still reaches it, so that there is something to
    /// miss.
    pub fn go_down(&self) {
        for relay in &self.relays {
            relay.set_down(true);
        }
    }

    /// Makes the server reachable again.
    pub fn come_up(&self) {
        for relay in &self.relays {
            relay.set_down(false);
        }
    }

    /// What a real server has printed, for a report of failures.
    pub fn lines(&self) -> Vec<String> {
        match &self.serving {
            Serving::Real(real) => real.lines(),
            Serving::StandIn(_) => Vec::new(),
        }
    }

    fn real(assets: &Assets) -> Result<Self> {
        let directory = folder()?;
        let (real, hand) = Real::start(assets, directory.path())?;
        let server = Self::with(Serving::Real(real), hand, directory)?;
        server.define_what_is_newer()?;
        Ok(server)
    }

    fn with(serving: Serving, hand: Hand, directory: TempDir) -> Result<Self> {
        let (listener, address) = Relay::listen()?;
        let kubeconfig = String::new();
        let relays = Vec::new();
        let mut server = Self { hand, address, kubeconfig, relays, serving, directory };
        server.relays.push(server.relay(listener)?);
        server.kubeconfig = server.access(address).kubeconfig();
        server.write(KUBECONFIG, &server.kubeconfig)?;
        Ok(server)
    }

    fn relay(&self, listener: TcpListener) -> Result<Relay> {
        let address = match &self.serving {
            Serving::Real(real) => real.address(),
            Serving::StandIn(stand_in) => stand_in.address(),
        };
        Relay::start(listener, address)
    }

    fn access(&self, address: SocketAddr) -> Access {
        match &self.serving {
            Serving::Real(real) => real.access(address),
            Serving::StandIn(_) => Access::plain(address),
        }
    }

    fn write(&self, name: &str, kubeconfig: &str) -> Result<PathBuf> {
        let path = self.directory.path().join(name);
        fs::write(&path, kubeconfig).context("write a kubeconfig")?;
        Ok(path)
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

fn folder() -> Result<TempDir> {
    TempDir::new().context("make a folder for an API server")
}
