//! What owners ask for, in fields and annotations.

use super::{
    Unassigned,
    allocate::{NOT_USABLE, Want},
};
use crate::{PREFIX, api::GatewayAddress};
use k8s_openapi::api::core::v1::ServiceSpec;
use std::{collections::BTreeMap, net::IpAddr};

/// Reason: this type of address is not known.
const UNSUPPORTED: &str = "UnsupportedAddress";

/// As many as a Gateway may ask for (Gateway API, `GatewaySpec.addresses`).
const REQUESTED_MAX: usize = 16;

/// Annotations, the first that has one wins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Annotations<'a>(pub(super) [Option<&'a BTreeMap<String, String>>; 2]);

impl<'a> Annotations<'a> {
    /// The annotation `lb.internal/NAME`, unless it is empty.
    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        let name = format!("{PREFIX}/{name}");
        let values = self.0.iter().flatten().filter_map(|it| it.get(&name));
        values.map(|it| it.trim()).find(|it| !it.is_empty())
    }

    /// Addresses of the annotation `lb.internal/addresses`.
    pub(super) fn addresses(&self) -> Option<Result<Vec<Want>, Unassigned>> {
        let list = self.value("addresses")?;
        let wants = list.split(',').map(|it| exact(it.trim())).collect::<Result<Vec<_>, _>>();
        Some(wants.and_then(limited))
    }

    /// Families of the annotation `lb.internal/ip-families`, all of which are required.
    pub(super) fn families(&self) -> Option<Result<Vec<Want>, Unassigned>> {
        let list = self.value("ip-families")?;
        let wants = list.split(',').map(|it| family(it.trim(), true));
        Some(wants.collect::<Result<Vec<_>, _>>().and_then(limited))
    }
}

/// What a Gateway wants: its addresses, else those of annotations, else one of each family.
pub(super) fn of_gateway(
    addresses: &[GatewayAddress],
    annotations: Annotations<'_>,
) -> Result<Vec<Want>, Unassigned> {
    if addresses.is_empty() {
        return of_annotations(annotations).unwrap_or_else(|| Ok(both_families()));
    }
    let wants = addresses.iter().map(|it| {
        let value = it.value.as_deref().unwrap_or_default();
        match it.r#type.as_deref().unwrap_or("IPAddress") {
            "IPAddress" if value.is_empty() => Ok(Want::Any),
            "IPAddress" => exact(value),
            kind => Err(Unassigned {
                reason: UNSUPPORTED,
                message: format!("addresses of type {kind} are not supported, only IPAddress is"),
            }),
        }
    });
    // What cannot be accepted at all is told before what cannot be used.
    let mut wants: Vec<_> = wants.collect();
    wants.sort_by_key(|it| it.as_ref().err().is_none_or(|it| it.reason != UNSUPPORTED));
    limited(wants.into_iter().collect::<Result<Vec<_>, _>>()?)
}

/// What a Service wants: the annotation, else `loadBalancerIP`, else its families.
pub(super) fn of_service(
    spec: &ServiceSpec,
    annotations: Annotations<'_>,
) -> Result<Vec<Want>, Unassigned> {
    let families: Vec<&str> = spec.ip_families.iter().flatten().map(String::as_str).collect();
    let asked = spec.load_balancer_ip.as_deref().filter(|it| !it.is_empty());
    let asked = annotations.addresses().or_else(|| asked.map(|it| Ok(vec![exact(it)?])));
    if let Some(wants) = asked {
        return wants.and_then(|wants| within(wants, &families));
    }
    let policy = spec.ip_family_policy.as_deref().unwrap_or("SingleStack");
    if families.is_empty() {
        let required = |is_ipv4| Want::Family { is_ipv4, is_required: true };
        return Ok(match policy {
            "RequireDualStack" => vec![required(true), required(false)],
            "PreferDualStack" => both_families(),
            _ => vec![Want::Any],
        });
    }
    let is_required = |place| place == 0 || policy == "RequireDualStack";
    let wants = families.iter().enumerate().map(|(place, it)| family(it, is_required(place)));
    limited(wants.collect::<Result<Vec<_>, _>>()?)
}

/// What annotations ask for.
pub(super) fn of_annotations(
    annotations: Annotations<'_>,
) -> Option<Result<Vec<Want>, Unassigned>> {
    annotations.addresses().or_else(|| annotations.families())
}

/// One of each family that a pool has.
pub(super) fn both_families() -> Vec<Want> {
    [true, false].map(|is_ipv4| Want::Family { is_ipv4, is_required: false }).to_vec()
}

fn exact(text: &str) -> Result<Want, Unassigned> {
    let address: Result<IpAddr, _> = text.parse();
    address.map(Want::Exact).map_err(|_| not_usable(format!("{text} is no IP address")))
}

fn family(text: &str, is_required: bool) -> Result<Want, Unassigned> {
    match text {
        "IPv4" => Ok(Want::Family { is_ipv4: true, is_required }),
        "IPv6" => Ok(Want::Family { is_ipv4: false, is_required }),
        _ => Err(not_usable(format!("{text} is no family: IPv4 and IPv6 are"))),
    }
}

/// Addresses of other families than a Service's would lead to no endpoint.
fn within(wants: Vec<Want>, families: &[&str]) -> Result<Vec<Want>, Unassigned> {
    for want in &wants {
        let Want::Exact(address) = want else { continue };
        let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
        if !families.is_empty() && !families.contains(&family) {
            return Err(not_usable(format!("{address} is not of the Service's ipFamilies")));
        }
    }
    Ok(wants)
}

/// Each certain address once, and not too many.
fn limited(wants: Vec<Want>) -> Result<Vec<Want>, Unassigned> {
    let mut limited: Vec<Want> = Vec::new();
    for want in wants {
        if want == Want::Any || !limited.contains(&want) {
            limited.push(want);
        }
    }
    if limited.len() > REQUESTED_MAX {
        return Err(not_usable(format!("more than {REQUESTED_MAX} addresses are asked for")));
    }
    Ok(limited)
}

fn not_usable(message: String) -> Unassigned {
    Unassigned { reason: NOT_USABLE, message }
}
