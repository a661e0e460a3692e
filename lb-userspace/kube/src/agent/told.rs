//! What became of objects, for people at this router: the same that is written to their status.

use crate::{Cluster, Condition, Lowered, ObjectId, ObjectKey, ObjectKind, Objects, Status};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

/// The label that tells which Service a slice belongs to (Kubernetes, EndpointSlice reference).
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What became of all objects, with what they are.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub(super) lowered: Arc<Lowered>,
    pub(super) clusters: Vec<Cluster>,
}

/// What became of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayReport {
    /// Its cluster.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its class.
    pub class: String,
    /// Addresses that it has.
    pub addresses: Vec<String>,
    /// Whether it runs as a whole.
    pub programmed: bool,
    /// Why it does not, or not as it asks for: `REASON: message`; `null` = it does.
    pub reason: Option<String>,
    /// Its own listeners, in order of the spec.
    pub listeners: Vec<GatewayListenerReport>,
}

/// What became of a listener of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayListenerReport {
    /// Its name in the Gateway.
    pub name: String,
    /// Routes attached.
    pub routes: u32,
    /// Whether it runs.
    pub programmed: bool,
    /// Why it does not, or not as it asks for.
    pub reason: Option<String>,
}

/// What became of a Service of type `LoadBalancer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceReport {
    /// Its cluster.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Addresses at which it is served.
    pub addresses: Vec<String>,
    /// Whether every port is served.
    pub programmed: bool,
    /// Why not: `REASON: message`.
    pub reason: Option<String>,
    /// Its endpoints in this cluster.
    pub endpoints: EndpointCount,
}

/// Endpoints of a Service in one cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointCount {
    /// Those that are ready.
    pub ready: usize,
    /// All.
    pub total: usize,
}

/// What became of a route of any kind, or of an Ingress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteReport {
    /// Its cluster.
    pub cluster: String,
    /// Its kind: `HTTPRoute`, `Ingress`, ...
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its hosts; empty = all of its listeners.
    pub hosts: Vec<String>,
    /// Why it does not run, or not as it asks for, one for each parent: `REASON: message`.
    pub reasons: Vec<String>,
}

impl Told {
    /// Gateways, by cluster, namespace and name.
    pub fn gateways(&self) -> Vec<GatewayReport> {
        self.with(ObjectKind::Gateway, |id, status, objects| {
            let Status::Gateway { addresses, conditions, listeners, .. } = status else {
                return None;
            };
            let reason = problem(conditions).or_else(|| {
                listeners.iter().find_map(|it| {
                    Some(format!("listener {}: {}", it.name, problem(&it.conditions)?))
                })
            });
            let listeners = listeners.iter().map(|it| GatewayListenerReport {
                name: it.name.clone(),
                routes: it.attached_routes,
                programmed: holds(&it.conditions, "Programmed"),
                reason: problem(&it.conditions),
            });
            let (cluster, ObjectKey { namespace, name }) = (id.cluster.clone(), id.key.clone());
            Some(GatewayReport {
                cluster,
                namespace,
                name,
                class: objects.gateways.get(&id.key)?.spec.gateway_class_name.clone(),
                addresses: addresses.iter().map(|it| it.value.clone()).collect(),
                programmed: holds(conditions, "Programmed"),
                reason,
                listeners: listeners.collect(),
            })
        })
    }

    /// Services of type `LoadBalancer` that are ours, by cluster, namespace and name.
    pub fn services(&self) -> Vec<ServiceReport> {
        let counts: BTreeMap<&str, _> =
            self.clusters.iter().map(|it| (it.name.as_str(), endpoints(&it.objects))).collect();
        self.with(ObjectKind::Service, |id, status, _| {
            let Status::LoadBalancer { addresses, conditions, .. } = status else { return None };
            let count = counts.get(id.cluster.as_str()).and_then(|it| it.get(&id.key));
            let (cluster, ObjectKey { namespace, name }) = (id.cluster.clone(), id.key.clone());
            Some(ServiceReport {
                cluster,
                namespace,
                name,
                addresses: addresses.iter().map(IpAddr::to_string).collect(),
                programmed: holds(conditions, "lb.internal/Programmed"),
                reason: problem(conditions),
                endpoints: count.copied().unwrap_or_default(),
            })
        })
    }

