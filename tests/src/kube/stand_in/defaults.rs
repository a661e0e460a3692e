//! What a real server fills in: the defaults of Services and Secrets, the state of definitions.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::kinds::Kind;
use super::patch::as_object;

/// The first node port: `--service-node-port-range` of a real server.
const NODE_PORT_FIRST: u64 = 30_000;
/// How many node ports there are.
const NODE_PORTS_COUNT: u64 = 2_768;

/// Fills in defaults. What has to be unlike any other is derived from the revision.
pub(super) fn fill(kind: &Kind, object: &mut Value, revision: u64) {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Namespace") => namespace(object),
        ("", "Secret") => secret(object),
        ("", "Service") => service(object, revision),
        _ => {}
    }
}

/// Gives a definition the status of one that is served.
pub(super) fn establish(definition: &mut Value) {
    let versions = definition["spec"]["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let stored: Vec<Value> = versions
        .iter()
        .filter(|version| version["storage"] == true)
        .map(|version| version["name"].clone())
        .collect();
    let condition = |name: &str| {
        json!({
            "type": name,
            "status": "True",
            "reason": "InitialNamesAccepted",
            "message": "",
            "lastTransitionTime": definition["metadata"]["creationTimestamp"],
        })
    };
    let status = json!({
        "acceptedNames": definition["spec"]["names"],
        "conditions": [condition("NamesAccepted"), condition("Established")],
        "storedVersions": stored,
    });
    as_object(definition).insert("status".to_owned(), status);
}

fn namespace(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    let metadata = as_object(&mut object["metadata"]);
    let labels = as_object(metadata.entry("labels").or_insert(Value::Null));
    labels.insert("kubernetes.io/metadata.name".to_owned(), name);
    as_object(object).entry("status").or_insert_with(|| json!({ "phase": "Active" }));
}

/// Text in `stringData` becomes data; its other form is Base64 (RFC 4648, section 4).
fn secret(object: &mut Value) {
    let fields = as_object(object);
    fields.entry("type").or_insert_with(|| json!("Opaque"));
    let Some(Value::Object(texts)) = fields.remove("stringData") else { return };
    let data = as_object(fields.entry("data").or_insert(Value::Null));
    for (name, text) in texts {
        let text = text.as_str().unwrap_or_default();
        data.insert(name, json!(base64::engine::general_purpose::STANDARD.encode(text)));
    }
}

fn service(object: &mut Value, revision: u64) {
    let fields = as_object(object);
    fields.entry("status").or_insert_with(|| json!({ "loadBalancer": {} }));
    let spec = as_object(fields.entry("spec").or_insert(Value::Null));
    default(spec, "type", json!("ClusterIP"));
    default(spec, "sessionAffinity", json!("None"));
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let has_node_ports = kind == "LoadBalancer" || kind == "NodePort";
    if kind != "ExternalName" {
        default(spec, "internalTrafficPolicy", json!("Cluster"));
        default(spec, "ipFamilies", json!(["IPv4"]));
        default(spec, "ipFamilyPolicy", json!("SingleStack"));
        let [.., third, fourth] = revision.to_be_bytes();
        default(spec, "clusterIP", json!(format!("10.96.{third}.{fourth}")));
        let address = spec.get("clusterIP").cloned().unwrap_or_default();
        default(spec, "clusterIPs", json!([address]));
    }
    if has_node_ports {
        default(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", json!(true));
        if spec.get("externalTrafficPolicy").is_some_and(|policy| policy == "Local") {
            default(spec, "healthCheckNodePort", node_port(revision, 0));
        }
    }
    if spec.get("sessionAffinity").is_some_and(|affinity| affinity == "ClientIP") {
        default(spec, "sessionAffinityConfig", json!({ "clientIP": { "timeoutSeconds": 10_800 } }));
    }
    let allocates =
        has_node_ports && spec.get("allocateLoadBalancerNodePorts").is_none_or(|v| *v == true);
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten();
    for (index, port) in (1..).zip(ports) {
        let port = as_object(port);
        default(port, "protocol", json!("TCP"));
        let number = port.get("port").cloned().unwrap_or_default();
        default(port, "targetPort", number);
        if allocates {
            default(port, "nodePort", node_port(revision, index));
        }
    }
}

fn node_port(revision: u64, index: u64) -> Value {
    json!(NODE_PORT_FIRST + (revision * 8 + index) % NODE_PORTS_COUNT)
}

fn default(fields: &mut Map<String, Value>, name: &str, value: Value) {
    let place = fields.entry(name).or_insert(Value::Null);
    if place.is_null() || *place == "" {
        *place = value;
    }
}
