//! Secrets with certificates, and authorities in ConfigMaps and Secrets.

use super::draft::Draft;
use crate::ObjectKey;
use lb_model::{Certificate, Secret};
use rustls::{Error, InconsistentKeys, crypto::CryptoProvider, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, OnceLock, PoisonError},
};

/// Data keys of a Secret of type `kubernetes.io/tls` (Kubernetes, Secret types).
const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";
/// Data key of authorities, as cert-manager and the Gateway API use it.
const AUTHORITIES: &str = "ca.crt";

/// Results of checks that are remembered; beyond it all are forgotten.
const REMEMBERED_MAX: usize = 16_384;

/// Why a certificate cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CertificateProblem {
    /// There is no such object.
    #[error("there is no such object")]
    Missing,
    /// It lacks a key of its data.
    #[error("it has no {0}")]
    Lacks(&'static str),
    /// What it has there is not PEM of what it should be.
    #[error("its {0} is not PEM of what it should be")]
    Malformed(&'static str),
    /// The leaf is no certificate, or none that can be used.
    #[error("its first certificate cannot be used")]
    Leaf,
    /// The key is of no type that can be used.
    #[error("its key is of no supported type (RSA, ECDSA, Ed25519)")]
    KeyType,
    /// The key is that of another certificate.
    #[error("its key does not fit its first certificate")]
    Mismatch,
}

impl Draft<'_> {
    /// The name in [`lb_model::Proxy::certificates`] of the certificate in a Secret.
    pub(super) fn certificate(
        &mut self,
        cluster: usize,
        secret: &ObjectKey,
    ) -> Result<String, CertificateProblem> {
        let found = self.cluster(cluster).ok_or(CertificateProblem::Missing)?;
        let name = format!("{}/{secret}", found.name);
        if self.desired.proxy.certificates.contains_key(&name) {
            return Ok(name);
        }
        let object = found.objects.secrets.get(secret).ok_or(CertificateProblem::Missing)?;
        let data = |key: &'static str| {
            let bytes = object.data.as_ref().and_then(|it| it.get(key)).map(|it| it.0.as_slice());
            bytes.filter(|it| !it.is_empty()).ok_or(CertificateProblem::Lacks(key))
        };
        let (chain, key) = (data(CHAIN)?, data(KEY)?);
        check(chain, key)?;
        let certificate = Certificate {
            chain: chain.to_vec(),
            key: Secret::new(key),
            ocsp: None,
            origin: format!("Secret {secret} ({})", found.name),
        };
        self.desired.proxy.certificates.insert(name.clone(), certificate);
        Ok(name)
    }

    /// Authorities (PEM) under `ca.crt` of a ConfigMap or a Secret.
    pub(super) fn authorities(
        &self,
        cluster: usize,
        kind: &str,
        key: &ObjectKey,
    ) -> Result<Vec<u8>, CertificateProblem> {
        let objects = &self.cluster(cluster).ok_or(CertificateProblem::Missing)?.objects;
        let bytes = if kind == "ConfigMap" {
            let found = objects.config_maps.get(key).ok_or(CertificateProblem::Missing)?;
            let text = found.data.as_ref().and_then(|it| it.get(AUTHORITIES));
            text.map(String::as_bytes)
        } else {
            let found = objects.secrets.get(key).ok_or(CertificateProblem::Missing)?;
            found.data.as_ref().and_then(|it| it.get(AUTHORITIES)).map(|it| it.0.as_slice())
        };
        let bytes = bytes.ok_or(CertificateProblem::Lacks(AUTHORITIES))?;
        let malformed = CertificateProblem::Malformed(AUTHORITIES);
        let mut count = 0_usize;
        for certificate in CertificateDer::pem_slice_iter(bytes) {
            let certificate = certificate.map_err(|_| malformed)?;
            rustls::server::ParsedCertificate::try_from(&certificate).map_err(|_| malformed)?;
            count = count.saturating_add(1);
        }
        if count == 0 { Err(malformed) } else { Ok(bytes.to_vec()) }
    }
}

/// Whether a chain and a key can be used together. Reading keys is slow and every lowering asks for
/// all of them: results are remembered.
fn check(chain: &[u8], key: &[u8]) -> Result<(), CertificateProblem> {
    type Results = HashMap<[u8; 32], Result<(), CertificateProblem>>;
    static REMEMBERED: LazyLock<Mutex<Results>> = LazyLock::new(Mutex::default);
    let digest = digest(chain, key);
    let remembered = || REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(result) = remembered().get(&digest) {
        return *result;
    }
    let result = read(chain, key);
    let mut remembered = remembered();
    if remembered.len() >= REMEMBERED_MAX {
        remembered.clear();
    }
    remembered.insert(digest, result);
    result
}

fn read(chain: &[u8], key: &[u8]) -> Result<(), CertificateProblem> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|_| CertificateProblem::Malformed(CHAIN))?;
    if chain.is_empty() {
        return Err(CertificateProblem::Malformed(CHAIN));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateProblem::Malformed(KEY))?;
    match CertifiedKey::from_der(chain, key, provider()) {
        Ok(_) => Ok(()),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(CertificateProblem::Mismatch)
        }
        Err(Error::InvalidCertificate(_)) => Err(CertificateProblem::Leaf),
        Err(_) => Err(CertificateProblem::KeyType),
    }
}

fn digest(chain: &[u8], key: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update((chain.len() as u64).to_le_bytes());
    hash.update(chain);
    hash.update(key);
    hash.finalize().into()
}

fn provider() -> &'static CryptoProvider {
    static PROVIDER: OnceLock<CryptoProvider> = OnceLock::new();
    PROVIDER.get_or_init(rustls::crypto::aws_lc_rs::default_provider)
}
