//! lbd as the demo runs it: on the router, and its decapsulating program on the backends.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde::Deserialize;
use tempfile::NamedTempFile;

use super::plan::configuration;
use crate::lab::{Host, Lab, Process};
use crate::wait::{binary, eventually};

/// Loading and verifying the programs takes a second or two on a slow machine.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long lbd may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// `IFLA_XDP_ATTACHED` of a program in native (driver) mode: linux/if_link.h.
const XDP_MODE_NATIVE: u32 = 1;

/// lbd on the router, with everything it leaves in the kernel; gone when dropped.
#[derive(Debug)]
pub(super) struct Daemon<'lab> {
    router: &'lab Host,
    backends: &'lab [Host],
    instance: String,
    file: NamedTempFile,
    process: Option<Process>,
    decaps: Vec<Process>,
}

impl<'lab> Daemon<'lab> {
    /// Writes the configuration, starts the decapsulating programs, then lbd.
    pub(super) fn start(lab: &'lab Lab) -> Result<Self> {
        let file = NamedTempFile::with_suffix(".yaml").context("make a configuration file")?;
        std::fs::write(file.path(), configuration(lab.backends())).context("write it")?;
        let mut daemon = Self {
            router: lab.router(),
            backends: lab.backends(),
            instance: lab.instance(),
            file,
            process: None,
            decaps: Vec::new(),
        };
        for backend in lab.backends() {
            let decap = daemon.start_decap(backend)?;
            daemon.decaps.push(decap);
        }
        daemon.run()?;
        Ok(daemon)
    }

    /// Starts lbd and waits until all that is configured is in force.
    pub(super) fn run(&mut self) -> Result<()> {
        let mut command = self.router.command(binary("lbd")?)?;
        command.args(["run", "--instance", &self.instance, "--config"]).arg(self.file.path());
        let mut process = self.router.spawn(&mut command)?;
        let is_up = eventually(START_LIMIT, "lbd in good order", || {
            let is_up = process.is_running() && self.is_in_order().unwrap_or(false);
            (is_up || !process.is_running()).then_some(is_up)
        });
        if !is_up.unwrap_or(false) {
            bail!("lbd is not up; it printed:\n{}", process.lines().join("\n"));
        }
        self.process = Some(process);
        Ok(())
    }

    /// Ends lbd as a crash would.
    pub(super) fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("lbd does not run")?;
        process.kill()?;
        Ok(())
    }

    /// The interfaces of the router that have an XDP program, or an error if one of them runs it
    /// in another than native mode.
    pub(super) fn native_interfaces(&self) -> Result<Vec<String>> {
        let mut native = Vec::new();
        for link in links(self.router)? {
            if let Some(xdp) = link.xdp {
                ensure!(xdp.mode == XDP_MODE_NATIVE, "{} is not in native mode", link.ifname);
                native.push(link.ifname);
            }
        }
        Ok(native)
    }

    /// What lbctl says of the counters, for a report of failures.
    pub(super) fn stats(&self) -> Result<String> {
        let output =
            self.lbctl(&["get", "stats", "-o", "json"])?.output().context("start lbctl")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Ends lbd properly and removes everything from the kernel.
    pub(super) fn remove(mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::TERM)?;
            process.wait(STOP_LIMIT)?;
        }
        self.detach()?;
        let left = self.native_interfaces()?;
        ensure!(left.is_empty(), "lbd detach left programs on {left:?}");
        Ok(())
    }

    fn detach(&mut self) -> Result<()> {
        self.process = None;
        self.decaps.clear();
        for backend in self.backends {
            detach(backend, &self.decap_instance(backend))?;
        }
        detach(self.router, &self.instance)
    }

    /// Whether lbd answers and all that is configured is in force (exit status 0, not 3).
    fn is_in_order(&self) -> Result<bool> {
        Ok(self.lbctl(&["status"])?.output().context("start lbctl")?.status.success())
    }

    fn lbctl(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = self.router.command(binary("lbctl")?)?;
        command.args(["--instance", &self.instance]).args(arguments);
        Ok(command)
    }

    /// Whether `lbd decap` stays or ends once its program is pinned is its own affair.
    fn start_decap(&self, backend: &Host) -> Result<Process> {
        let mut command = backend.command(binary("lbd")?)?;
        command.args(["decap", "--interface", "eth0", "--instance"]);
        command.arg(self.decap_instance(backend));
        let mut process = backend.spawn(&mut command)?;
        let attached = eventually(START_LIMIT, "a program on the backend", || {
            let attached = links(backend).is_ok_and(|links| {
                links.iter().any(|link| link.ifname == "eth0" && link.xdp.is_some())
            });
            (attached || !process.is_running()).then_some(attached)
        });
        if !attached.unwrap_or(false) {
            let said = process.lines().join("\n");
            bail!("lbd decap is not up on {}; it printed:\n{said}", backend.name());
        }
        Ok(process)
    }

    /// Pins are per mount namespace, which all hosts of a lab share: one instance for each host.
    fn decap_instance(&self, backend: &Host) -> String {
        format!("{}-{}", self.instance, backend.name())
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        // Whatever remains attached goes with the namespaces, but pins would stay. After
        // `remove` there is nothing left and this changes nothing.
        if self.process.is_some() || !self.decaps.is_empty() {
            self.detach().ok();
        }
    }
}

fn detach(host: &Host, instance: &str) -> Result<()> {
    let output = host
        .command(binary("lbd")?)?
        .args(["detach", "--instance", instance])
        .output()
        .context("start lbd detach")?;
    ensure!(
        output.status.success(),
        "lbd detach --instance {instance}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
    );
    Ok(())
}

#[derive(Deserialize)]
struct Link {
    ifname: String,
    xdp: Option<XdpLink>,
}

#[derive(Deserialize)]
struct XdpLink {
    mode: u32,
}

fn links(host: &Host) -> Result<Vec<Link>> {
    let output = host.run(&["ip", "-json", "link", "show"])?;
    serde_json::from_slice(&output.stdout).context("the output of ip -json")
}
