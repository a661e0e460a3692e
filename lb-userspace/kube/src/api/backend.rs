//! Backends outside of the cluster.
#![allow(missing_docs, reason = "fields are those of the API's reference")]

use super::{BackendTlsValidation, RouteStatus, SecretRef};
use kube::CustomResource;
use serde::{Deserialize, Serialize};

/// A backend by its own name (GEP-4894).
#[derive(Clone, CustomResource, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "gateway.networking.x-k8s.io",
    version = "v1alpha1",
    kind = "XBackend",
    plural = "xbackends",
    schema = "disabled",
    derive = "PartialEq",
    namespaced,
    status = "RouteStatus"
)]
#[serde(default, rename_all = "camelCase")]
pub struct XBackendSpec {
    #[serde(rename = "type")]
    pub r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_hostname: Option<BackendExternalHostname>,
    pub port: BackendPort,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<BackendTls>,
}

/// A DNS name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BackendExternalHostname {
    pub hostname: String,
}

/// A port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BackendPort {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub port: u16,
}

/// TLS towards it: `None`, `ServerOnly` or `ClientAndServer`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BackendTls {
    pub mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<BackendTlsValidation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate_ref: Option<SecretRef>,
}
