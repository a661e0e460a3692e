//! Secrets with certificates, and authorities in ConfigMaps and Secrets.

use super::draft::Draft;
use crate::ObjectKey;
use lb_model::{Certificate, Secret};

/// Data keys of a Secret of type `kubernetes.io/tls` (Kubernetes, Secret types).
const CHAIN: &str = "tls.crt";
const KEY: &str = "tls.key";
/// Data key of authorities, as cert-manager and the Gateway API use it.
const AUTHORITIES: &str = "ca.crt";

/// Why a certificate cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CertificateProblem {
    /// There is no such object.
    #[error("there is no such object")]
    Missing,
    /// It lacks a key of its data.
    #[error("it has no usable {0}")]
    Lacks(&'static str),
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
            let is_pem = |bytes: &&[u8]| bytes.windows(11).any(|it| it == b"-----BEGIN ");
            bytes.filter(is_pem).ok_or(CertificateProblem::Lacks(key))
        };
        let certificate = Certificate {
            chain: data(CHAIN)?.to_vec(),
            key: Secret::new(data(KEY)?),
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
            text.map(|it| it.as_bytes().to_vec())
        } else {
            let found = objects.secrets.get(key).ok_or(CertificateProblem::Missing)?;
            found.data.as_ref().and_then(|it| it.get(AUTHORITIES)).map(|it| it.0.clone())
        };
        let is_pem = |it: &Vec<u8>| it.windows(11).any(|it| it == b"-----BEGIN ");
        bytes.filter(is_pem).ok_or(CertificateProblem::Lacks(AUTHORITIES))
    }
}
