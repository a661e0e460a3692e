//! Where maps, links and programs are pinned, so that they outlive the daemon.

use super::{
    error::{DataplaneError, Result},
    unlink,
};
use rustix::mount::{MountFlags, mount};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Mount point of the BPF file system.
const BPFFS: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC` of linux/magic.h.
const BPFFS_MAGIC: u64 = 0xcafe_4a11;
/// Name of the instance that `lbd` runs unless told otherwise.
pub const DEFAULT_INSTANCE: &str = "default";
/// Bytes of an instance name, at most.
const INSTANCE_BYTES_MAX: usize = 32;

/// Paths of one data plane: `/sys/fs/bpf/lb/<instance>/{maps,links,programs,steering}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pins {
    root: PathBuf,
}

impl Pins {
    /// The paths of `instance`, a name of letters, digits, `-` and `_`.
    pub fn new(instance: &str) -> Result<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if instance.is_empty()
            || instance.len() > INSTANCE_BYTES_MAX
            || !instance.bytes().all(is_plain)
        {
            return Err(DataplaneError::Io {
                what: format!(
                    "`{instance}` is not an instance name (1 to {INSTANCE_BYTES_MAX} letters, \
                     digits, `-` or `_`)"
                ),
                source: io::ErrorKind::InvalidInput.into(),
            });
        }
        Ok(Self { root: Path::new(BPFFS).join("lb").join(instance) })
    }

    /// The directory of everything.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the map `name` is pinned.
    pub fn map(&self, name: &str) -> PathBuf {
        self.root.join("maps").join(name)
    }

    /// Where the link of `interface` is pinned.
    pub fn link(&self, interface: &str) -> PathBuf {
        self.root.join("links").join(encode(interface))
    }

    /// Where the program `name` is pinned.
    pub fn program(&self, name: &str) -> PathBuf {
        self.root.join("programs").join(name)
    }

    /// Where the link of a version of the steering program is pinned.
    pub fn steering(&self, version: &str) -> PathBuf {
        self.root.join("steering").join(version)
    }

    /// Versions of the steering program that have a pinned link: one, or two for a moment.
    pub fn steering_versions(&self) -> Result<Vec<String>> {
        list(&self.root.join("steering"))
    }

    /// Name of the instance.
    pub fn instance(&self) -> &str {
        self.root.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Whether a data plane is pinned here.
    pub fn exists(&self) -> bool {
        self.root.join("maps").is_dir()
    }

    /// Makes the directories, mounting the BPF file system if the system has not.
    pub fn create(&self) -> Result<()> {
        mount_bpffs()?;
        for part in ["maps", "links", "programs", "steering"] {
            let path = self.root.join(part);
            fs::create_dir_all(&path)
                .map_err(DataplaneError::io(format!("creating {}", path.display())))?;
        }
        Ok(())
    }

    /// Interfaces that have a pinned link, sorted.
    pub fn linked_interfaces(&self) -> Result<Vec<String>> {
        let mut names: Vec<_> =
            list(&self.root.join("links"))?.iter().map(|name| decode(name)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Removes every pin: links first, so that traffic stops reaching the programs before their
    /// maps go. Answers the interfaces that were detached. Idempotent.
    pub fn remove_all(&self) -> Result<Vec<String>> {
        let interfaces = self.linked_interfaces()?;
        for interface in &interfaces {
            unlink::remove(&self.link(interface))?;
        }
        for version in self.steering_versions()? {
            unlink::remove(&self.steering(&version))?;
        }
        for part in ["links", "steering", "programs", "maps"] {
            let directory = self.root.join(part);
            for name in list(&directory)? {
                remove(&directory.join(name))?;
            }
            remove_directory(&directory)?;
        }
        remove_directory(&self.root)?;
        Ok(interfaces)
    }
}

/// Removes one pin; absent is fine.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DataplaneError::io(format!("removing {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

fn remove_directory(path: &Path) -> Result<()> {
    match fs::remove_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DataplaneError::io(format!("removing {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

fn list(directory: &Path) -> Result<Vec<String>> {
    let failed = || format!("listing {}", directory.display());
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(DataplaneError::io(failed())(error)),
    };
    entries
        .map(|entry| {
            let entry = entry.map_err(DataplaneError::io(failed()))?;
            Ok(entry.file_name().to_string_lossy().into_owned())
        })
        .collect()
}

fn mount_bpffs() -> Result<()> {
    let is_mounted =
        rustix::fs::statfs(BPFFS).is_ok_and(|status| status.f_type.cast_unsigned() == BPFFS_MAGIC);
    if is_mounted {
        return Ok(());
    }
    tracing::info!("mounting the BPF file system at {BPFFS}");
    mount("bpf", BPFFS, "bpf", MountFlags::empty(), None)
        .map_err(|error| DataplaneError::io(format!("mounting {BPFFS}"))(error.into()))
}

/// bpffs reserves names with a dot, which names of VLAN interfaces have.
fn encode(interface: &str) -> String {
    interface.replace('%', "%25").replace('.', "%2e")
}

fn decode(name: &str) -> String {
    name.replace("%2e", ".").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_survive_the_file_system() {
        for name in ["eth0", "eth0.100", "100%", "%2e.", "a.b.c"] {
            assert!(!encode(name).contains('.'));
            assert_eq!(decode(&encode(name)), name);
        }
    }

    #[test]
    fn instances_cannot_leave_their_directory() {
        for bad in ["", ".", "..", "a/b", "a.b", "white space", &"x".repeat(33)] {
            assert!(Pins::new(bad).is_err(), "{bad:?}");
        }
        let pins = Pins::new("blue-1").unwrap();
        assert_eq!(pins.map("lb_rings"), Path::new("/sys/fs/bpf/lb/blue-1/maps/lb_rings"));
        assert_eq!(pins.link("eth0.7"), Path::new("/sys/fs/bpf/lb/blue-1/links/eth0%2e7"));
    }
}
