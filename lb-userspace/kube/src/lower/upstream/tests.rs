//! References to Services, from manifests.

mod tls;

use super::*;
use crate::{Cluster, Objects, Options, World};
use lb_model::{EndpointAddress, HostPattern, Verify};
use serde_json::{Value, json};
use std::sync::Arc;

fn world(options: Options, clusters: Vec<Vec<Value>>) -> World {
    let names = ["one", "two", "three"];
    let clusters = clusters.into_iter().zip(names).map(|(manifests, name)| {
        let mut objects = Objects::default();
        for manifest in manifests {
            assert!(objects.insert(manifest).unwrap());
        }
        Cluster { name: name.to_owned(), weight: 100, objects }
    });
    World { options: Arc::new(options), clusters: clusters.collect(), ..World::default() }
}

fn service(spec: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec})
}

fn web() -> Value {
    service(&json!({"ports": [{"name": "http", "port": 80, "targetPort": "web"}]}))
}

fn slice(name: &str, family: &str, port: &Value, endpoints: &Value) -> Value {
    json!({
        "kind": "EndpointSlice", "addressType": family, "ports": [port], "endpoints": endpoints,
        "metadata": {
            "name": name, "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}
        },
    })
}

fn http(number: u16) -> Value {
    json!({"name": "http", "port": number, "protocol": "TCP"})
}

fn backend(port: u16) -> BackendRef {
    BackendRef { name: "web".to_owned(), port: Some(port), ..BackendRef::default() }
}

/// What a HTTPRoute in `shop` of all clusters gets.
fn resolve(world: &World, backend: &BackendRef) -> Result<(String, Upstream), BackendProblem> {
    resolve_as(world, "HTTPRoute", "shop", backend)
}

fn resolve_as(
    world: &World,
    kind: &'static str,
    namespace: &str,
    backend: &BackendRef,
) -> Result<(String, Upstream), BackendProblem> {
    let clusters: Vec<usize> = (0..world.clusters.len()).collect();
    let mut draft = Draft::new(world);
    let name = draft.upstream(&Wanted {
        clusters: &clusters,
        referrer: ("gateway.networking.k8s.io", kind),
        namespace,
        backend,
        protocol: UpstreamProtocol::Auto,
        is_stream: kind != "HTTPRoute",
        client_certificate: None,
        ancestors: &[],
    })?;
    let upstream = draft.desired.proxy.upstreams[&name].clone();
    Ok((name, Upstream::clone(&upstream)))
}

/// Endpoints as `NAME`, drained ones as `NAME drain`.
fn names(upstream: &Upstream) -> Vec<String> {
    let name = |(name, it): (&String, &Endpoint)| {
        if it.drain { format!("{name} drain") } else { name.clone() }
    };
    upstream.endpoints.iter().map(name).collect()
}

fn conditions(ready: bool, serving: bool, terminating: bool) -> Value {
    json!({"ready": ready, "serving": serving, "terminating": terminating})
}

#[test]
fn slices_say_which_port_and_what_is_not_said_is_ready() {
    let world = world(
        Options::default(),
        vec![vec![
            web(),
            slice(
                "web-1",
                "IPv4",
                &http(8080),
                &json!([
                    {"addresses": ["10.0.0.1"]},
                    {"addresses": ["10.0.0.2"], "conditions": {}},
                    {"addresses": ["10.0.0.3"], "conditions": {"ready": false}},
                ]),
            ),
            slice("web-2", "IPv4", &http(9090), &json!([{"addresses": ["10.0.0.4"]}])),
            slice(
                "other",
                "IPv4",
                &json!({"name": "admin", "port": 1}),
                &json!([{"addresses": ["10.0.0.5"]}]),
            ),
        ]],
    );
    let (name, upstream) = resolve(&world, &backend(80)).unwrap();
    assert_eq!(name, "shop/web:80");
    assert_eq!(names(&upstream), ["one/10.0.0.1:8080", "one/10.0.0.2:8080", "one/10.0.0.4:9090"]);
    assert_eq!(upstream.endpoints["one/10.0.0.1:8080"].weight, 100);
}

