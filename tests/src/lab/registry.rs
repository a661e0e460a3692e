//! Which labs exist on this machine: one file each under `/run/lb-lab`.
//!
//! The file is written before the first namespace is made, so whatever a crash leaves behind can
//! be found and removed. It names the owning process by id *and* start time, because ids are
//! used again.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::host::ip_batch;
use super::netns::Netns;
use crate::wait::eventually;

const DIR: &str = "/run/lb-lab";
/// Where instances of lbd keep pins and sockets, a folder each.
const INSTANCE_DIRS: [&str; 2] = ["/sys/fs/bpf/lb", "/run/lb"];
/// Killed processes leave a namespace within milliseconds; much load is allowed for.
const EXIT_LIMIT: Duration = Duration::from_secs(30);

/// What is known of one lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The lab's id, part of the names of its namespaces.
    pub id: String,
    /// The process that takes the lab down; none if it was left up on purpose.
    pub owner: Option<Owner>,
    /// The names of its namespaces.
    pub namespaces: Vec<String>,
}

/// A process that can be told from a later one of the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot: field 22 of `/proc/PID/stat`.
    pub start_ticks: u64,
}

/// What a lab's file says about its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The owning process runs.
    Owned,
    /// Left up on purpose.
    Kept,
    /// The owning process is gone.
    Leftover,
}

impl Owner {
    /// The calling process.
    pub fn current() -> Result<Self> {
        let pid = process::id();
        let start_ticks = start_ticks(pid).context("the start time of this process")?;
        Ok(Self { pid, start_ticks })
    }
}

impl Record {
    /// Who is responsible for the lab now.
    pub fn state(&self) -> State {
        match self.owner {
            None => State::Kept,
            Some(owner) if start_ticks(owner.pid) == Some(owner.start_ticks) => State::Owned,
            Some(_) => State::Leftover,
        }
    }

    /// Writes the record, in one step as seen by readers.
    pub fn save(&self) -> Result<()> {
        fs::create_dir_all(DIR).with_context(|| format!("create {DIR}"))?;
        let draft = Path::new(DIR).join(format!(".{}", self.id));
        let text = serde_json::to_vec(self).context("write a lab record")?;
        fs::write(&draft, text).with_context(|| format!("write {}", draft.display()))?;
        fs::rename(&draft, self.path()).with_context(|| format!("write {}", self.path().display()))
    }

    /// The name for an instance of lbd in this lab; a longer one may start with it. What such
    /// instances pin goes down with the lab.
    pub fn instance(&self) -> String {
        format!("lab-{}", self.id)
    }

    /// Takes the lab down: kills the processes inside its namespaces, removes what instances of
    /// lbd have pinned, then the namespaces and the record. Doing it twice, also at once from two
    /// processes, is no error.
    pub fn remove(&self) -> Result<()> {
        for name in &self.namespaces {
            kill_all_in(&Netns::new(name))?;
        }
        for dir in INSTANCE_DIRS {
            remove_starting_with(&self.instance(), Path::new(dir))?;
        }
        for name in &self.namespaces {
            let netns = Netns::new(name);
            if netns.exists()
                && let Err(error) = ip_batch(Command::new("ip"), &[format!("netns del {name}")])
                && netns.exists()
            {
                return Err(error);
            }
        }
        match fs::remove_file(self.path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {}", self.path().display()))
            }
            _ => Ok(()),
        }
    }

    fn path(&self) -> PathBuf {
        Path::new(DIR).join(format!("{}.json", self.id))
    }
}

/// All labs on this machine, by id.
pub fn records() -> Result<Vec<Record>> {
    let entries = match fs::read_dir(DIR) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("read {DIR}"))?,
    };
    let mut records = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        // A lab may go down between listing and reading.
        let Ok(text) = fs::read(&path) else { continue };
        let record: Record = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a lab record", path.display()))?;
        records.push(record);
    }
    records.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(records)
}

/// Removes the labs whose owner is gone and returns their ids.
pub fn sweep() -> Result<Vec<String>> {
    let mut swept = Vec::new();
    for record in records()? {
        if record.state() == State::Leftover {
            record.remove().with_context(|| format!("remove the left-over lab {}", record.id))?;
            swept.push(record.id);
        }
    }
    Ok(swept)
}

/// Removes the labs that this process owns: for a process that is told to end.
pub fn remove_own() -> Result<()> {
    let owner = Some(Owner::current()?);
    records()?.iter().filter(|record| record.owner == owner).try_for_each(Record::remove)
}

fn remove_starting_with(prefix: &str, dir: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(dir) else {
        // No instance of lbd has ever run here.
        return Ok(());
    };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix)
            && let Err(error) = fs::remove_dir_all(entry.path())
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error).with_context(|| format!("remove {}", entry.path().display()));
        }
    }
    Ok(())
}

fn kill_all_in(netns: &Netns) -> Result<()> {
    eventually(EXIT_LIMIT, &format!("no process left in {}", netns.name()), || {
        let pids = netns.processes().ok()?;
        for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
            // The process may have ended since it was listed.
            kill_process(pid, Signal::KILL).ok();
        }
        pids.is_empty().then_some(())
    })
}

fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the command's name, may hold spaces; fields count from after it.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}
