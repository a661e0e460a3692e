//! A child process that does not outlive its owner.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::wait::eventually;

/// How long the last lines of a process that has ended may take to be collected. A process of its
/// own may hold its output open, and is not waited for.
const LAST_LINES_LIMIT: Duration = Duration::from_secs(5);

/// A running child; killed (SIGKILL) and reaped when dropped.
///
/// What it prints is collected line by line, so that a test can wait for a line and show the
/// rest when it fails.
#[derive(Debug)]
pub struct Process {
    child: Child,
    what: String,
    lines: Arc<Mutex<Vec<String>>>,
    collecting: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts the command with its standard output and error collected.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let what = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start {what}"))?;
        let lines = Arc::default();
        let collecting =
            [collect(child.stdout.take(), &lines), collect(child.stderr.take(), &lines)];
        Ok(Self { child, what, lines, collecting: collecting.into_iter().flatten().collect() })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the process has printed so far, output and errors together.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the process prints a line that holds `needle`; fails, with what it printed,
    /// after `limit` or as soon as the process ends.
    pub fn wait_for_line(&mut self, needle: &str, limit: Duration) -> Result<String> {
        let found = eventually(limit, needle, || {
            let ended = matches!(self.child.try_wait(), Ok(Some(_)) | Err(_));
            if ended {
                self.collect_last_lines();
            }
            let line = self.lines().into_iter().find(|line| line.contains(needle));
            (line.is_some() || ended).then_some(line)
        });
        found.ok().flatten().with_context(|| {
            format!("{} never printed {needle:?} but:\n{}", self.what, self.lines().join("\n"))
        })
    }

    /// Sends a signal. A process that has ended is no error.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // The child is not reaped before `wait` or drop, so the id cannot be someone else's.
        let pid = Pid::from_child(&self.child);
        match kill_process(pid, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("signal {}", self.what)),
        }
    }

    /// Kills the process (SIGKILL) and waits for its end.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill().with_context(|| format!("kill {}", self.what))?;
        let status = self.child.wait().with_context(|| format!("wait for {}", self.what))?;
        self.collect_last_lines();
        Ok(status)
    }

    /// Waits until the process ends by itself; fails, with what it printed, after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let ended =
            eventually(limit, "the end of the process", || self.child.try_wait().transpose());
        let status = ended.with_context(|| {
            format!("{} still runs; it printed:\n{}", self.what, self.lines().join("\n"))
        })?;
        self.collect_last_lines();
        status.with_context(|| format!("wait for {}", self.what))
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What a process printed last may still be on its way when it has ended.
    fn collect_last_lines(&self) {
        let is_done = || self.collecting.iter().all(JoinHandle::is_finished).then_some(());
        eventually(LAST_LINES_LIMIT, "the last lines", is_done).ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a child that has been reaped, which is the aim.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn collect(
    stream: Option<impl Read + Send + 'static>,
    lines: &Arc<Mutex<Vec<String>>>,
) -> Option<JoinHandle<()>> {
    let stream = stream?;
    let lines = Arc::clone(lines);
    Some(thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }))
}
