//! Noticing that a file, or one that it refers to, changed, however it was changed: written in place, replaced by rename (as
//! editors do), or behind a symlink that was swapped (as Kubernetes does with a ConfigMap).
//!
//! inotify only says *when to look*; whether the file changed is decided by comparing what `stat`
//! says of the file that the path leads to. A slow poll looks too, for file systems that send no
//! events and for a directory that was itself replaced.

use super::Referred;
use notify::{
    EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior},
};

/// Quiet time after which a burst of writes is taken as over.
const QUIET: Duration = Duration::from_millis(75);

/// A burst is cut here, so that a file that changes all the time is still read.
const BURST_MAX: Duration = Duration::from_secs(1);

/// Time between looks without an event.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Symlinks followed, as the kernel does (`MAXSYMLINKS`).
const SYMLINKS_MAX: usize = 40;

/// What happened to the watched file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileEvent {
    /// It may have other contents than before, or a file that it refers to: read it.
    Changed,
    /// It is gone, or cannot be reached. What runs should go on running.
    Removed,
}

/// Watches `path`, and the files that it refers to, until the receiver is dropped. Several changes
/// that follow each other quickly are one event; a change of times or owner alone may be one too.
/// The file need not exist yet. Whoever reads it says through `referred` what it refers to.
/// Must be called within a tokio runtime.
///
/// # Errors
/// The kernel gives no inotify instance.
pub fn watch(
    path: &Path,
    referred: watch::Receiver<Referred>,
) -> io::Result<mpsc::Receiver<FileEvent>> {
    start(path, referred, POLL_INTERVAL)
}

fn start(
    path: &Path,
    mut referred: watch::Receiver<Referred>,
    poll: Duration,
) -> io::Result<mpsc::Receiver<FileEvent>> {
    let path = std::path::absolute(path)?;
    // One wake-up waiting is as good as many.
    let (wake, woken) = mpsc::channel(1);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the file is an event as well, and must not lead to reading it again.
        if !event.is_ok_and(|event| is_read(event.kind)) {
            // Full: a look is due anyway. Closed: nobody looks any more.
            wake.try_send(()).ok();
        }
    })
    .map_err(io::Error::other)?;
    let (sender, events) = mpsc::channel(1);
    let others = absolute(&referred.borrow_and_update());
    let mut watched = Watched { path, others, poll, watcher, directories: BTreeSet::new() };
    watched.follow();
    let seen = Fingerprint::of(&watched.path);
    tokio::spawn(watched.run(seen, woken, referred, sender));
    Ok(events)
}

type Others = BTreeMap<PathBuf, Option<Fingerprint>>;

/// Paths that go on meaning the same wherever the daemon goes.
fn absolute(referred: &Referred) -> Others {
    let files = referred.0.iter();
    files.filter_map(|(path, seen)| Some((std::path::absolute(path).ok()?, *seen))).collect()
}

const fn is_read(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => false,
        EventKind::Access(_) => true,
        _ => false,
    }
}

/// Tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    /// Of the file that the path leads to; `None` if it leads nowhere.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let data = fs::metadata(path).ok()?;
        Some(Self {
            device: data.dev(),
            inode: data.ino(),
            size_bytes: data.size(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
        })
    }
}

struct Watched {
    path: PathBuf,
    /// Files that it refers to, as they were when they were read.
    others: Others,
    /// Time between looks without an event.
    poll: Duration,
    watcher: RecommendedWatcher,
    /// Directories that an inotify watch was asked for.
    directories: BTreeSet<PathBuf>,
}

impl Watched {
    async fn run(
        mut self,
        mut seen: Option<Fingerprint>,
        mut woken: mpsc::Receiver<()>,
        mut referred: watch::Receiver<Referred>,
        sender: mpsc::Sender<FileEvent>,
    ) {
        let mut poll = tokio::time::interval(self.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = sender.closed() => return,
                Some(()) = woken.recv() => settle(&mut woken).await,
                Ok(()) = referred.changed() => self.others = absolute(&referred.borrow_and_update()),
                _ = poll.tick() => {}
            }
            // First follow, then look: a swap in between is seen by the look.
            self.follow();
            let now = Fingerprint::of(&self.path);
            let another_changed = self.another_changed();
            let changed = now != seen || (now.is_some() && another_changed);
            seen = now;
            if !changed {
                continue;
            }
            let event = if now.is_some() { FileEvent::Changed } else { FileEvent::Removed };
            if sender.send(event).await.is_err() {
                return;
            }
        }
    }

    /// Whether a file that is referred to is another one than before.
    fn another_changed(&mut self) -> bool {
        let mut changed = false;
        for (path, seen) in &mut self.others {
            let now = Fingerprint::of(path);
            changed |= now != *seen;
            *seen = now;
        }
        changed
    }

    /// Watches the directories that decide where the paths lead, and no others.
    fn follow(&mut self) {
        let mut wanted = directories(&self.path);
        wanted.extend(self.others.keys().flat_map(|path| directories(path)));
        for gone in self.directories.difference(&wanted) {
            // It may have been removed, and its watch with it.
            self.watcher.unwatch(gone).ok();
        }
        for directory in &wanted {
            // Again at every look: another directory may have taken the name. One that cannot be
            // watched (not there yet, no watches left) is left to the poll.
            self.watcher.watch(directory, RecursiveMode::NonRecursive).ok();
        }
        self.directories = wanted;
    }
}

/// Waits until no event came for a while.
async fn settle(woken: &mut mpsc::Receiver<()>) {
    let end = Instant::now() + BURST_MAX;
    loop {
        let quiet = (Instant::now() + QUIET).min(end);
        if !matches!(tokio::time::timeout_at(quiet, woken.recv()).await, Ok(Some(()))) {
            return;
        }
    }
}

/// The directories that hold the path and every symlink on the way to the file. Directories that
/// are links themselves are followed too: `current -> release-7`, `..data -> ..2026_01_31`.
fn directories(path: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![path.to_owned()];
    let mut links = 0;
    while let Some(path) = waiting.pop() {
        if let Some(directory) = path.parent() {
            found.insert(directory.to_owned());
        }
        // A link among the ancestors is swapped in *its* directory.
        for step in path.ancestors() {
            let (Ok(target), Some(directory)) = (fs::read_link(step), step.parent()) else {
                continue;
            };
            links += 1;
            if links > SYMLINKS_MAX {
                return found;
            }
            found.insert(directory.to_owned());
            let rest = path.strip_prefix(step).unwrap_or_else(|_| Path::new(""));
            let target = directory.join(target);
            waiting.push(if rest.as_os_str().is_empty() { target } else { target.join(rest) });
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests;
