//! The directory with a file for each cluster.

use super::{Assigned, Saved, Unusable, file};
use crate::{ClusterOptions, Objects};
use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, BufWriter, ErrorKind, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Nobody else may see what is there: it has Secrets.
const DIRECTORY_MODE: u32 = 0o700;

/// As [`DIRECTORY_MODE`].
const FILE_MODE: u32 = 0o600;

/// What everybody but the owner may do.
const OTHERS: u32 = 0o077;

/// How names of files end.
const SUFFIX: &str = ".saved";

/// How names of files end that are being written.
const UNFINISHED: &str = ".unfinished";

/// The directory. It is made when something is first put there.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    directory: PathBuf,
}

impl Shelf {
    /// The directory at `path`.
    pub(crate) const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Where the state of a cluster is.
    pub(crate) fn path(&self, cluster: &str) -> PathBuf {
        self.directory.join(format!("{cluster}{SUFFIX}"))
    }

    /// What was kept of a cluster; `None` = nothing was.
    pub(crate) fn load(&self, options: &ClusterOptions) -> Result<Option<Saved>, Unusable> {
        let mut opened = match File::open(self.path(&options.name)) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = opened.metadata()?;
        let directory = fs::metadata(&self.directory)?;
        let is_exposed = (metadata.mode() | directory.mode()) & OTHERS != 0;
        if !metadata.is_file() || is_exposed || metadata.uid() != directory.uid() {
            return Err(Unusable::Exposed);
        }
        if metadata.len() > file::BYTES_MAX {
            return Err(Unusable::TooLarge);
        }
        let mut bytes = Vec::new();
        opened.by_ref().take(file::BYTES_MAX).read_to_end(&mut bytes)?;
        let saved = file::read(&bytes, options)?;
        Ok(Some(Saved { at_ms: ms(metadata.modified()?), ..saved }))
    }

    /// Puts a state in the place of what was kept; who reads it finds the one or the other.
    pub(crate) fn store(
        &self,
        options: &ClusterOptions,
        objects: &Objects,
        assigned: &Assigned,
    ) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&self.directory)?;
        fs::set_permissions(&self.directory, Permissions::from_mode(DIRECTORY_MODE))?;
        let path = self.path(&options.name);
        // A predecessor that hands over may be writing, too.
        let name = unfinished(&options.name, std::process::id());
        let unfinished = self.directory.join(name);
        let stored = put(&unfinished, &path, options, objects, assigned);
        if stored.is_err() {
            // The first error is the one that tells.
            fs::remove_file(&unfinished).ok();
        }
        stored?;
        File::open(&self.directory)?.sync_all()
    }

    /// Notes that a cluster still is as it was when it was kept.
    pub(crate) fn confirm(&self, cluster: &str) -> io::Result<()> {
        let opened = OpenOptions::new().append(true).open(self.path(cluster))?;
        opened.set_modified(SystemTime::now())
    }

    /// Removes what was kept of clusters that are no longer watched, and what was never finished by
    /// those who are gone.
    pub(crate) fn tidy(&self, clusters: &BTreeSet<String>) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let is_left = name.strip_suffix(SUFFIX).is_some_and(|it| !clusters.contains(it));
            if (is_left || is_abandoned(name))
                && let Err(error) = fs::remove_file(entry.path())
            {
                tracing::warn!(%error, path = %entry.path().display(), "cannot be removed");
            }
        }
    }
}

/// The name of the file that a process writes.
fn unfinished(cluster: &str, process: u32) -> String {
    format!("{cluster}.{process}{UNFINISHED}")
}

/// Whether a file was being written by a process that is gone.
fn is_abandoned(name: &str) -> bool {
    let process = name.strip_suffix(UNFINISHED).and_then(|it| it.rsplit_once('.'));
    process.is_some_and(|(_, process)| !Path::new("/proc").join(process).exists())
}

fn put(
    unfinished: &Path,
    path: &Path,
    options: &ClusterOptions,
    objects: &Objects,
    assigned: &Assigned,
) -> io::Result<()> {
    let mut open = OpenOptions::new();
    let opened = open.write(true).create(true).truncate(true).mode(FILE_MODE).open(unfinished)?;
    let mut out = BufWriter::new(&opened);
    file::write(&mut out, options, objects, assigned)?;
    drop(out);
    opened.sync_all()?;
    fs::rename(unfinished, path)
}

fn ms(time: SystemTime) -> u64 {
    let elapsed = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
