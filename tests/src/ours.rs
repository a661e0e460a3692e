//! lbd as a proxy with plain binds: no interfaces, no VIPs.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{
    rivals::{
        free_port,
        process::{Process, raise_limit},
    },
    wait::{binary, eventually},
};

/// A debug build on a busy machine takes a while.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A running lbd with one HTTP listener. Ends when dropped.
#[derive(Debug)]
pub struct Ours {
    /// Where it listens.
    pub address: SocketAddr,
    process: Process,
    _folder: TempDir,
}

impl Ours {
    /// Starts lbd with a listener that sends everything to these ports of 127.0.0.1; `http` is
    /// what the configuration says of the listener's HTTP.
    pub fn start(origins: &[u16], http: &str) -> Result<Self> {
        let port = free_port()?;
        let listener = format!(
            "proxy: {{ workers: 1 }}\nlisteners:\n  - {{ name: http, binds: [\"127.0.0.1:{port}\"], \
             protocol: http, http: {{ {http} }} }}\n"
        );
        Self::with_configuration(port, &(listener + &all_to(origins)))
    }

    /// Starts lbd with this configuration, of which a listener is bound to `port`.
    pub fn with_configuration(port: u16, text: &str) -> Result<Self> {
        let folder = tempfile::tempdir().context("make a folder")?;
        let file = folder.path().join("lbd.yaml");
        fs::write(&file, text)?;
        let mut command = Command::new(binary("lbd")?);
        command.args(["run", "--instance", &format!("port{port}"), "--config"]).arg(&file);
        // Floods of connections need it on both sides, and lbd inherits it.
        raise_limit()?;
        let process = Process::start(&mut command, folder.path())?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let ours = Self { address, process, _folder: folder };
        eventually(START_LIMIT, "lbd listens", || TcpStream::connect(address).ok())
            .with_context(|| ours.output())?;
        Ok(ours)
    }

    /// Resident memory, bytes.
    pub fn rss_bytes(&self) -> Result<u64> {
        self.process.rss_bytes()
    }

    /// What it printed.
    pub fn output(&self) -> String {
        self.process.output()
    }
}

/// Routes of the listener `http`.
fn all_to(origins: &[u16]) -> String {
    let endpoints: Vec<_> = origins.iter().map(|it| format!("\"127.0.0.1:{it}\"")).collect();
    format!(
        "upstreams:\n  - {{ name: origin, endpoints: [{}] }}\nroutes:\n  - {{ name: all, \
         listeners: [http], rules: [{{ backends: [origin] }}] }}\n",
        endpoints.join(", ")
    )
}
