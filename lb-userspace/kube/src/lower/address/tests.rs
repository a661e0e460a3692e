//! Owners as users see them: objects in, addresses out.

use crate::{Cluster, Lowered, Objects, Options, Pool, Status, World, lower};
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

#[test]
fn every_kind_of_owner_gets_an_address_of_each_family_it_wants() {
    let world = world(vec![
        gateway_class(),
        gateway("web", json!({})),
        service("dns", json!({})),
        service(
            "both",
            json!({"ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "PreferDualStack"}),
        ),
        service("six", json!({"ipFamilies": ["IPv6"]})),
        ingress_class(),
        ingress("shop", None),
        json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "ClusterIP"},
            "metadata": {"name": "inner", "namespace": "a"}}),
    ]);
    let found = assigned(&lower(&world));
    let expected = [
        ("Gateway a/web", "192.0.2.1 2001:db8::1"),
        ("IngressClass lb", "192.0.2.4 2001:db8::4"),
        ("Service a/both", "2001:db8::2 192.0.2.2"),
        ("Service a/dns", "192.0.2.3"),
        ("Service a/six", "2001:db8::3"),
    ];
    assert_eq!(found, expected.map(|(owner, it)| (owner.to_owned(), it.to_owned())).into());
}

#[test]
fn requested_addresses_are_given_or_refused_with_the_reason() {
    let wants = |name: &str, addresses: Value| {
        gateway(name, json!({"gatewayClassName": "lb", "addresses": addresses}))
    };
    let world = world(vec![
        gateway_class(),
        wants("a-one", json!([{"type": "IPAddress", "value": "192.0.2.9"}])),
        wants("b-same", json!([{"value": "192.0.2.9"}])),
        wants("c-other", json!([{"type": "IPAddress"}, {"value": "192.0.2.1"}])),
        wants("d-outside", json!([{"value": "192.0.2.8"}, {"value": "198.51.100.1"}])),
        wants("e-name", json!([{"value": "x"}, {"type": "Hostname", "value": "a.example.com"}])),
        annotated("f-list", "lb.internal/addresses", "192.0.2.11, 2001:db8::11"),
        service("g-old", json!({"loadBalancerIP": "192.0.2.12"})),
        service("h-family", json!({"loadBalancerIP": "192.0.2.13", "ipFamilies": ["IPv6"]})),
    ]);
    let lowered = lower(&world);
    let found = assigned(&lowered);
    let of = |name: &str| found.get(name).map_or("", String::as_str);
    assert_eq!(of("Gateway a/a-one"), "192.0.2.9");
    assert_eq!(of("Gateway a/b-same"), "");
    assert_eq!(of("Gateway a/c-other"), "2001:db8::1 192.0.2.1");
    assert_eq!(of("Gateway a/d-outside"), "");
    assert_eq!(of("Service a/f-list"), "192.0.2.11 2001:db8::11");
    assert_eq!(of("Service a/g-old"), "192.0.2.12");
    let notices = notices(&lowered);
    let expected = [
        "Gateway a/b-same (one): AddressNotUsable: 192.0.2.9 belongs to Gateway a/a-one, \
         which does not share it",
        "Gateway a/d-outside (one): AddressNotUsable: 198.51.100.1 is in no pool that it may use",
        "Gateway a/e-name (one): UnsupportedAddress: addresses of type Hostname are not supported, \
         only IPAddress is",
        "Service a/h-family (one): AddressNotUsable: 192.0.2.13 is not of the Service's ipFamilies",
    ];
    assert_eq!(notices, expected);
}

#[test]
fn owners_with_a_sharing_key_share_until_ports_clash() {
    let shared = |name: &str, key: &str, protocol: &str, port: u16| {
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "a",
                "annotations": {"lb.internal/sharing-key": key}},
            "spec": {"type": "LoadBalancer", "ports": [{"port": port, "protocol": protocol}]}})
    };
    let lowered = lower(&world(vec![
        shared("a", "k", "TCP", 53),
        shared("b", "k", "UDP", 53),
        shared("c", "other", "TCP", 53),
        shared("d", "k", "TCP", 53),
    ]));
    let found = assigned(&lowered);
    assert_eq!(found["Service a/a"], found["Service a/b"]);
    assert_ne!(found["Service a/a"], found["Service a/c"]);
    assert_eq!(found["Service a/d"], "");
    let notice =
        "Service a/d (one): AddressNotAssigned: Service a/a has port 53 (TCP) of 192.0.2.1";
    assert_eq!(notices(&lowered), [notice]);
}

