//! One daemon an instance.

use super::Instance;
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    os::fd::OwnedFd,
    path::PathBuf,
};

/// Held while the daemon lives; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

/// The lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another daemon runs this instance.
    #[error("instance `{instance}` is already run by lbd with pid {pid} ({path} is locked)")]
    Held {
        /// The instance.
        instance: String,
        /// What the holder wrote, or `unknown`.
        pid: String,
        /// The lock file.
        path: PathBuf,
    },
    /// The file could not be made or locked.
    #[error("{path}: {source}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Lock {
    /// Takes the instance's lock or says who has it. Makes the instance's directory.
    pub fn take(instance: &Instance) -> Result<Self, LockError> {
        let path = instance.lock();
        let io = |source| LockError::Io { path: path.clone(), source };
        fs::create_dir_all(instance.directory()).map_err(io)?;
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(io)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                // What the holder wrote is a courtesy; the lock itself is the fact.
                let read = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
                let pid = if read { pid.trim().to_owned() } else { "unknown".to_owned() };
                return Err(LockError::Held { instance: instance.name().to_owned(), pid, path });
            }
            Err(errno) => return Err(io(errno.into())),
        }
        Self::sign(file).map_err(io)
    }

    /// Goes on with a lock that a predecessor holds: it lasts until both have let go of it.
    pub fn inherit(instance: &Instance, lock: OwnedFd) -> Result<Self, LockError> {
        Self::sign(lock.into()).map_err(|source| LockError::Io { path: instance.lock(), source })
    }

    /// For a successor.
    pub fn share(&self) -> io::Result<OwnedFd> {
        self.file.try_clone().map(Into::into)
    }

    /// Writes who has it.
    fn sign(mut file: File) -> io::Result<Self> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_who_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let instance = Instance::new("one", directory.path()).unwrap();
        let held = Lock::take(&instance).unwrap();
        let error = Lock::take(&instance).unwrap_err().to_string();
        assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
        drop(held);
        Lock::take(&instance).unwrap();
    }
}
