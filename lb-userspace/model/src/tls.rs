//! Certificates, and how TLS is spoken on either side.

use super::Secret;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A certificate with its key, already read: whoever made `Desired` watches where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The chain, leaf first, PEM.
    pub chain: Vec<u8>,
    /// The private key, PEM.
    pub key: Secret,
    /// An OCSP response to staple, DER.
    pub ocsp: Option<Vec<u8>>,
    /// Where it came from, as the operator knows it: for reports.
    pub origin: String,
}

/// How a listener terminates TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerTls {
    /// Names of certificates. The SNI picks: exact names before one-label wildcards, among equals
    /// by the client's signature algorithms (ECDSA beside RSA), then by order. The first is the
    /// default for clients without SNI or with an unknown one. One that could not be read is not
    /// in [`super::Proxy::certificates`]; one that is there may still be unusable.
    pub certificates: Vec<String>,
    /// Lowest version spoken.
    pub version_min: TlsVersion,
    /// Highest version spoken.
    pub version_max: TlsVersion,
    /// Cipher suites by their IANA names, in order of preference. Empty = all safe ones.
    pub cipher_suites: Vec<String>,
    /// Whether and how clients show a certificate.
    pub client: Option<ClientAuth>,
    /// How long a session can be resumed; zero = never. Keys of tickets rotate within it.
    pub resumption: Duration,
    /// 0-RTT data is taken, for safe methods only; the rest gets 425.
    pub early_data: bool,
}

/// A TLS version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TlsVersion {
    /// RFC 5246.
    #[serde(rename = "1.2")]
    V1_2,
    /// RFC 8446.
    #[serde(rename = "1.3")]
    V1_3,
}

/// How clients show a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientAuth {
    /// Authorities, PEM.
    pub authorities: Vec<u8>,
    /// What happens without a valid one.
    pub mode: ClientAuthMode,
}

/// What happens to a client without a valid certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuthMode {
    /// The handshake fails.
    Required,
    /// Without one it passes; with an invalid one the handshake fails.
    Optional,
    /// It passes, even with an invalid one (Gateway API, `AllowInsecureFallback`).
    InsecureFallback,
}

/// How TLS is spoken to endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpstreamTls {
    /// Server name sent and verified; `None` = the endpoint's host name, if it has one.
    pub server_name: Option<String>,
    /// How the endpoint's certificate is verified.
    pub verify: Verify,
    /// If not empty, one of these must be among the certificate's subject alternative names, and
    /// `server_name` is only sent (Gateway API, `BackendTLSPolicy.validation.subjectAltNames`).
    pub subject_alt_names: Vec<SubjectAltName>,
    /// Name of the certificate shown to endpoints that ask. It may not be there: see
    /// [`ListenerTls::certificates`].
    pub certificate: Option<String>,
}

/// How an endpoint's certificate is verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// Against the system's authorities.
    System,
    /// Against these, PEM.
    Authorities(Vec<u8>),
    /// Not at all. Anyone on the way can read and change what is sent.
    Insecure,
}

/// A subject alternative name (RFC 5280, section 4.2.1.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectAltName {
    /// A DNS name; may begin with `*.`, which stands for one label.
    Dns(String),
    /// A URI, such as a SPIFFE id; compared as it is.
    Uri(String),
}
