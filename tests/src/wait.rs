//! Waiting for a state instead of sleeping, for being told to end, and finding the binaries under test.

use std::env;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

/// How often [`eventually`] looks: short enough not to be felt, long enough to cost nothing.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Polls `probe` until it yields a value and returns it; fails, naming `what`, after `limit`.
///
/// The probe runs at least once, and once more at the end of the limit.
pub fn eventually<T>(
    limit: Duration,
    what: &str,
    mut probe: impl FnMut() -> Option<T>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        let last_look = Instant::now() >= deadline;
        if let Some(value) = probe() {
            return Ok(value);
        }
        if last_look {
            bail!("not within {limit:?}: {what}");
        }
        thread::sleep(POLL_INTERVAL);
    }
}

/// Waits until this process is told to end, by Ctrl-C or SIGTERM. From the first call on these
/// signals do not end it by themselves any more.
pub fn told_to_end() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            interrupted = ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    })?;
    Ok(())
}

/// The path of a binary of this workspace (`lbd`, `lbctl`, `lb-peer` ...).
///
/// Looked for beside the running executable and one folder up, because cargo puts test
/// executables in `deps/`, a folder below the binaries.
pub fn binary(name: &str) -> Result<PathBuf> {
    let running = env::current_exe().context("the path of the running executable")?;
    running
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not built: no such file beside {}", running.display()))
}
