//! Authorities, certificates, listeners and clients.

use crate::{
    io::Prefixed,
    secure::{Alpn, Certificates, SecureError, Secured, ServerTls, TlsListener, policy::provider},
};
use lb_model::{
    Certificate, ClientAuth, ClientAuthMode, HostPattern, ListenerTls, Secret, Table, TlsVersion,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, SanType,
};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use std::{io, sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Far more than a handshake takes.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// Signs certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

/// Which key a certificate has.
#[derive(Clone, Copy)]
pub(super) enum Key {
    Ecdsa,
    Rsa,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority of a test");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for these names; those with `:` are URIs.
    pub(super) fn certificate(&self, names: &[&str]) -> Certificate {
        self.certificate_with(names, Key::Ecdsa, |_| {})
    }

    pub(super) fn certificate_with(
        &self,
        names: &[&str],
        key: Key,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Certificate {
        let (uris, dns): (Vec<&str>, Vec<&str>) = names.iter().partition(|it| it.contains(':'));
        let dns: Vec<String> = dns.into_iter().map(str::to_owned).collect();
        let mut params = CertificateParams::new(dns).unwrap();
        let uris = uris.into_iter().map(|uri| SanType::URI(uri.try_into().unwrap()));
        params.subject_alt_names.extend(uris);
        change(&mut params);
        let key = KeyPair::generate_for(match key {
            Key::Ecdsa => &PKCS_ECDSA_P256_SHA256,
            Key::Rsa => &PKCS_RSA_SHA256,
        })
        .unwrap();
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        Certificate {
            chain: leaf.pem().into_bytes(),
            key: Secret::new(key.serialize_pem().into_bytes()),
            ocsp: None,
            origin: "a test".to_owned(),
        }
    }

    pub(super) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        roots
    }
}

/// Certificates by name, read.
pub(super) fn certificates(all: &[(&str, Certificate)]) -> Certificates {
    let all: Table<_, _> = all.iter().map(|(name, it)| ((*name).to_owned(), it.clone())).collect();
    Certificates::compile(&all, None)
}

/// TLS with these certificates.
pub(super) fn tls(certificates: &[&str]) -> ListenerTls {
    ListenerTls {
        certificates: certificates.iter().map(|it| (*it).to_owned()).collect(),
        version_min: TlsVersion::V1_2,
        version_max: TlsVersion::V1_3,
        cipher_suites: Vec::new(),
        client: None,
        resumption: Duration::from_hours(2),
        early_data: false,
    }
}

pub(super) fn client_auth(authority: &Authority, mode: ClientAuthMode) -> ClientAuth {
    ClientAuth { authorities: authority.pem.clone().into_bytes(), mode }
}

/// Listeners by host, named as their hosts.
pub(super) fn server(
    listeners: &[(&str, ListenerTls)],
    certificates: &Certificates,
    previous: Option<&ServerTls>,
) -> ServerTls {
    let hosts: Vec<HostPattern> = listeners.iter().map(|it| it.0.parse().unwrap()).collect();
    let listeners = listeners.iter().zip(&hosts).map(|((name, tls), host)| TlsListener {
        name: (*name).into(),
        host,
        tls,
        alpn: Alpn::Http2,
    });
    ServerTls::compile(&listeners.collect::<Vec<_>>(), certificates, previous)
}

/// A client that believes `authority`.
pub(super) fn client(authority: &Authority) -> ClientConfig {
    client_with(authority, &[&version::TLS12, &version::TLS13], None)
}

pub(super) fn client_with(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
    shown: Option<&Certificate>,
) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(authority.roots());
    match shown {
        None => builder.with_no_client_auth(),
        Some(shown) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(&shown.chain).unwrap()],
                PrivateKeyDer::from_pem_slice(shown.key.expose()).unwrap(),
            )
            .unwrap(),
    }
}

/// Both ends of a TCP connection over loopback: client's, server's.
pub(super) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connecting = TcpStream::connect(listener.local_addr().unwrap());
    let (client, server) = tokio::join!(connecting, listener.accept());
    (client.unwrap(), server.unwrap().0)
}

type Both = (io::Result<TlsStream<TcpStream>>, Result<Secured, SecureError>);

/// Has a handshake; an address as `name` sends no SNI.
pub(super) async fn handshake(server: &ServerTls, client: &Arc<ClientConfig>, name: &str) -> Both {
    let (near, far) = pair().await;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connecting = TlsConnector::from(Arc::clone(client)).connect(name, near);
    tokio::join!(connecting, server.accept(Prefixed::new(far), TIMEOUT))
}

/// The names of the certificate that the client was shown.
pub(super) fn shown(stream: &TlsStream<TcpStream>) -> Vec<String> {
    let leaf = &stream.get_ref().1.peer_certificates().unwrap()[0];
    let pem = Certificate {
        chain: pem_of(leaf).into_bytes(),
        key: Secret::new(Vec::new()),
        ocsp: None,
        origin: String::new(),
    };
    certificates(&[("shown", pem)]).report()[0].names.clone()
}

/// What kind of key the certificate has that the client was shown.
pub(super) fn shown_key(stream: &TlsStream<TcpStream>) -> String {
    let leaf = &stream.get_ref().1.peer_certificates().unwrap()[0];
    let (_, leaf) = x509_parser::parse_x509_certificate(leaf).unwrap();
    leaf.public_key().algorithm.algorithm.to_id_string()
}

fn pem_of(der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
