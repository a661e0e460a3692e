//! TLS to endpoints.

use super::fixture::*;
use crate::{
    http::Reason,
    secure::{Certificates, ClientTls, ClientTlsError, SecureError, ServerTls},
};
use lb_model::{
    Certificate, ClientAuthMode, SubjectAltName, UpstreamProtocol, UpstreamTls, Verify,
};
use std::sync::Arc;

fn upstream(authority: &Authority) -> UpstreamTls {
    UpstreamTls {
        server_name: None,
        verify: Verify::Authorities(authority.pem.clone().into_bytes()),
        subject_alt_names: Vec::new(),
        certificate: None,
    }
}

fn compile(tls: &UpstreamTls) -> Arc<ClientTls> {
    ClientTls::compile(tls, UpstreamProtocol::Auto, &Certificates::default(), None).unwrap()
}

/// An endpoint that shows this certificate whatever name it is asked for by.
fn endpoint(certificate: Certificate) -> ServerTls {
    server(&[("*", tls(&["a"]))], &certificates(&[("a", certificate)]), None)
}

/// Connects: the name that the endpoint was asked for by and whether HTTP/2 is to be spoken.
async fn connect(
    client: &ClientTls,
    server: &ServerTls,
    host: Option<&str>,
) -> Result<(Option<Box<str>>, bool), Reason> {
    let (near, far) = pair().await;
    let accepting = server.accept(crate::io::Prefixed::new(far), TIMEOUT);
    let (near, far) = tokio::join!(client.connect(near, host), accepting);
    let (_, is_http2) = near.map_err(|error| {
        assert!(error.is_unseen);
        error.reason
    })?;
    Ok((far.unwrap().session.server_name, is_http2))
}

#[tokio::test]
async fn an_endpoint_is_verified_by_its_authority_and_name() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let server = endpoint(ours.certificate(&["pod.example", "127.0.0.1"]));
    let client = compile(&upstream(&ours));
    let name = Some("pod.example".into());
    assert_eq!(connect(&client, &server, Some("pod.example")).await, Ok((name.clone(), true)));
    // Without a name it is verified by its address, for which there is no SNI.
    assert_eq!(connect(&client, &server, None).await, Ok((None, true)));
    let failed = Err(Reason::UpstreamTlsFailed);
    assert_eq!(connect(&client, &server, Some("other.example")).await, failed);
    assert_eq!(connect(&compile(&upstream(&foreign)), &server, Some("pod.example")).await, failed);

    let mut named = upstream(&ours);
    named.server_name = Some("pod.example".to_owned());
    assert_eq!(connect(&compile(&named), &server, Some("other.example")).await, Ok((name, true)));
}

#[tokio::test]
async fn with_alternative_names_the_server_name_is_only_sent() {
    let ours = Authority::new();
    let uri = "spiffe://cluster/pod";
    let server = endpoint(ours.certificate(&["real.example", "*.wild.example", uri]));
    let dns = |name: &str| SubjectAltName::Dns(name.to_owned());
    for (wanted, is_good) in [
        (dns("real.example"), true),
        (dns("*.example"), true),
        (dns("a.wild.example"), true),
        (dns("a.b.wild.example"), false),
        (dns("sent.example"), false),
        (SubjectAltName::Uri(uri.to_owned()), true),
        (SubjectAltName::Uri("spiffe://cluster/other".to_owned()), false),
    ] {
        let mut tls = upstream(&ours);
        tls.server_name = Some("sent.example".to_owned());
        tls.subject_alt_names = vec![dns("never.example"), wanted.clone()];
        let result = connect(&compile(&tls), &server, None).await;
        let expected = if is_good {
            Ok((Some("sent.example".into()), true))
        } else {
            Err(Reason::UpstreamTlsFailed)
        };
        assert_eq!(result, expected, "{wanted:?}");
    }
    // Names do not stand in for an authority.
    let mut tls = upstream(&Authority::new());
    tls.subject_alt_names = vec![dns("real.example")];
    assert!(connect(&compile(&tls), &server, None).await.is_err());
}

