//! Files that a configuration refers to: certificates, keys, authorities, pages.

use super::watch::Fingerprint;
use lb_common::limits;
use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Files that were looked for, the configuration among them, and what was found there, so that a
/// watcher notices a change since then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Referred(pub(super) BTreeMap<PathBuf, Option<Fingerprint>>);

impl Referred {
    /// The paths, whether or not there are files.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }
}

/// Reads files for one look at a configuration; each at most once.
#[derive(Debug)]
pub(super) struct Files {
    /// What relative paths are relative to; `None` = no file is read.
    folder: Option<PathBuf>,
    referred: Referred,
    contents: HashMap<PathBuf, Result<Arc<[u8]>, String>>,
    bytes_count: usize,
}

impl Files {
    /// Files below `folder`, and those with absolute paths; `None` = there are no files.
    pub(super) fn new(folder: Option<&Path>) -> Self {
        Self {
            folder: folder.map(Path::to_owned),
            referred: Referred::default(),
            contents: HashMap::new(),
            bytes_count: 0,
        }
    }

    /// Notes what is at a path before it is read by somebody else.
    pub(super) fn look(&mut self, path: &Path) {
        self.referred.0.insert(path.to_owned(), Fingerprint::of(path));
    }

    /// What a file holds, or why that is not known.
    pub(super) fn read(&mut self, path: &str) -> Result<Arc<[u8]>, String> {
        if path.is_empty() {
            return Err("the path is empty".to_owned());
        }
        let Some(folder) = &self.folder else {
            return Err("this configuration has no folder that files could be in".to_owned());
        };
        let path = folder.join(path);
        let referred = &mut self.referred.0;
        let contents = self
            .contents
            .entry(path)
            .or_insert_with_key(|path| {
                // First look, then read: a change in between is noticed.
                referred.insert(path.clone(), Fingerprint::of(path));
                contents(path)
            })
            .clone()?;
        self.bytes_count = self.bytes_count.saturating_add(contents.len());
        if self.bytes_count > limits::REFERRED_BYTES_MAX {
            let mib = limits::REFERRED_BYTES_MAX >> 20;
            return Err(format!("all files together are larger than {mib} MiB"));
        }
        Ok(contents)
    }

    /// Where a file is, wherever the daemon goes.
    pub(super) fn path(&self, path: &str) -> Option<PathBuf> {
        std::path::absolute(self.folder.as_ref()?.join(path)).ok()
    }

    /// What was looked for.
    pub(super) fn into_referred(self) -> Referred {
        self.referred
    }
}

fn contents(path: &Path) -> Result<Arc<[u8]>, String> {
    // The path is the diagnostic's to name, as its author wrote it.
    let cannot = |error: io::Error| error.to_string();
    // A FIFO would block for ever: look before opening.
    if !path.metadata().map_err(cannot)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let limit = limits::REFERRED_FILE_BYTES_MAX;
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() > limit {
        return Err(format!("it is larger than {} MiB", limit >> 20));
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn relative_paths_are_relative_to_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "one").unwrap();
        let mut files = Files::new(Some(folder.path()));
        assert_eq!(&*files.read("a").unwrap(), b"one");
        assert_eq!(&*files.read(folder.path().join("a").to_str().unwrap()).unwrap(), b"one");
        files.read("b").unwrap_err();
        let referred = files.into_referred();
        let names = ["a", "b"].map(|name| folder.path().join(name));
        assert_eq!(referred.paths().collect::<Vec<_>>(), names);
    }

    #[test]
    fn what_is_no_file_or_too_large_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let large = File::create(folder.path().join("large")).unwrap();
        large.set_len(limits::REFERRED_FILE_BYTES_MAX as u64 + 1).unwrap();
        let mut files = Files::new(Some(folder.path()));
        assert_eq!(files.read("large").unwrap_err(), "it is larger than 1 MiB");
        assert_eq!(files.read(".").unwrap_err(), "it is not a regular file");
        assert_eq!(files.read("").unwrap_err(), "the path is empty");
        Files::new(None).read("large").unwrap_err();
    }

    #[test]
    fn all_files_together_have_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let large = File::create(folder.path().join("large")).unwrap();
        large.set_len(limits::REFERRED_FILE_BYTES_MAX as u64).unwrap();
        let mut files = Files::new(Some(folder.path()));
        let count = limits::REFERRED_BYTES_MAX / limits::REFERRED_FILE_BYTES_MAX;
        assert!((0..count).all(|_| files.read("large").is_ok()));
        assert!(files.read("large").unwrap_err().contains("256 MiB"));
    }
}
