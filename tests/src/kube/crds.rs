//! The custom resource definitions that the agent and its tests need.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use gateway_api::{backendtlspolicies, experimental};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::objects::documents;
use super::server::ApiServer;
use crate::wait::eventually;

/// Names a folder of definitions of the Gateway API to use instead of those of the crate.
const FOLDER: &str = "LB_GATEWAY_API_CRDS";
/// How long a server may take to serve a kind after its definition.
const SERVED_LIMIT: Duration = Duration::from_mins(2);
/// The first minor version that knows rules in schemas (`x-kubernetes-validations`).
const MINOR_WITH_RULES: u32 = 25;
/// Deepest schema that is looked into.
const DEPTH_MAX: usize = 200;
/// The API group of its experiments.
const EXPERIMENTS: &str = "gateway.networking.x-k8s.io";

impl ApiServer {
    /// Defines the Gateway API and the kinds of our own, and waits until they are served.
    ///
    /// The definitions of the Gateway API are those in the folder that `LB_GATEWAY_API_CRDS`
    /// names or, without it, what the crate `gateway-api` knows, and its gaps without a schema.
    pub fn install_crds(&self) -> Result<()> {
        let mut definitions = match std::env::var_os(FOLDER) {
            Some(folder) => read(Path::new(&folder))?,
            None => derived()?,
        };
        definitions.push(definition(
            ("lb.internal", "AddressPool", "addresspools", "Cluster"),
            &["v1alpha1"],
            &anything(),
        ));
        self.define(definitions)
    }

    /// Defines what a real server is too old to serve by itself: EndpointSlice v1. Tests write
    /// their slices themselves, so that it needs no schema and no controller.
    pub(super) fn define_what_is_newer(&self) -> Result<()> {
        if self.list("discovery.k8s.io/v1/EndpointSlice").is_ok() {
            return Ok(());
        }
        let slices = ("discovery.k8s.io", "EndpointSlice", "endpointslices", "Namespaced");
        let mut slices = definition(slices, &["v1"], &anything());
        // As the real kind, which has no status.
        slices["spec"]["versions"][0]["subresources"] = json!({});
        self.define(vec![slices])
    }

    /// Puts definitions in place and waits until each version of each is served.
    pub fn define(&self, mut definitions: Vec<Value>) -> Result<()> {
        if self.minor_version()? < MINOR_WITH_RULES {
            for definition in &mut definitions {
                strip(definition, DEPTH_MAX);
            }
        }
        let mut kinds = Vec::new();
        for definition in &definitions {
            let spec = &definition["spec"];
            let versions = spec["versions"].as_array().context("a definition without versions")?;
            for version in versions.iter().filter(|version| version["served"] == true) {
                let name = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let (group, version) = (name(&spec["group"]), name(&version["name"]));
                kinds.push(format!("{group}/{version}/{}", name(&spec["names"]["kind"])));
            }
        }
        self.put_many(definitions)?;
        for kind in kinds {
            eventually(SERVED_LIMIT, &kind, || self.list(&kind).ok())?;
        }
        Ok(())
    }
}

/// The definitions in the files of a folder.
fn read(folder: &Path) -> Result<Vec<Value>> {
    let mut definitions = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&path)?;
            let found = documents(&text).with_context(|| path.display().to_string())?;
            let is_definition = |object: &Value| object["kind"] == "CustomResourceDefinition";
            definitions.extend(found.into_iter().filter(is_definition));
        }
    }
    ensure!(!definitions.is_empty(), "no definition in {}", folder.display());
    for definition in &mut definitions {
        if let Some(fields) = definition.as_object_mut() {
            // What an earlier server said.
            fields.remove("status");
        }
    }
    Ok(definitions)
}