#[test]
fn what_ends_but_serves_drains_and_is_used_only_if_nothing_is_ready() {
    let ends = json!({"addresses": ["10.0.0.1"], "conditions": conditions(false, true, true)});
    let dead = json!({"addresses": ["10.0.0.2"], "conditions": conditions(false, false, true)});
    let ready = json!({"addresses": ["10.0.0.3"], "conditions": conditions(true, true, false)});
    let world_of = |endpoints: &Value| {
        let slice = slice("web-1", "IPv4", &http(80), endpoints);
        world(Options::default(), vec![vec![web(), slice]])
    };
    let of = |endpoints: &Value| names(&resolve(&world_of(endpoints), &backend(80)).unwrap().1);
    assert_eq!(of(&json!([ends, dead, ready])), ["one/10.0.0.1:80 drain", "one/10.0.0.3:80"]);
    assert_eq!(of(&json!([ends, dead])), ["one/10.0.0.1:80"]);
    assert_eq!(of(&json!([dead])), Vec::<String>::new());
}

#[test]
fn readiness_is_disregarded_where_the_service_says_so() {
    let spec = json!({"clusterIP": "None", "publishNotReadyAddresses": true, "ports": [{"name": "http", "port": 80}]});
    let endpoints =
        json!([{"addresses": ["10.0.0.1"], "conditions": conditions(false, false, false)}]);
    let objects = vec![service(&spec), slice("web-1", "IPv4", &http(80), &endpoints)];
    let world = world(Options::default(), vec![objects]);
    assert_eq!(names(&resolve(&world, &backend(80)).unwrap().1), ["one/10.0.0.1:80"]);
}

#[test]
fn an_endpoint_of_two_slices_is_one_and_as_well_as_the_better_says() {
    let unready =
        json!([{"addresses": ["10.0.0.1"], "conditions": conditions(false, false, false)}]);
    let ready = json!([{"addresses": ["10.0.0.1"], "conditions": conditions(true, true, false)}]);
    for (first, second) in [(&unready, &ready), (&ready, &unready)] {
        let objects = vec![
            web(),
            slice("web-1", "IPv4", &http(80), first),
            slice("web-2", "IPv4", &http(80), second),
        ];
        let world = world(Options::default(), vec![objects]);
        assert_eq!(names(&resolve(&world, &backend(80)).unwrap().1), ["one/10.0.0.1:80"]);
    }
}

#[test]
fn a_pod_with_both_families_is_one_endpoint_of_the_first() {
    let pod = |uid: &str, address: &str| json!({"addresses": [address], "targetRef": {"uid": uid}});
    let of = |families: &[&str]| {
        let spec = json!({"ipFamilies": families, "ports": [{"name": "http", "port": 80}]});
        let objects = vec![
            service(&spec),
            slice("v4", "IPv4", &http(80), &json!([pod("a", "10.0.0.1")])),
            slice("v6", "IPv6", &http(80), &json!([pod("a", "fd00::1"), pod("b", "fd00::2")])),
        ];
        names(&resolve(&world(Options::default(), vec![objects]), &backend(80)).unwrap().1)
    };
    assert_eq!(of(&["IPv4", "IPv6"]), ["one/10.0.0.1:80", "one/[fd00::2]:80"]);
    assert_eq!(of(&["IPv6", "IPv4"]), ["one/[fd00::1]:80", "one/[fd00::2]:80"]);
}

#[test]
fn ports_of_udp_are_for_udp_routes() {
    let spec = json!({"ports": [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53},
    ]});
    let udp = json!({"name": "dns", "port": 5353, "protocol": "UDP"});
    let tcp = json!({"name": "dns-tcp", "port": 5300, "protocol": "TCP"});
    let mut both = slice("web-1", "IPv4", &udp, &json!([{"addresses": ["10.0.0.1"]}]));
    both["ports"] = json!([udp, tcp]);
    let world = world(Options::default(), vec![vec![service(&spec), both]]);
    let (name, upstream) = resolve_as(&world, "UDPRoute", "shop", &backend(53)).unwrap();
    assert_eq!(
        (name.as_str(), names(&upstream)),
        ("shop/web:53 +udp", vec!["one/10.0.0.1:5353".to_owned()])
    );
    let (name, upstream) = resolve_as(&world, "TCPRoute", "shop", &backend(53)).unwrap();
    assert_eq!(
        (name.as_str(), names(&upstream)),
        ("shop/web:53", vec!["one/10.0.0.1:5300".to_owned()])
    );
}

