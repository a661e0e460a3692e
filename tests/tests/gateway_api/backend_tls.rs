//! BackendTLSPolicy: TLS towards backends.

use super::scene::{HTTP, PARENT, get, space};
use lb_tests::conformance::{
    Ask, Case,
    Feature::{BackendTLSPolicy, BackendTLSPolicySANValidation, HTTPRoute},
    Space, Speaks,
};
use std::net::IpAddr;

pub(crate) const CASES: &[Case] = &[
    Case::upstream("BackendTLSPolicy", "backend_tls_policy", &[HTTPRoute, BackendTLSPolicy]),
    Case::upstream(
        "BackendTLSPolicyConflictResolution",
        "backend_tls_policy_conflict_resolution",
        &[HTTPRoute, BackendTLSPolicy],
    ),
    Case::upstream(
        "BackendTLSPolicyInvalidCACertificateRef",
        "backend_tls_policy_invalid_ca_certificate_ref",
        &[HTTPRoute, BackendTLSPolicy],
    ),
    Case::upstream(
        "BackendTLSPolicyInvalidKind",
        "backend_tls_policy_invalid_kind",
        &[HTTPRoute, BackendTLSPolicy],
    ),
    Case::upstream(
        "BackendTLSPolicyObservedGenerationBump",
        "backend_tls_policy_observed_generation_bump",
        &[HTTPRoute, BackendTLSPolicy],
    ),
    Case::upstream(
        "BackendTLSPolicySANValidation",
        "backend_tls_policy_san_validation",
        &[HTTPRoute, BackendTLSPolicy, BackendTLSPolicySANValidation],
    ),
];

const INNER: &str = "hostname: inner.example";

/// A space with the TLS backend `secure` of these names, its authority `ca` and a route to it.
fn secured(name: &str, names: &[&str], uris: &[&str]) -> (Space, IpAddr) {
    let mut space = space(name, &[]);
    let issued = space.suite().authority.issue_with_uris(names, uris).unwrap();
    space.backends_speaking("secure", 1, &Speaks::Https(issued.server(None).unwrap()), "");
    space.authority("ca");
    space.gateway("gateway", HTTP);
    space.attach("HTTPRoute", "route", PARENT, "", "secure");
    let address = space.address("gateway");
    (space, address)
}

fn policy_condition(space: &Space, policy: &str, kind: &str, status: &str, reason: &str) {
    let path = "/status/ancestors/0/conditions";
    space.condition("BackendTLSPolicy", policy, path, kind, status, reason);
}

fn is_accepted(space: &Space, policy: &str) {
    policy_condition(space, policy, "Accepted", "True", "Accepted");
    policy_condition(space, policy, "ResolvedRefs", "True", "ResolvedRefs");
}

fn fails(space: &Space, ask: &Ask) {
    space.ask(ask, "no backend answers", |it| it.status >= 500);
}

#[test]
fn backend_tls_policy() {
    let (space, address) = secured("backend-tls", &["inner.example"], &[]);
    let ask = get(address, "any.example", "/");
    space.backend_policy("policy", "secure", INNER, "ca");
    is_accepted(&space, "policy");
    assert!(space.reaches(&ask, "secure").echoed.unwrap().tls);
    // Another name than the backend's, and another authority than its issuer.
    space.backend_policy("policy", "secure", "hostname: wrong.example", "ca");
    fails(&space, &ask);
    let other = lb_tests::authority::Authority::new().unwrap();
    space.config_map("other", &other.pem());
    space.backend_policy("policy", "secure", INNER, "other");
    fails(&space, &ask);
    // What the ConfigMap says is followed.
    space.authority("other");
    space.reaches(&ask, "secure");
    space.config_map("other", "no certificate");
    policy_condition(&space, "policy", "Accepted", "False", "NoValidCACertificate");
    policy_condition(&space, "policy", "ResolvedRefs", "False", "InvalidCACertificateRef");
    fails(&space, &ask);
    // Requests that came by TLS leave by TLS.
    space.backend_policy("policy", "secure", INNER, "ca");
    space.certificate("tls", &["outer.example"]);
    space.gateway(
        "gateway",
        "[{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: tls}]}}]",
    );
    let ask = Ask::get(address, 443, "outer.example", "/").secure(space.suite());
    assert!(space.reaches(&ask, "secure").echoed.unwrap().tls);
}

