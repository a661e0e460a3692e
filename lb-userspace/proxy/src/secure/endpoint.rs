//! TLS to endpoints.

use super::{
    authorities::Authorities,
    certificate::Certificates,
    policy::provider,
    verify::{Anyone, NamedOneOf},
};
use crate::{http::Reason, io::Io, send::SendError};
use lb_model::{SubjectAltName, UpstreamProtocol, UpstreamTls, Verify};
use rustls::{
    ClientConfig,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    sign::SingleCertAndKey,
};
use rustls_pki_types::ServerName;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Sessions remembered per upstream, for all its endpoints: eight for each of 256 names.
const REMEMBERED_MAX: usize = 2_048;

/// TLS to the endpoints of an upstream.
#[derive(Debug)]
pub struct ClientTls {
    identity: u64,
    server_name: Option<ServerName<'static>>,
    is_http2_sure: bool,
    config: Arc<ClientConfig>,
}

/// Why TLS cannot be spoken to the endpoints of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientTlsError {
    /// The server name is neither a DNS name nor an address.
    #[error("`{0}` is not a server name")]
    ServerName(String),
    /// The authorities cannot be read.
    #[error("authorities: {0}")]
    Authorities(String),
    /// The certificate to show is not there or cannot be used.
    #[error("certificate {name}: {why}")]
    Certificate {
        /// Its name.
        name: String,
        /// Why.
        why: String,
    },
    /// The cryptography cannot do it.
    #[error("{0}")]
    Tls(String),
}

impl ClientTls {
    /// Reads what is needed. If nothing changed it is `previous`, with its sessions.
    pub fn compile(
        tls: &UpstreamTls,
        protocol: UpstreamProtocol,
        certificates: &Certificates,
        previous: Option<&Arc<Self>>,
    ) -> Result<Arc<Self>, ClientTlsError> {
        let authorities = authorities_of(tls, certificates)?;
        let identity = identity(tls, protocol, certificates, authorities.as_ref());
        if let Some(same) = previous.filter(|it| it.identity == identity) {
            return Ok(Arc::clone(same));
        }
        let server_name = tls.server_name.as_deref().map(server_name).transpose()?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientTlsError::Tls(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(verifier(tls, authorities)?);
        let mut config = match &tls.certificate {
            None => builder.with_no_client_auth(),
            Some(name) => builder.with_client_cert_resolver(shown(name, certificates)?),
        };
        config.resumption = Resumption::in_memory_sessions(REMEMBERED_MAX);
        config.alpn_protocols = match protocol {
            UpstreamProtocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            UpstreamProtocol::Http1 => vec![b"http/1.1".to_vec()],
            UpstreamProtocol::Http2 => vec![b"h2".to_vec()],
        };
        let is_http2_sure = protocol == UpstreamProtocol::Http2;
        Ok(Arc::new(Self { identity, server_name, is_http2_sure, config: Arc::new(config) }))
    }

    /// Tells settings apart: connections made with the same may serve for each other.
    pub fn identity(&self) -> u64 {
        self.identity
    }

    /// Has the handshake over `stream`: what comes out of it, and whether HTTP/2 is to be spoken.
    /// Without a server name of its own the upstream's endpoint is asked for, and verified, by
    /// `endpoint_host`, or else by its address. The caller limits the time.
    pub async fn connect(
        &self,
        stream: TcpStream,
        endpoint_host: Option<&str>,
    ) -> Result<(Io, bool), SendError> {
        let failed = SendError::unseen(Reason::UpstreamTlsFailed);
        let name = match (&self.server_name, endpoint_host) {
            (Some(name), _) => name.clone(),
            (None, Some(host)) => server_name(host).map_err(|_| failed)?,
            (None, None) => ServerName::from(stream.peer_addr().map_err(|_| failed)?.ip()),
        };
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = connector.connect(name, stream).await.map_err(|error| {
            tracing::debug!(%error, "an endpoint's handshake failed");
            failed
        })?;
        let is_http2 = self.is_http2_sure || stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Io::ClientTls(Box::new(stream)), is_http2))
    }
}

fn server_name(text: &str) -> Result<ServerName<'static>, ClientTlsError> {
    ServerName::try_from(text.strip_suffix('.').unwrap_or(text).to_owned())
        .map_err(|_| ClientTlsError::ServerName(text.to_owned()))
}

fn authorities_of(
    tls: &UpstreamTls,
    certificates: &Certificates,
) -> Result<Option<Authorities>, ClientTlsError> {
    let read = match &tls.verify {
        Verify::Insecure => return Ok(None),
        Verify::System => certificates.system().authorities(),
        Verify::Authorities(pem) => Authorities::read(pem),
    };
    read.map(Some).map_err(ClientTlsError::Authorities)
}

fn verifier(
    tls: &UpstreamTls,
    authorities: Option<Authorities>,
) -> Result<Arc<dyn ServerCertVerifier>, ClientTlsError> {
    let Some(Authorities { store: authorities, .. }) = authorities else {
        return Ok(Arc::new(Anyone));
    };
    if !tls.subject_alt_names.is_empty() {
        return Ok(Arc::new(NamedOneOf { authorities, names: tls.subject_alt_names.clone() }));
    }
    WebPkiServerVerifier::builder_with_provider(authorities, Arc::clone(provider()))
        .build()
        .map(|verifier| verifier as Arc<dyn ServerCertVerifier>)
        .map_err(|error| ClientTlsError::Authorities(error.to_string()))
}

fn shown(name: &str, certificates: &Certificates) -> Result<Arc<SingleCertAndKey>, ClientTlsError> {
    let wrong = |why: &str| ClientTlsError::Certificate { name: name.into(), why: why.into() };
    let loaded = certificates.find(name).ok_or_else(|| wrong("it is not there"))?;
    let key = loaded.key().map_err(wrong)?;
    Ok(Arc::new(SingleCertAndKey::from(Arc::clone(key))))
}

/// Equal for equal settings in all processes of a build, so that logs can be compared.
fn identity(
    tls: &UpstreamTls,
    protocol: UpstreamProtocol,
    certificates: &Certificates,
    authorities: Option<&Authorities>,
) -> u64 {
    let mut hash = Sha256::new();
    let mut add = |tag: u8, part: &[u8]| {
        hash.update([tag]);
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(0, &[protocol as u8]);
    if let Some(name) = &tls.server_name {
        add(1, name.as_bytes());
    }
    if let Some(authorities) = authorities {
        add(2, &authorities.digest);
    }
    for name in &tls.subject_alt_names {
        match name {
            SubjectAltName::Dns(name) => add(3, name.as_bytes()),
            SubjectAltName::Uri(uri) => add(4, uri.as_bytes()),
        }
    }
    if let Some(loaded) = tls.certificate.as_ref().and_then(|name| certificates.find(name)) {
        add(5, loaded.digest());
    }
    let digest: [u8; 32] = hash.finalize().into();
    digest.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}
