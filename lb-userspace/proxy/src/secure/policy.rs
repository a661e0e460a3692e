//! What is agreed to: versions, cipher suites, key exchange, ALPN.

use lb_model::{ListenerTls, TlsVersion};
use rustls::{
    CipherSuite, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    version::{TLS12, TLS13},
};
use std::sync::{Arc, OnceLock};

/// What a listener offers by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// `h2` before `http/1.1`.
    Http2,
    /// `http/1.1` only.
    Http1,
    /// Nothing: what is in it is no business of the proxy.
    None,
}

impl Alpn {
    pub(super) fn protocols(self) -> Vec<Vec<u8>> {
        match self {
            Self::Http2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Self::Http1 => vec![b"http/1.1".to_vec()],
            Self::None => Vec::new(),
        }
    }
}

/// Whether this is the IANA name of a cipher suite that can be spoken.
pub fn is_cipher_suite(name: &str) -> bool {
    suite_of(name).is_some()
}

/// The cryptography that is used everywhere. X25519MLKEM768 is its first choice of a key exchange.
pub(super) fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        let mut provider = aws_lc_rs::default_provider();
        provider.cipher_suites.sort_by_key(|suite| cost(suite.suite()));
        Arc::new(provider)
    })
}

/// AES-128 with SHA-256 first: processors have instructions for both, but few for the SHA-384 that
/// comes with AES-256, which made a sixth of a handshake. All of them are strong enough.
const fn cost(suite: CipherSuite) -> u8 {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => 0,
        CipherSuite::TLS13_AES_256_GCM_SHA384 => 1,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => 2,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => 3,
        _ => 4,
    }
}

/// The cryptography with only the suites that a listener names. A version of which no suite is
/// named keeps all of its own, so that naming those of TLS 1.2 does not end TLS 1.3 (as in nginx,
/// HAProxy and Envoy); [`ListenerTls::version_max`] does that.
pub(super) fn provider_for(tls: &ListenerTls) -> Result<Arc<CryptoProvider>, String> {
    if tls.cipher_suites.is_empty() {
        return Ok(Arc::clone(provider()));
    }
    let unknown = |name: &String| format!("there is no cipher suite `{name}`");
    let mut suites = Vec::with_capacity(tls.cipher_suites.len());
    for name in &tls.cipher_suites {
        suites.push(suite_of(name).ok_or_else(|| unknown(name))?);
    }
    for version in [&TLS13, &TLS12] {
        if !suites.iter().any(|suite| suite.version().version == version.version) {
            let all = provider().cipher_suites.iter().copied();
            suites.extend(all.filter(|suite| suite.version().version == version.version));
        }
    }
    Ok(Arc::new(CryptoProvider { cipher_suites: suites, ..CryptoProvider::clone(provider()) }))
}

/// The versions that a listener speaks.
pub(super) fn versions(tls: &ListenerTls) -> Vec<&'static SupportedProtocolVersion> {
    let range = tls.version_min..=tls.version_max;
    [(TlsVersion::V1_3, &TLS13), (TlsVersion::V1_2, &TLS12)]
        .into_iter()
        .filter_map(|(version, supported)| range.contains(&version).then_some(supported))
        .collect()
}

/// The IANA name of a suite.
pub(super) fn suite_name(suite: CipherSuite) -> &'static str {
    let name = suite.as_str().unwrap_or_default();
    TLS13_NAMES.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, iana)| iana)
}

/// How a version is called.
pub(super) fn version_name(version: rustls::ProtocolVersion) -> &'static str {
    match version {
        rustls::ProtocolVersion::TLSv1_3 => "TLSv1.3",
        rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2",
        _ => "",
    }
}

/// Seconds since the Unix epoch.
pub(super) fn now_s() -> i64 {
    i64::try_from(rustls_pki_types::UnixTime::now().as_secs()).unwrap_or(i64::MAX)
}

/// rustls gives the suites of TLS 1.3 names of its own.
const TLS13_NAMES: [(&str, &str); 3] = [
    ("TLS13_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
    ("TLS13_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
    ("TLS13_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
];

fn suite_of(name: &str) -> Option<SupportedCipherSuite> {
    provider().cipher_suites.iter().copied().find(|suite| suite_name(suite.suite()) == name)
}
