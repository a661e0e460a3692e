//! Which Secrets and ConfigMaps a cluster's objects refer to: no others are watched.

use crate::{
    GATEWAY_CONTROLLER, ObjectKey, Objects, Options,
    api::{FrontendTls, GatewayTls, ListenerSpec, ObjectRef, SecretRef},
    lower::{Grants, IngressClasses, Referent, Referrer},
};
use k8s_openapi::api::networking::v1::Ingress;
use std::collections::BTreeSet;

/// Group of the Gateway API.
const GATEWAY: &str = "gateway.networking.k8s.io";

/// Group of what is new in it.
const BACKEND: &str = "gateway.networking.x-k8s.io";

/// Annotations of Ingresses that name a Secret, `NAME` or `NAMESPACE/NAME`.
const SECRET_ANNOTATIONS: [&str; 3] = [
    "nginx.ingress.kubernetes.io/auth-secret",
    "nginx.ingress.kubernetes.io/auth-tls-secret",
    "nginx.ingress.kubernetes.io/proxy-ssl-secret",
];

/// What a cluster's objects refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    secrets: BTreeSet<ObjectKey>,
    config_maps: BTreeSet<ObjectKey>,
}

impl Needs {
    /// What `objects` refer to; `is_first` = it is the cluster that the operator's own ConfigMap is
    /// in. Classes of Ingresses are those of all clusters.
    pub(crate) fn of_cluster(
        objects: &Objects,
        options: &Options,
        is_first: bool,
        classes: &IngressClasses,
    ) -> Self {
        let mut needs = Self::default();
        if let Some((key, _)) = options.config_map.as_ref().filter(|_| is_first) {
            needs.config_maps.insert(key.clone());
        }
        let grants = Grants::of(objects);
        needs.gateways(objects, &grants);
        needs.policies(objects, &grants);
        for (key, ingress) in &objects.ingresses {
            if classes.of(ingress).is_some() {
                needs.ingress(&key.namespace, ingress);
            }
        }
        needs
    }

    /// Those of a kind that is watched by need.
    pub(crate) const fn of(&self, kind: &str) -> &BTreeSet<ObjectKey> {
        match kind.as_bytes() {
            b"Secret" => &self.secrets,
            _ => &self.config_maps,
        }
    }

    fn gateways(&mut self, objects: &Objects, grants: &Grants<'_>) {
        let mut ours = BTreeSet::new();
        for (key, gateway) in &objects.gateways {
            let class = ObjectKey::new("", &gateway.spec.gateway_class_name);
            let class = objects.gateway_classes.get(&class);
            if class.is_none_or(|it| it.spec.controller_name != GATEWAY_CONTROLLER) {
                continue;
            }
            ours.insert(key);
            let from = Referrer { group: GATEWAY, kind: "Gateway", namespace: &key.namespace };
            let mut referred = Referred { needs: self, grants, from };
            referred.listeners(&gateway.spec.listeners);
            if let Some(tls) = &gateway.spec.tls {
                referred.gateway_tls(tls);
            }
        }
        for (key, set) in &objects.listener_sets {
            let parent = &set.spec.parent_ref;
            let namespace = parent.namespace.as_ref().unwrap_or(&key.namespace);
            if ours.contains(&ObjectKey::new(namespace, &parent.name)) {
                let namespace = &key.namespace;
                let from = Referrer { group: GATEWAY, kind: "ListenerSet", namespace };
                Referred { needs: self, grants, from }.listeners(&set.spec.listeners);
            }
        }
    }

    fn policies(&mut self, objects: &Objects, grants: &Grants<'_>) {
        for (key, policy) in &objects.backend_tls_policies {
            self.authorities(&key.namespace, &policy.spec.validation.ca_certificate_refs);
        }
        for (key, backend) in &objects.backends {
            let Some(tls) = &backend.spec.tls else { continue };
            if let Some(secret) = &tls.client_certificate_ref {
                let from = Referrer { group: BACKEND, kind: "XBackend", namespace: &key.namespace };
                Referred { needs: self, grants, from }.secret(secret);
            }
            if let Some(validation) = &tls.validation {
                self.authorities(&key.namespace, &validation.ca_certificate_refs);
            }
        }
    }

