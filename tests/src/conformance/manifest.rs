//! Objects that many tests make.

use serde_json::json;

use super::Space;

impl Space {
    /// A Gateway of the suite's class with these listeners (YAML, in flow style).
    pub fn gateway(&self, name: &str, listeners: &str) {
        self.apply(&format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: {name}}}\n\
             spec: {{gatewayClassName: suite, listeners: {listeners}}}"
        ));
    }

    /// A Gateway of the suite's class: what stands in its spec (YAML, in flow style).
    pub fn gateway_as(&self, name: &str, spec: &str) {
        self.apply(&format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: {name}}}\n\
             spec: {{gatewayClassName: suite, {spec}}}"
        ));
    }

    /// A ListenerSet of this Gateway (`NAMESPACE/NAME`) with these listeners (YAML, in flow style).
    pub fn listener_set(&self, name: &str, gateway: &str, listeners: &str) {
        let (namespace, gateway) =
            gateway.split_once('/').unwrap_or_else(|| (self.name(), gateway));
        self.apply(&format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {{name: {name}}}\n\
             spec: {{parentRef: {{group: gateway.networking.k8s.io, kind: Gateway, name: {gateway}, \
             namespace: {namespace}}}, listeners: {listeners}}}"
        ));
    }

    /// A route of one rule with one backend: under these parents, for these hosts (both YAML, in
    /// flow style; no hosts = any).
    pub fn attach(&self, kind: &str, name: &str, parents: &str, hosts: &str, service: &str) {
        let hosts =
            if hosts.is_empty() { String::new() } else { format!("  hostnames: [{hosts}]\n") };
        self.route(
            kind,
            name,
            &format!(
                "  parentRefs: [{parents}]\n{hosts}  rules: [{{backendRefs: [{{name: {service}, port: \
                 8080}}]}}]"
            ),
        );
    }

    /// Allows objects of a kind in a namespace to refer to those of a kind here: all of them, or
    /// the one of this name.
    pub fn grant(&self, name: &str, from: (&str, &str), to: (&str, Option<&str>)) {
        let (from, namespace) = from;
        let (kind, only) = to;
        let only = only.map(|it| format!(", name: {it}")).unwrap_or_default();
        self.apply(&format!(
            "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {{name: \
             {name}}}\nspec:\n  from: [{{group: gateway.networking.k8s.io, kind: {from}, namespace: \
             {namespace}}}]\n  to: [{{group: '', kind: {kind}{only}}}]"
        ));
    }

    /// An HTTPRoute: what stands in its spec, YAML with two spaces of indentation.
    pub fn route(&self, kind: &str, name: &str, spec: &str) {
        self.apply(&format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{name: {name}}}\n\
             spec:\n{spec}"
        ));
    }

    /// A certificate for these names as a Secret.
    pub fn certificate(&self, secret: &str, names: &[&str]) {
        let issued = self.must(self.suite().authority.issue(names));
        self.secret(secret, &issued.chain, &issued.key);
    }

    /// A Secret with a chain and a key.
    pub fn secret(&self, name: &str, chain: &str, key: &str) {
        let object = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": { "name": name, "namespace": self.name() },
            "type": "kubernetes.io/tls",
            "stringData": { "tls.crt": chain, "tls.key": key },
        });
        self.must(self.suite().server.apply(&object.to_string()));
    }

    /// A ConfigMap with the suite's authority.
    pub fn authority(&self, name: &str) {
        self.config_map(name, &self.suite().authority.pem());
    }

    /// A ConfigMap with an authority.
    pub fn config_map(&self, name: &str, authority: &str) {
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": name, "namespace": self.name() },
            "data": { "ca.crt": authority },
        });
        self.must(self.suite().server.apply(&object.to_string()));
    }

    /// A BackendTLSPolicy of a Service (`NAME` or `NAME/SECTION`), which validates against the
    /// ConfigMap `authority`; `names` is what else it validates (YAML, in flow style).
    pub fn backend_policy(&self, name: &str, service: &str, names: &str, authority: &str) {
        let (service, section) = service.split_once('/').unwrap_or((service, ""));
        let section =
            if section.is_empty() { String::new() } else { format!(", sectionName: {section}") };
        self.apply(&format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {{name: {name}}}\n\
             spec: {{targetRefs: [{{group: '', kind: Service, name: {service}{section}}}], validation: \
             {{{names}, caCertificateRefs: [{{group: '', kind: ConfigMap, name: {authority}}}]}}}}"
        ));
    }
}
