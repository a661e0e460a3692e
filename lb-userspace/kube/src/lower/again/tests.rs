//! World after world gives what each gives by itself.

use super::*;
use crate::{AddressRange, Cluster, GATEWAY_CONTROLLER, Objects, Options, Pool, Store};
use serde_json::{Value, json};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A change of one object.
struct Change {
    cluster: usize,
    kind: &'static str,
    name: &'static str,
    /// `None` = it goes.
    object: Option<Value>,
}

fn world() -> World {
    let range = |address: &str| AddressRange {
        first: address.parse().unwrap(),
        last: address.parse().unwrap(),
    };
    let pool = Pool {
        name: "one".into(),
        ranges: vec![range("192.0.2.1"), range("192.0.2.2"), range("192.0.2.3")],
        auto_assign: true,
        ..Pool::default()
    };
    let cluster = |name: &str| Cluster {
        name: name.into(),
        weight: 100,
        objects: objects(&[class(), gateway("web", false)]),
    };
    World {
        options: Arc::new(Options { pools: vec![pool], ..Options::default() }),
        clusters: vec![cluster("one"), cluster("two")],
        leads: true,
        ..World::default()
    }
}

fn objects(list: &[Value]) -> Objects {
    let mut objects = Objects::default();
    for one in list {
        assert!(objects.insert(one.clone()).unwrap());
    }
    objects
}

fn class() -> Value {
    json!({
        "kind": "GatewayClass", "metadata": { "name": "lb" },
        "spec": { "controllerName": GATEWAY_CONTROLLER },
    })
}

fn gateway(name: &str, is_made_known: bool) -> Value {
    let labels = if is_made_known { json!({ "x": "y" }) } else { json!({}) };
    json!({
        "kind": "Gateway", "metadata": { "namespace": "n", "name": name, "uid": "1" },
        "spec": {
            "gatewayClassName": "lb", "infrastructure": { "labels": labels },
            "listeners": [
                { "name": "any", "port": 80, "protocol": "HTTP" },
                { "name": "own", "port": 80, "protocol": "HTTP", "hostname": "*.own.example" },
                { "name": "tcp", "port": 81, "protocol": "TCP" },
            ],
        },
    })
}

fn route(rng: &mut fastrand::Rng, kind: &str, name: &str) -> Value {
    let backends = |rng: &mut fastrand::Rng| -> Vec<Value> {
        let one = |name: &&str| json!({ "name": name, "port": 80 });
        let chosen = NAMES.iter().filter(|_| rng.bool());
        chosen.map(one).collect()
    };
    let section = [json!(null), json!("any"), json!("own"), json!("no")][rng.usize(..4)].clone();
    let parent = if kind == "TCPRoute" { json!("tcp") } else { section };
    let gateway = if rng.u8(..8) == 0 { "other" } else { "web" };
    let host = ["a.own.example", "b.example", "*.example"][rng.usize(..3)];
    let hosts = if kind == "TCPRoute" || rng.bool() { json!([]) } else { json!([host]) };
    let mut rules: Vec<Value> =
        (0..rng.usize(1..3)).map(|_| json!({ "backendRefs": backends(rng) })).collect();
    if rng.u8(..8) == 0 {
        rules.push(json!({ "filters": [{ "type": "Odd" }] }));
    }
    json!({
        "kind": kind,
        "metadata": {
            "namespace": "n", "name": name, "generation": rng.u32(..),
            "creationTimestamp": format!("1970-01-01T00:00:{:02}Z", rng.u8(..60)),
        },
        "spec": {
            "parentRefs": [{ "name": gateway, "sectionName": parent }],
            "hostnames": hosts, "rules": rules,
        },
    })
}

fn service(rng: &mut fastrand::Rng, name: &str) -> Value {
    let kinds = ["ClusterIP", "ClusterIP", "ClusterIP", "LoadBalancer"];
    let ports = [80, 80, 80, 81][rng.usize(..4)];
    let protocol = [json!(null), json!("h2c"), json!("x/odd")][rng.usize(..8).min(2) % 3].clone();
    let balance = ["ewma", "odd"][usize::from(rng.u8(..6) == 0)];
    json!({
        "kind": "Service",
        "metadata": {
            "namespace": "n", "name": name, "annotations": { "lb.internal/balance": balance },
        },
        "spec": {
            "type": kinds[rng.usize(..16).min(3) * usize::from(rng.u8(..4) == 0)],
            "ports": [{ "name": "p", "port": ports, "appProtocol": protocol }],
        },
    })
}

fn slice(rng: &mut fastrand::Rng, name: &str) -> Value {
    let owner = if rng.u8(..5) == 0 { NAMES[rng.usize(..4)] } else { name };
    let endpoint = |it: u8| json!({ "addresses": [format!("10.0.0.{it}")] });
    let endpoints: Vec<_> = (0..rng.u8(..4)).map(endpoint).collect();
    json!({
        "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "namespace": "n", "name": name, "labels": { "kubernetes.io/service-name": owner },
        },
        "ports": [{ "name": "p", "port": 8_080, "protocol": "TCP" }], "endpoints": endpoints,
    })
}

