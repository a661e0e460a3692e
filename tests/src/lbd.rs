//! lbd on the router of a lab, and its decapsulating program on the backends.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use crate::lab::{Host, Lab, Process};
use crate::wait::{binary, eventually};

/// Loading and verifying the programs takes a second or two on a slow machine.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How long lbd may take to end, on a busy machine.
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// `IFLA_XDP_ATTACHED` of a program in native (driver) mode: linux/if_link.h.
const XDP_MODE_NATIVE: u32 = 1;
/// The exit status of `lbctl status` when all is well.
const IN_ORDER: i32 = 0;
/// The exit status of `lbctl status` when something is not as it should be.
pub const DEGRADED: i32 = 3;

/// lbd on the router, with everything it leaves in the kernel; gone when dropped.
#[derive(Debug)]
pub struct Daemon {
    router: Host,
    backends: Vec<Host>,
    instance: String,
    /// The configuration file and its drafts: a folder of its own, because lbd watches it.
    directory: TempDir,
    process: Option<Process>,
    decaps: Vec<Process>,
    /// What lbd sees as `/etc/hosts`, if not the machine's.
    hosts: Option<PathBuf>,
    /// What starts lbd with less than all capabilities, and its arguments.
    confinement: Vec<String>,
}

/// Runs what follows with another `/etc/hosts`. In a mount namespace of its own, so that nobody
/// else sees it; bpffs is one and the same in all of them.
const WITH_HOSTS: &str = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";

impl Daemon {
    /// Writes the configuration, starts the decapsulating programs, then lbd; returns when all
    /// that is configured is in force.
    pub fn start(lab: &Lab, configuration: &str) -> Result<Self> {
        let mut daemon = Self::prepare(lab, configuration)?;
        daemon.run()?;
        Ok(daemon)
    }

    /// Like [`Self::start`], but without starting lbd itself.
    pub fn prepare(lab: &Lab, configuration: &str) -> Result<Self> {
        let mut daemon = Self::prepare_on(lab.router(), &lab.instance(), configuration)?;
        daemon.backends = lab.backends().to_vec();
        for backend in lab.backends() {
            let decap = daemon.start_decap(backend)?;
            daemon.decaps.push(decap);
        }
        Ok(daemon)
    }

    /// Like [`Self::prepare`], on any host of a lab, and with nothing on the backends. The instance
    /// is that of the lab, or begins so.
    pub fn prepare_on(host: &Host, instance: &str, configuration: &str) -> Result<Self> {
        let daemon = Self {
            router: host.clone(),
            backends: Vec::new(),
            instance: instance.to_owned(),
            directory: TempDir::new().context("make a folder for the configuration")?,
            process: None,
            decaps: Vec::new(),
            hosts: None,
            confinement: Vec::new(),
        };
        daemon.write(configuration)?;
        Ok(daemon)
    }

    /// Starts lbd and waits until all that is configured is in force.
    pub fn run(&mut self) -> Result<()> {
        self.run_until(IN_ORDER)
    }

    /// Starts lbd and waits until `lbctl status` ends with this status.
    pub fn run_until(&mut self, status: i32) -> Result<()> {
        let mut command = self.lbd()?;
        command.args(["run", "--instance", &self.instance, "--config"]).arg(self.file());
        let mut process = self.router.spawn(&mut command)?;
        let is_up = eventually(START_LIMIT, "lbd in good order", || {
            let is_up = process.is_running() && self.is_answering_with(status);
            (is_up || !process.is_running()).then_some(is_up)
        });
        if !is_up.unwrap_or(false) {
            if !process.is_running() {
                // Its last lines tell why.
                process.wait(STOP_LIMIT).ok();
            }
            bail!("lbd is not up; it printed:\n{}", process.lines().join("\n"));
        }
        self.process = Some(process);
        Ok(())
    }

    /// Has another lbd take the place of the one that runs, and returns that one: it ends by itself
    /// when what is open there is over.
    pub fn replace(&mut self) -> Result<Process> {
        let mut predecessor = self.process.take().context("lbd does not run")?;
        let mut command = self.lbd()?;
        command.args(["run", "--take-over", "--instance", &self.instance, "--config"]);
        let successor = self.router.spawn(command.arg(self.file()))?;
        let left = predecessor.wait_for_line("a successor serves", START_LIMIT);
        left.with_context(|| format!("the successor printed:\n{}", successor.lines().join("\n")))?;
        self.process = Some(successor);
        Ok(predecessor)
    }