#[test]
fn pools_choose_whom_they_serve_and_say_how_full_they_are() {
    let pool = |name: &str, spec: Value| {
        json!({"apiVersion": "lb.internal/v1alpha1", "kind": "AddressPool",
            "metadata": {"name": name, "generation": 3}, "spec": spec})
    };
    let mut world = world(vec![
        json!({"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "a", "labels": {"team": "red"}}}),
        pool(
            "named",
            json!({"addresses": ["10.0.0.0/30", "x"], "autoAssign": false, "bind": true}),
        ),
        pool(
            "red",
            json!({"addresses": ["10.1.0.1", "10.0.0.2-10.0.0.9"],
            "namespaceSelector": {"matchLabels": {"team": "red"}},
            "serviceSelector": {"matchLabels": {"tier": "web"}}}),
        ),
        annotated("one", "lb.internal/pool", "named"),
        annotated("two", "lb.internal/pool", "nobody's"),
        annotated("three", "lb.internal/pool", "red"),
        service("four", json!({})),
        json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"},
            "metadata": {"name": "five", "namespace": "a", "labels": {"tier": "web"}}}),
        json!({"apiVersion": "v1", "kind": "Service", "spec": {"type": "LoadBalancer"},
            "metadata": {"name": "six", "namespace": "b", "labels": {"tier": "web"}}}),
    ]);
    world.options = Arc::default();
    let lowered = lower(&world);
    let found = assigned(&lowered);
    assert_eq!(found["Service a/one"], "10.0.0.0");
    assert_eq!(found["Service a/five"], "10.1.0.1");
    let notices = notices(&lowered);
    let all = "AddressNotAssigned: no pool has a free address for it";
    let expected = [
        format!("Service a/four (one): {all}"),
        format!("Service a/three (one): {all}: pool red is not for it"),
        format!("Service a/two (one): {all}: there is no pool nobody's"),
        format!("Service b/six (one): {all}"),
    ];
    assert_eq!(notices, expected);
    let mut told = Vec::new();
    for (id, status) in &lowered.statuses {
        let Status::AddressPool { assigned, free, conditions } = &**status else { continue };
        let wrong = conditions.iter().map(|it| it.message.as_str()).collect::<String>();
        told.push(format!("{} {assigned} {free} {wrong}", id.key));
    }
    let wrong = "10.0.0.2-10.0.0.9 overlaps with pool named";
    let expected = ["named 1 3 x is no address, prefix or FIRST-LAST", &format!("red 1 0 {wrong}")];
    assert_eq!(told, expected);
}

#[test]
fn only_the_leader_hands_out_and_everyone_keeps_what_status_names() {
    let named = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "old", "namespace": "a"}, "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.77"}]}}});
    let mut follower = world(vec![named, service("new", json!({}))]);
    follower.leads = false;
    let lowered = lower(&follower);
    assert_eq!(assigned(&lowered)["Service a/old"], "192.0.2.77");
    assert_eq!(assigned(&lowered)["Service a/new"], "");
    assert!(lowered.notices.is_empty(), "a follower tells nothing");
    let leader = World { leads: true, ..follower };
    assert_eq!(assigned(&lower(&leader))["Service a/old"], "192.0.2.77");
    assert_eq!(assigned(&lower(&leader))["Service a/new"], "192.0.2.1");
}

#[test]
fn what_was_handed_out_stays_before_status_names_it() {
    let mut world = world(vec![service("b", json!({}))]);
    let first = lower(&world);
    let objects = &mut world.clusters[0].objects;
    assert!(objects.insert(service("a", json!({}))).unwrap());
    world.assigned = Arc::clone(&first.assigned);
    let found = assigned(&lower(&world));
    assert_eq!(found["Service a/b"], "192.0.2.1");
    assert_eq!(found["Service a/a"], "192.0.2.2");
}

#[test]
fn what_was_kept_holds_without_a_leader_while_its_cluster_cannot_be_read() {
    let mut world = world(vec![service("b", json!({}))]);
    world.assigned = Arc::clone(&lower(&world).assigned);
    world.leads = false;
    assert_eq!(assigned(&lower(&world))["Service a/b"], "", "it is for the leader to say");
    world.recalled = ["one".to_owned()].into();
    assert_eq!(assigned(&lower(&world))["Service a/b"], "192.0.2.1");
}