fn policy(name: &str) -> Value {
    json!({
        "kind": "BackendTLSPolicy", "metadata": { "namespace": "n", "name": name },
        "spec": {
            "targetRefs": [{ "group": "", "kind": "Service", "name": name }],
            "validation": { "hostname": "x.example", "wellKnownCACertificates": "System" },
        },
    })
}

fn ingress(name: &str) -> Value {
    let backend = json!({ "service": { "name": name, "port": { "name": "p" } } });
    json!({
        "kind": "Ingress", "metadata": { "namespace": "n", "name": name },
        "spec": { "defaultBackend": backend },
    })
}

fn change(rng: &mut fastrand::Rng) -> Change {
    let cluster = usize::from(rng.u8(..3) == 0);
    let name = NAMES[rng.usize(..4)];
    let kind = match rng.u8(..40) {
        0..14 => "HTTPRoute",
        14..24 => "EndpointSlice",
        24..34 => "Service",
        34 => "GRPCRoute",
        35 => "TCPRoute",
        36 => "BackendTLSPolicy",
        37 => "Ingress",
        _ => "Gateway",
    };
    let name = if kind == "Gateway" { "web" } else { name };
    let goes = rng.u8(..4) == 0 || kind.len() > 13 && rng.bool();
    let object = (!goes).then(|| match kind {
        "EndpointSlice" => slice(rng, name),
        "Service" => service(rng, name),
        "BackendTLSPolicy" => policy(name),
        "Ingress" => ingress(name),
        "Gateway" => gateway(name, rng.u8(..4) == 0),
        kind => route(rng, kind, name),
    });
    Change { cluster, kind, name, object }
}

fn remove<T>(store: &mut Store<T>, name: &str) {
    store.remove(&ObjectKey::new("n", name));
}

fn apply(world: &mut World, change: Change) {
    let objects = &mut world.clusters[change.cluster].objects;
    if let Some(object) = change.object {
        assert!(objects.insert(object).unwrap());
        return;
    }
    match change.kind {
        "HTTPRoute" => remove(&mut objects.http_routes, change.name),
        "GRPCRoute" => remove(&mut objects.grpc_routes, change.name),
        "TCPRoute" => remove(&mut objects.tcp_routes, change.name),
        "EndpointSlice" => remove(&mut objects.endpoint_slices, change.name),
        "Service" => remove(&mut objects.services, change.name),
        "BackendTLSPolicy" => remove(&mut objects.backend_tls_policies, change.name),
        "Ingress" => remove(&mut objects.ingresses, change.name),
        _ => remove(&mut objects.gateways, change.name),
    }
}

#[test]
fn world_after_world_gives_what_each_gives_by_itself() {
    let mut again_count = 0;
    for seed in 0..40 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut world = world();
        let mut lowering = Lowering::default();
        for step in 0..60 {
            for _ in 0..rng.usize(1..3) {
                apply(&mut world, change(&mut rng));
            }
            let known = lowering.0.as_mut();
            let is_followed = known.is_some_and(|it| Changed::between(&it.world, &world).is_some());
            again_count += usize::from(is_followed);
            let lowered = lowering.lower(&world);
            let alone = super::super::lower(&world);
            assert_eq!(lowered.desired, alone.desired, "seed {seed}, step {step}");
            assert_eq!(lowered, alone, "seed {seed}, step {step}");
            world.assigned = lowered.assigned;
        }
    }
    assert!(again_count > 500, "{again_count}");
}

#[test]
fn a_change_of_an_endpoint_is_one_change() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut world = world();
    for name in NAMES {
        let service = json!({
            "kind": "Service", "metadata": { "namespace": "n", "name": name },
            "spec": { "ports": [{ "name": "p", "port": 80 }] },
        });
        world.clusters[0].objects.insert(service).unwrap();
        world.clusters[0].objects.insert(route(&mut rng, "HTTPRoute", name)).unwrap();
    }
    let mut lowering = Lowering::default();
    world.assigned = lowering.lower(&world).assigned;
    let mut before = lowering.lower(&world);
    let mut seen = 0;
    for _ in 0..50 {
        world.clusters[0].objects.insert(slice(&mut rng, "a")).unwrap();
        let kept = lowering.0.as_mut().unwrap();
        let lowered = kept.lower(&world).expect("nothing else has to be looked at");
        assert!(lowered.desired.proxy.routes.is_same(&before.desired.proxy.routes));
        assert!(lowered.statuses.is_same(&before.statuses));
        let upstreams = &lowered.desired.proxy.upstreams;
        let changes = upstreams.changes(&before.desired.proxy.upstreams, Shared::is_same);
        seen += changes.len();
        assert!(changes.len() <= 2);
        before = lowered;
    }
    assert!(seen > 0);
}
