//! One network namespace: entering it, running commands in it, and who else is in it.
//!
//! Only the *network* namespace is entered. `ip netns exec` also gives its command a private
//! mount namespace with a fresh `/sys`, which hides bpffs: pins made there would be lost with the
//! command. The other side of this choice: `/sys/class/net` shows the interfaces of the namespace
//! that mounted it, so interfaces are asked for over netlink (`ip -j`), never read from `/sys`.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Where iproute2 keeps named namespaces.
const NETNS_DIR: &str = "/run/netns";

/// A named network namespace, as `ip netns add` makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netns {
    name: String,
}

impl Netns {
    /// The namespace of that name; nothing is created or opened.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// The name, as `ip netns list` prints it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for the namespace: `/run/netns/NAME`.
    pub fn path(&self) -> PathBuf {
        Path::new(NETNS_DIR).join(&self.name)
    }

    /// Whether the namespace exists now.
    pub fn exists(&self) -> bool {
        self.path().exists()
    }

    /// Runs `work` inside the namespace and returns what it returns.
    ///
    /// setns(2) changes one thread only, so the work runs on a thread of its own; threads that it
    /// starts inherit the namespace, and a socket stays in the namespace it was made in. A panic
    /// in `work` is the caller's panic. Errors: no such namespace, or no right to enter it.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let file = self.open()?;
        thread::scope(|scope| {
            let inside = scope.spawn(move || -> Result<T> {
                enter_this_thread(&file)?;
                Ok(work())
            });
            inside.join().unwrap_or_else(|cause| panic::resume_unwind(cause))
        })
    }

    /// A command that will run inside the namespace. Errors: no such namespace.
    #[expect(unsafe_code, reason = "std offers no safe way to enter a namespace before exec")]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
        let file = self.open()?;
        let mut command = Command::new(program);
        // SAFETY: between fork and exec the closure makes one system call, setns(2), on a
        // descriptor it owns; it allocates nothing and takes no lock.
        unsafe {
            command.pre_exec(move || {
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(())
            });
        }
        Ok(command)
    }

    /// The processes whose main thread is inside the namespace.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let Ok(inside) = fs::metadata(self.path()) else {
            return Ok(Vec::new());
        };
        let mut pids = Vec::new();
        for entry in fs::read_dir("/proc").context("read /proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A process that ended meanwhile is simply not there any more.
            if let Ok(other) = fs::metadata(format!("/proc/{pid}/ns/net"))
                && (other.dev(), other.ino()) == (inside.dev(), inside.ino())
            {
                pids.push(pid);
            }
        }
        Ok(pids)
    }

    fn open(&self) -> Result<File> {
        File::open(self.path()).with_context(|| format!("open network namespace {}", self.name))
    }
}

fn enter_this_thread(file: &File) -> Result<()> {
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .context("enter a network namespace (this needs root)")
}
