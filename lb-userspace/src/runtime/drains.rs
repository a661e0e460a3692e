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
    /// What this process stored last: what is there already is not written again, for a disk may
    /// take long.
    stored: Option<Drained>,
}

/// What is drained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drained {
    /// Backends by service.
    #[serde(rename = "drained")]
    pub backends: BTreeSet<Key>,
    /// Endpoints by upstream.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub endpoints: BTreeSet<Key>,
}

impl Drains {
    /// The file at `path`, which need not exist.
    pub fn new(path: PathBuf) -> Self {
        Self { path, stored: None }
    }

    /// What is stored; nothing if there is no file.
    pub fn load(&self) -> Result<Drained> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Drained::default()),
            Err(error) => return Err(error).with_context(|| self.path.display().to_string()),
        };
        serde_json::from_slice(&text).with_context(|| self.path.display().to_string())
    }

    /// Replaces what is stored; readers see the old or the new file, never a part of one.
    pub fn store(&mut self, drained: &Drained) -> Result<()> {
        if self.stored.as_ref() == Some(drained) {
            return Ok(());
        }
        let temporary = self.path.with_extension("json.new");
        let write = |path: &Path| -> Result<()> {
            let mut file = File::create(path)?;
            serde_json::to_writer(&mut file, drained)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(path, &self.path)?;
            Ok(())
        };
        write(&temporary).with_context(|| self.path.display().to_string())?;
        self.stored = Some(drained.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let mut drains = Drains::new(directory.path().join("drains.json"));
        assert_eq!(drains.load().unwrap(), Drained::default());
        let one = |group: &str| BTreeSet::from([(group.to_owned(), "a".to_owned())]);
        let drained = Drained { backends: one("web"), endpoints: one("api") };
        drains.store(&drained).unwrap();
        assert_eq!(drains.load().unwrap(), drained);
        drains.store(&Drained::default()).unwrap();
        assert_eq!(drains.load().unwrap(), Drained::default());
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
