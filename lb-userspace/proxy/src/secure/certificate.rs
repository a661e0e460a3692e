//! Certificates: read once, used by many listeners, and accounted for.

use super::{
    authorities::SystemAuthorities,
    names::Names,
    policy::{now_s, provider},
};
use lb_model::{Certificate, Table};
use rustls::{Error, InconsistentKeys, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use x509_parser::{
    certificate::X509Certificate, oid_registry, prelude::FromDer as _, public_key::PublicKey,
};

/// All certificates by name, read.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    by_name: Table<String, Arc<Loaded>>,
    wanted: Table<String, Certificate>,
    system: Arc<SystemAuthorities>,
}

/// What is known of a certificate: for `lbctl get certificates` and expiry metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateReport {
    /// Its name in the configuration.
    pub name: Box<str>,
    /// Where it came from.
    pub origin: String,
    /// Names that it is for: DNS names, URIs, addresses.
    pub names: Vec<String>,
    /// Valid from, seconds since the Unix epoch.
    pub not_before_s: i64,
    /// Valid until, seconds since the Unix epoch.
    pub not_after_s: i64,
    /// `ECDSA P-256`, `RSA 2048`; empty if it cannot be read.
    pub key: String,
    /// SHA-256 of the leaf's DER, lower-case hexadecimal; empty if it cannot be read.
    pub fingerprint: Box<str>,
    /// Whether clients that verify it can use it now. One that is out of date is still shown to
    /// them if there is no better one: what then happens is theirs to decide.
    pub is_usable: bool,
    /// Why it is not usable.
    pub why: Option<String>,
}

/// A certificate that was read, or could not be.
#[derive(Debug)]
pub(super) struct Loaded {
    digest: [u8; 32],
    origin: String,
    leaf: Leaf,
    key: Result<Arc<CertifiedKey>, String>,
}

/// What the leaf says.
#[derive(Clone, Debug, Default)]
pub(super) struct Leaf {
    pub(super) names: Names,
    not_before_s: i64,
    not_after_s: i64,
    key: String,
    fingerprint: Box<str>,
}

impl Certificates {
    /// Reads `certificates`. Those whose bytes are the same in `previous` are taken from there.
    pub fn compile(certificates: &Table<String, Certificate>, previous: Option<&Self>) -> Self {
        let mut compiled = previous.cloned().unwrap_or_default();
        for change in certificates.changes(&compiled.wanted, Certificate::eq) {
            let Some(certificate) = change.after else {
                compiled.by_name.remove(change.key);
                continue;
            };
            let digest = digest_of(certificate);
            let same = compiled.by_name.get(change.key).filter(|it| it.digest == digest);
            let loaded =
                same.map_or_else(|| Arc::new(Loaded::read(certificate, digest)), Arc::clone);
            compiled.by_name.insert(change.key.clone(), loaded);
        }
        compiled.wanted = certificates.clone();
        compiled.system = compiled.system.renewed();
        compiled
    }

    /// Whether both are the same, and the system's authorities are.
    pub fn is_same(&self, other: &Self) -> bool {
        self.by_name.is_same(&other.by_name) && Arc::ptr_eq(&self.system, &other.system)
    }

    /// What is known of each, in order of names.
    pub fn report(&self) -> Vec<CertificateReport> {
        let now_s = now_s();
        self.by_name.iter().map(|(name, loaded)| loaded.report(name, now_s)).collect()
    }

    pub(super) fn find(&self, name: &str) -> Option<&Arc<Loaded>> {
        self.by_name.get(name)
    }

    pub(super) fn system(&self) -> &SystemAuthorities {
        &self.system
    }
}

