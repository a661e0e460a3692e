//! One data plane's name and the places that belong to it.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Where instances keep their sockets, locks and drains, unless told otherwise.
pub const RUN_DIRECTORY: &str = "/run/lb";

/// Longest instance name: it is part of a unix socket path, of which 107 bytes are usable.
const NAME_BYTES_MAX: usize = 32;

/// A named data plane: one daemon, one set of pinned maps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    name: String,
    directory: PathBuf,
    state: PathBuf,
}

/// The name is empty, too long, or has characters beyond `a-z`, `0-9`, `-` and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidName(String);

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not an instance name: use 1 to {NAME_BYTES_MAX} of a-z, 0-9, `-` and `_`",
            self.0
        )
    }
}

impl std::error::Error for InvalidName {}

impl Instance {
    /// The instance `name` with its files under `run_directory`.
    pub fn new(name: &str, run_directory: &Path) -> Result<Self, InvalidName> {
        let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_allowed) {
            return Err(InvalidName(name.to_owned()));
        }
        let directory = run_directory.join(name);
        Ok(Self { name: name.to_owned(), state: directory.clone(), directory })
    }

    /// The same with what is to outlive the machine's run under `state_directory`, and not with the
    /// other files.
    #[must_use]
    pub fn with_state(mut self, state_directory: &Path) -> Self {
        self.state = state_directory.join(&self.name);
        self
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Directory of the files below.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The daemon's unix socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("lbd.sock")
    }

    /// The lock that makes the daemon the only one.
    pub fn lock(&self) -> PathBuf {
        self.directory.join("lbd.lock")
    }

    /// Where a successor asks for the daemon's sockets.
    pub fn handoff(&self) -> PathBuf {
        self.directory.join("handoff.sock")
    }

    /// What operators drained.
    pub fn drains(&self) -> PathBuf {
        self.directory.join("drains.json")
    }

    /// Directory of what clusters had, for a start while their API servers are away.
    pub fn clusters(&self) -> PathBuf {
        self.state.join("clusters")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_derive_from_the_name() {
        let instance = Instance::new("edge-1", Path::new("/run/lb")).unwrap();
        assert_eq!(instance.socket(), Path::new("/run/lb/edge-1/lbd.sock"));
        assert_eq!(instance.lock(), Path::new("/run/lb/edge-1/lbd.lock"));
        assert_eq!(instance.drains(), Path::new("/run/lb/edge-1/drains.json"));
        assert_eq!(instance.clusters(), Path::new("/run/lb/edge-1/clusters"));
        let instance = instance.with_state(Path::new("/var/lib/lb"));
        assert_eq!(instance.clusters(), Path::new("/var/lib/lb/edge-1/clusters"));
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        for name in ["", "..", "a/b", "A", "a b", &"x".repeat(33)] {
            assert!(Instance::new(name, Path::new("/run/lb")).is_err(), "{name}");
        }
    }
}
