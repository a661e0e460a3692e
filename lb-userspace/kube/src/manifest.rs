//! Objects from manifests: what `kubectl apply -f` takes.

use crate::{ObjectKey, Objects, Store};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// Why a manifest is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It has no kind.
    #[error("the object has no kind")]
    NoKind,
    /// It is not what its kind should be.
    #[error("{kind}: {error}")]
    Shape {
        /// Its kind.
        kind: String,
        /// What is wrong.
        error: serde_json::Error,
    },
}

impl Objects {
    /// Puts an object in, in place of the one with its key. `Ok(false)` = its kind is not watched.
    ///
    /// # Errors
    /// It is not an object, or not of its kind's shape.
    pub fn insert(&mut self, mut object: Value) -> Result<bool, ManifestError> {
        let kind = object.get("kind").and_then(Value::as_str).ok_or(ManifestError::NoKind)?;
        let kind = kind.to_owned();
        if kind == "Secret" {
            encode_string_data(&mut object);
        }
        match kind.as_str() {
            "Namespace" => put(&mut self.namespaces, &kind, object),
            "Service" => put(&mut self.services, &kind, object),
            "EndpointSlice" => put(&mut self.endpoint_slices, &kind, object),
            "Secret" => put(&mut self.secrets, &kind, object),
            "ConfigMap" => put(&mut self.config_maps, &kind, object),
            "IngressClass" => put(&mut self.ingress_classes, &kind, object),
            "Ingress" => put(&mut self.ingresses, &kind, object),
            "GatewayClass" => put(&mut self.gateway_classes, &kind, object),
            "Gateway" => put(&mut self.gateways, &kind, object),
            "ListenerSet" => put(&mut self.listener_sets, &kind, object),
            "HTTPRoute" => put(&mut self.http_routes, &kind, object),
            "GRPCRoute" => put(&mut self.grpc_routes, &kind, object),
            "TLSRoute" => put(&mut self.tls_routes, &kind, object),
            "TCPRoute" => put(&mut self.tcp_routes, &kind, object),
            "UDPRoute" => put(&mut self.udp_routes, &kind, object),
            "ReferenceGrant" => put(&mut self.reference_grants, &kind, object),
            "BackendTLSPolicy" => put(&mut self.backend_tls_policies, &kind, object),
            "XBackendTrafficPolicy" => put(&mut self.traffic_policies, &kind, object),
            "XBackend" => put(&mut self.backends, &kind, object),
            "AddressPool" => put(&mut self.address_pools, &kind, object),
            _ => return Ok(false),
        }?;
        Ok(true)
    }
}

fn put<T: Resource + DeserializeOwned>(
    store: &mut Store<T>,
    kind: &str,
    object: Value,
) -> Result<(), ManifestError> {
    let object: T = serde_json::from_value(object)
        .map_err(|error| ManifestError::Shape { kind: kind.to_owned(), error })?;
    store.insert(ObjectKey::of(&object), Arc::new(object));
    Ok(())
}

/// What the API server does with `stringData` of Secrets.
fn encode_string_data(secret: &mut Value) {
    let Some(object) = secret.as_object_mut() else { return };
    let Some(Value::Object(texts)) = object.remove("stringData") else { return };
    let data = object.entry("data").or_insert_with(|| Value::Object(serde_json::Map::new()));
    let Some(data) = data.as_object_mut() else { return };
    for (name, text) in texts {
        let bytes = text.as_str().unwrap_or_default().as_bytes().to_vec();
        let bytes = serde_json::to_value(k8s_openapi::ByteString(bytes)).unwrap_or_default();
        data.insert(name, bytes);
    }
}
