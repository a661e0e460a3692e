//! TLSRoute.

use super::scene::{PARENT, space};
use lb_tests::conformance::{
    Ask, Case,
    Feature::{
        BackendTLSPolicy, HTTPRoute, ReferenceGrant, TLSRoute, TLSRouteModeMixed,
        TLSRouteModeTerminate,
    },
    Space, Speaks, Trust,
};
use serde_json::json;

pub(crate) const CASES: &[Case] = &[
    Case::upstream("TLSRouteSimpleSameNamespace", "tls_route_simple_same_namespace", &[TLSRoute]),
    Case::upstream("TLSRouteHostnameIntersection", "tls_route_hostname_intersection", &[TLSRoute]),
    Case::upstream(
        "TLSRouteInvalidBackendRefNonexistent",
        "tls_route_invalid_backend_ref_nonexistent",
        &[TLSRoute],
    ),
    Case::upstream(
        "TLSRouteInvalidBackendRefUnknownKind",
        "tls_route_invalid_backend_ref_unknown_kind",
        &[TLSRoute],
    ),
    Case::upstream(
        "TLSRouteInvalidNoMatchingListenerHostname",
        "tls_route_invalid_no_matching_listener_hostname",
        &[TLSRoute],
    ),
    Case::upstream(
        "TLSRouteInvalidNoMatchingListener",
        "tls_route_invalid_no_matching_listener",
        &[TLSRoute],
    ),
    Case::upstream(
        "TLSRouteInvalidReferenceGrant",
        "tls_route_invalid_reference_grant",
        &[ReferenceGrant, TLSRoute],
    ),
    Case::upstream(
        "TLSRouteListenerPassthroughSupportedKinds",
        "tls_route_listener_passthrough_supported_kinds",
        &[TLSRoute],
    ),
    Case::upstream(
        "TLSRouteListenerTerminateSupportedKinds",
        "tls_route_listener_terminate_supported_kinds",
        &[TLSRoute, TLSRouteModeTerminate],
    ),
    Case::upstream(
        "TLSRouteListenerTerminateNotSupported",
        "tls_route_listener_terminate_not_supported",
        &[TLSRoute],
    ),
    Case::upstream(
        "TLSRouteListenerMixedTerminationNotSupported",
        "tls_route_listener_mixed_termination_not_supported",
        &[TLSRoute, TLSRouteModeTerminate],
    ),
    Case::provisional(
        "TLSRouteTerminateSimpleSameNamespace",
        "tls_route_terminate_simple_same_namespace",
        &[TLSRoute, TLSRouteModeTerminate],
    ),
    Case::ours("tls_route_beside_https_at_a_port", &[HTTPRoute, TLSRoute]),
    Case::ours(
        "tls_route_terminate_backend_tls_policy",
        &[BackendTLSPolicy, TLSRoute, TLSRouteModeTerminate],
    ),
    Case::provisional(
        "TLSRouteMixedTerminationSameNamespace",
        "tls_route_mixed_termination_same_namespace",
        &[TLSRoute, TLSRouteModeMixed, TLSRouteModeTerminate],
    ),
];

const PASSTHROUGH: &str = "[{name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}}]";

/// A space with backends that terminate TLS for these names and say their own.
fn secured(name: &str, backends: &[&str], names: &[&str]) -> Space {
    let mut space = space(name, &[]);
    let config = space.suite().authority.issue(names).unwrap().server(None).unwrap();
    for backend in backends {
        space.backends_speaking(backend, 1, &Speaks::TlsLines(config.clone()), "");
    }
    space
}

fn trust(space: &Space, name: &str) -> Trust {
    Trust::of(space.suite(), name)
}

/// What listeners say of the only kind of routes they take.
fn takes_only_tls_routes(space: &Space, place: usize) {
    let path = format!("/status/listeners/{place}/supportedKinds");
    let kinds = json!([{ "group": "gateway.networking.k8s.io", "kind": "TLSRoute" }]);
    space.value("Gateway", "gateway", &path, &kinds);
}

