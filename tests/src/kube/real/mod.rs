//! A real kube-apiserver with its etcd, on free ports and in a folder of its own.

mod assets;
mod keeper;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::access::Access;
use super::hand::{DEFAULT_NAMESPACE, Hand, Reach};
use crate::authority::Authority;
use crate::lab::Process;
use crate::port::Port;
use crate::wait::eventually;

pub(super) use assets::Assets;

use keeper::spawn;

/// How long a server may take until it serves; a busy machine has other things to do.
const START_LIMIT: Duration = Duration::from_mins(2);
/// How often a start is tried.
const STARTS_MAX: usize = 3;
/// How much of what a server printed is shown when it fails.
const LINES_SHOWN: usize = 20;
/// The first minor version with EndpointSlice v1.
const MINOR_WITH_SLICES: u32 = 21;
/// The first minor version without the plain port, and with dual stack for all.
const MINOR_WITHOUT_PLAIN_PORT: u32 = 24;

/// A running kube-apiserver and its etcd; both end when dropped.
#[derive(Debug)]
pub(super) struct Real {
    address: SocketAddr,
    authority_pem: String,
    /// The administrators' tokens: a client's, and that of the test's own hand.
    tokens: [String; 2],
    apiserver: Process,
    /// Dropped, and so ended, after its client.
    _etcd: Process,
    _ports: [Port; 3],
}

impl Real {
    /// Starts both, and returns with a hand when the server serves.
    pub(super) fn start(assets: &Assets, directory: &Path) -> Result<(Self, Hand)> {
        let mut attempt = 1;
        loop {
            match Self::try_start(assets, &directory.join(format!("start-{attempt}"))) {
                Err(error) if attempt == STARTS_MAX => return Err(error),
                Err(_) => attempt += 1,
                started => return started,
            }
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The way to the server for a client that finds it at this address.
    pub(super) fn access(&self, address: SocketAddr) -> Access {
        let [client, _] = &self.tokens;
        let trust = Some((self.authority_pem.clone(), client.clone()));
        Access { address, trust, user: None }
    }

    /// What the server has printed.
    pub(super) fn lines(&self) -> Vec<String> {
        self.apiserver.lines()
    }

    fn hand_access(&self) -> Access {
        let [_, hand] = &self.tokens;
        let trust = Some((self.authority_pem.clone(), hand.clone()));
        Access { address: self.address, trust, user: None }
    }

    fn try_start(assets: &Assets, directory: &Path) -> Result<(Self, Hand)> {
        fs::create_dir_all(directory)?;
        let ports = [Port::reserve()?, Port::reserve()?, Port::reserve()?];
        let [client, peer, port] = ports.each_ref().map(Port::number);
        let mut etcd = Command::new(&assets.etcd);
        let client_url = format!("http://127.0.0.1:{client}");
        let peer_url = format!("http://127.0.0.1:{peer}");
        etcd.arg("--data-dir").arg(directory.join("etcd")).args([
            format!("--listen-client-urls={client_url}"),
            format!("--advertise-client-urls={client_url}"),
            format!("--listen-peer-urls={peer_url}"),
            format!("--initial-advertise-peer-urls={peer_url}"),
            format!("--initial-cluster=default={peer_url}"),
        ]);
        let etcd = spawn(&etcd)?;
        let authority = Authority::new()?;
        let tokens = [token(), token()];
        let apiserver = spawn(&apiserver(assets, directory, &authority, &tokens, client, port)?)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let authority_pem = authority.pem();
        let mut real =
            Self { address, authority_pem, tokens, apiserver, _etcd: etcd, _ports: ports };
        let hand = Hand::new(&real.hand_access().kubeconfig())?;
        let is_ready = eventually(START_LIMIT, "a server with its first namespaces", || {
            let is_running = real.apiserver.is_running();
            let is_ready = is_running && hand.call(has_namespaces).is_ok();
            (is_ready || !is_running).then_some(is_ready)
        });
        if !is_ready.unwrap_or(false) {
            let lines = real.lines();
            let last = lines.iter().skip(lines.len().saturating_sub(LINES_SHOWN));
            let said: Vec<&str> = last.map(String::as_str).collect();
            bail!("kube-apiserver does not serve; it printed at last:\n{}", said.join("\n"));
        }
        Ok((real, hand))
    }
}

async fn has_namespaces(reach: Reach) -> Result<()> {
    // One that the server makes by itself, after it has begun to answer.
    reach.api("v1/Namespace", "").await?.get(DEFAULT_NAMESPACE).await?;
    Ok(())
}

fn apiserver(
    assets: &Assets,
    directory: &Path,
    authority: &Authority,
    tokens: &[String; 2],
    etcd_port: u16,
    port: u16,
) -> Result<Command> {
    let issued = authority.issue(&["localhost", "127.0.0.1"])?;
    let [client, hand] = tokens;
    let users =
        format!("{client},client,client,\"system:masters\"\n{hand},hand,hand,\"system:masters\"\n");
    for (name, text) in [("tls.crt", issued.chain), ("tls.key", issued.key), ("users.csv", users)] {
        fs::write(directory.join(name), text).with_context(|| format!("write {name}"))?;
    }
    let file = |option: &str, name: &str| {
        let mut argument = std::ffi::OsString::from(format!("--{option}="));
        argument.push(directory.join(name));
        argument
    };
    let mut command = Command::new(&assets.apiserver);
    command.args([
        file("tls-cert-file", "tls.crt"),
        file("tls-private-key-file", "tls.key"),
        // Its public half.
        file("service-account-key-file", "tls.crt"),
        file("service-account-signing-key-file", "tls.key"),
        file("token-auth-file", "users.csv"),
        file("cert-dir", "certificates"),
    ]);
    command.args([
        &format!("--etcd-servers=http://127.0.0.1:{etcd_port}"),
        &format!("--secure-port={port}"),
        "--bind-address=127.0.0.1",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112",
        "--endpoint-reconciler-type=none",
        // There is no controller that would make the accounts.
        "--disable-admission-plugins=ServiceAccount",
        // Thousands of objects are written at once.
        "--max-mutating-requests-inflight=2000",
    ]);
    let minor_version = assets.minor_version()?;
    if minor_version < MINOR_WITH_SLICES {
        // An older version of them would hide the definition that stands in for them.
        command.arg("--runtime-config=discovery.k8s.io/v1beta1=false");
    }
    if minor_version < MINOR_WITHOUT_PLAIN_PORT {
        command.args(["--insecure-port=0", "--feature-gates=IPv6DualStack=true"]);
    }
    Ok(command)
}

fn token() -> String {
    format!("{:032x}", fastrand::u128(..))
}