impl Loaded {
    fn read(certificate: &Certificate, digest: [u8; 32]) -> Self {
        let origin = certificate.origin.clone();
        let unusable = |why: String| Self {
            digest,
            origin: origin.clone(),
            leaf: Leaf::default(),
            key: Err(why),
        };
        let chain = match read_chain(&certificate.chain) {
            Ok(chain) => chain,
            Err(why) => return unusable(why),
        };
        let leaf = match chain.first().ok_or("the chain has no certificate").and_then(Leaf::read) {
            Ok(leaf) => leaf,
            Err(why) => return unusable(why.to_owned()),
        };
        let key = certified(chain, certificate).map(Arc::new);
        Self { digest, origin, leaf, key }
    }

    /// Key and chain as they are used; an error if they cannot be, whatever the time.
    pub(super) fn key(&self) -> Result<&Arc<CertifiedKey>, &str> {
        self.key.as_ref().map_err(String::as_str)
    }

    /// What the leaf says.
    pub(super) fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// Tells equal contents from others.
    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    fn report(&self, name: &str, now_s: i64) -> CertificateReport {
        let why = match &self.key {
            Err(why) => Some(why.clone()),
            Ok(_) if now_s > self.leaf.not_after_s => Some("expired".to_owned()),
            Ok(_) if now_s < self.leaf.not_before_s => Some("not yet valid".to_owned()),
            Ok(_) => None,
        };
        CertificateReport {
            name: name.into(),
            origin: self.origin.clone(),
            names: self.leaf.names.list(),
            not_before_s: self.leaf.not_before_s,
            not_after_s: self.leaf.not_after_s,
            key: self.leaf.key.clone(),
            fingerprint: self.leaf.fingerprint.clone(),
            is_usable: why.is_none(),
            why,
        }
    }
}

impl Leaf {
    fn read(der: &CertificateDer<'_>) -> Result<Self, &'static str> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|_| "the leaf is not an X.509 certificate")?;
        let validity = certificate.validity();
        Ok(Self {
            names: Names::of(&certificate),
            not_before_s: validity.not_before.timestamp(),
            not_after_s: validity.not_after.timestamp(),
            key: key_type(&certificate),
            fingerprint: fingerprint(der),
        })
    }

    /// Whether it is neither expired nor from the future.
    pub(super) fn is_valid_at(&self, now_s: i64) -> bool {
        (self.not_before_s..=self.not_after_s).contains(&now_s)
    }
}

/// SHA-256 of `der`, lower-case hexadecimal.
pub(super) fn fingerprint(der: &[u8]) -> Box<str> {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(der) {
        let halves = [byte >> 4, byte & 15].map(u32::from);
        text.extend(halves.iter().filter_map(|half| char::from_digit(*half, 16)));
    }
    text.into()
}

/// The certificates of a PEM text.
pub(super) fn read_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the chain is not PEM: {error}"))
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    certificate: &Certificate,
) -> Result<CertifiedKey, String> {
    let key = PrivateKeyDer::from_pem_slice(certificate.key.expose())
        .map_err(|error| format!("the key is not PEM: {error}"))?;
    match CertifiedKey::from_der(chain, key, provider()) {
        Ok(mut certified) => {
            certified.ocsp.clone_from(&certificate.ocsp);
            Ok(certified)
        }
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err("the key does not fit the chain's first certificate".to_owned())
        }
        Err(Error::InvalidCertificate(error)) => Err(format!("the leaf cannot be used: {error:?}")),
        Err(_) => Err("the key is of no supported type (RSA, ECDSA, Ed25519)".to_owned()),
    }
}

fn digest_of(certificate: &Certificate) -> [u8; 32] {
    let mut hash = Sha256::new();
    let ocsp = certificate.ocsp.as_deref();
    let origin = certificate.origin.as_bytes();
    for part in [&certificate.chain, certificate.key.expose(), ocsp.unwrap_or_default(), origin] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn key_type(certificate: &X509Certificate<'_>) -> String {
    let spki = certificate.public_key();
    match spki.parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("ECDSA P-{}", point.key_size()),
        _ if spki.algorithm.algorithm == oid_registry::OID_SIG_ED25519 => "Ed25519".to_owned(),
        _ => spki.algorithm.algorithm.to_id_string(),
    }
}