#[test]
fn tls_route_simple_same_namespace() {
    let space = secured("tls", &["inner"], &["inner.example", "other.example"]);
    space.gateway("gateway", PASSTHROUGH);
    space.attach("TLSRoute", "route", PARENT, "inner.example", "inner");
    space.route_condition("TLSRoute", "route", "Accepted", "True", "Accepted");
    space.route_condition("TLSRoute", "route", "ResolvedRefs", "True", "ResolvedRefs");
    let address = space.address("gateway");
    space.line_from(address, 443, Some(&trust(&space, "inner.example")), "inner");
    space.no_line(address, 443, Some(&trust(&space, "other.example")));
}

#[test]
fn tls_route_hostname_intersection() {
    let names = ["*.example", "*.abc.example", "*.com", "*.example.com", "*.abc.com"];
    let space = secured("tls-hosts", &["one", "two"], &names);
    let listener = |name: &str, host: &str| {
        let host = if host.is_empty() { String::new() } else { format!(", hostname: '{host}'") };
        let spec =
            format!("[{{name: tls, port: 443, protocol: TLS{host}, tls: {{mode: Passthrough}}}}]");
        space.gateway(name, &spec);
    };
    let route = |name: &str, gateway: &str, hosts: &str, backend: &str| {
        space.attach("TLSRoute", name, &format!("{{name: {gateway}}}"), hosts, backend);
    };
    // The listener's host, the routes' hosts, and where servers of which names are found.
    listener("exact", "abc.example.com");
    route("exact", "exact", "'*.example.com', abc.example.com", "one");
    listener("deep", "*.example.com");
    route("deep-one", "deep", "abc.example.com, other.com", "one");
    route("deep-two", "deep", "'*.com'", "two");
    listener("wide", "*.com");
    route("wide-one", "wide", "abc.example.com", "one");
    route("wide-two", "wide", "'*.example.com'", "two");
    listener("any", "");
    route("any-one", "any", "abc.example.com", "one");
    route("any-two", "any", "'*.example.com'", "two");
    for (gateway, name, backend) in [
        ("exact", "abc.example.com", Some("one")),
        ("exact", "other.example.com", None),
        ("deep", "abc.example.com", Some("one")),
        ("deep", "other.example.com", Some("two")),
        ("deep", "other.com", None),
        ("wide", "abc.example.com", Some("one")),
        ("wide", "other.example.com", Some("two")),
        ("wide", "other.abc.com", None),
        ("any", "abc.example.com", Some("one")),
        ("any", "other.example.com", Some("two")),
        ("any", "other.abc.com", None),
    ] {
        let (address, trust) = (space.address(gateway), trust(&space, name));
        match backend {
            Some(backend) => space.line_from(address, 443, Some(&trust), backend),
            None => space.no_line(address, 443, Some(&trust)),
        }
    }
}

#[test]
fn tls_route_invalid_backend_ref_nonexistent() {
    let space = space("tls-missing", &[]);
    space.gateway("gateway", PASSTHROUGH);
    space.attach("TLSRoute", "route", PARENT, "inner.example", "nobody");
    space.route_condition("TLSRoute", "route", "ResolvedRefs", "False", "BackendNotFound");
    space.route_condition("TLSRoute", "route", "Accepted", "True", "Accepted");
    space.no_line(space.address("gateway"), 443, Some(&trust(&space, "inner.example")));
}

/// A route whose only backend is this (YAML, in flow style).
fn route_to(space: &Space, reference: &str) {
    space.route(
        "TLSRoute",
        "route",
        &format!(
            "  parentRefs: [{PARENT}]\n  hostnames: [inner.example]\n  rules: [{{backendRefs: [{reference}]}}]"
        ),
    );
}

#[test]
fn tls_route_invalid_backend_ref_unknown_kind() {
    let space = space("tls-kind", &[]);
    space.gateway("gateway", PASSTHROUGH);
    route_to(&space, "{group: made.up, kind: Thing, name: inner, port: 8080}");
    space.route_condition("TLSRoute", "route", "ResolvedRefs", "False", "InvalidKind");
    space.no_line(space.address("gateway"), 443, Some(&trust(&space, "inner.example")));
}