#[tokio::test]
async fn insecure_believes_everyone_and_the_system_only_its_own() {
    let ours = Authority::new();
    let expired = ours.certificate_with(&["other.example"], Key::Ecdsa, |it| {
        it.not_after = rcgen::date_time_ymd(2002, 1, 1);
    });
    let server = endpoint(expired);
    let insecure = UpstreamTls { verify: Verify::Insecure, ..upstream(&ours) };
    assert!(connect(&compile(&insecure), &server, Some("pod.example")).await.is_ok());
    assert!(connect(&compile(&upstream(&ours)), &server, Some("other.example")).await.is_err());
    let system = UpstreamTls { verify: Verify::System, ..upstream(&ours) };
    let system =
        ClientTls::compile(&system, UpstreamProtocol::Auto, &Certificates::default(), None);
    match system {
        Ok(system) => assert!(connect(&system, &server, Some("other.example")).await.is_err()),
        Err(error) => assert!(matches!(error, ClientTlsError::Authorities(_))),
    }
}

#[tokio::test]
async fn an_endpoint_that_asks_is_shown_the_certificate() {
    let ours = Authority::new();
    let all = certificates(&[
        ("a", ours.certificate(&["pod.example"])),
        ("proxy", ours.certificate(&["proxy.example"])),
    ]);
    let mut asks = tls(&["a"]);
    asks.client = Some(client_auth(&ours, ClientAuthMode::Required));
    let server = server(&[("*", asks)], &all, None);
    let shows = UpstreamTls { certificate: Some("proxy".to_owned()), ..upstream(&ours) };
    let client = ClientTls::compile(&shows, UpstreamProtocol::Auto, &all, None).unwrap();
    assert!(connect(&client, &server, Some("pod.example")).await.is_ok());

    let (near, far) = pair().await;
    let silent = compile(&upstream(&ours));
    let accepting = server.accept(crate::io::Prefixed::new(far), TIMEOUT);
    let (_, far) = tokio::join!(silent.connect(near, Some("pod.example")), accepting);
    assert_eq!(far.err(), Some(SecureError::ClientCertificateMissing));

    let missing = UpstreamTls { certificate: Some("missing".to_owned()), ..upstream(&ours) };
    let missing = ClientTls::compile(&missing, UpstreamProtocol::Auto, &all, None);
    assert!(matches!(missing, Err(ClientTlsError::Certificate { .. })));
}

#[tokio::test]
async fn the_protocol_is_what_both_speak() {
    let ours = Authority::new();
    let server = endpoint(ours.certificate(&["pod.example"]));
    for (protocol, is_http2) in [
        (UpstreamProtocol::Auto, true),
        (UpstreamProtocol::Http1, false),
        (UpstreamProtocol::Http2, true),
    ] {
        let client =
            ClientTls::compile(&upstream(&ours), protocol, &Certificates::default(), None).unwrap();
        assert_eq!(connect(&client, &server, Some("pod.example")).await.unwrap().1, is_http2);
    }
}

#[test]
fn what_did_not_change_is_kept_and_what_differs_is_told_apart() {
    let ours = Authority::new();
    let none = Certificates::default();
    let base = upstream(&ours);
    let first = compile(&base);
    let again = ClientTls::compile(&base, UpstreamProtocol::Auto, &none, Some(&first)).unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    let names = vec![SubjectAltName::Dns("a".to_owned())];
    let uris = vec![SubjectAltName::Uri("a".to_owned())];
    let different = [
        UpstreamTls { server_name: Some("a".to_owned()), ..base.clone() },
        UpstreamTls { verify: Verify::Insecure, ..base.clone() },
        UpstreamTls { subject_alt_names: names, ..base.clone() },
        UpstreamTls { subject_alt_names: uris, ..base.clone() },
        upstream(&Authority::new()),
    ];
    let mut identities: Vec<u64> = different.iter().map(|it| compile(it).identity()).collect();
    identities.push(first.identity());
    identities
        .push(ClientTls::compile(&base, UpstreamProtocol::Http1, &none, None).unwrap().identity());
    identities.sort_unstable();
    identities.dedup();
    assert_eq!(identities.len(), 7);
}
