//! Routes against Gateways whose listeners are served.

use super::*;
use crate::{
    Cluster, Condition, Lowered, Objects, Options, Status, World,
    lower::gateway::{self, Gateways},
};
use serde_json::{Value, json};
use std::sync::Arc;

fn cluster(name: &str, manifests: Vec<Value>) -> Cluster {
    let mut objects = Objects::default();
    for manifest in manifests {
        assert!(objects.insert(manifest).unwrap());
    }
    Cluster { name: name.to_owned(), weight: 100, objects }
}

/// What comes of clusters, and each listener's routes. Every listener is served, on no address;
/// Gateway `shown` shows backends a certificate.
fn lowered(clusters: Vec<Cluster>) -> (Lowered, Vec<(String, usize)>) {
    let world = World { options: Arc::new(Options::default()), clusters, ..World::default() };
    let mut draft = Draft::new(&world);
    let mut gateways: Gateways = gateway::lower(&mut draft);
    for (key, gateway) in &mut gateways.gateways {
        gateway.client_certificate = (key.name == "shown").then(|| "mine".to_owned());
        for listener in &mut gateway.listeners {
            listener.name = Some(format!("{key}/{}", listener.section));
        }
    }
    lower(&mut draft, &mut gateways);
    let counts = gateways.gateways.values().flat_map(|it| &it.listeners);
    let counts = counts.map(|it| (it.section.clone(), it.attached.len())).collect();
    (draft.finish().0, counts)
}

fn class() -> Value {
    json!({
        "kind": "GatewayClass", "metadata": {"name": "lb"},
        "spec": {"controllerName": crate::GATEWAY_CONTROLLER},
    })
}

fn gateway(name: &str, listeners: &Value) -> Value {
    json!({
        "kind": "Gateway", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"gatewayClassName": "lb", "listeners": listeners},
    })
}

fn service(name: &str) -> Value {
    json!({
        "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"ports": [{"port": 80}]},
    })
}

/// A route made at second `age`.
fn route(kind: &str, name: &str, age: u32, spec: &Value) -> Value {
    json!({
        "kind": kind, "spec": spec,
        "metadata": {
            "name": name, "namespace": "shop", "generation": 3,
            "creationTimestamp": format!("1970-01-01T00:{:02}:{:02}Z", age / 60, age % 60),
        },
    })
}

fn conditions<'a>(lowered: &'a Lowered, kind: &str, name: &str) -> Vec<&'a Condition> {
    let wanted = format!("{kind} shop/{name} (one)");
    let status = lowered.statuses.iter().find(|(id, _)| id.to_string() == wanted);
    let Some(Status::Parents(parents)) = status.map(|it| &**it.1) else { return Vec::new() };
    parents.iter().flat_map(|it| &it.conditions).collect()
}

/// `Accepted=NotAllowedByListeners` and the like, of all parents.
fn told(lowered: &Lowered, kind: &str, name: &str) -> Vec<String> {
    let conditions = conditions(lowered, kind, name).into_iter();
    let text = |it: &Condition| {
        let sign = if it.holds == Some(true) { "+" } else { "-" };
        format!("{sign}{} {}", it.kind, it.reason)
    };
    conditions.map(text).collect()
}

const GOOD: [&str; 2] = ["+Accepted Accepted", "+ResolvedRefs ResolvedRefs"];

fn http_listener(name: &str, host: &str) -> Value {
    json!({"name": name, "port": 80, "protocol": "HTTP", "hostname": host})
}

#[test]
fn five_thousand_routes_find_their_listeners() {
    let listeners = |from: usize| -> Vec<Value> {
        (from..from + 50)
            .map(|it| http_listener(&format!("l{it}"), &format!("h{it}.example")))
            .collect()
    };
    let mut manifests = vec![class(), service("web")];
    for place in 0..10 {
        manifests.push(gateway(&format!("g{place}"), &json!(listeners(place * 50))));
    }
    for place in 0..5_000_usize {
        let listener = place % 500;
        let spec = json!({
            "parentRefs": [{"name": format!("g{}", listener / 50), "sectionName": format!("l{listener}")}],
            "hostnames": [format!("h{listener}.example"), "elsewhere.example"],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": format!("/{place}")}}],
                "backendRefs": [{"name": if place % 5 == 0 { "missing" } else { "web" }, "port": 80}],
            }],
        });
        manifests.push(route("HTTPRoute", &format!("r{place}"), 0, &spec));
    }
    let (lowered, counts) = lowered(vec![cluster("one", manifests)]);
    let routes = &lowered.desired.proxy.routes;
    assert_eq!((routes.len(), lowered.statuses.len()), (5_000, 5_000));
    assert_eq!(counts.len(), 500);
    assert!(counts.iter().all(|(_, count)| *count == 10), "{counts:?}");
    let one = &routes["HTTPRoute/shop/r1234"];
    assert_eq!(one.listeners, ["shop/g4/l234".to_owned()].into());
    assert_eq!(one.rules[0].backends[0].upstream.as_deref(), Some("shop/web:80"));
    assert_eq!(told(&lowered, "HTTPRoute", "r1234"), GOOD);
    assert_eq!(routes["HTTPRoute/shop/r1235"].rules[0].backends[0].upstream, None);
    assert_eq!(
        told(&lowered, "HTTPRoute", "r1235"),
        ["+Accepted Accepted", "-ResolvedRefs BackendNotFound"]
    );
    assert_eq!(lowered.desired.proxy.upstreams.len(), 1);
}

