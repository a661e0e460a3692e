//! What operators drained, kept over restarts of the daemon (not of the machine: it lives under
//! `/run`, like the forwarding state it belongs to).

use crate::health::Key;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

/// The file of drained backends.
#[derive(Clone, Debug)]
pub struct Drains {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    drained: BTreeSet<Key>,
}

impl Drains {
    /// The file at `path`, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// What is stored; nothing if there is no file.
    pub fn load(&self) -> Result<BTreeSet<Key>> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(error) => return Err(error).with_context(|| self.path.display().to_string()),
        };
        let stored: Stored =
            serde_json::from_slice(&text).with_context(|| self.path.display().to_string())?;
        Ok(stored.drained)
    }

    /// Replaces what is stored; readers see the old or the new file, never a part of one.
    pub fn store(&self, drained: &BTreeSet<Key>) -> Result<()> {
        let temporary = self.path.with_extension("json.new");
        let write = |path: &Path| -> Result<()> {
            let mut file = File::create(path)?;
            serde_json::to_writer(&mut file, &Stored { drained: drained.clone() })?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(path, &self.path)?;
            Ok(())
        };
        write(&temporary).with_context(|| self.path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let drains = Drains::new(directory.path().join("drains.json"));
        assert_eq!(drains.load().unwrap(), BTreeSet::new());
        let drained = BTreeSet::from([("web".to_owned(), "a".to_owned())]);
        drains.store(&drained).unwrap();
        assert_eq!(drains.load().unwrap(), drained);
        drains.store(&BTreeSet::new()).unwrap();
        assert_eq!(drains.load().unwrap(), BTreeSet::new());
    }

    #[test]
    fn a_damaged_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("drains.json");
        fs::write(&path, "{").unwrap();
        let error = format!("{:#}", Drains::new(path).load().unwrap_err());
        assert!(error.contains("drains.json"), "{error}");
    }
}