#[test]
fn tls_route_invalid_reference_grant() {
    let theirs = secured("tls-theirs", &["inner"], &["inner.example"]);
    let space = space("tls-ours", &[]);
    space.gateway("gateway", PASSTHROUGH);
    route_to(&space, &format!("{{name: inner, namespace: {}, port: 8080}}", theirs.name()));
    theirs.grant("other-from", ("HTTPRoute", space.name()), ("Service", None));
    theirs.grant("other-name", ("TLSRoute", space.name()), ("Service", Some("other")));
    theirs.grant("other-namespace", ("TLSRoute", "default"), ("Service", None));
    space.route_condition("TLSRoute", "route", "ResolvedRefs", "False", "RefNotPermitted");
    let (address, trust) = (space.address("gateway"), trust(&space, "inner.example"));
    space.no_line(address, 443, Some(&trust));
    theirs.grant("grant", ("TLSRoute", space.name()), ("Service", Some("inner")));
    space.line_from(address, 443, Some(&trust), "inner");
}

#[test]
fn tls_route_invalid_no_matching_listener_hostname() {
    let space = secured("tls-no-host", &["inner"], &["inner.example"]);
    for (gateway, host) in [("exact", "exact.example"), ("wild", "'*.wild.example'")] {
        space.gateway(
            gateway,
            &format!("[{{name: tls, port: 443, protocol: TLS, hostname: {host}, tls: {{mode: Passthrough}}}}]"),
        );
        let parent = format!("{{name: {gateway}}}");
        space.attach("TLSRoute", gateway, &parent, "other.example, wild.example", "inner");
        let reason = "NoMatchingListenerHostname";
        space.route_condition("TLSRoute", gateway, "Accepted", "False", reason);
        space.value("Gateway", gateway, "/status/listeners/0/attachedRoutes", &0.into());
    }
}

#[test]
fn tls_route_invalid_no_matching_listener() {
    let space = secured("tls-astray", &["inner"], &["inner.example"]);
    space.certificate("tls", &["inner.example"]);
    space.gateway("http", "[{name: http, port: 80, protocol: HTTP}]");
    space.gateway(
        "https",
        "[{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: tls}]}}]",
    );
    space.gateway("tls", PASSTHROUGH);
    for (name, section, reason) in [
        ("http", "", "NotAllowedByListeners"),
        ("https", "", "NotAllowedByListeners"),
        ("tls", ", sectionName: nowhere", "NoMatchingParent"),
    ] {
        space.attach(
            "TLSRoute",
            name,
            &format!("{{name: {name}{section}}}"),
            "inner.example",
            "inner",
        );
        space.route_condition("TLSRoute", name, "Accepted", "False", reason);
        space.value("Gateway", name, "/status/listeners/0/attachedRoutes", &0.into());
    }
}

#[test]
fn tls_route_listener_passthrough_supported_kinds() {
    let space = space("tls-kinds", &[]);
    space.gateway(
        "gateway",
        "[{name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}, allowedRoutes: {kinds: [{kind: \
         TCPRoute}, {kind: TLSRoute}]}}]",
    );
    space.listener_condition("gateway", 0, "ResolvedRefs", "False", "InvalidRouteKinds");
    takes_only_tls_routes(&space, 0);
}

/// A listener that terminates TLS, named after its host.
fn terminating(name: &str) -> String {
    format!(
        "{{name: {name}, port: 8443, protocol: TLS, hostname: {name}.example, allowedRoutes: {{kinds: [{{kind: \
         TLSRoute}}]}}, tls: {{mode: Terminate, certificateRefs: [{{name: tls}}]}}}}"
    )
}

#[test]
fn tls_route_listener_terminate_supported_kinds() {
    let space = space("terminate-kinds", &[]);
    space.certificate("tls", &["outer.example"]);
    space.gateway("gateway", &format!("[{}]", terminating("outer")));
    takes_only_tls_routes(&space, 0);
    space.listener_condition("gateway", 0, "Accepted", "True", "Accepted");
}

/// Who terminates TLS does not say `UnsupportedValue`, as those are asked to who do not.
#[test]
fn tls_route_listener_terminate_not_supported() {
    let space = space("terminate-served", &[]);
    space.certificate("tls", &["outer.example"]);
    space.gateway("gateway", &format!("[{}]", terminating("outer")));
    space.listener_condition("gateway", 0, "Accepted", "True", "Accepted");
    space.listener_condition("gateway", 0, "Programmed", "True", "Programmed");
}

