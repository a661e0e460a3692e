//! The pods of a Service, told as the controller of EndpointSlices would: no controllers run here.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::server::ApiServer;
use crate::lab::{Family, Host};

/// A pod behind a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
    /// How it is.
    pub state: PodState,
}

/// How a pod is, as the conditions of its endpoint have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodState {
    /// It runs, and is not ready yet.
    Starting,
    /// It is ready.
    Ready,
    /// It was deleted, and still serves.
    Ending,
    /// It was deleted, and serves no more.
    Ended,
}

impl Pod {
    /// A ready pod on a host of a lab, which has its IPv4 address for itself.
    pub fn on(host: &Host) -> Self {
        Self {
            name: format!("pod-{}", host.name()),
            address: host.address(Family::V4),
            state: PodState::Ready,
        }
    }

    /// The same in another state.
    #[must_use]
    pub fn state(self, state: PodState) -> Self {
        Self { state, ..self }
    }
}

impl ApiServer {
    /// Puts the EndpointSlices of a Service (`NAMESPACE/NAME`) in place, one for each family that
    /// pods have, with the ports that its spec says.
    pub fn set_pods(&self, service: &str, pods: &[Pod]) -> Result<()> {
        let object = self.get("v1/Service", service)?.context("a Service that is not there")?;
        let ports = object["spec"]["ports"].as_array().cloned().unwrap_or_default();
        let ports: Vec<Value> = ports.iter().map(slice_port).collect();
        let mut slices = Vec::new();
        for family in Family::BOTH {
            let of_family = pods.iter().filter(|it| family.holds(it.address));
            let endpoints: Vec<Value> = of_family.map(endpoint).collect();
            let name = format!("{}-{family}", object["metadata"]["name"].as_str().unwrap_or("?"));
            let namespace = &object["metadata"]["namespace"];
            let key = format!("{}/{name}", namespace.as_str().unwrap_or("default"));
            if endpoints.is_empty() && self.get("EndpointSlice", &key)?.is_none() {
                continue;
            }
            slices.push(json!({
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "labels": {
                        "kubernetes.io/service-name": object["metadata"]["name"],
                        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                    },
                },
                "addressType": if family == Family::V4 { "IPv4" } else { "IPv6" },
                "ports": ports,
                "endpoints": endpoints,
            }));
        }
        self.put_many(slices)
    }
}

fn slice_port(port: &Value) -> Value {
    let target = port.get("targetPort").filter(|it| it.is_u64()).unwrap_or_else(|| &port["port"]);
    json!({
        "name": port["name"].as_str().unwrap_or_default(),
        "protocol": port["protocol"].as_str().unwrap_or("TCP"),
        "port": target,
    })
}

fn endpoint(pod: &Pod) -> Value {
    let (ready, serving, terminating) = match pod.state {
        PodState::Starting => (false, false, false),
        PodState::Ready => (true, true, false),
        PodState::Ending => (false, true, true),
        PodState::Ended => (false, false, true),
    };
    json!({
        "addresses": [pod.address],
        "conditions": { "ready": ready, "serving": serving, "terminating": terminating },
        "targetRef": { "kind": "Pod", "name": pod.name, "uid": pod.name },
    })
}