    fn ingress(&mut self, namespace: &str, ingress: &Ingress) {
        let tls = ingress.spec.iter().flat_map(|it| it.tls.iter().flatten());
        for name in tls.filter_map(|it| it.secret_name.as_ref()).filter(|it| !it.is_empty()) {
            self.secrets.insert(ObjectKey::new(namespace, name));
        }
        let annotations = ingress.metadata.annotations.iter().flatten();
        for (_, value) in annotations.filter(|it| SECRET_ANNOTATIONS.contains(&it.0.as_str())) {
            let key = ObjectKey::parse(value, namespace);
            // Those of other namespaces are not followed: nothing could allow them.
            if key.namespace == namespace {
                self.secrets.insert(key);
            }
        }
    }

    /// Authorities of a policy are in its own namespace.
    fn authorities(&mut self, namespace: &str, references: &[ObjectRef]) {
        for it in references {
            self.insert(&it.group, &it.kind, ObjectKey::new(namespace, &it.name));
        }
    }

    fn insert(&mut self, group: &str, kind: &str, key: ObjectKey) {
        match (group, kind) {
            ("", "ConfigMap") => drop(self.config_maps.insert(key)),
            ("", "Secret") => drop(self.secrets.insert(key)),
            _ => {}
        }
    }
}

/// What one object refers to, in other namespaces only if a ReferenceGrant allows it.
struct Referred<'a> {
    needs: &'a mut Needs,
    grants: &'a Grants<'a>,
    from: Referrer<'a>,
}

