//! Parents that routes ask for in vain.

use super::super::scene::{HTTP, PARENT, get, space};
use lb_tests::conformance::{
    Case,
    Feature::{HTTPRoute, HTTPRouteDestinationPortMatching, HTTPRouteParentRefPort, TLSRoute},
    Space,
};

pub(crate) const CASES: &[Case] = &[
    Case::upstream("HTTPRouteCrossNamespace", "http_route_cross_namespace", &[HTTPRoute]),
    Case::upstream(
        "HTTPRouteInvalidCrossNamespaceParentRef",
        "http_route_invalid_cross_namespace_parent_ref",
        &[HTTPRoute],
    ),
    Case::upstream(
        "HTTPRouteInvalidParentRefNotMatchingSectionName",
        "http_route_invalid_parent_ref_not_matching_section_name",
        &[HTTPRoute],
    ),
    Case::upstream(
        "HTTPRouteInvalidParentRefNotMatchingListenerPort",
        "http_route_invalid_parent_ref_not_matching_listener_port",
        &[HTTPRoute, HTTPRouteDestinationPortMatching],
    ),
    Case::upstream(
        "HTTPRouteInvalidParentRefSectionNameNotMatchingPort",
        "http_route_invalid_parent_ref_section_name_not_matching_port",
        &[HTTPRoute, HTTPRouteParentRefPort],
    ),
    Case::upstream("HTTPRouteDisallowedKind", "http_route_disallowed_kind", &[HTTPRoute, TLSRoute]),
    Case::upstream(
        "HTTPRouteObservedGenerationBump",
        "http_route_observed_generation_bump",
        &[HTTPRoute],
    ),
];

#[test]
fn http_route_cross_namespace() {
    let gateways = space("cross-gateways", &[]);
    gateways.gateway(
        "gateway",
        "[{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]",
    );
    let routes = space("cross-routes", &["web"]);
    let parent = format!("{{name: gateway, namespace: {}}}", gateways.name());
    routes.attach("HTTPRoute", "route", &parent, "", "web");
    routes.route_condition("HTTPRoute", "route", "Accepted", "True", "Accepted");
    routes.reaches(&get(gateways.address("gateway"), "any.example", "/"), "web");
}

/// The only parent of `route` refuses it, and no listener of the Gateway has it.
fn is_refused(space: &Space, gateway: (&Space, &str), reason: &str) {
    space.route_condition("HTTPRoute", "route", "Accepted", "False", reason);
    gateway.0.value("Gateway", gateway.1, "/status/listeners/0/attachedRoutes", &0.into());
}

#[test]
fn http_route_invalid_cross_namespace_parent_ref() {
    let gateways = space("shut-gateways", &[]);
    gateways.gateway("gateway", HTTP);
    let routes = space("shut-routes", &["web"]);
    let parent = format!("{{name: gateway, namespace: {}}}", gateways.name());
    routes.attach("HTTPRoute", "route", &parent, "", "web");
    is_refused(&routes, (&gateways, "gateway"), "NotAllowedByListeners");
    routes.status(&get(gateways.address("gateway"), "any.example", "/"), 404);
}

#[test]
fn http_route_invalid_parent_ref_not_matching_section_name() {
    let space = space("no-section", &["web"]);
    space.gateway("gateway", HTTP);
    space.attach("HTTPRoute", "route", "{name: gateway, sectionName: nowhere}", "", "web");
    is_refused(&space, (&space, "gateway"), "NoMatchingParent");
}

#[test]
fn http_route_invalid_parent_ref_not_matching_listener_port() {
    let space = space("no-port", &["web"]);
    space.gateway("gateway", HTTP);
    space.attach("HTTPRoute", "route", "{name: gateway, port: 81}", "", "web");
    is_refused(&space, (&space, "gateway"), "NoMatchingParent");
}

#[test]
fn http_route_invalid_parent_ref_section_name_not_matching_port() {
    let space = space("other-port", &["web"]);
    space.gateway("gateway", HTTP);
    space.attach("HTTPRoute", "route", "{name: gateway, sectionName: http, port: 81}", "", "web");
    is_refused(&space, (&space, "gateway"), "NoMatchingParent");
}

#[test]
fn http_route_disallowed_kind() {
    let space = space("other-kind", &["web"]);
    space.gateway(
        "gateway",
        "[{name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}, allowedRoutes: {kinds: [{kind: \
         TLSRoute}]}}]",
    );
    space.attach("HTTPRoute", "route", PARENT, "", "web");
    is_refused(&space, (&space, "gateway"), "NotAllowedByListeners");
}

#[test]
fn http_route_observed_generation_bump() {
    let space = space("route-generation", &["one", "two"]);
    space.gateway("gateway", HTTP);
    space.attach("HTTPRoute", "route", PARENT, "", "one");
    space.route_condition("HTTPRoute", "route", "Accepted", "True", "Accepted");
    space.attach("HTTPRoute", "route", PARENT, "", "two");
    space.value("HTTPRoute", "route", "/metadata/generation", &2.into());
    // Conditions hold only if they are about the object's generation.
    space.route_condition("HTTPRoute", "route", "Accepted", "True", "Accepted");
    space.route_condition("HTTPRoute", "route", "ResolvedRefs", "True", "ResolvedRefs");
    space.reaches(&get(space.address("gateway"), "any.example", "/"), "two");
}
