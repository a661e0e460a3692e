//! Certificates of clients.

use super::fixture::*;
use crate::secure::SecureError;
use lb_model::ClientAuthMode::{self, InsecureFallback, Optional, Required};
use rustls::version;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;

/// What became of a client.
#[derive(Debug, PartialEq)]
enum Became {
    Anonymous,
    Valid,
    Invalid,
    Refused(SecureError),
}

async fn outcome(mode: ClientAuthMode, shows: Option<bool>) -> Became {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let all = certificates(&[("a", ours.certificate(&["a.example"]))]);
    let mut tls = tls(&["a"]);
    tls.client = Some(client_auth(&ours, mode));
    let server = server(&[("*", tls)], &all, None);
    let shown = shows.map(|is_ours| if is_ours { &ours } else { &foreign });
    let shown = shown.map(|it| it.certificate(&["client.example"]));
    let client = client_with(&ours, &[&version::TLS13], shown.as_ref());
    let (near, far) = handshake(&server, &Arc::new(client), "a.example").await;
    match far {
        Err(error) => {
            // With TLS 1.3 a client learns of it when it reads.
            let read = async { near?.read(&mut [0]).await };
            assert!(read.await.is_err(), "{error}");
            Became::Refused(error)
        }
        Ok(far) => match far.session.client_certificate {
            None => Became::Anonymous,
            Some(certificate) if certificate.is_valid => Became::Valid,
            Some(_) => Became::Invalid,
        },
    }
}

#[tokio::test]
async fn required_lets_in_only_those_with_a_valid_certificate() {
    let refused = Became::Refused;
    assert_eq!(outcome(Required, None).await, refused(SecureError::ClientCertificateMissing));
    assert_eq!(outcome(Required, Some(true)).await, Became::Valid);
    assert_eq!(
        outcome(Required, Some(false)).await,
        refused(SecureError::ClientCertificateInvalid)
    );
}

#[tokio::test]
async fn optional_lets_in_those_without_but_not_with_an_invalid_one() {
    let refused = Became::Refused;
    assert_eq!(outcome(Optional, None).await, Became::Anonymous);
    assert_eq!(outcome(Optional, Some(true)).await, Became::Valid);
    assert_eq!(
        outcome(Optional, Some(false)).await,
        refused(SecureError::ClientCertificateInvalid)
    );
}

#[tokio::test]
async fn insecure_fallback_lets_in_everyone_and_tells_who_is_valid() {
    assert_eq!(outcome(InsecureFallback, None).await, Became::Anonymous);
    assert_eq!(outcome(InsecureFallback, Some(true)).await, Became::Valid);
    assert_eq!(outcome(InsecureFallback, Some(false)).await, Became::Invalid);
}

#[tokio::test]
async fn a_resumed_session_is_as_valid_as_its_certificate() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let all = certificates(&[("a", ours.certificate(&["a.example"]))]);
    let mut tls = tls(&["a"]);
    tls.client = Some(client_auth(&ours, InsecureFallback));
    let server = server(&[("*", tls)], &all, None);
    for (authority, is_valid) in [(&ours, true), (&foreign, false)] {
        let shown = authority.certificate(&["client.example"]);
        let client = client_with(&ours, &[&version::TLS12], Some(&shown));
        let client = Arc::new(client);
        for is_resumed in [false, true] {
            let (near, far) = handshake(&server, &client, "a.example").await;
            near.unwrap();
            let session = far.unwrap().session;
            assert_eq!(session.is_resumed, is_resumed);
            assert_eq!(session.client_certificate.unwrap().is_valid, is_valid);
        }
    }
}

#[test]
fn authorities_that_cannot_be_read_close_the_listener() {
    let ours = Authority::new();
    let all = certificates(&[("a", ours.certificate(&["a.example"]))]);
    let mut tls = tls(&["a"]);
    tls.client = Some(lb_model::ClientAuth { authorities: Vec::new(), mode: Optional });
    let report = server(&[("*", tls)], &all, None).report();
    assert!(!report[0].is_usable);
    assert_eq!(report[0].problems, ["authorities of clients: there is no authority in it"]);
}
