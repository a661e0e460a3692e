use crate::{
    admin::{
        Client,
        resource::{
            CertificateResource, GenerationResource, List, ListenerResource, RouteResource,
            UpstreamResource, WhyRequest, WhyResource,
        },
        server::tests::serve,
    },
    config,
    model::Desired,
};
use rcgen::{CertificateParams, KeyPair};
use std::{fs, path::Path};
use tempfile::TempDir;

const FILE: &str = r#"
interfaces: [eth0]
certificates:
  - { name: shop, chain: shop.pem, key: shop.key }
  - { name: other, chain: shop.pem, key: other.key }
listeners:
  - { name: web, vips: ["192.0.2.20:80/tcp"], protocol: http }
  - { name: safe, vips: ["192.0.2.20:443/tcp"], protocol: https, tls: { certificates: [shop] } }
  - { name: broken, vips: ["192.0.2.20:444/tcp"], protocol: https, tls: { certificates: [other] } }
routes:
  - name: shop
    listeners: [web, safe]
    hosts: [shop.example]
    rules:
      - { match: [/api], backends: [{ upstream: api, weight: 9 }] }
      - { name: rest, redirect: { scheme: https } }
upstreams:
  - { name: api, endpoints: ["10.2.0.11:8080"] }
  - { name: none, endpoints: [] }
"#;

fn desired(folder: &Path) -> Desired {
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let params = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    fs::write(folder.join("shop.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    fs::write(folder.join("shop.key"), key.serialize_pem()).unwrap();
    fs::write(folder.join("other.key"), other.serialize_pem()).unwrap();
    fs::write(folder.join("lb.yaml"), FILE).unwrap();
    config::load(&folder.join("lb.yaml")).unwrap()
}

fn start() -> (TempDir, TempDir, Client) {
    let folder = tempfile::tempdir().unwrap();
    let (directory, client) = serve(desired(folder.path()));
    (folder, directory, client)
}

#[tokio::test]
async fn lists_listeners_with_what_does_not_work() {
    let (_folder, _directory, client) = start();
    let list: List<ListenerResource> = client.get("/v1/listeners").await.unwrap();
    assert_eq!(list.kind, "ListenerList");
    let told: Vec<_> = list
        .items
        .iter()
        .map(|it| (&*it.listener, &*it.protocol, it.routes.len(), it.problems.is_empty()))
        .collect();
    assert_eq!(
        told,
        [("broken", "https", 0, false), ("safe", "https", 1, true), ("web", "http", 1, true)]
    );
    assert_eq!(list.items[1].vips, ["192.0.2.20:443/tcp"]);
}

#[tokio::test]
async fn lists_rules_with_matches_and_backends() {
    let (_folder, _directory, client) = start();
    let list: List<RouteResource> = client.get("/v1/routes").await.unwrap();
    let (api, rest) = (&list.items[0], &list.items[1]);
    assert_eq!((&*api.rule, &api.matches[..]), ("shop/0", &["prefix /api".to_owned()][..]));
    assert_eq!((api.backends[0].upstream.as_deref(), api.backends[0].weight), (Some("api"), 9));
    assert_eq!(api.requests.as_ref().map(|it| (it.total, it.p50_ms)), Some((0, None)));
    assert_eq!((&*rest.rule, &rest.filters[..]), ("shop/rest", &["answer".to_owned()][..]));
}

#[tokio::test]
async fn lists_upstreams_and_certificates() {
    let (_folder, _directory, client) = start();
    let list: List<UpstreamResource> = client.get("/v1/upstreams").await.unwrap();
    let (api, none) = (&list.items[0], &list.items[1]);
    assert_eq!((&*api.endpoints[0].state, api.endpoints[0].latency_ms), ("healthy", None));
    assert_eq!(none.problems, ["no endpoint takes new requests"]);
    let list: List<CertificateResource> = client.get("/v1/certificates").await.unwrap();
    let (other, shop) = (&list.items[0], &list.items[1]);
    assert!(!other.usable && other.reason.is_some());
    assert!(shop.usable && shop.names == ["shop.example"] && shop.listeners == ["safe"]);
}

#[tokio::test]
async fn follows_a_request() {
    let (_folder, _directory, client) = start();
    let mut request = WhyRequest {
        url: "https://shop.example/api".to_owned(),
        method: "GET".to_owned(),
        headers: Vec::new(),
        to: None,
        from: None,
    };
    let why: WhyResource = client.post("/v1/why", &request).await.unwrap();
    assert_eq!((why.kind.as_str(), why.rule.as_deref()), ("Why", Some("shop/0")));
    let tls = why.tls.unwrap();
    assert_eq!(
        (tls.server_name.as_deref(), &tls.certificates[..]),
        (Some("shop.example"), &["shop".to_owned()][..])
    );
    assert_eq!(why.packet_error.as_deref(), Some("no program is loaded"));
    request.url = "shop".to_owned();
    let error = client.post::<_, WhyResource>("/v1/why", &request).await.unwrap_err();
    assert!(error.to_string().contains("http://"), "{error}");
}

#[tokio::test]
async fn drains_an_endpoint_and_takes_it_back() {
    let (_folder, directory, client) = start();
    let path = "/v1/drains/api/10.2.0.11:8080";
    let state = async || {
        let list: List<UpstreamResource> = client.get("/v1/upstreams").await.unwrap();
        let endpoint = list.items[0].endpoints[0].clone();
        (endpoint.state, endpoint.state_reason)
    };
    let _: GenerationResource = client.set(path, true).await.unwrap();
    assert_eq!(state().await, ("draining".to_owned(), Some("drained by operator".to_owned())));
    let stored = fs::read_to_string(directory.path().join("drains.json")).unwrap();
    assert!(stored.contains("10.2.0.11:8080"), "{stored}");
    let _: GenerationResource = client.set(path, false).await.unwrap();
    assert_eq!(state().await, ("healthy".to_owned(), None));
    let error = client.set::<GenerationResource>("/v1/drains/api/none", true).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no backend `api/none`");
}
