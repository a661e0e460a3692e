//! Which Secrets and ConfigMaps a cluster's objects refer to: no others are watched.

use crate::{
    GATEWAY_CONTROLLER, INGRESS_CONTROLLER, ObjectKey, Objects, Options,
    api::{FrontendTls, GatewayTls, ListenerSpec, ObjectRef, SecretRef},
};
use k8s_openapi::api::networking::v1::Ingress;
use std::collections::BTreeSet;

/// Annotations of Ingresses that name a Secret, `NAME` or `NAMESPACE/NAME`.
const SECRET_ANNOTATIONS: [&str; 3] = [
    "nginx.ingress.kubernetes.io/auth-secret",
    "nginx.ingress.kubernetes.io/auth-tls-secret",
    "nginx.ingress.kubernetes.io/proxy-ssl-secret",
];

/// Older way to name an Ingress's class.
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";

/// What a cluster's objects refer to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    secrets: BTreeSet<ObjectKey>,
    config_maps: BTreeSet<ObjectKey>,
}

impl Needs {
    /// What `objects` refer to; `is_first` = it is the cluster that the operator's own ConfigMap is
    /// in.
    pub(crate) fn of_cluster(objects: &Objects, options: &Options, is_first: bool) -> Self {
        let mut needs = Self::default();
        if let Some((key, _)) = options.config_map.as_ref().filter(|_| is_first) {
            needs.config_maps.insert(key.clone());
        }
        needs.gateways(objects);
        needs.policies(objects);
        for (key, ingress) in &objects.ingresses {
            if is_ours(ingress, objects, options) {
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

    fn gateways(&mut self, objects: &Objects) {
        let mut ours = BTreeSet::new();
        for (key, gateway) in &objects.gateways {
            let class = ObjectKey::new("", &gateway.spec.gateway_class_name);
            let class = objects.gateway_classes.get(&class);
            if class.is_none_or(|it| it.spec.controller_name != GATEWAY_CONTROLLER) {
                continue;
            }
            ours.insert(key);
            self.listeners(&key.namespace, &gateway.spec.listeners);
            if let Some(tls) = &gateway.spec.tls {
                self.gateway_tls(&key.namespace, tls);
            }
        }
        for (key, set) in &objects.listener_sets {
            let parent = &set.spec.parent_ref;
            let namespace = parent.namespace.as_ref().unwrap_or(&key.namespace);
            if ours.contains(&ObjectKey::new(namespace, &parent.name)) {
                self.listeners(&key.namespace, &set.spec.listeners);
            }
        }
    }

    fn listeners(&mut self, namespace: &str, listeners: &[ListenerSpec]) {
        for secret in
            listeners.iter().filter_map(|it| it.tls.as_ref()).flat_map(|it| &it.certificate_refs)
        {
            self.secret(namespace, secret);
        }
    }

    fn gateway_tls(&mut self, namespace: &str, tls: &GatewayTls) {
        let client = tls.backend.as_ref().and_then(|it| it.client_certificate_ref.as_ref());
        if let Some(secret) = client {
            self.secret(namespace, secret);
        }
        let Some(frontend) = &tls.frontend else { return };
        let ports = frontend.per_port.iter().map(|it| &it.tls);
        for FrontendTls { validation } in ports.chain([&frontend.default]) {
            let authorities = validation.iter().flat_map(|it| &it.ca_certificate_refs);
            authorities.for_each(|it| self.reference(namespace, it));
        }
    }

    fn policies(&mut self, objects: &Objects) {
        for (key, policy) in &objects.backend_tls_policies {
            let authorities = &policy.spec.validation.ca_certificate_refs;
            for it in authorities {
                self.reference(&key.namespace, it);
            }
        }
        for (key, backend) in &objects.backends {
            let Some(tls) = &backend.spec.tls else { continue };
            if let Some(secret) = &tls.client_certificate_ref {
                self.secret(&key.namespace, secret);
            }
            let authorities = tls.validation.iter().flat_map(|it| &it.ca_certificate_refs);
            authorities.for_each(|it| self.reference(&key.namespace, it));
        }
    }

    fn ingress(&mut self, namespace: &str, ingress: &Ingress) {
        let tls = ingress.spec.iter().flat_map(|it| it.tls.iter().flatten());
        for name in tls.filter_map(|it| it.secret_name.as_ref()).filter(|it| !it.is_empty()) {
            self.secrets.insert(ObjectKey::new(namespace, name));
        }
        let annotations = ingress.metadata.annotations.iter().flatten();
        for (_, value) in annotations.filter(|it| SECRET_ANNOTATIONS.contains(&it.0.as_str())) {
            let (namespace, name) = value.split_once('/').unwrap_or((namespace, value));
            self.secrets.insert(ObjectKey::new(namespace, name));
        }
    }

    fn secret(&mut self, namespace: &str, secret: &SecretRef) {
        if secret.group.as_deref().unwrap_or_default().is_empty()
            && secret.kind.as_deref().unwrap_or("Secret") == "Secret"
        {
            let namespace = secret.namespace.as_deref().unwrap_or(namespace);
            self.secrets.insert(ObjectKey::new(namespace, &secret.name));
        }
    }

    fn reference(&mut self, namespace: &str, object: &ObjectRef) {
        let namespace = object.namespace.as_deref().unwrap_or(namespace);
        let key = ObjectKey::new(namespace, &object.name);
        match (object.group.as_str(), object.kind.as_str()) {
            ("", "ConfigMap") => drop(self.config_maps.insert(key)),
            ("", "Secret") => drop(self.secrets.insert(key)),
            _ => {}
        }
    }
}

/// Whether an Ingress may be for us: it names a class of ours, or none.
fn is_ours(ingress: &Ingress, objects: &Objects, options: &Options) -> bool {
    let annotations = ingress.metadata.annotations.as_ref();
    let class = ingress.spec.as_ref().and_then(|it| it.ingress_class_name.as_ref());
    let Some(class) = class.or_else(|| annotations.and_then(|it| it.get(CLASS_ANNOTATION))) else {
        return true;
    };
    if options.ingress_classes.contains(class) {
        return true;
    }
    let class = objects.ingress_classes.get(&ObjectKey::new("", class));
    let controller = class.and_then(|it| it.spec.as_ref()).and_then(|it| it.controller.as_ref());
    controller.is_some_and(|it| it == INGRESS_CONTROLLER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn objects(list: &[Value]) -> Objects {
        let mut objects = Objects::default();
        for one in list {
            assert!(objects.insert(one.clone()).unwrap());
        }
        objects
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
        let needs = Needs::of_cluster(&objects, &Options::default(), true);
        assert_eq!(needs.secrets, [ObjectKey::new("a", "one")].into());
        assert_eq!(needs.config_maps, [ObjectKey::new("a", "ca")].into());
    }

    #[test]
    fn only_ingresses_that_may_be_ours_need_anything() {
        let tls = |class: Value, secret: &str| json!({ "ingressClassName": class, "tls": [{ "secretName": secret }] });
        let mut guarded = object("Ingress", "guarded", &json!({ "ingressClassName": "ours" }));
        guarded["metadata"]["annotations"] = json!({ SECRET_ANNOTATIONS[0]: "b/users" });
        let objects = objects(&[
            object("IngressClass", "ours", &json!({ "controller": INGRESS_CONTROLLER })),
            object("IngressClass", "others", &json!({ "controller": "other" })),
            object("Ingress", "x", &tls(json!("ours"), "one")),
            object("Ingress", "y", &tls(json!("others"), "two")),
            object("Ingress", "z", &tls(Value::Null, "three")),
            guarded,
        ]);
        let needs = Needs::of_cluster(&objects, &Options::default(), true);
        let names: Vec<_> = needs.secrets.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a/one", "a/three", "b/users"]);
    }

    #[test]
    fn the_operators_own_config_map_is_in_the_first_cluster() {
        let key = ObjectKey::new("a", "lb");
        let config_map = Some((key.clone(), "lb.yaml".to_owned()));
        let options = Options { config_map, ..Options::default() };
        let needs = |is_first| Needs::of_cluster(&Objects::default(), &options, is_first);
        assert_eq!(needs(true).config_maps, [key].into());
        assert!(needs(false).config_maps.is_empty());
    }
}
