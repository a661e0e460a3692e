//! Authorities: whose certificates are believed.

use super::certificate::read_chain;
use rustls::RootCertStore;
use sha2::{Digest as _, Sha256};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::SystemTime,
};

/// Where systems keep the authorities they believe in, as one PEM file: Debian and Alpine, Fedora,
/// openSUSE, and the rest.
const SYSTEM_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Names another file, as for OpenSSL.
const SYSTEM_FILE_VARIABLE: &str = "SSL_CERT_FILE";

/// Authorities, and what tells them from others.
#[derive(Clone, Debug)]
pub(super) struct Authorities {
    pub(super) store: Arc<RootCertStore>,
    pub(super) digest: [u8; 32],
}

/// The system's authorities: read when first needed, and again when the file has changed.
#[derive(Debug, Default)]
pub(super) struct SystemAuthorities {
    file: Option<PathBuf>,
    written: Option<SystemTime>,
    read: OnceLock<Result<Authorities, String>>,
}

impl Authorities {
    /// The authorities of a PEM text. Single ones that cannot be used are left out; none at all is
    /// an error.
    pub(super) fn read(pem: &[u8]) -> Result<Self, String> {
        let mut store = RootCertStore::empty();
        let (used, _) = store.add_parsable_certificates(read_chain(pem)?);
        if used == 0 {
            return Err("there is no authority in it".to_owned());
        }
        Ok(Self { store: Arc::new(store), digest: Sha256::digest(pem).into() })
    }
}

impl SystemAuthorities {
    /// These, or new ones if the file has changed.
    pub(super) fn renewed(self: &Arc<Self>) -> Arc<Self> {
        let now = Self::found();
        let is_same = self.file == now.file && self.written == now.written;
        if is_same { Arc::clone(self) } else { Arc::new(now) }
    }

    /// The authorities, or why there are none.
    pub(super) fn authorities(&self) -> Result<Authorities, String> {
        let read = self.read.get_or_init(|| {
            let found = Self::found();
            let file = found.file.ok_or("the system has no file of authorities")?;
            let pem = fs::read(&file).map_err(|error| unreadable(&file, &error))?;
            Authorities::read(&pem)
        });
        read.clone()
    }

    fn found() -> Self {
        let named = std::env::var_os(SYSTEM_FILE_VARIABLE).map(PathBuf::from);
        let usual = SYSTEM_FILES.iter().map(PathBuf::from);
        let file = named.into_iter().chain(usual).find(|file| file.is_file());
        let written = file.as_ref().and_then(|file| fs::metadata(file).ok()?.modified().ok());
        Self { file, written, read: OnceLock::new() }
    }
}

fn unreadable(file: &Path, error: &io::Error) -> String {
    format!("{}: {error}", file.display())
}