#[test]
fn an_address_in_the_status_of_a_living_owner_is_not_handed_out() {
    let moved = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "moved", "namespace": "a"},
        "spec": {"type": "LoadBalancer", "loadBalancerIP": "192.0.2.5"},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}});
    let wants = service("wants", json!({"loadBalancerIP": "192.0.2.1"}));
    let lowered = lower(&world(vec![moved, service("any", json!({})), wants]));
    let found = assigned(&lowered);
    assert_eq!(found["Service a/moved"], "192.0.2.5");
    assert_eq!(found["Service a/any"], "192.0.2.2");
    let notice = "Service a/wants (one): AddressNotUsable: \
                  192.0.2.1 is still in the status of Service a/moved";
    assert_eq!(notices(&lowered), [notice]);
}

#[test]
fn an_ingress_from_another_class_does_not_bring_its_address_along() {
    let class = |name: &str, created: &str| {
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
            "metadata": {"name": name, "creationTimestamp": created},
            "spec": {"controller": crate::INGRESS_CONTROLLER}})
    };
    let of = |name: &str, class: &str| {
        let mut ingress = ingress(name, Some("192.0.2.1"));
        ingress["spec"]["ingressClassName"] = json!(class);
        ingress
    };
    let world = world(vec![
        class("elder", "2020-01-01T00:00:00Z"),
        class("younger", "2021-01-01T00:00:00Z"),
        of("a", "younger"),
        of("b", "younger"),
        of("moved", "elder"),
    ]);
    let found = assigned(&lower(&world));
    assert_eq!(found["IngressClass younger"], "192.0.2.1 2001:db8::2");
    assert_eq!(found["IngressClass elder"], "192.0.2.2 2001:db8::1");
}

#[test]
fn an_owner_in_two_clusters_has_one_set_of_addresses() {
    let mut world = world(vec![service("web", json!({}))]);
    let mut second = Cluster { name: "two".into(), ..world.clusters[0].clone() };
    let named = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "namespace": "a"}, "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.50"}]}}});
    assert!(second.objects.insert(named).unwrap());
    world.clusters.push(second);
    assert_eq!(assigned(&lower(&world)), [("Service a/web".into(), "192.0.2.50".into())].into());
}

fn assigned(lowered: &Lowered) -> BTreeMap<String, String> {
    let text = |addresses: &Vec<IpAddr>| {
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let owners = lowered.assigned.iter();
    owners.map(|(id, it)| (format!("{} {}", id.kind.name(), id.key), text(it))).collect()
}

fn notices(lowered: &Lowered) -> Vec<String> {
    let address = lowered.notices.iter().filter(|it| it.reason.contains("Address"));
    address.map(|it| format!("{}: {}: {}", it.object, it.reason, it.message)).collect()
}

fn world(manifests: Vec<Value>) -> World {
    let mut objects = Objects::default();
    for manifest in manifests {
        assert!(objects.insert(manifest).unwrap());
    }
    let ranges = ["192.0.2.1-192.0.2.99", "2001:db8::1-2001:db8::99"];
    let ranges = ranges.map(|it| it.parse().unwrap()).to_vec();
    let pool = Pool { name: "test".into(), ranges, auto_assign: true, ..Pool::default() };
    World {
        options: Arc::new(Options { pools: vec![pool], ..Options::default() }),
        clusters: vec![Cluster { name: "one".into(), weight: 100, objects }],
        leads: true,
        ..World::default()
    }
}

fn gateway_class() -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
        "metadata": {"name": "lb"}, "spec": {"controllerName": crate::GATEWAY_CONTROLLER}})
}

fn gateway(name: &str, mut spec: Value) -> Value {
    spec["gatewayClassName"] = json!("lb");
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"name": name, "namespace": "a"}, "spec": spec})
}

fn service(name: &str, mut spec: Value) -> Value {
    spec["type"] = json!("LoadBalancer");
    json!({"apiVersion": "v1", "kind": "Service", "spec": spec,
        "metadata": {"name": name, "namespace": "a"}})
}

fn annotated(name: &str, annotation: &str, value: &str) -> Value {
    let mut service = service(name, json!({}));
    service["metadata"]["annotations"] = json!({ annotation: value });
    service
}

fn ingress_class() -> Value {
    json!({"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass",
        "metadata": {"name": "lb"}, "spec": {"controller": crate::INGRESS_CONTROLLER}})
}

fn ingress(name: &str, address: Option<&str>) -> Value {
    let mut ingress = json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"name": name, "namespace": "a"}, "spec": {"ingressClassName": "lb"}});
    if let Some(address) = address {
        ingress["status"] = json!({"loadBalancer": {"ingress": [{"ip": address}]}});
    }
    ingress
}