#[test]
fn what_is_not_there_or_not_allowed_is_told_apart() {
    let grant = json!({
        "kind": "ReferenceGrant", "metadata": {"name": "all", "namespace": "shop"},
        "spec": {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "a"}],
            "to": [{"group": "", "kind": "Service", "name": "web"}],
        },
    });
    let world = world(Options::default(), vec![vec![web(), grant]]);
    let reason = |it: Result<(String, Upstream), BackendProblem>| it.map_err(|it| it.reason());
    assert_eq!(reason(resolve(&world, &backend(81))), Err("BackendNotFound"));
    let other = BackendRef { name: "api".into(), ..backend(80) };
    assert_eq!(reason(resolve(&world, &other)), Err("BackendNotFound"));
    let pod = BackendRef { kind: Some("Pod".into()), ..backend(80) };
    assert_eq!(reason(resolve(&world, &pod)), Err("InvalidKind"));
    let there = BackendRef { namespace: Some("shop".into()), ..backend(80) };
    assert!(resolve_as(&world, "HTTPRoute", "a", &there).is_ok());
    assert_eq!(reason(resolve_as(&world, "HTTPRoute", "b", &there)), Err("RefNotPermitted"));
    assert_eq!(reason(resolve_as(&world, "TLSRoute", "a", &there)), Err("RefNotPermitted"));
}

#[test]
fn app_protocols_say_what_is_spoken() {
    let of = |app: &str| {
        let spec = json!({"ports": [{"port": 80, "appProtocol": app}]});
        let world = world(Options::default(), vec![vec![service(&spec)]]);
        resolve(&world, &backend(80)).map(|(name, upstream)| (name, upstream.protocol))
    };
    let h2 = UpstreamProtocol::Http2;
    assert_eq!(of("kubernetes.io/h2c"), Ok(("shop/web:80 +h2".to_owned(), h2)));
    assert_eq!(of("kubernetes.io/ws"), Ok(("shop/web:80 +h1".to_owned(), UpstreamProtocol::Http1)));
    assert_eq!(of("kubernetes.io/wss").unwrap().0, "shop/web:80 +h1 +tls");
    assert_eq!(of("https").unwrap().0, "shop/web:80 +tls");
    assert_eq!(of("http"), Ok(("shop/web:80".to_owned(), UpstreamProtocol::Auto)));
    assert_eq!(of("example.com/own"), Err(BackendProblem::Protocol("example.com/own".to_owned())));
}

#[test]
fn clusters_that_have_the_service_are_united() {
    let endpoints =
        |address: &str| slice("web-1", "IPv4", &http(80), &json!([{"addresses": [address]}]));
    let mut world = world(
        Options::default(),
        vec![vec![web(), endpoints("10.1.0.1")], vec![web(), endpoints("10.2.0.1")], vec![]],
    );
    world.clusters[1].weight = 50;
    let (name, upstream) = resolve(&world, &backend(80)).unwrap();
    assert_eq!(name, "shop/web:80");
    let weights: Vec<_> =
        upstream.endpoints.iter().map(|(name, it)| (name.as_str(), it.weight)).collect();
    assert_eq!(weights, [("one/10.1.0.1:80", 100), ("two/10.2.0.1:80", 50)]);
}

