//! Pools of addresses: ours.
#![allow(missing_docs, reason = "fields are those of the API's reference")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::CustomResource;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
    /// Prefixes (all of their addresses), `FIRST-LAST`, and single addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Also for who asks for no pool; `None` = true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_assign: Option<bool>,
    /// The addresses belong to this host: listeners are bound there, nothing is forwarded by XDP.
    pub bind: bool,
    /// Only for objects in these namespaces; `None` = all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Only for Services, Gateways and Ingress classes with these labels; `None` = all.
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

impl AddressPool {
    /// The CustomResourceDefinition that makes a cluster know pools.
    pub fn definition() -> Value {
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "addresspools.lb.internal"},
            "spec": {
                "group": "lb.internal",
                "scope": "Cluster",
                "names": {
                    "kind": "AddressPool",
                    "listKind": "AddressPoolList",
                    "plural": "addresspools",
                    "singular": "addresspool",
                },
                "versions": [{
                    "name": "v1alpha1",
                    "served": true,
                    "storage": true,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": columns(),
                    "schema": {"openAPIV3Schema": schema()},
                }],
            },
        })
    }
}

fn columns() -> Value {
    let column =
        |name: &str, kind: &str, path: &str| json!({"name": name, "type": kind, "jsonPath": path});
    json!([
        column("Addresses", "string", ".spec.addresses"),
        column("Assigned", "integer", ".status.assigned"),
        column("Free", "integer", ".status.free"),
        column("Age", "date", ".metadata.creationTimestamp"),
    ])
}

fn schema() -> Value {
    let text = json!({"type": "string"});
    let count = json!({"type": "integer", "format": "int64", "minimum": 0});
    json!({
        "description": "Addresses that Services, Gateways and Ingress classes may get.",
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": text,
            "kind": text,
            "metadata": {"type": "object"},
            "spec": {
                "type": "object",
                "required": ["addresses"],
                "properties": {
                    "addresses": {
                        "description": "Prefixes (all of their addresses), FIRST-LAST, and \
                            single addresses.",
                        "type": "array",
                        "minItems": 1,
                        "maxItems": ADDRESS_POOL_RANGES_MAX,
                        "items": {"type": "string", "minLength": 2, "maxLength": 100},
                    },
                    "autoAssign": {
                        "description": "Also for objects that ask for no pool.",
                        "type": "boolean",
                        "default": true,
                    },
                    "bind": {
                        "description": "The addresses belong to the router itself: listeners are \
                            bound there, nothing is forwarded by XDP.",
                        "type": "boolean",
                        "default": false,
                    },
                    "namespaceSelector": selector("Only for objects in these namespaces."),
                    "serviceSelector":
                        selector("Only for Services, Gateways and Ingress classes so labelled."),
                },
            },
            "status": {
                "type": "object",
                "properties": {
                    "assigned": count,
                    "free": count,
                    "conditions": conditions(),
                },
            },
        },
    })
}

fn selector(description: &str) -> Value {
    let texts = json!({"type": "array", "items": {"type": "string"}});
    json!({
        "description": description,
        "type": "object",
        "properties": {
            "matchLabels": {"type": "object", "additionalProperties": {"type": "string"}},
            "matchExpressions": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {"type": "string"},
                        "operator": {
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": texts,
                    },
                },
            },
        },
    })
}

fn conditions() -> Value {
    json!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {"type": "string", "maxLength": 316},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
                "reason": {"type": "string", "minLength": 1, "maxLength": 1024},
                "message": {"type": "string", "maxLength": 32768},
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

    #[test]
    fn the_definition_is_one_and_knows_every_field() {
        let definition: CustomResourceDefinition =
            serde_json::from_value(AddressPool::definition()).unwrap();
        let version = &definition.spec.versions[0];
        let schema = version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap();
        let of = |name: &str| schema.properties.as_ref().unwrap()[name].properties.clone().unwrap();
        let spec = AddressPoolSpec {
            addresses: vec!["192.0.2.0/24".into()],
            auto_assign: Some(true),
            namespace_selector: Some(LabelSelector::default()),
            service_selector: Some(LabelSelector::default()),
            ..AddressPoolSpec::default()
        };
        let spec = serde_json::to_value(spec).unwrap();
        let fields: Vec<_> = spec.as_object().unwrap().keys().cloned().collect();
        assert_eq!(fields, of("spec").into_keys().collect::<Vec<_>>());
        assert!(of("status").contains_key("conditions"));
    }
}
