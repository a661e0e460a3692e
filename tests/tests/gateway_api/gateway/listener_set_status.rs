//! Routes under Gateways and under their ListenerSets.

use super::super::scene::{get, space};
use lb_tests::conformance::{
    Ask, Case,
    Feature::{HTTPRoute, ListenerSet},
    Space,
};

pub(crate) const CASES: &[Case] = &[
    Case::upstream(
        "ListenerSetHTTPRouting",
        "listener_set_http_routing",
        &[HTTPRoute, ListenerSet],
    ),
    Case::upstream(
        "ListenerSetDualParentRefIndependence",
        "listener_set_dual_parent_ref_independence",
        &[HTTPRoute, ListenerSet],
    ),
    Case::upstream(
        "ListenerSetGatewayParentSectionNameNotFound",
        "listener_set_gateway_parent_section_name_not_found",
        &[HTTPRoute, ListenerSet],
    ),
    Case::upstream(
        "ListenerSetRouteStatusScopedToParentRef",
        "listener_set_route_status_scoped_to_parent_ref",
        &[HTTPRoute, ListenerSet],
    ),
    Case::ours("listener_set_of_a_port_of_its_own", &[HTTPRoute, ListenerSet]),
];

/// A Gateway with the listener `own` and sets with a listener each, for the host `NAME.example`.
fn scene(name: &str, sets: &[&str]) -> Space {
    let space = space(name, &["web"]);
    space.gateway_as(
        "gateway",
        "allowedListeners: {namespaces: {from: Same}}, listeners: [{name: own, port: 80, protocol: \
         HTTP, hostname: own.example}]",
    );
    for set in sets {
        space.listener_set(
            set,
            "gateway",
            &format!("[{{name: {set}, port: 80, protocol: HTTP, hostname: {set}.example}}]"),
        );
    }
    space
}

/// A route of the path `/NAME` under these parents.
fn route(space: &Space, name: &str, parents: &str) {
    space.route(
        "HTTPRoute",
        name,
        &format!(
            "  parentRefs: [{parents}]\n  rules: [{{matches: [{{path: {{type: PathPrefix, value: /{name}}}}}], \
             backendRefs: [{{name: web, port: 8080}}]}}]"
        ),
    );
}

/// What is served at each host, and nothing else.
fn is_served(space: &Space, paths: &[&str], served: &[(&str, &[&str])]) {
    let address = space.address("gateway");
    for (host, of_host) in served {
        for path in paths {
            let ask = get(address, host, &format!("/{path}"));
            if of_host.contains(path) {
                space.reaches(&ask, "web");
            } else {
                space.status(&ask, 404);
            }
        }
    }
}

#[test]
fn listener_set_http_routing() {
    let space = scene("set-routing", &["one", "two"]);
    let set = |name: &str| format!("{{kind: ListenerSet, name: {name}}}");
    route(&space, "all", &format!("{{name: gateway}}, {}, {}", set("one"), set("two")));
    route(&space, "gateway", "{name: gateway}");
    route(&space, "section", "{name: gateway, sectionName: own}");
    route(&space, "first", &set("one"));
    route(&space, "second", "{kind: ListenerSet, name: two, sectionName: two}");
    is_served(
        &space,
        &["all", "gateway", "section", "first", "second"],
        &[
            ("own.example", &["all", "gateway", "section"]),
            ("one.example", &["all", "first"]),
            ("two.example", &["all", "second"]),
            ("other.example", &[]),
        ],
    );
    space.value("Gateway", "gateway", "/status/listeners/0/attachedRoutes", &3.into());
    space.value("Gateway", "gateway", "/status/attachedListenerSets", &2.into());
    for set in ["one", "two"] {
        space.value("ListenerSet", set, "/status/listeners/0/attachedRoutes", &2.into());
    }
    for place in 0..3 {
        space.parent_condition(("HTTPRoute", "all"), place, "Accepted", "True", "Accepted");
    }
}

#[test]
fn listener_set_dual_parent_ref_independence() {
    let space = scene("set-dual", &["one"]);
    route(&space, "both", "{name: gateway}, {kind: ListenerSet, name: one}");
    route(
        &space,
        "half",
        "{name: gateway, sectionName: one}, {kind: ListenerSet, name: one, sectionName: one}",
    );
    for place in 0..2 {
        space.parent_condition(("HTTPRoute", "both"), place, "Accepted", "True", "Accepted");
    }
    let half = ("HTTPRoute", "half");
    space.parent_condition(half, 0, "Accepted", "False", "NoMatchingParent");
    space.parent_condition(half, 1, "Accepted", "True", "Accepted");
    is_served(
        &space,
        &["both", "half"],
        &[("own.example", &["both"]), ("one.example", &["both", "half"])],
    );
}

#[test]
fn listener_set_gateway_parent_section_name_not_found() {
    let space = scene("set-section", &["one"]);
    route(&space, "good", "{kind: ListenerSet, name: one, sectionName: one}");
    route(&space, "bad", "{name: gateway, sectionName: one}");
    space.route_condition("HTTPRoute", "good", "Accepted", "True", "Accepted");
    space.route_condition("HTTPRoute", "bad", "Accepted", "False", "NoMatchingParent");
    is_served(&space, &["good", "bad"], &[("one.example", &["good"]), ("own.example", &[])]);
}

#[test]
fn listener_set_route_status_scoped_to_parent_ref() {
    let space = scene("set-scope", &["one"]);
    route(&space, "gateway", "{name: gateway}");
    route(&space, "set", "{kind: ListenerSet, name: one}");
    for (name, kind) in [("gateway", "Gateway"), ("set", "ListenerSet")] {
        space.route_condition("HTTPRoute", name, "Accepted", "True", "Accepted");
        let status = space.get("HTTPRoute", name).unwrap()["status"]["parents"].clone();
        let parents = status.as_array().unwrap();
        assert_eq!(parents.len(), 1, "{parents:?}");
        let of = parents[0]["parentRef"]["kind"].as_str().unwrap_or("Gateway");
        assert_eq!(of, kind);
    }
    is_served(
        &space,
        &["gateway", "set"],
        &[("own.example", &["gateway"]), ("one.example", &["set"])],
    );
}

#[test]
fn listener_set_of_a_port_of_its_own() {
    let space = scene("set-port", &[]);
    space.listener_set("more", "gateway", "[{name: extra, port: 8081, protocol: HTTP}]");
    route(&space, "set", "{kind: ListenerSet, name: more}");
    let address = space.address("gateway");
    space.reaches(&Ask::get(address, 8081, "any.example", "/set"), "web");
    space.status(&get(address, "own.example", "/set"), 404);
}
