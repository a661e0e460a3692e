//! What stands around a router of clusters: the hosts, and API servers on its network.

use anyhow::Result;
use serde_json::json;

use super::server::ApiServer;
use crate::authority::{Authority, Issued};
use crate::lab::{Host, Lab, Options};

/// A lab whose router has the interfaces `wan`, to the client, and `lan`, to the backends; so has
/// the gateway, which is a second router, to `far` and to the first.
pub fn router_lab(backend_count: usize) -> Result<Lab> {
    let lab = Lab::up(&Options { backend_count, vips_on_backends: Vec::new() })?;
    let rename = |from: &str, to: &str| format!("link set dev {from} name {to}");
    lab.router().ip_batch(&[rename("a0", "wan"), rename("b0", "lan")])?;
    lab.gateway().ip_batch(&[rename("eth1", "wan"), rename("eth0", "lan")])?;
    Ok(lab)
}

impl ApiServer {
    /// A stand-in at an address of a host, as a user who may do only what roles allow, or as an
    /// administrator; and a kubeconfig for who reaches it there. It knows the kinds of the Gateway
    /// API and ours, and has the namespace of the Lease.
    pub fn stand_in_at(host: &Host, user: Option<&str>) -> Result<(Self, String)> {
        let mut server = Self::stand_in()?;
        server.install_crds()?;
        server.apply("{apiVersion: v1, kind: Namespace, metadata: {name: lb-system}}")?;
        let kubeconfig = server.kubeconfig_at(host, user)?;
        Ok((server, kubeconfig))
    }

    /// Puts a certificate into a Secret of the namespace `default`, or `NAMESPACE/NAME`.
    pub fn set_certificate(&self, secret: &str, issued: &Issued) -> Result<()> {
        let (namespace, name) = secret.split_once('/').unwrap_or(("default", secret));
        let object = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": { "name": name, "namespace": namespace },
            "stringData": { "tls.crt": issued.chain, "tls.key": issued.key },
        });
        self.apply(&object.to_string()).map(drop)
    }

    /// Puts an authority into a ConfigMap of the namespace `default`, or `NAMESPACE/NAME`.
    pub fn set_authority(&self, config_map: &str, authority: &Authority) -> Result<()> {
        let (namespace, name) = config_map.split_once('/').unwrap_or(("default", config_map));
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": name, "namespace": namespace },
            "data": { "ca.crt": authority.pem() },
        });
        self.apply(&object.to_string()).map(drop)
    }
}
