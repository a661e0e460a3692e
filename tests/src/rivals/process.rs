//! Processes: where they run and what they use.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::{
    process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit},
    thread::{CpuSet, sched_getaffinity},
};

/// The cores of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    /// The proxy's.
    pub proxy: usize,
    /// The generator's and the origin's.
    pub others: usize,
}

/// The last core for the proxy, the first for the others: the same if there is only one.
pub(crate) fn cores() -> Result<Cores> {
    let allowed = sched_getaffinity(None)?;
    let mut all = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    let others = all.next().context("no CPU")?;
    Ok(Cores { proxy: all.next_back().unwrap_or(others), others })
}

/// Lets this process and those it starts open as many files as they may.
pub(crate) fn raise_limit() -> Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .context("cannot raise the limit of open files (ulimit -n)")
}

/// A process that is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts `command` on a core; what it prints goes to a file in `folder`.
    pub(crate) fn on_core(command: &Command, folder: &Path, core: usize) -> Result<Self> {
        Self::start(&mut on_core(command, core), folder)
    }

    /// Starts `command`; what it prints goes to a file in `folder`.
    pub(crate) fn start(command: &mut Command, folder: &Path) -> Result<Self> {
        let output = folder.join("output");
        let file = File::create(&output)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, output })
    }

    /// CPU time of all its threads so far, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut total_ns = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread that ended meanwhile is not counted: none of the proxies has such.
            let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            let ns = text.split(' ').next().and_then(|it| it.parse::<u64>().ok());
            total_ns += ns.unwrap_or_default();
        }
        Ok(Duration::from_nanos(total_ns))
    }

    /// Resident memory, bytes (proc(5), `VmRSS`).
    pub(crate) fn rss_bytes(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok());
        Ok(kib.context("no VmRSS")? * 1_024)
    }

    /// What it printed.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself.
            kill_process(pid, Signal::KILL).ok();
        }
        self.child.wait().ok();
    }
}

/// `command` bound to a core.
pub(crate) fn on_core(command: &Command, core: usize) -> Command {
    let mut bound = Command::new("taskset");
    bound.arg("-c").arg(core.to_string()).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            bound.env(name, value);
        }
    }
    bound
}
