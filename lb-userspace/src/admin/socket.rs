//! The unix socket itself.

use anyhow::{Context, Result};
use std::{fs, io::ErrorKind, os::unix::fs::PermissionsExt, path::Path};
use tokio::net::UnixListener;

/// Only the daemon's own user may speak to it.
const MODE: u32 = 0o600;

/// Listens at `path`, replacing a socket that a dead daemon left. The caller holds the instance's
/// lock, so nobody else serves it.
pub fn bind(path: &Path) -> Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing {}", path.display()));
        }
        _ => {}
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("listening at {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))
        .with_context(|| format!("protecting {}", path.display()))?;
    Ok(listener)
}
