//! Certificates that clients show to Gateways, and Gateways to backends.

use super::super::scene::{HTTP, PARENT, get, space};
use lb_tests::{
    authority::Authority,
    conformance::{
        Answer, Ask, Case,
        Feature::{
            BackendTLSPolicy, GatewayBackendClientCertificate,
            GatewayFrontendClientCertificateValidation,
            GatewayFrontendClientCertificateValidationInsecureFallback, HTTPRoute, ReferenceGrant,
        },
        LIMIT, Space, Speaks, Suite, Trust,
    },
    wait::eventually,
};
use std::net::IpAddr;

pub(crate) const CASES: &[Case] = &[
    Case::upstream(
        "GatewayFrontendClientCertificateValidation",
        "gateway_frontend_client_certificate_validation",
        &[GatewayFrontendClientCertificateValidation, HTTPRoute],
    ),
    Case::upstream(
        "GatewayFrontendClientCertificateValidationInsecureFallback",
        "gateway_frontend_client_certificate_validation_insecure_fallback",
        &[
            GatewayFrontendClientCertificateValidation,
            GatewayFrontendClientCertificateValidationInsecureFallback,
            HTTPRoute,
        ],
    ),
    Case::upstream(
        "GatewayFrontendInvalidDefaultClientCertificateValidation",
        "gateway_frontend_invalid_default_client_certificate_validation",
        &[GatewayFrontendClientCertificateValidation, HTTPRoute],
    ),
    Case::upstream(
        "GatewayInvalidFrontendClientCertificateValidation",
        "gateway_invalid_frontend_client_certificate_validation",
        &[GatewayFrontendClientCertificateValidation, HTTPRoute, ReferenceGrant],
    ),
    Case::upstream(
        "GatewayTLSBackendClientCertificate",
        "gateway_tls_backend_client_certificate",
        &[BackendTLSPolicy, GatewayBackendClientCertificate, HTTPRoute],
    ),
    Case::upstream(
        "GatewayInvalidTLSBackendConfiguration",
        "gateway_invalid_tls_backend_configuration",
        &[BackendTLSPolicy, GatewayBackendClientCertificate, HTTPRoute],
    ),
];

const HOST: &str = "secure.example";

/// Listeners of HTTPS on these ports, with the certificate `tls`.
fn https(ports: &[u16]) -> String {
    let listener = |port: &u16| {
        format!(
            "{{name: https-{port}, port: {port}, protocol: HTTPS, tls: {{certificateRefs: [{{name: tls}}]}}}}"
        )
    };
    format!("[{}]", ports.iter().map(listener).collect::<Vec<_>>().join(", "))
}

/// Clients' certificates are checked against the ConfigMap `name`.
fn validation(name: &str, mode: &str) -> String {
    let mode = if mode.is_empty() { String::new() } else { format!(", mode: {mode}") };
    format!(
        "{{validation: {{caCertificateRefs: [{{group: '', kind: ConfigMap, name: {name}}}]{mode}}}}}"
    )
}

fn ask(address: IpAddr, port: u16, trust: &Trust) -> Ask {
    Ask::get(address, port, HOST, "/").tls(trust.clone())
}

/// A client without a certificate, one with a good one, and one with that of another authority.
fn clients(suite: &Suite) -> [Trust; 3] {
    let good = suite.authority.issue(&["client.example"]).unwrap();
    let foreign = Authority::new().unwrap().issue(&["client.example"]).unwrap();
    [
        Trust::of(suite, HOST),
        Trust::showing(suite, HOST, &good),
        Trust::showing(suite, HOST, &foreign),
    ]
}

/// Waits until no request is answered.
fn is_refused(space: &Space, ask: &Ask) {
    let refused = eventually(LIMIT, "it is refused", || ask.once(space.suite()).err());
    refused.unwrap();
}

