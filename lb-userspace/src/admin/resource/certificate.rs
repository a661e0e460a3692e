//! `get certificates`.

use super::Kind;
use crate::proxy::{secure::CertificateReport, snapshot::Snapshot};
use serde::{Deserialize, Serialize};

/// A certificate of the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateResource {
    /// Name in the configuration.
    pub certificate: String,
    /// Where it came from.
    pub origin: String,
    /// Names that it is for.
    pub names: Vec<String>,
    /// Valid from, seconds since the Unix epoch; 0 if it cannot be read.
    pub not_before_s: i64,
    /// Valid until, seconds since the Unix epoch; 0 if it cannot be read.
    pub not_after_s: i64,
    /// `ECDSA P-256`, `RSA 2048`; empty if it cannot be read.
    pub key: String,
    /// SHA-256 of the leaf, hexadecimal; empty if it cannot be read.
    pub fingerprint: String,
    /// Listeners that show it.
    pub listeners: Vec<String>,
    /// Whether clients that verify it can use it now.
    pub usable: bool,
    /// Why not.
    pub reason: Option<String>,
}

impl Kind for CertificateResource {
    const LIST: &'static str = "CertificateList";
}

/// All certificates, by name.
pub fn certificates(snapshot: &Snapshot) -> Vec<CertificateResource> {
    snapshot.certificates().into_iter().map(|report| resource(snapshot, report)).collect()
}

fn resource(snapshot: &Snapshot, report: CertificateReport) -> CertificateResource {
    let shows = |tls: &crate::model::ListenerTls| {
        tls.certificates.iter().any(|name| **name == *report.name)
    };
    let listeners = snapshot.listeners.values();
    let showing = listeners.filter(|it| it.model.tls.as_ref().is_some_and(shows));
    CertificateResource {
        listeners: showing.map(|it| it.name.to_string()).collect(),
        certificate: report.name.into(),
        origin: report.origin,
        names: report.names,
        not_before_s: report.not_before_s,
        not_after_s: report.not_after_s,
        key: report.key,
        fingerprint: report.fingerprint.into(),
        usable: report.is_usable,
        reason: report.why,
    }
}
