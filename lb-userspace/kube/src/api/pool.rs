//! Pools of addresses: ours.
#![allow(missing_docs, reason = "fields are those of the API's reference")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// Addresses that services and gateways may get.
#[derive(Clone, CustomResource, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "lb.internal",
    version = "v1alpha1",
    kind = "AddressPool",
    plural = "addresspools",
    schema = "disabled",
    derive = "PartialEq",
    status = "AddressPoolStatus"
)]
#[serde(default, rename_all = "camelCase")]
pub struct AddressPoolSpec {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_assign: Option<bool>,
    pub bind: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_selector: Option<LabelSelector>,
}

/// Most entries of `addresses` that count.
pub const ADDRESS_POOL_RANGES_MAX: usize = 256;

/// How full it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AddressPoolStatus {
    pub assigned: u64,
    pub free: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}
