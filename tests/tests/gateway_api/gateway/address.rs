//! Addresses, and what stands for a Gateway in its cluster.

use super::super::scene::{HTTP, PARENT, get, space};
use lb_tests::{
    conformance::{
        Case,
        Feature::{
            GatewayAddressEmpty, GatewayInfrastructurePropagation, GatewayStaticAddresses,
            HTTPRoute,
        },
        LIMIT,
    },
    wait::eventually,
};
use std::net::IpAddr;

pub(crate) const CASES: &[Case] = &[
    Case::provisional(
        "GatewayOptionalAddressValue",
        "gateway_optional_address_value",
        &[GatewayAddressEmpty],
    ),
    Case::upstream("GatewayStaticAddresses", "gateway_static_addresses", &[GatewayStaticAddresses]),
    Case::ours("gateway_static_address_is_served", &[GatewayStaticAddresses, HTTPRoute]),
    Case::provisional(
        "GatewayInfrastructure",
        "gateway_infrastructure",
        &[GatewayInfrastructurePropagation],
    ),
];

#[test]
fn gateway_optional_address_value() {
    let space = space("empty-address", &["web"]);
    space.gateway_as("gateway", &format!("addresses: [{{type: IPAddress}}], listeners: {HTTP}"));
    space.attach("HTTPRoute", "route", PARENT, "", "web");
    space.gateway_condition("gateway", "Accepted", "True", "Accepted");
    space.reaches(&get(space.address("gateway"), "any.example", "/"), "web");
}

/// Serialized by the one address there is to wish for: nobody else asks for it at the same time.
static WISH: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn gateway_static_addresses() {
    let _turn = WISH.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let space = space("static", &[]);
    let usable = space.suite().wished_for();
    let gateway = |addresses: &str| {
        space.gateway_as("gateway", &format!("addresses: [{addresses}], listeners: {HTTP}"));
    };
    let usable = format!("{{type: IPAddress, value: {usable}}}");
    let unusable = "{type: IPAddress, value: 198.51.100.1}";
    let invalid = "{type: example.com/odd, value: odd}";
    gateway(&format!("{invalid}, {unusable}, {usable}"));
    space.gateway_condition("gateway", "Accepted", "False", "UnsupportedAddress");
    gateway(&format!("{unusable}, {usable}"));
    space.gateway_condition("gateway", "Accepted", "True", "Accepted");
    space.gateway_condition("gateway", "Programmed", "False", "AddressNotUsable");
    gateway(&usable);
    space.gateway_condition("gateway", "Accepted", "True", "Accepted");
    let given = space.address("gateway");
    assert_eq!(given, IpAddr::from(space.suite().wished_for()));
    let gateway = space.get("Gateway", "gateway").unwrap();
    let addresses = gateway["status"]["addresses"].as_array().unwrap();
    assert_eq!(addresses.len(), 1);
    assert_eq!(addresses[0]["type"], "IPAddress");
}

#[test]
fn gateway_static_address_is_served() {
    let _turn = WISH.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let space = space("wished", &["web"]);
    let wished = IpAddr::from(space.suite().wished_for());
    space.gateway_as(
        "gateway",
        &format!("addresses: [{{type: IPAddress, value: {wished}}}], listeners: {HTTP}"),
    );
    space.attach("HTTPRoute", "route", PARENT, "", "web");
    space.reaches(&get(wished, "any.example", "/"), "web");
}

#[test]
fn gateway_infrastructure() {
    let space = space("infrastructure", &[]);
    let gateway = |label: &str| {
        space.gateway_as(
            "gateway",
            &format!(
                "infrastructure: {{labels: {{example.com/team: {label}}}, annotations: {{example.com/cost: \
                 low}}}}, listeners: {HTTP}"
            ),
        );
    };
    let made = |label: &str| {
        let service = eventually(LIMIT, "a Service of the Gateway", || {
            let services = space.suite().server.list("Service").ok()?;
            services.into_iter().find(|it| {
                let metadata = &it["metadata"];
                metadata["namespace"] == space.name()
                    && metadata["labels"]["gateway.networking.k8s.io/gateway-name"] == "gateway"
                    && metadata["labels"]["example.com/team"] == label
                    && metadata["annotations"]["example.com/cost"] == "low"
            })
        });
        service.unwrap();
    };
    gateway("one");
    space.gateway_condition("gateway", "Accepted", "True", "Accepted");
    made("one");
    gateway("two");
    made("two");
}