    /// Routes that name parents of ours, and Ingresses of classes of ours, by cluster, kind,
    /// namespace and name.
    pub fn routes(&self) -> Vec<RouteReport> {
        const KINDS: [ObjectKind; 6] = [
            ObjectKind::HttpRoute,
            ObjectKind::GrpcRoute,
            ObjectKind::TlsRoute,
            ObjectKind::TcpRoute,
            ObjectKind::UdpRoute,
            ObjectKind::Ingress,
        ];
        let of = |kind| {
            self.with(kind, |id, status, objects| {
                let reasons = match status {
                    Status::Parents(parents) => {
                        parents.iter().filter_map(|it| problem(&it.conditions)).collect()
                    }
                    Status::LoadBalancer { conditions, ports, .. } => {
                        let ports = ports.iter().filter_map(|it| it.2.clone());
                        problem(conditions).into_iter().chain(ports).collect()
                    }
                    _ => return None,
                };
                let (cluster, ObjectKey { namespace, name }) = (id.cluster.clone(), id.key.clone());
                let kind = id.kind.name().to_owned();
                let hosts = hosts(objects, id);
                Some(RouteReport { cluster, kind, namespace, name, hosts, reasons })
            })
        };
        KINDS.into_iter().flat_map(of).collect()
    }

    /// Clusters with a Service, and its endpoints there, in order of the configuration.
    pub fn backing(&self, namespace: &str, name: &str) -> Vec<(String, EndpointCount)> {
        let key = ObjectKey::new(namespace, name);
        let having = self.clusters.iter().filter(|it| it.objects.services.contains_key(&key));
        let of = |it: &Cluster| {
            let count = endpoints(&it.objects).get(&key).copied().unwrap_or_default();
            (it.name.clone(), count)
        };
        having.map(of).collect()
    }

    fn with<T>(
        &self,
        kind: ObjectKind,
        report: impl Fn(&ObjectId, &Status, &Objects) -> Option<T>,
    ) -> Vec<T> {
        let objects = |id: &ObjectId| {
            self.clusters.iter().find(|it| it.name == id.cluster).map(|it| &it.objects)
        };
        let statuses = self.lowered.statuses.iter().filter(|(id, _)| id.kind == kind);
        statuses.filter_map(|(id, status)| report(id, status, objects(id)?)).collect()
    }
}

/// The first condition that is not as it should be.
fn problem(conditions: &[Condition]) -> Option<String> {
    let is_problem = |it: &&Condition| match it.kind.rsplit('/').next() {
        Some("Accepted" | "Programmed" | "ResolvedRefs") => it.holds != Some(true),
        Some("Conflicted" | "PartiallyInvalid") => it.holds == Some(true),
        _ => false,
    };
    let found = conditions.iter().find(is_problem)?;
    Some(format!("{}: {}", found.reason, found.message))
}

fn holds(conditions: &[Condition], kind: &str) -> bool {
    conditions.iter().any(|it| it.kind == kind && it.holds == Some(true))
}

/// Endpoints by Service.
fn endpoints(objects: &Objects) -> BTreeMap<ObjectKey, EndpointCount> {
    let mut counts: BTreeMap<ObjectKey, EndpointCount> = BTreeMap::new();
    for (key, slice) in &objects.endpoint_slices {
        let labels = slice.metadata.labels.as_ref();
        let Some(service) = labels.and_then(|it| it.get(SERVICE_NAME)) else { continue };
        let count = counts.entry(ObjectKey::new(&key.namespace, service)).or_default();
        for endpoint in slice.endpoints.iter().flatten() {
            let ready = endpoint.conditions.as_ref().and_then(|it| it.ready);
            count.total += 1;
            // Kubernetes, EndpointConditions: nothing said means ready.
            count.ready += usize::from(ready.unwrap_or(true));
        }
    }
    counts
}

