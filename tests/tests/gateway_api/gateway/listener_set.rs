//! Listeners in objects of their own: who may add them, and what comes of conflicts.

use super::super::scene::{HTTP, get, space};
use lb_tests::conformance::{
    Ask, Case,
    Feature::{HTTPRoute, ListenerSet, ReferenceGrant, TLSRoute},
    Space,
};

pub(crate) const CASES: &[Case] = &[
    Case::upstream(
        "ListenerSetAllowedNamespaceNone",
        "listener_set_allowed_namespace_none",
        &[ListenerSet],
    ),
    Case::upstream(
        "ListenerSetAllowedNamespaceSame",
        "listener_set_allowed_namespace_same",
        &[ListenerSet],
    ),
    Case::upstream(
        "ListenerSetAllowedNamespaceSelector",
        "listener_set_allowed_namespace_selector",
        &[ListenerSet],
    ),
    Case::upstream(
        "ListenerSetDefaultNotAllowed",
        "listener_set_default_not_allowed",
        &[ListenerSet],
    ),
    Case::upstream(
        "ListenerSetAllowedRoutesNamespaces",
        "listener_set_allowed_routes_namespaces",
        &[HTTPRoute, ListenerSet, ReferenceGrant],
    ),
    Case::upstream(
        "ListenerSetAllowedRoutesSupportedKinds",
        "listener_set_allowed_routes_supported_kinds",
        &[ListenerSet, TLSRoute],
    ),
    Case::upstream("ListenerSetHostnameConflict", "listener_set_hostname_conflict", &[ListenerSet]),
    Case::upstream("ListenerSetProtocolConflict", "listener_set_protocol_conflict", &[ListenerSet]),
    Case::upstream(
        "ListenerSetReferenceGrant",
        "listener_set_reference_grant",
        &[ListenerSet, ReferenceGrant],
    ),
];

/// A Gateway that lets sets in from these namespaces (YAML, in flow style).
fn allowing(space: &Space, from: &str) {
    space.gateway_as(
        "gateway",
        &format!("allowedListeners: {{namespaces: {{{from}}}}}, listeners: {HTTP}"),
    );
}

fn http(name: &str, host: &str) -> String {
    format!("{{name: {name}, port: 80, protocol: HTTP, hostname: {host}}}")
}

fn is_accepted(space: &Space, set: &str) {
    set_condition(space, set, "Accepted", "True", "Accepted");
    set_condition(space, set, "Programmed", "True", "Programmed");
}

fn is_refused(space: &Space, set: &str, reason: &str) {
    set_condition(space, set, "Accepted", "False", reason);
    set_condition(space, set, "Programmed", "False", reason);
}

fn set_condition(space: &Space, set: &str, kind: &str, status: &str, reason: &str) {
    space.condition("ListenerSet", set, "/status/conditions", kind, status, reason);
}

/// A condition of a listener of a set, by place.
fn listener(space: &Space, (set, place): (&str, usize), kind: &str, status: &str, reason: &str) {
    let path = format!("/status/listeners/{place}/conditions");
    space.condition("ListenerSet", set, &path, kind, status, reason);
}

/// The path to the Gateway of another space.
fn of(space: &Space) -> String {
    format!("{}/gateway", space.name())
}

#[test]
fn listener_set_allowed_namespace_none() {
    let space = space("sets-none", &[]);
    allowing(&space, "from: None");
    space.listener_set("set", "gateway", &format!("[{}]", http("more", "more.example")));
    is_refused(&space, "set", "NotAllowed");
    space.gateway_condition("gateway", "Accepted", "True", "Accepted");
}

#[test]
fn listener_set_default_not_allowed() {
    let space = space("sets-default", &[]);
    space.gateway("gateway", HTTP);
    space.listener_set("set", "gateway", &format!("[{}]", http("more", "more.example")));
    is_refused(&space, "set", "NotAllowed");
    space.gateway_condition("gateway", "Accepted", "True", "Accepted");
}

