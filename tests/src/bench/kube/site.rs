//! A cluster with a running `lbd`, and the objects that are put into it.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::kube::ApiServer;
use crate::rivals::process::Process;
use crate::wait::binary;

/// The namespace of everything.
const NAMESPACE: &str = "bench";

/// The first address of Gateways; each has one of its own.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);

/// A cluster, and `lbd` once it is started.
pub(super) struct Site {
    /// Where objects are put.
    pub(super) server: ApiServer,
    /// The port of all listeners.
    pub(super) port: u16,
    gateways_count: u8,
    folder: PathBuf,
}

impl Site {
    /// A cluster with a class, and with namespaces.
    pub(super) fn start(gateways_count: u8) -> Result<Self> {
        let server = ApiServer::start()?;
        server.install_crds()?;
        for name in [NAMESPACE, "lb-system"] {
            let metadata = json!({ "name": name });
            server
                .create(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata }))?;
        }
        server.create(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": { "name": "lb" },
            "spec": { "controllerName": "lb.internal/gateway-controller" },
        }))?;
        let port = TcpListener::bind((FIRST, 0))?.local_addr()?.port();
        let folder = server.directory().join("lbd");
        std::fs::create_dir_all(&folder)?;
        Ok(Self { server, port, gateways_count, folder })
    }

    /// Starts `lbd`.
    pub(super) fn run(&self) -> Result<Process> {
        let kubeconfig = self.server.kubeconfig_path();
        let last = address(self.gateways_count.saturating_sub(1));
        let configuration = format!(
            "proxy: {{ workers: 1 }}\nkubernetes:\n  clusters:\n    - {{ name: bench, kubeconfig: {} \
             }}\n  pools:\n    - {{ name: host, addresses: [\"{FIRST}-{last}\"], bind: true }}\n",
            kubeconfig.display()
        );
        let file = self.folder.join("lb.yaml");
        std::fs::write(&file, configuration)?;
        let mut command = Command::new(binary("lbd")?);
        command.arg("run").arg("--config").arg(&file).arg("--run-directory").arg(&self.folder);
        Process::start(&mut command, &self.folder).context("lbd")
    }
}

/// The address of a Gateway.
pub(super) fn address(gateway: u8) -> Ipv4Addr {
    let [a, b, c, d] = FIRST.octets();
    Ipv4Addr::new(a, b, c, d.saturating_add(gateway))
}

/// Listeners of a Gateway by name and host.
pub(super) fn gateway(number: u8, port: u16, listeners: &[(String, Option<String>)]) -> Value {
    let listeners: Vec<Value> = listeners
        .iter()
        .map(|(name, host)| {
            // Without a host it is `null`, which is as if it were not there.
            json!({ "name": name, "protocol": "HTTP", "port": port, "hostname": host })
        })
        .collect();
    let address = json!({ "type": "IPAddress", "value": address(number).to_string() });
    let spec = json!({ "gatewayClassName": "lb", "addresses": [address], "listeners": listeners });
    object("Gateway", &gateway_name(number), &spec)
}

/// Name of a Gateway.
pub(super) fn gateway_name(number: u8) -> String {
    format!("g{number}")
}

/// A route of one host, to a service.
pub(super) fn route(name: &str, gateway: u8, section: &str, host: &str, service: &str) -> Value {
    let parent = json!({ "name": gateway_name(gateway), "sectionName": section });
    let backend = json!({ "name": service, "port": 80 });
    let spec = json!({
        "parentRefs": [parent], "hostnames": [host], "rules": [{ "backendRefs": [backend] }],
    });
    object("HTTPRoute", name, &spec)
}

/// A service, and its slice with these endpoints.
pub(super) fn service(name: &str, port: u16, addresses: &[IpAddr]) -> [Value; 2] {
    let metadata = json!({ "name": name, "namespace": NAMESPACE });
    let ports = json!([{ "name": "http", "port": 80, "targetPort": port }]);
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": { "ports": ports },
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": name, "namespace": NAMESPACE,
            "labels": { "kubernetes.io/service-name": name },
        },
        "addressType": "IPv4",
        "ports": [{ "name": "http", "port": port, "protocol": "TCP" }],
        "endpoints": endpoints(addresses),
    });
    [service, slice]
}

/// Endpoints that are ready.
pub(super) fn endpoints(addresses: &[IpAddr]) -> Value {
    let one =
        |it: &IpAddr| json!({ "addresses": [it.to_string()], "conditions": { "ready": true } });
    json!(addresses.iter().map(one).collect::<Vec<_>>())
}

/// The name of an object in the namespace, as the hand takes it.
pub(super) fn named(name: &str) -> String {
    format!("{NAMESPACE}/{name}")
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    let metadata = json!({ "name": name, "namespace": NAMESPACE });
    let version = "gateway.networking.k8s.io/v1";
    json!({ "apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec })
}
