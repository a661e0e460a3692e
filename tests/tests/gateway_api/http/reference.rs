//! Backends that are not there, or not to be referred to.

use super::super::scene::{HTTP, PARENT, get, space};
use lb_tests::conformance::{
    Case,
    Feature::{HTTPRoute, ReferenceGrant},
    Space,
};
use std::net::IpAddr;

pub(crate) const CASES: &[Case] = &[
    Case::upstream(
        "HTTPRouteInvalidBackendRefUnknownKind",
        "http_route_invalid_backend_ref_unknown_kind",
        &[HTTPRoute],
    ),
    Case::upstream(
        "HTTPRouteInvalidNonExistentBackendRef",
        "http_route_invalid_non_existent_backend_ref",
        &[HTTPRoute],
    ),
    Case::upstream(
        "HTTPRouteInvalidCrossNamespaceBackendRef",
        "http_route_invalid_cross_namespace_backend_ref",
        &[HTTPRoute, ReferenceGrant],
    ),
    Case::upstream(
        "HTTPRouteInvalidReferenceGrant",
        "http_route_invalid_reference_grant",
        &[HTTPRoute, ReferenceGrant],
    ),
    Case::upstream(
        "HTTPRoutePartiallyInvalidViaInvalidReferenceGrant",
        "http_route_partially_invalid_via_invalid_reference_grant",
        &[HTTPRoute, ReferenceGrant],
    ),
    Case::upstream(
        "HTTPRouteReferenceGrant",
        "http_route_reference_grant",
        &[HTTPRoute, ReferenceGrant],
    ),
];

/// A route whose only backend is this (YAML, in flow style).
fn routed(space: &Space, reference: &str) -> IpAddr {
    space.gateway("gateway", HTTP);
    space.route(
        "HTTPRoute",
        "route",
        &format!("  parentRefs: [{PARENT}]\n  rules: [{{backendRefs: [{reference}]}}]"),
    );
    space.address("gateway")
}

/// The route is accepted, its reference is not resolved, and its requests fail.
fn fails(space: &Space, address: IpAddr, reason: &str) {
    space.route_condition("HTTPRoute", "route", "ResolvedRefs", "False", reason);
    space.route_condition("HTTPRoute", "route", "Accepted", "True", "Accepted");
    space.status(&get(address, "any.example", "/"), 500);
}

#[test]
fn http_route_invalid_backend_ref_unknown_kind() {
    let space = space("unknown-kind", &["web"]);
    let address = routed(&space, "{group: made.up, kind: Thing, name: web, port: 8080}");
    fails(&space, address, "InvalidKind");
}

#[test]
fn http_route_invalid_non_existent_backend_ref() {
    let space = space("missing", &[]);
    let address = routed(&space, "{name: nobody, port: 8080}");
    fails(&space, address, "BackendNotFound");
}

/// A space with the Service `web`, and one with a route to it.
fn apart(name: &str) -> (Space, Space, IpAddr) {
    let theirs = space(&format!("{name}-theirs"), &["web"]);
    let ours = space(&format!("{name}-ours"), &["own"]);
    let reference = format!("{{name: web, namespace: {}, port: 8080}}", theirs.name());
    let address = routed(&ours, &reference);
    (ours, theirs, address)
}

#[test]
fn http_route_invalid_cross_namespace_backend_ref() {
    let (ours, _theirs, address) = apart("apart");
    fails(&ours, address, "RefNotPermitted");
}

/// Grants that look like what is needed.
fn grant_in_vain(ours: &Space, theirs: &Space) {
    let from = ours.name();
    theirs.grant("other-namespace", ("HTTPRoute", "default"), ("Service", None));
    theirs.grant("other-from", ("Gateway", from), ("Service", None));
    theirs.grant("other-to", ("HTTPRoute", from), ("Secret", None));
    theirs.grant("other-name", ("HTTPRoute", from), ("Service", Some("other")));
    ours.grant("other-side", ("HTTPRoute", from), ("Service", None));
}

#[test]
fn http_route_invalid_reference_grant() {
    let (ours, theirs, address) = apart("vain");
    grant_in_vain(&ours, &theirs);
    fails(&ours, address, "RefNotPermitted");
}

#[test]
fn http_route_partially_invalid_via_invalid_reference_grant() {
    let (ours, theirs, address) = apart("partial");
    grant_in_vain(&ours, &theirs);
    let namespace = theirs.name();
    ours.route(
        "HTTPRoute",
        "route",
        &format!(
            "  parentRefs: [{PARENT}]\n  rules:\n  - {{matches: [{{path: {{type: PathPrefix, value: /v2}}}}], \
             backendRefs: [{{name: web, namespace: {namespace}, port: 8080}}]}}\n  - {{matches: [{{path: \
             {{type: PathPrefix, value: /}}}}], backendRefs: [{{name: own, port: 8080}}]}}"
        ),
    );
    ours.route_condition("HTTPRoute", "route", "ResolvedRefs", "False", "RefNotPermitted");
    ours.status(&get(address, "any.example", "/v2"), 500);
    ours.reaches(&get(address, "any.example", "/"), "own");
}

#[test]
fn http_route_reference_grant() {
    let (ours, theirs, address) = apart("grant");
    let ask = get(address, "any.example", "/");
    ours.status(&ask, 500);
    theirs.grant("grant", ("HTTPRoute", ours.name()), ("Service", Some("web")));
    ours.reaches(&ask, "web");
    ours.route_condition("HTTPRoute", "route", "ResolvedRefs", "True", "ResolvedRefs");
    theirs.delete("ReferenceGrant", "grant");
    fails(&ours, address, "RefNotPermitted");
}
