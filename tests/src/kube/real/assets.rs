//! Where the binaries of a real server are.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Names the folder with the binaries, as controller-runtime's envtest has it.
const FOLDER: &str = "KUBEBUILDER_ASSETS";

/// The binaries of a real server.
#[derive(Debug)]
pub(in crate::kube) struct Assets {
    pub(super) apiserver: PathBuf,
    pub(super) etcd: PathBuf,
}

impl Assets {
    /// Those in the folder that `KUBEBUILDER_ASSETS` names, else those that
    /// `cargo xtask setup --kube-server` has built; nothing if there are none.
    pub(in crate::kube) fn find() -> Option<Self> {
        let folder = match env::var_os(FOLDER).filter(|folder| !folder.is_empty()) {
            Some(folder) => PathBuf::from(folder),
            None => cache()?.join("lb/kube"),
        };
        let assets = Self { apiserver: folder.join("kube-apiserver"), etcd: folder.join("etcd") };
        (assets.apiserver.is_file() && assets.etcd.is_file()).then_some(assets)
    }

    /// The minor version, such as 20 of 1.20.2.
    pub(super) fn minor_version(&self) -> Result<u32> {
        let output = Command::new(&self.apiserver).arg("--version").output();
        let output = output.context("start kube-apiserver")?;
        ensure!(output.status.success(), "kube-apiserver --version: {}", output.status);
        let said = String::from_utf8_lossy(&output.stdout);
        let minor = said.split('.').nth(1).and_then(|minor| minor.parse().ok());
        minor.with_context(|| format!("kube-apiserver says its version is {said:?}"))
    }
}

/// The cache of the user, as the XDG base directory specification has it.
fn cache() -> Option<PathBuf> {
    let chosen = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty());
    chosen.map(PathBuf::from).or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
}