    /// Ends lbd as a crash would.
    pub fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("lbd does not run")?;
        process.kill()?;
        Ok(())
    }

    /// Ends lbd properly; forwarding goes on.
    pub fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("lbd does not run")?;
        process.signal(Signal::TERM)?;
        let status = process.wait(STOP_LIMIT)?;
        ensure!(status.success(), "lbd ended with {status}:\n{}", process.lines().join("\n"));
        Ok(())
    }

    /// Sends SIGHUP, which makes lbd read its configuration again.
    pub fn hang_up(&self) -> Result<()> {
        self.process.as_ref().context("lbd does not run")?.signal(Signal::HUP)
    }

    /// The name of the instance.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The configuration file.
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("lb.yaml")
    }

    /// Replaces the configuration file in one step, as an editor or a deployment does; a running
    /// lbd sees it by itself.
    pub fn write(&self, configuration: &str) -> Result<()> {
        let draft = self.directory.path().join("draft");
        fs::write(&draft, configuration).context("write a configuration")?;
        fs::rename(&draft, self.file()).context("replace the configuration")
    }

    /// Writes a file beside the configuration, in one step; `name` may have one folder.
    pub fn write_beside(&self, name: &str, text: &str) -> Result<()> {
        let file = self.directory.path().join(name);
        fs::create_dir_all(file.parent().context("a name of a file")?)?;
        let draft = file.with_extension("draft");
        fs::write(&draft, text).with_context(|| format!("write {name}"))?;
        fs::rename(&draft, &file).with_context(|| format!("replace {name}"))
    }

    /// Gives lbd, from its next start on, an `/etc/hosts` of its own: lines `ADDRESS NAME`.
    pub fn set_hosts(&mut self, lines: &str) -> Result<()> {
        self.write_beside("names/hosts", lines)?;
        self.hosts = Some(self.directory.path().join("names/hosts"));
        Ok(())
    }

    /// Leaves lbd, from its next start on, these capabilities (`net_admin`) and no way to others.
    pub fn set_capabilities(&mut self, names: &[String]) {
        let kept = names.join(",+");
        self.confinement = ["setpriv", "--no-new-privs", "--inh-caps=-all"].map(Into::into).into();
        self.confinement.push(format!("--bounding-set=-all,+{kept}"));
    }

    /// The lines that lbd has printed since it was started last.
    pub fn lines(&self) -> Vec<String> {
        self.process.as_ref().map(Process::lines).unwrap_or_default()
    }

    /// Runs lbctl with these arguments, whatever its exit status will be.
    pub fn lbctl(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = self.router.command(binary("lbctl")?)?;
        command.args(["--instance", &self.instance]).args(arguments);
        command.output().context("start lbctl")
    }

    /// What lbctl prints as JSON. Errors: another exit status than 0.
    pub fn ask<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        let output = self.lbctl(&[arguments, &["-o", "json"]].concat())?;
        parse(&output).with_context(|| format!("lbctl {}", arguments.join(" ")))
    }

    /// What `lbd diff` says of a configuration file. Errors: another exit status than 0.
    pub fn diff<T: DeserializeOwned>(&self, file: &Path) -> Result<T> {
        let mut command = self.router.command(binary("lbd")?)?;
        command.args(["diff", "-o", "json", "--instance", &self.instance]).arg(file);
        parse(&command.output().context("start lbd diff")?).context("lbd diff")
    }

    /// The interfaces of the router that have an XDP program, or an error if one of them runs it
    /// in another than native mode.
    pub fn native_interfaces(&self) -> Result<Vec<String>> {
        let mut native = Vec::new();
        for link in links(&self.router)? {
            if let Some(xdp) = link.xdp {
                ensure!(xdp.mode == XDP_MODE_NATIVE, "{} is not in native mode", link.ifname);
                native.push(link.ifname);
            }
        }
        Ok(native)
    }

    /// What lbctl says of the counters, for a report of failures.
    pub fn stats(&self) -> Result<String> {
        let output = self.lbctl(&["get", "stats", "-o", "json"])?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Ends lbd properly and removes everything from the kernel.
    pub fn remove(mut self) -> Result<()> {
        if self.process.is_some() {
            self.stop()?;
        }
        self.detach()?;
        let left = self.native_interfaces()?;
        ensure!(left.is_empty(), "lbd detach left programs on {left:?}");
        Ok(())
    }

    fn detach(&mut self) -> Result<()> {
        self.process = None;
        self.decaps.clear();
        for backend in &self.backends {
            detach(backend, &self.decap_instance(backend))?;
        }
        detach(&self.router, &self.instance)
    }

    fn lbd(&self) -> Result<Command> {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(hosts) = &self.hosts {
            words.extend(["unshare", "--mount", "sh", "-c", WITH_HOSTS].map(Into::into));
            words.push(hosts.into());
        }
        words.extend(self.confinement.iter().map(Into::into));
        words.push(binary("lbd")?.into());
        let (program, arguments) = words.split_first().context("no program")?;
        let mut command = self.router.command(program)?;
        command.args(arguments);
        Ok(command)
    }

    fn is_answering_with(&self, status: i32) -> bool {
        // lbctl also reads the maps that an earlier lbd left behind; `desired` is the daemon's.
        let output = self.lbctl(&["status"]);
        output.is_ok_and(|output| {
            output.status.code() == Some(status)
                && !String::from_utf8_lossy(&output.stderr).contains("not running")
        })
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

impl Drop for Daemon {
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

fn parse<T: DeserializeOwned>(output: &Output) -> Result<T> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}\n{said}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("its output; {said}"))
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
