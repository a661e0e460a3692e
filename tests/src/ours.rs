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
    port::Port,
    rivals::process::{Process, raise_limit},
    wait::{binary, eventually},
};

/// A debug build on a busy machine takes a while.
const START_LIMIT: Duration = Duration::from_mins(1);

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
        let port = Port::reserve()?;
        let address = port.address();
        let listener = format!(
            "proxy: {{ workers: 1 }}\nlisteners:\n  - {{ name: http, binds: [\"{address}\"], \
             protocol: http, http: {{ {http} }} }}\n"
        );
        Self::with_configuration(&[address], &(listener + &all_to(origins)))
    }

    /// Starts lbd with this configuration, which has listeners on these addresses. The caller keeps
    /// their ports until this returns; [`Self::address`] is the first.
    pub fn with_configuration(addresses: &[SocketAddr], text: &str) -> Result<Self> {
        let address = *addresses.first().context("no listener")?;
        let folder = tempfile::tempdir().context("make a folder")?;
        let file = folder.path().join("lbd.yaml");
        fs::write(&file, text)?;
        let mut command = Command::new(binary("lbd")?);
        command
            .args(["run", "--instance", &format!("port{}", address.port()), "--config"])
            .arg(&file);
        // Floods of connections need it on both sides, and lbd inherits it.
        raise_limit()?;
        let process = Process::start(&mut command, folder.path())?;
        let ours = Self { address, process, _folder: folder };
        for address in addresses {
            eventually(START_LIMIT, "lbd listens", || TcpStream::connect(address).ok())
                .with_context(|| ours.output())?;
        }
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