const BOTH: &str =
    "{name: inner, port: 8443, protocol: TLS, hostname: inner.example, tls: {mode: Passthrough}}";

/// Who serves both modes on a port does not say `ProtocolConflict`, as those are asked to who do
/// not.
#[test]
fn tls_route_listener_mixed_termination_not_supported() {
    let space = space("mixed-served", &[]);
    space.certificate("tls", &["outer.example"]);
    space.gateway("gateway", &format!("[{}, {BOTH}]", terminating("outer")));
    for place in 0..2 {
        space.listener_condition("gateway", place, "Accepted", "True", "Accepted");
        space.listener_condition("gateway", place, "Conflicted", "False", "NoConflicts");
        space.listener_condition("gateway", place, "Programmed", "True", "Programmed");
    }
}

#[test]
fn tls_route_terminate_simple_same_namespace() {
    let mut space = space("terminate", &[]);
    space.backends_speaking("plain", 1, &Speaks::Lines, "");
    space.certificate("tls", &["outer.example"]);
    space.gateway("gateway", &format!("[{}]", terminating("outer")));
    space.attach("TLSRoute", "route", PARENT, "outer.example", "plain");
    space.route_condition("TLSRoute", "route", "Accepted", "True", "Accepted");
    let trust = trust(&space, "outer.example");
    space.line_from(space.address("gateway"), 8443, Some(&trust), "plain");
}

#[test]
fn tls_route_mixed_termination_same_namespace() {
    let mut space = secured("mixed", &["inner"], &["inner.example"]);
    space.backends_speaking("plain", 1, &Speaks::Lines, "");
    space.certificate("tls", &["outer.example"]);
    space.gateway("gateway", &format!("[{}, {BOTH}]", terminating("outer")));
    space.attach("TLSRoute", "outer", PARENT, "outer.example", "plain");
    space.attach("TLSRoute", "inner", PARENT, "inner.example", "inner");
    let address = space.address("gateway");
    space.line_from(address, 8443, Some(&trust(&space, "outer.example")), "plain");
    space.line_from(address, 8443, Some(&trust(&space, "inner.example")), "inner");
    for place in 0..2 {
        space.listener_condition("gateway", place, "Accepted", "True", "Accepted");
        let path = format!("/status/listeners/{place}/attachedRoutes");
        space.value("Gateway", "gateway", &path, &1.into());
    }
}

#[test]
fn tls_route_terminate_backend_tls_policy() {
    let space = secured("reencrypt", &["inner"], &["inner.example"]);
    space.authority("ca");
    space.backend_policy("policy", "inner", "hostname: inner.example", "ca");
    space.certificate("tls", &["outer.example"]);
    space.gateway("gateway", &format!("[{}]", terminating("outer")));
    space.attach("TLSRoute", "route", PARENT, "outer.example", "inner");
    let (address, trust) = (space.address("gateway"), trust(&space, "outer.example"));
    space.line_from(address, 8443, Some(&trust), "inner");
    space.backend_policy("policy", "inner", "hostname: wrong.example", "ca");
    space.no_line(address, 8443, Some(&trust));
}

#[test]
fn tls_route_beside_https_at_a_port() {
    let mut space = secured("beside", &["inner"], &["inner.example"]);
    space.backend("web");
    space.certificate("tls", &["outer.example"]);
    space.gateway(
        "gateway",
        "[{name: https, port: 443, protocol: HTTPS, hostname: outer.example, tls: {certificateRefs: \
         [{name: tls}]}}, {name: tls, port: 443, protocol: TLS, hostname: inner.example, tls: {mode: \
         Passthrough}}]",
    );
    space.attach("HTTPRoute", "outer", PARENT, "", "web");
    space.attach("TLSRoute", "inner", PARENT, "inner.example", "inner");
    let address = space.address("gateway");
    let ask = Ask::get(address, 443, "outer.example", "/").secure(space.suite());
    space.reaches(&ask, "web");
    space.line_from(address, 443, Some(&trust(&space, "inner.example")), "inner");
}