#[test]
fn listener_set_allowed_namespace_same() {
    let (own, other) = (space("sets-same", &[]), space("sets-other", &[]));
    allowing(&own, "from: Same");
    let listeners = format!("[{}]", http("more", "more.example"));
    own.listener_set("set", "gateway", &listeners);
    other.listener_set("set", &of(&own), &listeners);
    is_accepted(&own, "set");
    listener(&own, ("set", 0), "Accepted", "True", "Accepted");
    listener(&own, ("set", 0), "ResolvedRefs", "True", "ResolvedRefs");
    listener(&own, ("set", 0), "Programmed", "True", "Programmed");
    is_refused(&other, "set", "NotAllowed");
    own.value("Gateway", "gateway", "/status/attachedListenerSets", &1.into());
}

#[test]
fn listener_set_allowed_namespace_selector() {
    let (own, chosen, other) =
        (space("sets-choose", &[]), space("sets-chosen", &[]), space("sets-left", &[]));
    let label = chosen.name().to_owned();
    allowing(&own, &format!("from: Selector, selector: {{matchLabels: {{space: {label}}}}}"));
    let listeners = format!("[{}]", http("more", "more.example"));
    chosen.listener_set("set", &of(&own), &listeners);
    other.listener_set("set", &of(&own), &listeners);
    is_accepted(&chosen, "set");
    listener(&chosen, ("set", 0), "Programmed", "True", "Programmed");
    is_refused(&other, "set", "NotAllowed");
}

#[test]
fn listener_set_allowed_routes_namespaces() {
    let own = space("set-routes", &["web"]);
    let (chosen, other) = (space("set-chosen", &[]), space("set-left", &[]));
    allowing(&own, "from: Same");
    let of = |name: &str, from: &str| {
        format!(
            "{{name: {name}, port: 80, protocol: HTTP, hostname: {name}.example, allowedRoutes: \
             {{namespaces: {{{from}}}}}}}"
        )
    };
    let chosen_name = chosen.name();
    let selector = format!("from: Selector, selector: {{matchLabels: {{space: {chosen_name}}}}}");
    let listeners =
        [of("all", "from: All"), of("same", "from: Same"), of("some", &selector)].join(", ");
    own.listener_set("set", "gateway", &format!("[{listeners}]"));
    let namespace = own.name();
    for (name, space) in [("own", &own), ("chosen", &chosen), ("other", &other)] {
        own.grant(name, ("HTTPRoute", space.name()), ("Service", None));
        space.route(
            "HTTPRoute",
            "route",
            &format!(
                "  parentRefs: [{{kind: ListenerSet, name: set, namespace: {namespace}}}]\n  rules: \
                 [{{matches: [{{path: {{type: PathPrefix, value: /{name}}}}}], backendRefs: [{{name: web, \
                 namespace: {namespace}, port: 8080}}]}}]"
            ),
        );
        space.route_condition("HTTPRoute", "route", "Accepted", "True", "Accepted");
    }
    let address = own.address("gateway");
    for (host, served) in [
        ("all.example", &["own", "chosen", "other"][..]),
        ("same.example", &["own"]),
        ("some.example", &["chosen"]),
    ] {
        for name in ["own", "chosen", "other"] {
            let ask = get(address, host, &format!("/{name}"));
            if served.contains(&name) {
                own.reaches(&ask, "web");
            } else {
                own.status(&ask, 404);
            }
        }
    }
    for (place, count) in [3, 1, 1].into_iter().enumerate() {
        let path = format!("/status/listeners/{place}/attachedRoutes");
        own.value("ListenerSet", "set", &path, &count.into());
    }
}

#[test]
fn listener_set_allowed_routes_supported_kinds() {
    let space = space("set-kinds", &[]);
    allowing(&space, "from: Same");
    space.listener_set(
        "set",
        "gateway",
        "[{name: tls, port: 443, protocol: TLS, hostname: tls.example, allowedRoutes: {kinds: [{kind: \
         HTTPRoute}]}, tls: {mode: Passthrough}}]",
    );
    listener(&space, ("set", 0), "ResolvedRefs", "False", "InvalidRouteKinds");
    space.takes_no_kinds("ListenerSet", "set", 0);
    is_refused(&space, "set", "ListenersNotValid");
}

