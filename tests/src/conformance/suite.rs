//! What all tests of a binary share.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::runtime::Runtime;

use super::Space;
use crate::{
    authority::Authority,
    kube::ApiServer,
    wait::{binary, eventually},
};

/// How long anything may take to be told or served: a debug build on a busy machine.
pub const LIMIT: Duration = Duration::from_mins(2);

/// Addresses that Gateways of these tests get, and only they: a part of 127.0.0.0/8, where nothing
/// else listens. Two runs at once take different ones.
const ADDRESSES: &str = "127.{1}.{2}.1-127.{1}.{2}.250";

/// An address that a Gateway gets only if it asks for it.
const WISHED_FOR: &str = "127.{1}.{2}.251-127.{1}.{2}.251";

/// What all tests of a binary share.
pub struct Suite {
    /// The API server.
    pub server: ApiServer,
    /// An authority for certificates.
    pub authority: Authority,
    /// Where backends and clients run.
    pub(super) runtime: Runtime,
    lbd: Mutex<Child>,
    printed: PathBuf,
    block: (u8, u8),
}

impl Suite {
    /// The suite of this process, started when first asked for.
    pub fn shared() -> &'static Self {
        static SUITE: OnceLock<Suite> = OnceLock::new();
        #[expect(clippy::panic, reason = "nothing can be tested without it")]
        SUITE.get_or_init(|| {
            // In a thread of its own: it is told of the end of the process, not of a test.
            let started = thread::spawn(Self::start).join();
            match started {
                Ok(Ok(suite)) => suite,
                Ok(Err(error)) => panic!("the suite cannot be started: {error:#}"),
                Err(panic) => panic!("the suite cannot be started: {panic:?}"),
            }
        })
    }

    /// A namespace for a test.
    pub fn space(&'static self, name: &str) -> Space {
        Space::new(self, name)
    }

    /// An address that a Gateway gets only if it asks for it.
    pub fn wished_for(&self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.block.0, self.block.1, 251)
    }

    /// What `lbd` printed so far, for a report of failures.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.printed).unwrap_or_default()
    }

    fn start() -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        // The stand-in is quicker, and the same everywhere.
        let is_real = std::env::var_os("LB_TEST_KUBE_REAL").is_some();
        let server = if is_real { ApiServer::start()? } else { ApiServer::stand_in()? };
        let block = (fastrand::u8(1..=250), fastrand::u8(..));
        let folder = server.directory().to_owned();
        let numbers = |text: &str| {
            text.replace("{1}", &block.0.to_string()).replace("{2}", &block.1.to_string())
        };
        let configuration = json!({
            "proxy": { "workers": 2 },
            "kubernetes": {
                "clusters": [{ "name": "suite", "kubeconfig": server.kubeconfig_path() }],
                "lease_namespace": "default",
                "external_names": ["localhost", "*.localhost"],
                "pools": [
                    {
                        "name": "suite",
                        "addresses": [numbers(ADDRESSES)],
                        "bind": true,
                        "auto_assign": true,
                    },
                    {
                        "name": "wished-for",
                        "addresses": [numbers(WISHED_FOR)],
                        "bind": true,
                        "auto_assign": false,
                    },
                ],
            },
        });
        let file = folder.join("suite.yaml");
        fs::write(&file, configuration.to_string())?;
        server.install_crds()?;
        server.apply(CLASS)?;
        let printed = folder.join("lbd.out");
        let lbd = kept_lbd(&file, &printed, block)?;
        let suite = Self {
            server,
            authority: Authority::new()?,
            runtime,
            lbd: Mutex::new(lbd),
            printed,
            block,
        };
        eventually(LIMIT, "the GatewayClass is accepted", || suite.class_is_accepted())
            .with_context(|| suite.output())?;
        Ok(suite)
    }

    fn class_is_accepted(&self) -> Option<()> {
        let class = self.server.get("GatewayClass", "suite").ok()??;
        let conditions = class.pointer("/status/conditions")?.as_array()?;
        let is_true = |it: &&serde_json::Value| it["type"] == "Accepted" && it["status"] == "True";
        conditions.iter().find(is_true).map(|_| ())
    }

    /// Whether `lbd` still runs.
    pub fn is_running(&self) -> bool {
        let mut lbd = self.lbd.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        matches!(lbd.try_wait(), Ok(None))
    }
}

const CLASS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata:
  name: suite
spec:
  controllerName: lb.internal/gateway-controller
";

/// `lbd`, ended by its keeper when this process is gone, however it goes: a shell that reads from a
/// pipe of which nobody else has the other end.
fn kept_lbd(file: &Path, printed: &Path, block: (u8, u8)) -> Result<Child> {
    let keeper = "\"$@\" & lbd=$!; read -r _; kill $lbd; wait $lbd";
    let output = fs::File::create(printed)?;
    let mut command = Command::new("sh");
    command
        .args(["-c", keeper, "keeper"])
        .arg(binary("lbd")?)
        .env("RUST_LOG", "info,lb_kube=debug")
        .args(["run", "--instance", &format!("suite{}-{}", block.0, block.1), "--config"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(output.try_clone()?)
        .stderr(output);
    command.spawn().context("cannot start lbd")
}