#[test]
fn backend_tls_policy_conflict_resolution() {
    let (space, address) = secured("policies", &["inner.example"], &[]);
    // The Service of the backend with two ports, both of which lead to it.
    let port = space.port_of("secure");
    space.apply(&format!(
        "{{apiVersion: v1, kind: Service, metadata: {{name: secure}}, spec: {{ports: [{{name: one, port: 8080, \
         protocol: TCP}}, {{name: two, port: 8081, protocol: TCP}}]}}}}\n---\n{{apiVersion: \
         discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: secure-0, labels: \
         {{kubernetes.io/service-name: secure}}}}, addressType: IPv4, ports: [{{name: one, port: {port}, \
         protocol: TCP}}, {{name: two, port: {port}, protocol: TCP}}], endpoints: [{{addresses: [127.0.0.1], \
         conditions: {{ready: true}}}}]}}"
    ));
    space.route(
        "HTTPRoute",
        "route",
        "  parentRefs: [{name: gateway}]\n  rules:\n  - {matches: [{path: {type: PathPrefix, value: /one}}], \
         backendRefs: [{name: secure, port: 8080}]}\n  - {matches: [{path: {type: PathPrefix, value: /two}}], \
         backendRefs: [{name: secure, port: 8081}]}",
    );
    let (one, two) = (get(address, "any.example", "/one"), get(address, "any.example", "/two"));
    // Of two for the same the first one made rules: made in one second, the first by name.
    space.backend_policy("a-whole", "secure", INNER, "ca");
    is_accepted(&space, "a-whole");
    space.backend_policy("b-whole", "secure", "hostname: other.example", "ca");
    policy_condition(&space, "b-whole", "Accepted", "False", "Conflicted");
    is_accepted(&space, "a-whole");
    space.reaches(&one, "secure");
    space.reaches(&two, "secure");
    // One for a section is in no conflict with one for the whole, and goes first.
    space.backend_policy("c-section", "secure/two", "hostname: other.example", "ca");
    is_accepted(&space, "c-section");
    is_accepted(&space, "a-whole");
    space.reaches(&one, "secure");
    fails(&space, &two);
    space.backend_policy("d-section", "secure/two", INNER, "ca");
    policy_condition(&space, "d-section", "Accepted", "False", "Conflicted");
    space.delete("BackendTLSPolicy", "c-section");
    is_accepted(&space, "d-section");
    space.reaches(&two, "secure");
}

#[test]
fn backend_tls_policy_invalid_ca_certificate_ref() {
    let (space, address) = secured("bad-ca", &["inner.example"], &[]);
    space.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: malformed}}");
    for authority in ["missing", "malformed"] {
        space.backend_policy("policy", "secure", INNER, authority);
        policy_condition(&space, "policy", "Accepted", "False", "NoValidCACertificate");
        policy_condition(&space, "policy", "ResolvedRefs", "False", "InvalidCACertificateRef");
        fails(&space, &get(address, "any.example", "/"));
    }
}

#[test]
fn backend_tls_policy_invalid_kind() {
    let (space, address) = secured("ca-kind", &["inner.example"], &[]);
    space.apply(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: policy}\nspec: \
         {targetRefs: [{group: '', kind: Service, name: secure}], validation: {hostname: inner.example, \
         caCertificateRefs: [{group: made.up, kind: Thing, name: ca}]}}",
    );
    policy_condition(&space, "policy", "Accepted", "False", "NoValidCACertificate");
    policy_condition(&space, "policy", "ResolvedRefs", "False", "InvalidKind");
    fails(&space, &get(address, "any.example", "/"));
}

#[test]
fn backend_tls_policy_observed_generation_bump() {
    let (space, _) = secured("policy-generation", &["inner.example"], &[]);
    space.backend_policy("policy", "secure", INNER, "ca");
    is_accepted(&space, "policy");
    space.backend_policy("policy", "secure", "hostname: other.example", "ca");
    space.value("BackendTLSPolicy", "policy", "/metadata/generation", &2.into());
    // Conditions hold only if they are about the object's generation.
    is_accepted(&space, "policy");
}

#[test]
fn backend_tls_policy_san_validation() {
    let uri = "spiffe://inner.example/web";
    let (space, address) = secured("names", &["inner.example", "second.example"], &[uri]);
    let ask = get(address, "any.example", "/");
    let names = |names: &str| {
        let names = format!("hostname: sni.example, subjectAltNames: [{names}]");
        space.backend_policy("policy", "secure", &names, "ca");
        is_accepted(&space, "policy");
    };
    let host = |name: &str| format!("{{type: Hostname, hostname: {name}}}");
    let id = |uri: &str| format!("{{type: URI, uri: '{uri}'}}");
    names(&host("second.example"));
    space.reaches(&ask, "secure");
    names(&host("wrong.example"));
    fails(&space, &ask);
    names(&id(uri));
    space.reaches(&ask, "secure");
    names(&id("spiffe://inner.example/other"));
    fails(&space, &ask);
    // One of several is enough.
    names(&[host("wrong.example"), id(uri)].join(", "));
    space.reaches(&ask, "secure");
    names(&[host("wrong.example"), id("spiffe://inner.example/other")].join(", "));
    fails(&space, &ask);
}
