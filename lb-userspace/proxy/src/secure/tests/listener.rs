//! What a listener agrees to, and which certificate it shows.

use super::fixture::*;
use crate::secure::{Certificates, SecureError, policy::provider};
use lb_model::{Certificate, Secret, TlsVersion};
use rcgen::date_time_ymd;
use rustls::{NamedGroup, crypto::CryptoProvider, version};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn the_server_name_picks_the_listener_and_its_certificate() {
    let authority = Authority::new();
    let all = certificates(&[
        ("exact", authority.certificate(&["a.shop.example"])),
        ("wild", authority.certificate(&["*.shop.example"])),
        ("other", authority.certificate(&["shop.example"])),
    ]);
    let server = server(
        &[("*.shop.example", tls(&["wild", "exact"])), ("*.example", tls(&["other"]))],
        &all,
        None,
    );
    let client = Arc::new(client(&authority));
    for (name, listener, certificate) in [
        ("a.shop.example", "*.shop.example", "a.shop.example"),
        ("b.shop.example", "*.shop.example", "*.shop.example"),
        ("B.Shop.Example", "*.shop.example", "*.shop.example"),
        ("shop.example", "*.example", "shop.example"),
    ] {
        let (near, far) = handshake(&server, &client, name).await;
        let far = far.unwrap();
        assert_eq!(&*far.listener, listener, "{name}");
        assert_eq!(shown(&near.unwrap()), [certificate], "{name}");
        assert_eq!(far.session.server_name.as_deref(), Some(&*name.to_ascii_lowercase()));
        assert_eq!(server.listener_for(name), Some(&far.listener));
    }
}

#[tokio::test]
async fn a_wildcard_certificate_is_for_one_label_only() {
    let authority = Authority::new();
    let all = certificates(&[
        ("default", authority.certificate(&["default.example"])),
        ("wild", authority.certificate(&["*.shop.example"])),
    ]);
    let server = server(&[("*", tls(&["default", "wild"]))], &all, None);
    let client = Arc::new(client(&authority));
    // The first certificate is shown, which is not for this name either: the client says so.
    let (near, far) = handshake(&server, &client, "a.b.shop.example").await;
    assert!(near.is_err());
    assert_eq!(far.err(), Some(SecureError::CertificateRefused));
    assert_eq!(server.certificates_for("*", "a.b.shop.example"), Vec::<String>::new());
    assert_eq!(server.certificates_for("*", "a.shop.example"), ["wild"]);
}

#[tokio::test]
async fn a_name_that_no_listener_serves_is_told_so() {
    let authority = Authority::new();
    let all = certificates(&[("a", authority.certificate(&["a.example"]))]);
    let server = server(&[("a.example", tls(&["a"]))], &all, None);
    let client = Arc::new(client(&authority));
    for name in ["b.example", "127.0.0.1"] {
        let (near, far) = handshake(&server, &client, name).await;
        assert!(near.unwrap_err().to_string().contains("UnrecognisedName"), "{name}");
        assert_eq!(far.err(), Some(SecureError::NameUnknown), "{name}");
    }
}

#[tokio::test]
async fn a_client_gets_the_key_that_it_can_verify() {
    let authority = Authority::new();
    let all = certificates(&[
        ("rsa", authority.certificate_with(&["a.example"], Key::Rsa, |_| {})),
        ("ecdsa", authority.certificate(&["a.example"])),
    ]);
    let server = server(&[("*", tls(&["rsa", "ecdsa"]))], &all, None);
    let both = Arc::new(client(&authority));
    let (near, _) = handshake(&server, &both, "a.example").await;
    assert_eq!(shown_key(&near.unwrap()), EC, "a client that can do both likes it better");

    let mut suites = provider().cipher_suites.clone();
    suites.retain(|it| format!("{:?}", it.suite()).contains("ECDHE_RSA"));
    let old = CryptoProvider { cipher_suites: suites, ..CryptoProvider::clone(provider()) };
    let old = rustls::ClientConfig::builder_with_provider(Arc::new(old))
        .with_protocol_versions(&[&version::TLS12])
        .unwrap()
        .with_root_certificates(authority.roots())
        .with_no_client_auth();
    for name in ["a.example", "127.0.0.1"] {
        let (near, far) = handshake(&server, &Arc::new(old.clone()), name).await;
        assert!(far.is_ok() || name == "127.0.0.1");
        if let Ok(near) = near {
            assert_eq!(shown_key(&near), RSA, "{name}");
        }
    }
}

