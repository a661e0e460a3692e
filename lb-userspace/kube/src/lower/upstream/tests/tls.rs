//! TLS towards backends, and backends of their own names.

use super::*;

fn policy(name: &str, section: Option<&str>, authorities: &str) -> Value {
    json!({
        "kind": "BackendTLSPolicy", "metadata": {"name": name, "namespace": "shop"},
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": "web", "sectionName": section}],
            "validation": {
                "hostname": "web.example",
                "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": authorities}],
            },
        },
    })
}

#[test]
fn policies_put_tls_on_a_port_and_an_invalid_one_closes_it() {
    let spec = json!({"ports": [{"name": "http", "port": 80}, {"name": "plain", "port": 81}]});
    let authorities = json!({
        "kind": "ConfigMap", "metadata": {"name": "ca", "namespace": "shop"},
        "data": {"ca.crt": certificate().0},
    });
    let endpoints = json!([{"addresses": ["10.0.0.1"]}]);
    let mut both = slice("web-1", "IPv4", &http(80), &endpoints);
    both["ports"] = json!([http(80), {"name": "plain", "port": 81}]);
    let world_of = |policies: Vec<Value>| {
        let objects = vec![service(&spec), authorities.clone(), both.clone()];
        world(Options::default(), vec![objects.into_iter().chain(policies).collect()])
    };
    let valid = world_of(vec![policy("all", None, "ca"), policy("one", Some("plain"), "gone")]);
    for kind in ["HTTPRoute", "TCPRoute"] {
        let (name, upstream) = resolve_as(&valid, kind, "shop", &backend(80)).unwrap();
        assert_eq!((name.as_str(), upstream.endpoints.len()), ("shop/web:80 +tls:all", 1));
        let tls = upstream.tls.unwrap();
        assert_eq!(tls.server_name.as_deref(), Some("web.example"));
        assert!(matches!(tls.verify, Verify::Authorities(_)));
        let (name, upstream) = resolve_as(&valid, kind, "shop", &backend(81)).unwrap();
        assert_eq!((name.as_str(), upstream.endpoints.len()), ("shop/web:81 +tls:one", 0));
    }
}

#[test]
fn a_gateways_certificate_is_shown_where_tls_is_spoken() {
    let spec = json!({"ports": [{"port": 443, "appProtocol": "https"}, {"port": 80}]});
    let world = world(Options::default(), vec![vec![service(&spec)]]);
    let mut draft = Draft::new(&world);
    for (port, name) in [(443, "shop/web:443 +tls +cert:one/a/b"), (80, "shop/web:80")] {
        let found = draft.upstream(&Wanted {
            clusters: &[0],
            referrer: ("gateway.networking.k8s.io", "HTTPRoute"),
            namespace: "shop",
            backend: &backend(port),
            protocol: UpstreamProtocol::Auto,
            is_stream: false,
            client_certificate: Some("one/a/b"),
            ancestors: &[],
        });
        assert_eq!(found.as_deref(), Ok(name));
    }
    let tls = draft.desired.proxy.upstreams["shop/web:443 +tls +cert:one/a/b"].tls.clone().unwrap();
    assert_eq!(tls.certificate.as_deref(), Some("one/a/b"));
    assert_eq!(tls.server_name.as_deref(), Some("web.shop.svc"));
}

/// A chain and its key, PEM.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["web.example".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn external(spec: &Value) -> World {
    let (chain, key) = certificate();
    let backend = json!({"kind": "XBackend", "metadata": {"name": "web", "namespace": "shop", "generation": 2}, "spec": spec});
    let secret = json!({
        "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "own", "namespace": "shop"},
        "stringData": {"tls.crt": chain, "tls.key": key},
    });
    let names = vec![HostPattern::Exact("api.example.com".into())];
    world(Options { external_names: names, ..Options::default() }, vec![vec![backend, secret]])
}

#[test]
fn xbackends_say_all_themselves_and_are_told_what_came_of_it() {
    let reference = BackendRef {
        group: Some(BACKEND_GROUP.into()),
        kind: Some("XBackend".into()),
        name: "web".into(),
        ..BackendRef::default()
    };
    let spec = json!({
        "type": "ExternalHostname", "externalHostname": {"hostname": "api.example.com"},
        "port": {"port": 8443}, "protocol": "HTTP2",
        "tls": {
            "mode": "ClientAndServer", "clientCertificateRef": {"name": "own"},
            "validation": {"hostname": "origin.example", "wellKnownCACertificates": "System"},
        },
    });
    let world = external(&spec);
    let (name, upstream) = resolve(&world, &reference).unwrap();
    assert_eq!(name, "XBackend/shop/web +h2 +tls");
    assert_eq!(names(&upstream), ["one/api.example.com:8443"]);
    let tls = upstream.tls.unwrap();
    assert_eq!(tls.certificate.as_deref(), Some("one/shop/own"));
    assert_eq!((tls.server_name.as_deref(), tls.verify), (Some("origin.example"), Verify::System));

    let mut other = spec;
    other["externalHostname"]["hostname"] = json!("evil.example");
    let world = external(&other);
    let mut draft = Draft::new(&world);
    let gateway = ParentRef { name: "gw".into(), ..ParentRef::default() };
    let wanted = Wanted {
        clusters: &[0],
        referrer: ("gateway.networking.k8s.io", "HTTPRoute"),
        namespace: "shop",
        backend: &reference,
        protocol: UpstreamProtocol::Auto,
        is_stream: false,
        client_certificate: None,
        ancestors: &[gateway],
    };
    assert_eq!(draft.upstream(&wanted).unwrap_err().reason(), "UnsupportedValue");
    draft.upstream(&wanted).unwrap_err();
    report(&mut draft);
    let id = draft.id(0, ObjectKind::XBackend, &ObjectKey::new("shop", "web"));
    let crate::Status::Parents(parents) = &*draft.statuses[&id] else {
        panic!("{:?}", draft.statuses)
    };
    assert_eq!(parents.len(), 1);
    let accepted = &parents[0].conditions[0];
    assert_eq!((accepted.kind, accepted.holds, accepted.generation), ("Accepted", Some(false), 2));
}
