//! A self-signed certificate: ECDSA P-256, as public authorities issue them today.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, ensure};

use super::Site;

/// Writes `cert.pem` and `key.pem`; their paths.
pub(super) fn write(site: &Site<'_>) -> Result<(PathBuf, PathBuf)> {
    let (cert, key) = (site.folder.join("cert.pem"), site.folder.join("key.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    openssl.args(["-nodes", "-days", "2", "-subj", "/CN=bench.example"]);
    openssl.args(["-addext", "subjectAltName=DNS:bench.example,IP:127.0.0.1"]);
    let output = openssl.arg("-keyout").arg(&key).arg("-out").arg(&cert).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok((cert, key))
}