#[test]
fn gateway_frontend_client_certificate_validation() {
    let space = space("clients", &["web"]);
    space.certificate("tls", &[HOST]);
    space.authority("ca");
    let other = Authority::new().unwrap();
    space.config_map("other-ca", &other.pem());
    space.gateway_as(
        "gateway",
        &format!(
            "tls: {{frontend: {{default: {}, perPort: [{{port: 8443, tls: {}}}]}}}}, listeners: {}",
            validation("ca", ""),
            validation("other-ca", ""),
            https(&[443, 8443]),
        ),
    );
    space.attach("HTTPRoute", "route", PARENT, "", "web");
    let address = space.address("gateway");
    let [none, good, foreign] = clients(space.suite());
    space.reaches(&ask(address, 443, &good), "web");
    is_refused(&space, &ask(address, 443, &none));
    is_refused(&space, &ask(address, 443, &foreign));
    // A port of its own asks for certificates of its own.
    let issued = other.issue(&["client.example"]).unwrap();
    let theirs = Trust::showing(space.suite(), HOST, &issued);
    space.reaches(&ask(address, 8443, &theirs), "web");
    is_refused(&space, &ask(address, 8443, &good));
    is_refused(&space, &ask(address, 443, &theirs));
}

#[test]
fn gateway_frontend_client_certificate_validation_insecure_fallback() {
    let space = space("fallback", &["web"]);
    space.certificate("tls", &[HOST]);
    space.authority("ca");
    space.gateway_as(
        "gateway",
        &format!(
            "tls: {{frontend: {{default: {}, perPort: [{{port: 8443, tls: {}}}]}}}}, listeners: {}",
            validation("ca", "AllowInsecureFallback"),
            validation("ca", "AllowValidOnly"),
            https(&[443, 8443]),
        ),
    );
    space.attach("HTTPRoute", "route", PARENT, "", "web");
    let kind = "InsecureFrontendValidationMode";
    space.gateway_condition("gateway", kind, "True", "ConfigurationChanged");
    let address = space.address("gateway");
    let [none, good, foreign] = clients(space.suite());
    for trust in [&none, &good, &foreign] {
        space.reaches(&ask(address, 443, trust), "web");
    }
    space.reaches(&ask(address, 8443, &good), "web");
    is_refused(&space, &ask(address, 8443, &none));
    is_refused(&space, &ask(address, 8443, &foreign));
}

#[test]
fn gateway_frontend_invalid_default_client_certificate_validation() {
    let space = space("bad-default", &["web"]);
    space.certificate("tls", &[HOST]);
    let listeners = https(&[443]);
    let listeners = listeners.trim_start_matches('[');
    space.gateway_as(
        "gateway",
        &format!(
            "tls: {{frontend: {{default: {}}}}}, listeners: [{{name: http, port: 80, protocol: HTTP}}, \
             {listeners}",
            validation("missing", ""),
        ),
    );
    space.attach("HTTPRoute", "route", PARENT, "", "web");
    space.listener_condition("gateway", 0, "ResolvedRefs", "True", "ResolvedRefs");
    space.listener_condition("gateway", 0, "Programmed", "True", "Programmed");
    space.listener_condition("gateway", 1, "ResolvedRefs", "False", "InvalidCACertificateRef");
    space.listener_condition("gateway", 1, "Accepted", "False", "NoValidCACertificate");
    space.listener_condition("gateway", 1, "Programmed", "False", "Invalid");
    let address = space.address("gateway");
    space.reaches(&get(address, HOST, "/"), "web");
    is_refused(&space, &ask(address, 443, &Trust::of(space.suite(), HOST)));
}

