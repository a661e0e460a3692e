//! The kinds that the stand-in serves: what the agent and the tests use of a real server's, and
//! what custom resource definitions add.

use serde_json::{Value, json};

/// What a server knows of a kind, at one of its versions.
#[expect(
    clippy::struct_excessive_bools,
    clippy::struct_field_names,
    reason = "as discovery says it"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// The API group; empty for the core.
    pub(super) group: String,
    pub(super) version: String,
    pub(super) plural: String,
    pub(super) kind: String,
    pub(super) is_namespaced: bool,
    /// Whether status is written by itself and not with the rest.
    pub(super) has_status: bool,
    /// Whether `metadata.generation` counts the changes of the rest.
    pub(super) has_generation: bool,
    /// Whether a definition made it; it has no strategic merge patch then.
    pub(super) is_custom: bool,
}

/// Where objects of a kind are kept, whatever the version they are asked for at.
pub(super) type Collection = (String, String);

impl Kind {
    /// `v1` or `GROUP/VERSION`.
    pub(super) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    pub(super) fn collection(&self) -> Collection {
        (self.group.clone(), self.plural.clone())
    }
}

/// All kinds that are served now.
#[derive(Debug)]
pub(super) struct Kinds(Vec<Kind>);

impl Kinds {
    pub(super) fn builtin() -> Self {
        Self(BUILTIN.iter().map(Row::kind).collect())
    }

    pub(super) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Kind> {
        let is_it =
            |kind: &&Kind| kind.group == group && kind.version == version && kind.plural == plural;
        self.0.iter().find(is_it)
    }

    /// Every kind once, at its first version.
    pub(super) fn once_each(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = Vec::new();
        for kind in &self.0 {
            if !kinds.iter().any(|known| known.collection() == kind.collection()) {
                kinds.push(kind.clone());
            }
        }
        kinds
    }

    /// Serves what a definition defines, in place of what it defined before.
    pub(super) fn define(&mut self, definition: &Value) {
        self.forget(definition);
        let spec = &definition["spec"];
        let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
        for version in versions.iter().filter(|version| version["served"] == true) {
            self.0.push(Kind {
                group: text(&spec["group"]),
                version: text(&version["name"]),
                plural: text(&spec["names"]["plural"]),
                kind: text(&spec["names"]["kind"]),
                is_namespaced: spec["scope"] == "Namespaced",
                has_status: !version["subresources"]["status"].is_null(),
                has_generation: true,
                is_custom: true,
            });
        }
    }

    /// Stops serving what a definition defines.
    pub(super) fn forget(&mut self, definition: &Value) {
        let spec = &definition["spec"];
        let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
        self.0.retain(|kind| !kind.is_custom || kind.group != group || kind.plural != plural);
    }

    /// The answer to `/api`.
    pub(super) fn core_versions() -> Value {
        json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] })
    }

    /// The answer to `/apis`.
    pub(super) fn groups(&self) -> Value {
        let mut names: Vec<&str> = self.0.iter().map(|kind| kind.group.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let named = names.into_iter().filter(|name| !name.is_empty());
        let groups: Vec<Value> = named.filter_map(|name| self.group(name)).collect();
        json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
    }

    /// The answer to `/apis/GROUP`; nothing if there is no such group.
    pub(super) fn group(&self, name: &str) -> Option<Value> {
        let mut versions: Vec<Value> = Vec::new();
        for kind in self.0.iter().filter(|kind| kind.group == name) {
            let version = json!({ "groupVersion": kind.api_version(), "version": kind.version });
            if !versions.contains(&version) {
                versions.push(version);
            }
        }
        let preferred = versions.first()?.clone();
        Some(json!({
            "kind": "APIGroup",
            "apiVersion": "v1",
            "name": name,
            "versions": versions,
            "preferredVersion": preferred,
        }))
    }

    /// The answer to `/api/v1` and `/apis/GROUP/VERSION`; nothing if there is no such version.
    pub(super) fn resources(&self, group: &str, version: &str) -> Option<Value> {
        let mut resources = Vec::new();
        let mut api_version = None;
        for kind in self.0.iter().filter(|kind| kind.group == group && kind.version == version) {
            api_version = Some(kind.api_version());
            resources.push(json!({
                "name": kind.plural,
                "singularName": kind.kind.to_lowercase(),
                "namespaced": kind.is_namespaced,
                "kind": kind.kind,
                "verbs": [
                    "create", "delete", "deletecollection", "get", "list", "patch", "update",
                    "watch",
                ],
            }));
            if kind.has_status {
                resources.push(json!({
                    "name": format!("{}/status", kind.plural),
                    "singularName": "",
                    "namespaced": kind.is_namespaced,
                    "kind": kind.kind,
                    "verbs": ["get", "patch", "update"],
                }));
            }
        }
        let api_version = api_version?;
        Some(json!({
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": api_version,
            "resources": resources,
        }))
    }
}

/// A string of a document; empty where it is something else.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Group, version, plural, kind, and which of N(amespaced), S(tatus), G(eneration) hold.
struct Row(&'static str, &'static str, &'static str, &'static str, &'static str);

impl Row {
    fn kind(&self) -> Kind {
        let &Self(group, version, plural, kind, traits) = self;
        Kind {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            kind: kind.to_owned(),
            is_namespaced: traits.contains('N'),
            has_status: traits.contains('S'),
            has_generation: traits.contains('G'),
            is_custom: false,
        }
    }
}

const BUILTIN: [Row; 25] = [
    Row("", "v1", "configmaps", "ConfigMap", "N"),
    Row("", "v1", "endpoints", "Endpoints", "N"),
    Row("", "v1", "events", "Event", "N"),
    Row("", "v1", "namespaces", "Namespace", "S"),
    Row("", "v1", "nodes", "Node", "S"),
    Row("", "v1", "pods", "Pod", "NS"),
    Row("", "v1", "secrets", "Secret", "N"),
    Row("", "v1", "serviceaccounts", "ServiceAccount", "N"),
    Row("", "v1", "services", "Service", "NS"),
    Row(CRD_GROUP, "v1", CRD_PLURAL, "CustomResourceDefinition", "SG"),
    Row("apps", "v1", "daemonsets", "DaemonSet", "NSG"),
    Row("apps", "v1", "deployments", "Deployment", "NSG"),
    Row("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", ""),
    Row("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", ""),
    Row("coordination.k8s.io", "v1", "leases", "Lease", "N"),
    Row("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", "NG"),
    Row("events.k8s.io", "v1", "events", "Event", "N"),
    Row("networking.k8s.io", "v1", "ingressclasses", "IngressClass", "G"),
    Row("networking.k8s.io", "v1", "ingresses", "Ingress", "NSG"),
    Row("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", "NG"),
    Row("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", "NSG"),
    Row("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", ""),
    Row("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", ""),
    Row("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", "N"),
    Row("rbac.authorization.k8s.io", "v1", "roles", "Role", "N"),
];

/// The group of custom resource definitions.
pub(super) const CRD_GROUP: &str = "apiextensions.k8s.io";
/// The plural of custom resource definitions.
pub(super) const CRD_PLURAL: &str = "customresourcedefinitions";
