//! Certificates of clients.

use super::{authorities::Authorities, policy::provider};
use lb_model::{ClientAuth, ClientAuthMode};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::sync::Arc;

/// How a listener verifies its clients.
#[derive(Clone, Debug)]
pub(super) struct ClientVerification {
    verifier: Arc<dyn ClientCertVerifier>,
    mode: ClientAuthMode,
}

impl ClientVerification {
    /// Reads the authorities.
    pub(super) fn new(auth: &ClientAuth) -> Result<Self, String> {
        let wrong = |why: String| format!("authorities of clients: {why}");
        let roots = Authorities::read(&auth.authorities).map_err(wrong)?.store;
        let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider()));
        let builder = match auth.mode {
            ClientAuthMode::Required => builder,
            ClientAuthMode::Optional | ClientAuthMode::InsecureFallback => {
                builder.allow_unauthenticated()
            }
        };
        let verifier = builder.build().map_err(|error| wrong(error.to_string()))?;
        Ok(Self { verifier, mode: auth.mode })
    }

    /// What the handshake asks.
    pub(super) fn verifier(&self) -> Arc<dyn ClientCertVerifier> {
        match self.mode {
            ClientAuthMode::Required | ClientAuthMode::Optional => Arc::clone(&self.verifier),
            ClientAuthMode::InsecureFallback => Arc::new(TakesAny(Arc::clone(&self.verifier))),
        }
    }

    /// Whether a chain leads to one of the authorities now. A resumed session brings the chain of
    /// its first handshake, which the handshake does not verify again.
    pub(super) fn is_valid(&self, chain: &[CertificateDer<'_>]) -> bool {
        chain.split_first().is_some_and(|(leaf, others)| {
            self.verifier.verify_client_cert(leaf, others, UnixTime::now()).is_ok()
        })
    }

    /// Whether a client whose certificate is not valid may go on.
    pub(super) fn takes_invalid(&self) -> bool {
        self.mode == ClientAuthMode::InsecureFallback
    }
}

/// Takes any certificate of whose key the client gives proof.
#[derive(Debug)]
struct TakesAny(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for TakesAny {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