#[test]
fn the_nearest_ready_endpoints_are_preferred() {
    let options = Options { zone: Some("a".into()), node: Some("n1".into()), ..Options::default() };
    let of = |distribution: &str, endpoints: &Value| {
        let spec =
            json!({"trafficDistribution": distribution, "ports": [{"name": "http", "port": 80}]});
        let objects = vec![service(&spec), slice("web-1", "IPv4", &http(80), endpoints)];
        names(&resolve(&world(options.clone(), vec![objects]), &backend(80)).unwrap().1)
    };
    let plain = json!([
        {"addresses": ["10.0.0.1"], "zone": "a", "nodeName": "n1"},
        {"addresses": ["10.0.0.2"], "zone": "a", "nodeName": "n2"},
        {"addresses": ["10.0.0.3"], "zone": "b", "nodeName": "n3"},
    ]);
    assert_eq!(of("PreferSameZone", &plain), ["one/10.0.0.1:80", "one/10.0.0.2:80"]);
    assert_eq!(of("PreferClose", &plain).len(), 2);
    assert_eq!(of("PreferSameNode", &plain), ["one/10.0.0.1:80"]);
    assert_eq!(of("", &plain).len(), 3);
    let mut hinted = plain.clone();
    for (endpoint, zone) in hinted.as_array_mut().unwrap().iter_mut().zip(["b", "a", "a"]) {
        endpoint["hints"] = json!({"forZones": [{"name": zone}]});
    }
    assert_eq!(of("", &hinted), ["one/10.0.0.2:80", "one/10.0.0.3:80"]);
    let mut half = hinted.clone();
    half[0]["hints"] = Value::Null;
    assert_eq!(of("", &half).len(), 3, "hints count only if every ready endpoint has some");
    let mut unready = plain;
    unready[0]["conditions"] = conditions(false, false, false);
    assert_eq!(of("PreferSameNode", &unready), ["one/10.0.0.2:80"]);
}

#[test]
fn names_outside_are_used_only_if_allowed() {
    let spec = json!({"type": "ExternalName", "externalName": "API.example.com", "ports": [{"port": 443, "appProtocol": "https"}]});
    let refused = world(Options::default(), vec![vec![service(&spec)]]);
    let problem = resolve(&refused, &backend(443)).unwrap_err();
    assert_eq!(problem.reason(), "UnsupportedValue");
    assert!(problem.to_string().contains("external_names"), "{problem}");
    let allowed = || Options {
        external_names: vec![HostPattern::Suffix(".example.com".into())],
        ..Options::default()
    };
    let world_of = |spec: &Value, annotations: Value| {
        let mut service = service(spec);
        service["metadata"]["annotations"] = annotations;
        world(allowed(), vec![vec![service]])
    };
    let (name, upstream) = resolve(&world_of(&spec, json!({})), &backend(443)).unwrap();
    assert_eq!(name, "shop/web:443 +tls");
    let endpoint = &upstream.endpoints["one/api.example.com:443"];
    assert_eq!(endpoint.address, EndpointAddress::Name("api.example.com".into()));
    let tls = upstream.tls.unwrap();
    assert_eq!((tls.server_name, tls.verify), (None, Verify::System));
    let bare = json!({"type": "ExternalName", "externalName": "api.example.com"});
    assert_eq!(
        names(&resolve(&world_of(&bare, json!({})), &backend(8080)).unwrap().1),
        ["one/api.example.com:8080"]
    );
    let several = json!({"lb.internal/endpoints": "a.example.com:8006, b.example.com"});
    assert_eq!(
        names(&resolve(&world_of(&bare, several), &backend(80)).unwrap().1),
        ["one/a.example.com:8006", "one/b.example.com:80"]
    );
    let addressed = {
        let mut service = service(&bare);
        service["metadata"]["annotations"] = json!({"lb.internal/endpoints": "192.0.2.7:8006"});
        let names = vec![HostPattern::Exact("192.0.2.7".into())];
        world(Options { external_names: names, ..Options::default() }, vec![vec![service]])
    };
    let (_, upstream) = resolve(&addressed, &backend(80)).unwrap();
    let endpoint = &upstream.endpoints["one/192.0.2.7:8006"];
    assert_eq!(endpoint.address, EndpointAddress::Ip("192.0.2.7".parse().unwrap()));
    let smuggled = json!({"lb.internal/endpoints": "a.example.com,localhost"});
    assert!(resolve(&world_of(&bare, smuggled), &backend(80)).is_err());
}

#[test]
fn annotations_ask_for_health_checks_and_what_is_wrong_is_told() {
    let mut service = web();
    service["metadata"]["annotations"] = json!({
        "lb.internal/health-path": "/healthz", "lb.internal/health-interval": "5s",
        "lb.internal/outlier-failures": "5", "lb.internal/balance": "fair",
    });
    let world = world(Options::default(), vec![vec![service]]);
    let (_, upstream) = resolve(&world, &backend(80)).unwrap();
    assert_eq!(upstream.health.unwrap().interval.as_secs(), 5);
    assert_eq!(upstream.outlier.unwrap().failures, 5);
    assert_eq!(upstream.balance, lb_model::Balance::PeakEwma);
}