/// The definitions that the crate's types derive; older versions of the same shape are served
/// beside the newest, and what the crate lacks has no schema.
fn derived() -> Result<Vec<Value>> {
    use experimental as e;
    Ok(vec![
        of::<e::gatewayclasses::GatewayClass>(&[])?,
        of::<e::gateways::Gateway>(&[])?,
        of::<e::grpcroutes::GrpcRoute>(&[])?,
        of::<e::httproutes::HttpRoute>(&[])?,
        of::<e::listenersets::ListenerSet>(&[])?,
        of::<e::referencegrants::ReferenceGrant>(&["v1beta1"])?,
        of::<e::tlsroutes::TlsRoute>(&[])?,
        of::<backendtlspolicies::BackendTlsPolicy>(&[])?,
        newest("v1", of::<e::tcproutes::TcpRoute>(&[])?),
        newest("v1", of::<e::udproutes::UdpRoute>(&[])?),
        of::<e::xbackendtrafficpolicies::XBackendTrafficPolicy>(&[])?,
        definition(
            (EXPERIMENTS, "XBackend", "xbackends", "Namespaced"),
            &["v1alpha1"],
            &anything(),
        ),
    ])
}

fn of<K: CustomResourceExt>(others: &[&str]) -> Result<Value> {
    let mut definition = serde_json::to_value(K::crd()).context("a definition as JSON")?;
    approve(&mut definition);
    for other in others {
        add_version(&mut definition, other, false);
    }
    Ok(definition)
}

/// The definition with one more version, which is the one that is stored.
fn newest(version: &str, mut definition: Value) -> Value {
    add_version(&mut definition, version, true);
    definition
}

/// Takes from schemas what an old server does not know, or takes for an error of its own: rules,
/// and values that are empty or null.
fn strip(value: &mut Value, depth: usize) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::Object(fields) => {
            fields.remove("x-kubernetes-validations");
            if fields.get("default").is_some_and(|value| value.is_null() || value == "") {
                fields.remove("default");
            }
            if let Some(Value::Array(values)) = fields.get_mut("enum") {
                values.retain(|value| !value.is_null());
            }
            fields.values_mut().for_each(|value| strip(value, depth));
        }
        Value::Array(elements) => elements.iter_mut().for_each(|value| strip(value, depth)),
        _ => {}
    }
}

fn add_version(definition: &mut Value, name: &str, is_newest: bool) {
    let Some(versions) = definition["spec"]["versions"].as_array_mut() else { return };
    let Some(mut version) = versions.first().cloned() else { return };
    version["name"] = json!(name);
    version["storage"] = json!(is_newest);
    for known in versions.iter_mut().filter(|_| is_newest) {
        known["storage"] = json!(false);
    }
    versions.insert(if is_newest { 0 } else { versions.len() }, version);
}

/// A definition of (group, kind, plural, scope) with a status; the last version is stored.
pub(super) fn definition(
    (group, kind, plural, scope): (&str, &str, &str, &str),
    versions: &[&str],
    schema: &Value,
) -> Value {
    let version = |name: &&str| {
        json!({
            "name": name,
            "served": true,
            "storage": versions.last() == Some(name),
            "schema": { "openAPIV3Schema": schema },
            "subresources": { "status": {} },
        })
    };
    let mut definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": {
            "group": group,
            "scope": scope,
            "names": {
                "kind": kind,
                "listKind": format!("{kind}List"),
                "plural": plural,
                "singular": kind.to_lowercase(),
            },
            "versions": versions.iter().map(version).collect::<Vec<_>>(),
        },
    });
    approve(&mut definition);
    definition
}

/// A schema that any object meets.
pub(super) fn anything() -> Value {
    json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// The names of groups of Kubernetes's own are kept for what its reviewers have approved.
fn approve(definition: &mut Value) {
    if definition["spec"]["group"].as_str().is_some_and(|group| group.ends_with(".k8s.io")) {
        let annotation = json!({ "api-approved.kubernetes.io": "unapproved, for a test" });
        definition["metadata"]["annotations"] = annotation;
    }
}