/// What a listener says that lost against another.
fn lost(space: &Space, of: (&str, usize), reason: &str) {
    listener(space, of, "Accepted", "False", reason);
    listener(space, of, "Programmed", "False", reason);
    listener(space, of, "Conflicted", "True", reason);
}

/// Sets that lose `taken` to the Gateway and `shared` to the set `first`.
fn conflict(name: &str, reason: &str, rival: impl Fn(&str) -> String) {
    let space = space(name, &[]);
    space.gateway_as(
        "gateway",
        &format!(
            "allowedListeners: {{namespaces: {{from: Same}}}}, listeners: [{}, {}]",
            http("own", "own.example"),
            http("taken", "taken.example"),
        ),
    );
    let set = |name: &str, listeners: &[String]| {
        space.listener_set(name, "gateway", &format!("[{}]", listeners.join(", ")));
    };
    // Named in the order of their precedence, since they are made in the same second.
    set("a-first", &[http("one", "one.example"), rival("taken"), http("shared", "shared.example")]);
    set("b-only-taken", &[rival("taken")]);
    set("c-second", &[http("two", "two.example"), rival("shared")]);
    set("d-only-shared", &[rival("shared")]);
    space.listener_condition("gateway", 0, "Accepted", "True", "Accepted");
    space.listener_condition("gateway", 1, "Accepted", "True", "Accepted");
    for set in ["a-first", "c-second"] {
        set_condition(&space, set, "Accepted", "True", "ListenersNotValid");
        set_condition(&space, set, "Programmed", "True", "Programmed");
        listener(&space, (set, 0), "Programmed", "True", "Programmed");
        lost(&space, (set, 1), reason);
    }
    listener(&space, ("a-first", 2), "Programmed", "True", "Programmed");
    for set in ["b-only-taken", "d-only-shared"] {
        is_refused(&space, set, "ListenersNotValid");
        lost(&space, (set, 0), reason);
    }
}

#[test]
fn listener_set_hostname_conflict() {
    conflict("set-hosts", "HostnameConflict", |name| http(name, &format!("{name}.example")));
}

#[test]
fn listener_set_protocol_conflict() {
    conflict("set-protocols", "ProtocolConflict", |name| {
        format!("{{name: {name}, port: 80, protocol: TCP}}")
    });
}

#[test]
fn listener_set_reference_grant() {
    let secrets = space("set-secrets", &[]);
    secrets.certificate("tls", &["any.example"]);
    let (granted, bare) = (space("set-granted", &["web"]), space("set-bare", &[]));
    let https = |host: &str| {
        format!(
            "[{{name: https, port: 443, protocol: HTTPS, hostname: {host}, tls: {{certificateRefs: \
             [{{name: tls, namespace: {}}}]}}}}]",
            secrets.name()
        )
    };
    granted.gateway_as(
        "gateway",
        &format!("allowedListeners: {{namespaces: {{from: All}}}}, listeners: {HTTP}"),
    );
    // A grant to the Gateway is none to the sets.
    secrets.grant("gateways", ("Gateway", bare.name()), ("Secret", None));
    secrets.grant("sets", ("ListenerSet", granted.name()), ("Secret", None));
    granted.listener_set("set", "gateway", &https("any.example"));
    bare.listener_set("set", &of(&granted), &https("other.example"));
    listener(&granted, ("set", 0), "ResolvedRefs", "True", "ResolvedRefs");
    is_accepted(&granted, "set");
    listener(&bare, ("set", 0), "ResolvedRefs", "False", "RefNotPermitted");
    is_refused(&bare, "set", "ListenersNotValid");
    granted.attach("HTTPRoute", "route", "{kind: ListenerSet, name: set}", "", "web");
    let ask = Ask::get(granted.address("gateway"), 443, "any.example", "/");
    granted.reaches(&ask.secure(granted.suite()), "web");
}