fn hosts(objects: &Objects, id: &ObjectId) -> Vec<String> {
    let key = &id.key;
    let found = match id.kind {
        ObjectKind::HttpRoute => objects.http_routes.get(key).map(|it| it.spec.hostnames.clone()),
        ObjectKind::GrpcRoute => objects.grpc_routes.get(key).map(|it| it.spec.hostnames.clone()),
        ObjectKind::TlsRoute => objects.tls_routes.get(key).map(|it| it.spec.hostnames.clone()),
        ObjectKind::Ingress => objects.ingresses.get(key).map(|it| {
            let rules = it.spec.iter().flat_map(|it| it.rules.iter().flatten());
            rules.filter_map(|it| it.host.clone()).collect()
        }),
        _ => None,
    };
    found.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Pool, World, lower};
    use serde_json::{Value, json};

    fn told(objects: &[Value]) -> Told {
        let mut cluster = Cluster { name: "blue".into(), weight: 100, objects: Objects::default() };
        for one in objects {
            assert!(cluster.objects.insert(one.clone()).unwrap(), "{one}");
        }
        let range = |address: &str| crate::AddressRange {
            first: address.parse().unwrap(),
            last: address.parse().unwrap(),
        };
        let pool = Pool {
            name: "one".into(),
            ranges: vec![range("192.0.2.1")],
            auto_assign: true,
            ..Pool::default()
        };
        let options = Options { pools: vec![pool], ..Options::default() };
        let world = World {
            options: Arc::new(options),
            clusters: vec![cluster],
            leads: true,
            ..World::default()
        };
        let lowered = Arc::new(lower(&world));
        Told { lowered, clusters: world.clusters }
    }

    fn service(name: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "namespace": "a", "name": name },
            "spec": { "type": "LoadBalancer", "ports": [{ "port": 80, "protocol": "TCP" }] },
        })
    }

    #[test]
    fn services_tell_their_endpoints_and_why_they_have_no_address() {
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": { "namespace": "a", "name": "x-1", "labels": { SERVICE_NAME: "x" } },
            "ports": [{ "port": 8080, "protocol": "TCP" }],
            "endpoints": [
                { "addresses": ["10.0.0.1"] },
                { "addresses": ["10.0.0.2"], "conditions": { "ready": false } },
            ],
        });
        let services = told(&[service("x"), service("y"), slice]).services();
        let (x, y) = (&services[0], &services[1]);
        assert_eq!((x.addresses.as_slice(), x.programmed), (&["192.0.2.1".to_owned()][..], true));
        assert_eq!(x.endpoints, EndpointCount { ready: 1, total: 2 });
        assert!(!y.programmed && y.addresses.is_empty(), "{y:?}");
        assert!(y.reason.as_ref().unwrap().starts_with("AddressNotAssigned: "), "{y:?}");
    }

    #[test]
    fn a_gateway_tells_its_listeners_and_a_route_why_it_is_not_attached() {
        let class = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": { "name": "lb" }, "spec": { "controllerName": crate::GATEWAY_CONTROLLER },
        });
        let gateway = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": { "namespace": "a", "name": "web" },
            "spec": { "gatewayClassName": "lb", "listeners": [
                { "name": "http", "port": 80, "protocol": "HTTP" },
                { "name": "https", "port": 443, "protocol": "HTTPS",
                  "tls": { "certificateRefs": [{ "name": "missing" }] } },
            ] },
        });
        let route = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": { "namespace": "b", "name": "far" },
            "spec": { "parentRefs": [{ "name": "web", "namespace": "a" }], "hostnames": ["h.example"] },
        });
        let told = told(&[class, gateway, route]);
        let gateway = told.gateways().remove(0);
        assert!(gateway.programmed && gateway.addresses == ["192.0.2.1"], "{gateway:?}");
        assert!(gateway.reason.as_ref().unwrap().ends_with(": https"), "{gateway:?}");
        let [http, https] = &gateway.listeners[..] else { panic!("{gateway:?}") };
        assert!(http.reason.is_none(), "{gateway:?}");
        assert!(https.reason.as_ref().unwrap().contains("a/missing"), "{gateway:?}");
        let route = told.routes().remove(0);
        assert_eq!(route.hosts, ["h.example"]);
        assert!(route.reasons[0].starts_with("NotAllowedByListeners: "), "{route:?}");
    }
}
