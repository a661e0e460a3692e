//! Sessions that go on.

use super::fixture::*;
use crate::secure::{SecureError, Secured, ServerTls};
use lb_model::{ClientAuthMode, ListenerTls};
use rustls::{ClientConfig, version};
use std::{sync::Arc, time::Duration};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A connection that ends after a byte each way, so that the client has its tickets.
async fn visit(server: &ServerTls, client: &Arc<ClientConfig>) -> Result<Secured, SecureError> {
    let (near, far) = handshake(server, client, "a.example").await;
    let mut far = far?;
    let mut near = near.unwrap();
    far.io.write_all(b"x").await.unwrap();
    far.io.flush().await.unwrap();
    near.read_exact(&mut [0]).await.unwrap();
    Ok(far)
}

async fn is_resumed(server: &ServerTls, client: &Arc<ClientConfig>) -> bool {
    visit(server, client).await.unwrap().session.is_resumed
}

#[tokio::test]
async fn sessions_are_resumed_also_after_a_new_certificate() {
    let authority = Authority::new();
    for version in [&version::TLS12, &version::TLS13] {
        let client = Arc::new(client_with(&authority, &[version], None));
        let before = certificates(&[("a", authority.certificate(&["a.example"]))]);
        let first = server(&[("*", tls(&["a"]))], &before, None);
        assert!(!is_resumed(&first, &client).await);
        assert!(is_resumed(&first, &client).await);
        let renewed = certificates(&[("a", authority.certificate(&["a.example"]))]);
        let second = server(&[("*", tls(&["a"]))], &renewed, Some(&first));
        assert!(is_resumed(&second, &client).await, "{version:?}");
        let afresh = server(&[("*", tls(&["a"]))], &renewed, None);
        assert!(!is_resumed(&afresh, &client).await, "{version:?}");
    }
}

#[tokio::test]
async fn a_session_does_not_outlive_the_policy_that_it_was_made_under() {
    let authority = Authority::new();
    let all = certificates(&[("a", authority.certificate(&["a.example"]))]);
    let client = Arc::new(client(&authority));
    let open = server(&[("*", tls(&["a"]))], &all, None);
    assert!(!is_resumed(&open, &client).await);
    let mut strict = tls(&["a"]);
    strict.client = Some(client_auth(&authority, ClientAuthMode::Required));
    let closed = server(&[("*", strict)], &all, Some(&open));
    let refused = visit(&closed, &client).await.err();
    assert_eq!(refused, Some(SecureError::ClientCertificateMissing));
}

#[tokio::test]
async fn a_session_is_not_resumed_by_another_listener() {
    let authority = Authority::new();
    let all = certificates(&[("a", authority.certificate(&["a.example", "b.example"]))]);
    let client = Arc::new(client(&authority));
    let one = server(&[("a.example", tls(&["a"]))], &all, None);
    assert!(!is_resumed(&one, &client).await);
    // The same name, now served by a listener of another name.
    let other = server(&[("*", tls(&["a"]))], &all, Some(&one));
    assert!(!is_resumed(&other, &client).await);
}

#[tokio::test]
async fn no_resumption_is_none() {
    let authority = Authority::new();
    let all = certificates(&[("a", authority.certificate(&["a.example"]))]);
    let never = ListenerTls { resumption: Duration::ZERO, ..tls(&["a"]) };
    let server = server(&[("*", never)], &all, None);
    for version in [&version::TLS12, &version::TLS13] {
        let client = Arc::new(client_with(&authority, &[version], None));
        assert!(!is_resumed(&server, &client).await);
        assert!(!is_resumed(&server, &client).await);
    }
}

#[tokio::test]
async fn early_data_comes_first_and_is_counted_if_it_was_asked_for() {
    let authority = Authority::new();
    let all = certificates(&[("a", authority.certificate(&["a.example"]))]);
    for asked in [true, false] {
        let wish = ListenerTls { early_data: asked, ..tls(&["a"]) };
        let server = server(&[("*", wish)], &all, None);
        let mut client = client(&authority);
        client.enable_early_data = true;
        let client = Arc::new(client);
        assert!(!is_resumed(&server, &client).await);

        let (near, far) = pair().await;
        let connecting = tokio_rustls::TlsConnector::from(Arc::clone(&client)).connect_with(
            "a.example".try_into().unwrap(),
            near,
            |connection| {
                assert_eq!(connection.early_data().is_some(), asked);
                if let Some(mut early) = connection.early_data() {
                    std::io::Write::write_all(&mut early, b"early").unwrap();
                }
            },
        );
        let accepting = server.accept(crate::io::Prefixed::new(far), TIMEOUT);
        let (near, far) = tokio::join!(connecting, accepting);
        let (mut near, mut far) = (near.unwrap(), far.unwrap());
        assert_eq!(far.session.early_data_bytes, if asked { 5 } else { 0 });
        assert!(far.session.is_resumed);
        near.write_all(b" late").await.unwrap();
        near.shutdown().await.unwrap();
        let mut all = String::new();
        far.io.read_to_string(&mut all).await.unwrap();
        assert_eq!(all, if asked { "early late" } else { " late" });
    }
}
