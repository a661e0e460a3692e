//! What objects are to say, given what they say.

use super::{
    merge::{farewell, merge},
    said::Said,
};
use crate::{
    Condition, GATEWAY_CONTROLLER, ListenerReport, Lowered, ObjectId, ObjectKey, ObjectKind,
    ParentReport, Status, api::ParentRef,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

fn now() -> Time {
    Time("2026-02-02T00:00:00Z".parse().unwrap())
}

fn condition(kind: &'static str, holds: bool, message: &str) -> Condition {
    Condition { kind, holds: Some(holds), reason: "Why", message: message.into(), generation: 2 }
}

fn written(kind: &str, status: &str) -> Value {
    json!({"type": kind, "status": status, "reason": "Why", "message": "",
        "observedGeneration": 2, "lastTransitionTime": "2025-01-01T00:00:00Z"})
}

fn parent(name: &str) -> ParentRef {
    ParentRef { name: name.into(), ..ParentRef::default() }
}

fn merged(kind: ObjectKind, before: &Value, status: &Status) -> Value {
    let before = Said::parse(kind, Some(before)).unwrap();
    merge(status, &before, &now()).unwrap().value()
}

#[test]
fn a_condition_keeps_its_time_until_it_changes() {
    let before =
        json!({"conditions": [written("Accepted", "True"), written("Programmed", "False")]});
    let status = Status::GatewayClass {
        conditions: vec![condition("Programmed", true, ""), condition("Accepted", true, "new")],
        features: vec!["Gateway".into()],
    };
    let after = merged(ObjectKind::GatewayClass, &before, &status);
    let expected = json!({
        "conditions": [
            {"type": "Accepted", "status": "True", "reason": "Why", "message": "new",
                "observedGeneration": 2, "lastTransitionTime": "2025-01-01T00:00:00Z"},
            {"type": "Programmed", "status": "True", "reason": "Why", "message": "",
                "observedGeneration": 2, "lastTransitionTime": "2026-02-02T00:00:00Z"},
        ],
        "supportedFeatures": [{"name": "Gateway"}],
    });
    assert_eq!(after, expected);
    assert_eq!(merged(ObjectKind::GatewayClass, &after, &status), after, "nothing to write");
}

#[test]
fn conditions_of_others_stay_and_ours_that_are_gone_go() {
    let before = json!({"conditions": [written("other.example/Nice", "True"),
        written("Conflicted", "True"), written("lb.internal/Odd", "True")]});
    let status = Status::ListenerSet { conditions: Vec::new(), listeners: Vec::new() };
    let after = merged(ObjectKind::ListenerSet, &before, &status);
    assert_eq!(after, json!({"conditions": [written("other.example/Nice", "True")]}));
}

#[test]
fn parents_of_others_stay_and_ours_are_those_that_there_are() {
    let of = |name: &str, controller: &str| {
        json!({"parentRef": {"name": name}, "controllerName": controller,
            "conditions": [written("Accepted", "True")]})
    };
    let before = json!({"parents": [of("a", GATEWAY_CONTROLLER), of("a", "other.example/c"),
        of("gone", GATEWAY_CONTROLLER)]});
    let wanted = |name: &str| ParentReport {
        parent: parent(name),
        conditions: vec![condition("Accepted", true, "")],
    };
    let status = Status::Parents(vec![wanted("new"), wanted("a")]);
    let mut new = of("new", GATEWAY_CONTROLLER);
    new["conditions"][0]["lastTransitionTime"] = json!("2026-02-02T00:00:00Z");
    let expected =
        json!({"parents": [of("a", "other.example/c"), new, of("a", GATEWAY_CONTROLLER)]});
    assert_eq!(merged(ObjectKind::HttpRoute, &before, &status), expected);

    let said = Said::parse(ObjectKind::HttpRoute, Some(&before)).unwrap();
    let parting = farewell(&said).unwrap();
    let expected = json!({"parents": [of("a", "other.example/c")]});
    assert_eq!(merged(ObjectKind::HttpRoute, &before, &parting), expected);
    let rest = Said::parse(ObjectKind::HttpRoute, Some(&expected)).unwrap();
    assert_eq!(farewell(&rest), None, "what others say is not ours to take back");
}

#[test]
fn services_and_ingresses_name_their_addresses() {
    let status = |addresses: &[&str]| Status::LoadBalancer {
        addresses: addresses.iter().map(|it| it.parse().unwrap()).collect(),
        proxied: ["192.0.2.9".parse().unwrap()].into(),
        ports: vec![
            (80, lb_model::Protocol::Tcp, None),
            (53, lb_model::Protocol::Udp, Some("it is odd".into())),
        ],
        conditions: vec![],
    };
    let ports = json!([{"port": 80, "protocol": "TCP"},
        {"port": 53, "protocol": "UDP", "error": "lb.internal/NotServed"}]);
    assert_eq!(
        merged(ObjectKind::Service, &json!({}), &status(&["192.0.2.1"])),
        json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "VIP", "ports": ports}]}})
    );
    assert_eq!(
        merged(ObjectKind::Service, &json!({}), &status(&["192.0.2.9"])),
        json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.9", "ipMode": "Proxy", "ports": ports}]}})
    );
    assert_eq!(
        merged(ObjectKind::Ingress, &json!({}), &status(&["192.0.2.1", "2001:db8::1"])),
        json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ports": ports},
            {"ip": "2001:db8::1", "ports": ports}]}})
    );
    let before = json!({"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}});
    assert_eq!(merged(ObjectKind::Service, &before, &status(&[])), json!({"loadBalancer": {}}));
}

#[test]
fn what_does_not_run_is_pending() {
    let id =
        |kind, name: &str| ObjectId { cluster: "one".into(), kind, key: ObjectKey::new("a", name) };
    let listener = |name: &str| ListenerReport {
        name: name.into(),
        attached_routes: 1,
        supported_kinds: Vec::new(),
        conditions: vec![condition("Programmed", true, ""), condition("Accepted", true, "")],
    };
    let gateway = Status::Gateway {
        addresses: Vec::new(),
        conditions: vec![condition("Programmed", true, ""), condition("Accepted", true, "")],
        listeners: vec![listener("http"), listener("https")],
        attached_listener_sets: 0,
    };
    let service = Status::LoadBalancer {
        addresses: vec!["192.0.2.1".parse().unwrap()],
        proxied: [].into(),
        ports: vec![(80, lb_model::Protocol::Tcp, None)],
        conditions: vec![condition("lb.internal/Programmed", true, "")],
    };
    let mut lowered = Lowered::default();
    lowered.statuses.insert(id(ObjectKind::Gateway, "web"), gateway.into());
    lowered.statuses.insert(id(ObjectKind::Service, "dns"), service.into());

    let mut refused = lowered.clone();
    refused.refuse("the kernel says no");
    assert_eq!(
        pending(&refused),
        "Gateway:the kernel says no http:the kernel says no \
        https:the kernel says no Service:the kernel says no"
    );
    assert_eq!(refused.notices, []);

    let mut failed = lowered.clone();
    failed.fail("a/web/https", "port in use");
    failed.fail("Service/a/dns:53", "no room");
    failed.fail("a/other/https", "not ours");
    failed.fail("odd", "not ours");
    assert_eq!(pending(&failed), "https:port in use Service:no room");
    assert_eq!(failed.notices.len(), 2);
}

fn pending(lowered: &Lowered) -> String {
    let find = |name: &str, conditions: &[Condition]| {
        let found = conditions.iter().find(|it| it.reason == "Pending")?;
        assert!(found.kind.ends_with("Programmed") && found.holds == Some(false));
        Some(format!("{name}:{}", found.message))
    };
    let mut pending = Vec::new();
    for (id, status) in &lowered.statuses {
        match &**status {
            Status::Gateway { conditions, listeners, .. } => {
                pending.extend(find(id.kind.name(), conditions));
                pending.extend(listeners.iter().filter_map(|it| find(&it.name, &it.conditions)));
            }
            Status::LoadBalancer { conditions, .. } => {
                pending.extend(find(id.kind.name(), conditions));
            }
            _ => {}
        }
    }
    pending.join(" ")
}
