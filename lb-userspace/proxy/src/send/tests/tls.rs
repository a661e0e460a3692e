//! Endpoints behind TLS.

use super::{
    backend::in_worker,
    dispatch::{Proxy, get, plan, text},
    model_at,
};
use crate::{
    http::Reason,
    secure::{Certificates, ClientTls},
    send::Upstream,
};
use lb_model::{UpstreamProtocol, UpstreamTls, Verify};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use std::{net::SocketAddr, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::spawn_local,
};
use tokio_rustls::TlsAcceptor;

/// A server that speaks TLS, and of these protocols the one that ALPN agrees on. Its body is the
/// protocol.
async fn start(protocols: &[&str]) -> SocketAddr {
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = PrivateKeyDer::from_pem_slice(signed.signing_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = builder.with_single_cert(vec![signed.cert.der().clone()], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    spawn_local(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let accepting = acceptor.accept(stream);
            spawn_local(async move {
                let Ok(mut stream) = accepting.await else { return };
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((_, mut respond))) = connection.accept().await {
                        let head = http::Response::new(());
                        let mut stream = respond.send_response(head, false).unwrap();
                        stream.send_data(bytes::Bytes::from_static(b"h2"), true).unwrap();
                    }
                    return;
                }
                let mut request = [0; 4_096];
                while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhttp/1.1";
                    stream.write_all(answer).await.unwrap();
                }
            });
        }
    });
    address
}

fn upstream(address: SocketAddr, protocol: UpstreamProtocol, verify: Verify) -> Arc<Upstream> {
    let tls =
        UpstreamTls { server_name: None, verify, subject_alt_names: vec![], certificate: None };
    let certificates = Certificates::default();
    let compiled = ClientTls::compile(&tls, protocol, &certificates, None).unwrap();
    let model = lb_model::Upstream { protocol, tls: Some(tls), ..model_at(&[address]) };
    Upstream::compile("shop", &model, Some(compiled), 7, None)
}

#[tokio::test]
async fn the_endpoint_and_the_configuration_agree_on_a_protocol() {
    in_worker(async {
        let (auto, http1) = (UpstreamProtocol::Auto, UpstreamProtocol::Http1);
        for (spoken, protocol, expected) in [
            (&["h2", "http/1.1"][..], auto, "h2"),
            (&["http/1.1"], auto, "http/1.1"),
            (&[], auto, "http/1.1"),
            (&["h2", "http/1.1"], http1, "http/1.1"),
        ] {
            let upstream = upstream(start(spoken).await, protocol, Verify::Insecure);
            let (proxy, plan) = (Proxy::new(), plan(&upstream));
            for _ in 0..3 {
                let (mut response, _) = proxy.dispatch(&plan, get()).await;
                assert_eq!((response.status, &*text(&mut response).await), (200, expected));
            }
            assert_eq!(upstream.snapshot().endpoints[0].connections_opened_count, 1);
        }
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_cannot_prove_who_it_is_gets_nothing() {
    in_worker(async {
        let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let verify = Verify::Authorities(other.cert.pem().into_bytes());
        let upstream = upstream(start(&[]).await, UpstreamProtocol::Auto, verify);
        let (response, _) = Proxy::new().dispatch(&plan(&upstream), get()).await;
        assert_eq!((response.status, response.reason), (502, Some(Reason::UpstreamTlsFailed)));
        assert_eq!(upstream.snapshot().endpoints[0].connect_errors_count, 1);
    })
    .await;
}