impl Referred<'_> {
    fn listeners(&mut self, listeners: &[ListenerSpec]) {
        for secret in
            listeners.iter().filter_map(|it| it.tls.as_ref()).flat_map(|it| &it.certificate_refs)
        {
            self.secret(secret);
        }
    }

    fn gateway_tls(&mut self, tls: &GatewayTls) {
        let client = tls.backend.as_ref().and_then(|it| it.client_certificate_ref.as_ref());
        if let Some(secret) = client {
            self.secret(secret);
        }
        let Some(frontend) = &tls.frontend else { return };
        let ports = frontend.per_port.iter().map(|it| &it.tls);
        for FrontendTls { validation } in ports.chain([&frontend.default]) {
            let authorities = validation.iter().flat_map(|it| &it.ca_certificate_refs);
            for it in authorities {
                self.object(&it.group, &it.kind, it.namespace.as_deref(), &it.name);
            }
        }
    }

    fn secret(&mut self, secret: &SecretRef) {
        let group = secret.group.as_deref().unwrap_or_default();
        let kind = secret.kind.as_deref().unwrap_or("Secret");
        if kind == "Secret" {
            self.object(group, kind, secret.namespace.as_deref(), &secret.name);
        }
    }

    fn object(&mut self, group: &str, kind: &str, namespace: Option<&str>, name: &str) {
        let namespace = namespace.unwrap_or(self.from.namespace);
        if self.grants.allow(self.from, Referent { group, kind, namespace, name }) {
            self.needs.insert(group, kind, ObjectKey::new(namespace, name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cluster, INGRESS_CONTROLLER, World};
    use serde_json::{Value, json};

    fn objects(list: &[Value]) -> Objects {
        let mut objects = Objects::default();
        for one in list {
            assert!(objects.insert(one.clone()).unwrap());
        }
        objects
    }

    /// Of the only cluster.
    fn needs(objects: &Objects) -> Needs {
        needs_of(&[objects])
    }

    /// Of the first of these clusters.
    fn needs_of(clusters: &[&Objects]) -> Needs {
        let cluster = |objects: &&Objects| Cluster {
            name: "c".to_owned(),
            weight: 100,
            objects: (*objects).clone(),
        };
        let clusters = clusters.iter().map(cluster).collect();
        let world = World { clusters, ..World::default() };
        let classes = IngressClasses::new(&world);
        Needs::of_cluster(&world.clusters[0].objects, &Options::default(), true, &classes)
    }

    fn object(kind: &str, name: &str, spec: &Value) -> Value {
        let version = match kind {
            "Ingress" | "IngressClass" => "networking.k8s.io/v1",
            _ => "gateway.networking.k8s.io/v1",
        };
        let namespace = (!kind.ends_with("Class")).then_some("a");
        json!({
            "apiVersion": version, "kind": kind,
            "metadata": { "name": name, "namespace": namespace }, "spec": spec,
        })
    }

    fn gateway(class: &str, secret: &str) -> Value {
        let spec = json!({
            "gatewayClassName": class,
            "listeners": [{
                "name": "https", "port": 443, "protocol": "HTTPS",
                "tls": { "certificateRefs": [{ "name": secret }] },
            }],
            "tls": { "frontend": { "default": { "validation": {
                "caCertificateRefs": [{ "group": "", "kind": "ConfigMap", "name": "ca" }],
            } } } },
        });
        object("Gateway", class, &spec)
    }

    #[test]
    fn only_gateways_of_ours_need_anything() {
        let ours = json!({ "controllerName": GATEWAY_CONTROLLER });
        let others = json!({ "controllerName": "other" });
        let objects = objects(&[
            object("GatewayClass", "ours", &ours),
            object("GatewayClass", "others", &others),
            gateway("ours", "one"),
            gateway("others", "two"),
        ]);
        let needs = needs(&objects);
        assert_eq!(needs.secrets, [ObjectKey::new("a", "one")].into());
        assert_eq!(needs.config_maps, [ObjectKey::new("a", "ca")].into());
    }

    #[test]
    fn other_namespaces_are_looked_into_only_if_a_grant_allows_it() {
        let ours = json!({ "controllerName": GATEWAY_CONTROLLER });
        let mut gateway = gateway("ours", "one");
        let secret = &mut gateway["spec"]["listeners"][0]["tls"]["certificateRefs"][0];
        secret["namespace"] = json!("b");
        let authorities = &mut gateway["spec"]["tls"]["frontend"]["default"]["validation"];
        authorities["caCertificateRefs"][0]["namespace"] = json!("b");
        let mut objects = objects(&[object("GatewayClass", "ours", &ours), gateway]);
        assert_eq!(needs(&objects), Needs::default());
        let mut grant = object(
            "ReferenceGrant",
            "secrets",
            &json!({
                "from": [{ "group": GATEWAY, "kind": "Gateway", "namespace": "a" }],
                "to": [{ "group": "", "kind": "Secret" }],
            }),
        );
        grant["metadata"]["namespace"] = json!("b");
        objects.insert(grant).unwrap();
        let granted = needs(&objects);
        assert_eq!(granted.secrets, [ObjectKey::new("b", "one")].into());
        assert!(granted.config_maps.is_empty(), "the grant is for Secrets");
    }

    #[test]
    fn only_ingresses_that_may_be_ours_need_anything() {
        let tls = |class: Value, secret: &str| json!({ "ingressClassName": class, "tls": [{ "secretName": secret }] });
        let mut guarded = object("Ingress", "guarded", &json!({ "ingressClassName": "ours" }));
        guarded["metadata"]["annotations"] = json!({
            SECRET_ANNOTATIONS[0]: "a/users", SECRET_ANNOTATIONS[1]: "b/authorities",
        });
        let classes = objects(&[object(
            "IngressClass",
            "ours",
            &json!({ "controller": INGRESS_CONTROLLER }),
        )]);
        let objects = objects(&[
            object("IngressClass", "others", &json!({ "controller": "other" })),
            object("Ingress", "x", &tls(json!("ours"), "one")),
            object("Ingress", "y", &tls(json!("others"), "two")),
            object("Ingress", "z", &tls(Value::Null, "three")),
            guarded,
        ]);
        assert_eq!(needs(&objects), Needs::default());
        // The class is one of another cluster.
        let needs = needs_of(&[&objects, &classes]);
        let names: Vec<_> = needs.secrets.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a/one", "a/users"]);
    }

    #[test]
    fn the_operators_own_config_map_is_in_the_first_cluster() {
        let key = ObjectKey::new("a", "lb");
        let config_map = Some((key.clone(), "lb.yaml".to_owned()));
        let options = Options { config_map, ..Options::default() };
        let classes = IngressClasses::default();
        let needs = |is_first| Needs::of_cluster(&Objects::default(), &options, is_first, &classes);
        assert_eq!(needs(true).config_maps, [key].into());
        assert!(needs(false).config_maps.is_empty());
    }
}