#[tokio::test]
async fn versions_and_cipher_suites_are_what_the_listener_says() {
    let authority = Authority::new();
    let all = certificates(&[("a", authority.certificate(&["a.example"]))]);
    let mut strict = tls(&["a"]);
    strict.cipher_suites = vec!["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256".to_owned()];
    let new = server(&[("*", strict.clone())], &all, None);
    let old_client = Arc::new(client_with(&authority, &[&version::TLS12], None));
    let (near, far) = handshake(&new, &old_client, "a.example").await;
    near.unwrap();
    let session = far.unwrap().session;
    assert_eq!(session.version, "TLSv1.2");
    assert_eq!(session.cipher_suite, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");

    strict.version_min = TlsVersion::V1_3;
    let new = server(&[("*", strict.clone())], &all, None);
    let (near, far) = handshake(&new, &old_client, "a.example").await;
    assert!(near.is_err());
    assert_eq!(far.err(), Some(SecureError::VersionMismatch));
    let (near, far) = handshake(&new, &Arc::new(client(&authority)), "a.example").await;
    near.unwrap();
    let session = far.unwrap().session;
    assert_eq!((session.version, session.is_http2), ("TLSv1.3", false));
    assert_eq!(session.cipher_suite, "TLS_AES_128_GCM_SHA256");

    strict.cipher_suites = vec!["TLS_RSA_WITH_NULL_MD5".to_owned()];
    let wrong = server(&[("*", strict)], &all, None);
    assert!(wrong.report()[0].problems[0].contains("TLS_RSA_WITH_NULL_MD5"));
}

#[tokio::test]
async fn the_key_exchange_is_post_quantum_if_the_client_can() {
    let authority = Authority::new();
    let all = certificates(&[("a", authority.certificate(&["a.example"]))]);
    let server = server(&[("*", tls(&["a"]))], &all, None);
    let mut config = client(&authority);
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2".to_vec()];
    let (near, far) = handshake(&server, &Arc::new(config), "a.example").await;
    let near = near.unwrap();
    let group = near.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    assert!(far.unwrap().session.is_http2);
}

#[tokio::test]
async fn a_listener_without_a_usable_certificate_says_so_and_others_work() {
    let authority = Authority::new();
    let mut misfit = authority.certificate(&["a.example"]);
    misfit.key = authority.certificate(&["a.example"]).key;
    let all = certificates(&[("misfit", misfit), ("b", authority.certificate(&["b.example"]))]);
    let server = server(
        &[("a.example", tls(&["misfit", "missing"])), ("b.example", tls(&["b", "misfit"]))],
        &all,
        None,
    );
    let client = Arc::new(client(&authority));
    let (near, far) = handshake(&server, &client, "a.example").await;
    assert!(near.unwrap_err().to_string().contains("HandshakeFailure"));
    assert_eq!(far.err(), Some(SecureError::NoCertificate));
    assert!(handshake(&server, &client, "b.example").await.1.is_ok());

    let report = server.report();
    assert_eq!((report[0].is_usable, report[1].is_usable), (false, true));
    assert_eq!(
        report[0].problems,
        [
            "certificate misfit: the key does not fit the chain's first certificate",
            "there is no certificate missing",
            "no certificate can be used",
        ]
    );
    assert_eq!(report[1].problems.len(), 1);
}

#[test]
fn certificates_are_accounted_for() {
    let authority = Authority::new();
    let old = authority.certificate_with(&["old.example", "spiffe://a/b"], Key::Ecdsa, |it| {
        it.not_before = date_time_ymd(2001, 1, 1);
        it.not_after = date_time_ymd(2002, 1, 1);
    });
    let garbage = Certificate { chain: b"garbage".to_vec(), ..old.clone() };
    let no_key = Certificate { key: Secret::new(b"garbage".to_vec()), ..old.clone() };
    let good = authority.certificate_with(&["*.good.example"], Key::Rsa, |_| {});
    let all = certificates(&[("1", old), ("2", garbage), ("3", no_key), ("4", good)]);
    let report = all.report();
    assert_eq!(report[0].names, ["old.example", "spiffe://a/b"]);
    assert_eq!((report[0].not_before_s, report[0].not_after_s), (978_307_200, 1_009_843_200));
    assert_eq!(report[0].key, "ECDSA P-256");
    assert_eq!(report[0].why.as_deref(), Some("expired"));
    assert_eq!(report[1].why.as_deref(), Some("the chain has no certificate"));
    assert!(report[2].why.as_deref().unwrap().starts_with("the key is not PEM"));
    assert_eq!((report[3].is_usable, &*report[3].key), (true, "RSA 2048"));
    assert_eq!(report[3].fingerprint.len(), 64);
}

#[tokio::test]
async fn a_new_certificate_is_shown_at_once_and_old_connections_go_on() {
    let authority = Authority::new();
    let mut config =
        lb_model::Table::from([("a".to_owned(), authority.certificate(&["a.example"]))]);
    let before = Certificates::compile(&config, None);
    let server_before = server(&[("*", tls(&["a"]))], &before, None);
    let client = Arc::new(client(&authority));
    let (near, far) = handshake(&server_before, &client, "a.example").await;
    let (mut near, mut far) = (near.unwrap(), far.unwrap());

    config.insert("a".to_owned(), authority.certificate(&["a.example", "b.example"]));
    let after = Certificates::compile(&config, Some(&before));
    let server_after = server(&[("*", tls(&["a"]))], &after, Some(&server_before));
    drop(server_before);
    let (renewed, _) = handshake(&server_after, &client, "b.example").await;
    assert_eq!(shown(&renewed.unwrap()), ["a.example", "b.example"]);

    near.write_all(b"still").await.unwrap();
    let mut read = [0; 5];
    far.io.read_exact(&mut read).await.unwrap();
    assert_eq!(&read, b"still");
}

#[tokio::test]
async fn what_is_not_tls_is_told_from_what_goes_away() {
    let authority = Authority::new();
    let all = certificates(&[("a", authority.certificate(&["a.example"]))]);
    let server = server(&[("*", tls(&["a"]))], &all, None);
    for (sent, error) in [
        (&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], SecureError::NotTls),
        (&b"\x16\x03\x01"[..], SecureError::ClientGone),
    ] {
        let (mut near, far) = pair().await;
        near.write_all(sent).await.unwrap();
        near.shutdown().await.unwrap();
        let result = server.accept(crate::io::Prefixed::new(far), TIMEOUT).await;
        assert_eq!(result.err(), Some(error));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_says_nothing_is_not_waited_for_long() {
    let authority = Authority::new();
    let all = certificates(&[("a", authority.certificate(&["a.example"]))]);
    let server = server(&[("*", tls(&["a"]))], &all, None);
    let (_near, far) = pair().await;
    let result = server.accept(crate::io::Prefixed::new(far), TIMEOUT).await;
    assert_eq!(result.err(), Some(SecureError::Timeout));
}

#[tokio::test]
async fn an_ocsp_response_is_stapled() {
    let authority = Authority::new();
    let mut certificate = authority.certificate(&["a.example"]);
    certificate.ocsp = Some(b"a response".to_vec());
    let all = certificates(&[("a", certificate)]);
    let server = server(&[("*", tls(&["a"]))], &all, None);
    let mut config = client(&authority);
    let stapled = Arc::new(Stapled::default());
    config.dangerous().set_certificate_verifier(Arc::clone(&stapled) as _);
    handshake(&server, &Arc::new(config), "a.example").await.0.unwrap();
    assert_eq!(*stapled.0.lock().unwrap(), b"a response");
}

/// Object identifiers of the keys (RFC 5480, RFC 8017).
const EC: &str = "1.2.840.10045.2.1";
const RSA: &str = "1.2.840.113549.1.1.1";

/// Remembers what was stapled.
#[derive(Debug, Default)]
struct Stapled(std::sync::Mutex<Vec<u8>>);

impl rustls::client::danger::ServerCertVerifier for Stapled {
    fn verify_server_cert(
        &self,
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &[rustls_pki_types::CertificateDer<'_>],
        _: &rustls_pki_types::ServerName<'_>,
        ocsp: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = ocsp.to_vec();
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