#[test]
fn the_older_of_an_http_and_a_grpc_route_has_the_host() {
    let spec = |host: &str| {
        json!({
            "parentRefs": [{"name": "g"}], "hostnames": [host],
            "rules": [{"backendRefs": [{"name": "web", "port": 80}]}],
        })
    };
    let listeners = json!([{"name": "a", "port": 80, "protocol": "HTTP"}]);
    let manifests = vec![
        class(),
        service("web"),
        gateway("g", &listeners),
        route("HTTPRoute", "old", 1, &spec("a.example")),
        route("GRPCRoute", "late", 2, &spec("*.example")),
        route("GRPCRoute", "other", 3, &spec("*.other.example")),
        route("HTTPRoute", "latest", 4, &spec("b.other.example")),
        route("HTTPRoute", "same", 5, &spec("a.example")),
    ];
    let (lowered, counts) = lowered(vec![cluster("one", manifests)]);
    for (kind, name) in [("HTTPRoute", "old"), ("GRPCRoute", "other"), ("HTTPRoute", "same")] {
        assert_eq!(told(&lowered, kind, name), GOOD, "{name}");
    }
    for (kind, name) in [("GRPCRoute", "late"), ("HTTPRoute", "latest")] {
        assert_eq!(told(&lowered, kind, name)[0], "-Accepted NotAllowedByListeners", "{name}");
        assert!(!lowered.desired.proxy.routes.contains_key(&format!("{kind}/shop/{name}")));
    }
    assert_eq!(counts, [("a".to_owned(), 3)]);
}

#[test]
fn what_was_said_of_a_parent_that_is_no_longer_named_is_taken_back() {
    let mut orphan = route("HTTPRoute", "orphan", 1, &json!({"parentRefs": [{"name": "other"}]}));
    let untouched = route("HTTPRoute", "untouched", 1, &json!({"parentRefs": [{"name": "other"}]}));
    let ours = json!({"controllerName": crate::GATEWAY_CONTROLLER, "parentRef": {"name": "g"}});
    orphan["status"] = json!({"parents": [ours]});
    let (lowered, _) = lowered(vec![cluster("one", vec![class(), orphan, untouched])]);
    let statuses: Vec<_> = lowered.statuses.values().collect();
    assert_eq!(statuses, [&Status::Parents(Vec::new()).into()]);
}

#[test]
fn gateways_with_certificates_of_their_own_have_routes_of_their_own() {
    let listeners = json!([{"name": "a", "port": 80, "protocol": "HTTP"}]);
    let spec = json!({
        "parentRefs": [{"name": "plain"}, {"name": "shown"}],
        "rules": [{"backendRefs": [{"name": "web", "port": 80}]}],
    });
    let mut tls = service("web");
    tls["spec"]["ports"][0]["appProtocol"] = json!("https");
    let manifests = vec![
        class(),
        tls,
        gateway("plain", &listeners),
        gateway("shown", &listeners),
        route("HTTPRoute", "r", 1, &spec),
    ];
    let (lowered, _) = lowered(vec![cluster("one", manifests)]);
    let routes = &lowered.desired.proxy.routes;
    let of = |name: &str| {
        let route = &routes[name];
        let listeners: Vec<_> = route.listeners.iter().map(String::as_str).collect();
        (listeners, route.rules[0].backends[0].upstream.clone().unwrap())
    };
    let plain = of("HTTPRoute/shop/r");
    let shown = of("HTTPRoute/shop/r +cert:mine");
    assert_eq!((plain.0, shown.0), (vec!["shop/plain/a"], vec!["shop/shown/a"]));
    assert_ne!(plain.1, shown.1);
    assert_eq!(routes.len(), 2);
}