#[test]
fn gateway_invalid_frontend_client_certificate_validation() {
    let theirs = space("their-ca", &[]);
    theirs.authority("ca");
    let space = space("bad-clients", &["web"]);
    space.certificate("tls", &[HOST]);
    space.authority("ca");
    let of_port = |port: u16, reference: &str| {
        format!("{{port: {port}, tls: {{validation: {{caCertificateRefs: [{reference}]}}}}}}")
    };
    let ports = [
        of_port(7443, "{group: '', kind: ConfigMap, name: missing}"),
        of_port(8443, "{group: '', kind: Service, name: web}"),
        of_port(
            6443,
            &format!("{{group: '', kind: ConfigMap, name: ca, namespace: {}}}", theirs.name()),
        ),
    ];
    space.gateway_as(
        "gateway",
        &format!(
            "tls: {{frontend: {{default: {}, perPort: [{}]}}}}, listeners: {}",
            validation("ca", ""),
            ports.join(", "),
            https(&[443, 7443, 8443, 6443]),
        ),
    );
    space.listener_condition("gateway", 0, "ResolvedRefs", "True", "ResolvedRefs");
    space.listener_condition("gateway", 0, "Accepted", "True", "Accepted");
    space.listener_condition("gateway", 0, "Programmed", "True", "Programmed");
    let reasons = ["InvalidCACertificateRef", "InvalidCACertificateKind", "RefNotPermitted"];
    for (place, reason) in (1..).zip(reasons) {
        space.listener_condition("gateway", place, "ResolvedRefs", "False", reason);
        space.listener_condition("gateway", place, "Accepted", "False", "NoValidCACertificate");
        space.listener_condition("gateway", place, "Programmed", "False", "Invalid");
    }
    theirs.grant("grant", ("Gateway", space.name()), ("ConfigMap", Some("ca")));
    space.listener_condition("gateway", 3, "ResolvedRefs", "True", "ResolvedRefs");
    space.listener_condition("gateway", 3, "Programmed", "True", "Programmed");
}

#[test]
fn gateway_tls_backend_client_certificate() {
    let mut space = space("shown", &[]);
    let authority = &space.suite().authority;
    let config = authority.issue(&["inner.example"]).unwrap().server(Some(authority)).unwrap();
    space.backends_speaking("secure", 1, &Speaks::Https(config), "");
    space.authority("ca");
    space.backend_policy("policy", "secure", "hostname: inner.example", "ca");
    let gateway = |tls: &str| space.gateway_as("gateway", &format!("{tls}listeners: {HTTP}"));
    gateway("");
    space.attach("HTTPRoute", "route", PARENT, "", "secure");
    let asked = get(space.address("gateway"), "any.example", "/");
    // The backend talks to nobody who shows nothing.
    space.ask(&asked, "the backend refuses", |it: &Answer| it.status >= 500);
    space.certificate("client", &["gateway.example"]);
    gateway("tls: {backend: {clientCertificateRef: {group: '', kind: Secret, name: client}}}, ");
    space.gateway_condition("gateway", "ResolvedRefs", "True", "ResolvedRefs");
    let answer = space.reaches(&asked, "secure");
    assert!(answer.echoed.unwrap().tls);
}

#[test]
fn gateway_invalid_tls_backend_configuration() {
    let theirs = space("their-client", &[]);
    theirs.certificate("client", &["gateway.example"]);
    let space = space("bad-shown", &[]);
    space.certificate("good", &["gateway.example"]);
    space.apply("{apiVersion: v1, kind: Secret, metadata: {name: malformed}, type: Opaque}");
    let foreign = format!("group: '', kind: Secret, name: client, namespace: {}", theirs.name());
    for (name, reference, reason) in [
        ("missing", "group: '', kind: Secret, name: missing", "InvalidClientCertificateRef"),
        ("group", "group: made.up, kind: Secret, name: good", "InvalidClientCertificateRef"),
        ("kind", "group: '', kind: MadeUp, name: good", "InvalidClientCertificateRef"),
        ("malformed", "group: '', kind: Secret, name: malformed", "InvalidClientCertificateRef"),
        ("foreign", &foreign, "RefNotPermitted"),
    ] {
        space.gateway_as(
            name,
            &format!(
                "tls: {{backend: {{clientCertificateRef: {{{reference}}}}}}}, listeners: {HTTP}"
            ),
        );
        space.gateway_condition(name, "ResolvedRefs", "False", reason);
        space.gateway_condition(name, "Accepted", "True", "Accepted");
    }
}
