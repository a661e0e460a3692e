//! Certificates of listeners, and who may refer to them.

use super::super::scene::{PARENT, space};
use lb_tests::conformance::{
    Ask, Case,
    Feature::{HTTPRoute, ReferenceGrant},
    Space, Suite,
};

pub(crate) const CASES: &[Case] = &[
    Case::upstream("GatewayInvalidTLSConfiguration", "gateway_invalid_tls_configuration", &[]),
    Case::upstream(
        "GatewaySecretInvalidReferenceGrant",
        "gateway_secret_invalid_reference_grant",
        &[ReferenceGrant],
    ),
    Case::upstream(
        "GatewaySecretMissingReferenceGrant",
        "gateway_secret_missing_reference_grant",
        &[ReferenceGrant],
    ),
    Case::upstream(
        "GatewaySecretReferenceGrantAllInNamespace",
        "gateway_secret_reference_grant_all_in_namespace",
        &[ReferenceGrant],
    ),
    Case::upstream(
        "GatewaySecretReferenceGrantSpecific",
        "gateway_secret_reference_grant_specific",
        &[ReferenceGrant],
    ),
    Case::ours("gateway_certificate_is_swapped", &[HTTPRoute]),
];

/// A Gateway whose listener has this certificate.
fn secured(space: &Space, name: &str, certificate: &str) {
    space.gateway(
        name,
        &format!(
            "[{{name: https, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{certificate}]}}}}]"
        ),
    );
}

#[test]
fn gateway_invalid_tls_configuration() {
    let space = space("bad-tls", &[]);
    space.certificate("good", &["any.example"]);
    space.apply(
        "{apiVersion: v1, kind: Secret, metadata: {name: malformed}, type: Opaque, stringData: {tls.crt: \
         'no certificate', tls.key: 'no key'}}",
    );
    for (name, certificate) in [
        ("missing", "{name: missing}"),
        ("group", "{group: made.up, kind: Secret, name: good}"),
        ("kind", "{kind: MadeUp, name: good}"),
        ("malformed", "{name: malformed}"),
    ] {
        secured(&space, name, certificate);
        space.listener_condition(name, 0, "ResolvedRefs", "False", "InvalidCertificateRef");
        space.listener_condition(name, 0, "Programmed", "False", "Invalid");
    }
}

/// Two spaces: with Gateways, and with the Secret `tls` that they want.
fn apart(name: &str) -> (Space, Space) {
    let secrets = space(&format!("{name}-secrets"), &[]);
    secrets.certificate("tls", &["secure.example"]);
    let gateways = space(name, &["web"]);
    secured(&gateways, "gateway", &format!("{{name: tls, namespace: {}}}", secrets.name()));
    gateways.attach("HTTPRoute", "route", PARENT, "", "web");
    (gateways, secrets)
}

fn is_permitted(gateways: &Space) {
    gateways.listener_condition("gateway", 0, "ResolvedRefs", "True", "ResolvedRefs");
    gateways.listener_condition("gateway", 0, "Programmed", "True", "Programmed");
    let ask = Ask::get(gateways.address("gateway"), 443, "secure.example", "/");
    gateways.reaches(&ask.secure(gateways.suite()), "web");
}

fn is_not_permitted(gateways: &Space) {
    gateways.listener_condition("gateway", 0, "ResolvedRefs", "False", "RefNotPermitted");
    gateways.listener_condition("gateway", 0, "Programmed", "False", "Invalid");
}

#[test]
fn gateway_secret_missing_reference_grant() {
    let (gateways, secrets) = apart("no-grant");
    is_not_permitted(&gateways);
    secrets.grant("late", ("Gateway", gateways.name()), ("Secret", None));
    is_permitted(&gateways);
    secrets.delete("ReferenceGrant", "late");
    is_not_permitted(&gateways);
}

#[test]
fn gateway_secret_invalid_reference_grant() {
    let (gateways, secrets) = apart("bad-grant");
    let from = gateways.name().to_owned();
    secrets.grant("other-from", ("HTTPRoute", &from), ("Secret", None));
    secrets.grant("other-namespace", ("Gateway", "default"), ("Secret", None));
    secrets.grant("other-kind", ("Gateway", &from), ("Service", None));
    secrets.grant("other-name", ("Gateway", &from), ("Secret", Some("other")));
    gateways.grant("other-side", ("Gateway", &from), ("Secret", None));
    is_not_permitted(&gateways);
}

#[test]
fn gateway_secret_reference_grant_all_in_namespace() {
    let (gateways, secrets) = apart("all-grant");
    secrets.grant("grant", ("Gateway", gateways.name()), ("Secret", None));
    is_permitted(&gateways);
}

#[test]
fn gateway_secret_reference_grant_specific() {
    let (gateways, secrets) = apart("one-grant");
    secrets.grant("grant", ("Gateway", gateways.name()), ("Secret", Some("tls")));
    is_permitted(&gateways);
}

#[test]
fn gateway_certificate_is_swapped() {
    let space = space("swap", &["web"]);
    space.certificate("tls", &["before.example"]);
    secured(&space, "gateway", "{name: tls}");
    space.attach("HTTPRoute", "route", PARENT, "", "web");
    let address = space.address("gateway");
    let ask = |host| Ask::get(address, 443, host, "/").secure(Suite::shared());
    space.reaches(&ask("before.example"), "web");
    space.certificate("tls", &["after.example"]);
    space.reaches(&ask("after.example"), "web");
}
