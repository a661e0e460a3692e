//! Ingresses as the Gateway API says them: what `lbctl migrate ingress` prints.
//!
//! It reads what lowering made of the Ingresses, not their annotations: what is served and what is
//! printed cannot differ.

mod rule;

use crate::{ObjectKey, World, lower, lower::ingress_coverage};
use k8s_openapi::api::{core::v1::ServicePort, networking::v1::Ingress};
use lb_model::Route;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use crate::lower::Coverage;

/// An Ingress, how far it is covered, and the same in the Gateway API.
#[derive(Clone, Debug, Serialize)]
pub struct Migrated {
    /// The Ingress.
    pub ingress: ObjectKey,
    /// How far each of its annotations of ingress-nginx is followed here, by name without prefix.
    pub annotations: BTreeMap<String, Coverage>,
    /// What is served here but has no words in the Gateway API.
    pub without_equivalent: BTreeSet<String>,
    /// HTTPRoutes that say the same.
    pub manifests: Vec<Value>,
}

/// Every Ingress of ours, and the Gateways that their HTTPRoutes attach to. Services that are not
/// among the objects are taken as being there.
pub fn migrate(world: &World) -> (Vec<Migrated>, Vec<Value>) {
    let world = &with_services(world.clone());
    let routes = lower(world).desired.proxy.routes;
    let mut migrated = Vec::new();
    let mut gateways: BTreeMap<String, GatewayDraft> = BTreeMap::new();
    for (key, class, ingress, annotations) in ingress_coverage(world) {
        let prefix = format!("Ingress/{key}:");
        let of_ingress = routes.iter_from(&prefix).take_while(|it| it.0.starts_with(&prefix));
        let gateway = gateways.entry(class.clone()).or_default();
        gateway.add(&key, ingress);
        let mut one = Migrated {
            ingress: key.clone(),
            annotations,
            without_equivalent: BTreeSet::new(),
            manifests: Vec::new(),
        };
        for (number, (_, route)) in of_ingress.enumerate() {
            let manifest = http_route(&key, &class, number, route, &mut one.without_equivalent);
            one.manifests.push(manifest);
        }
        migrated.push(one);
    }
    let gateways = gateways.iter().map(|(class, gateway)| gateway.manifest(class)).collect();
    (migrated, gateways)
}

/// Adds the Services that Ingresses name by the number of a port.
fn with_services(mut world: World) -> World {
    for cluster in &mut world.clusters {
        let objects = &mut cluster.objects;
        for (key, ingress) in &objects.ingresses {
            let spec = ingress.spec.iter();
            let rules = spec.clone().flat_map(|it| it.rules.iter().flatten());
            let paths = rules.flat_map(|it| &it.http).flat_map(|it| &it.paths);
            let backends = paths.map(|it| &it.backend);
            let all = backends.chain(spec.flat_map(|it| &it.default_backend));
            for backend in all.flat_map(|it| &it.service) {
                let Some(port) = backend.port.as_ref().and_then(|it| it.number) else { continue };
                let key = ObjectKey::new(&key.namespace, &backend.name);
                let services = &mut objects.services;
                let Some(service) = services.get_or_insert_with(key, Arc::default) else {
                    continue;
                };
                let spec = Arc::make_mut(service).spec.get_or_insert_default();
                let ports = spec.ports.get_or_insert_default();
                if ports.iter().all(|it| it.port != port) {
                    ports.push(ServicePort { port, ..ServicePort::default() });
                }
            }
        }
    }
    world
}

fn http_route(
    key: &ObjectKey,
    class: &str,
    number: usize,
    route: &Route,
    losses: &mut BTreeSet<String>,
) -> Value {
    let sections = ["http", "https"];
    let is_on = |section: &&&str| route.listeners.contains(&format!("ingress/{class}/{section}"));
    let is_plain = sections.iter().filter(is_on).count() == sections.len();
    let parent = |section: Option<&str>| {
        let mut parent = json!({ "name": class, "namespace": GATEWAY_NAMESPACE });
        if let (Some(section), Some(parent)) = (section, parent.as_object_mut()) {
            parent.insert("sectionName".to_owned(), json!(section));
        }
        parent
    };
    let parents: Vec<Value> = if is_plain {
        vec![parent(None)]
    } else {
        sections.iter().filter(is_on).map(|it| parent(Some(it))).collect()
    };
    let hosts: Vec<String> = route.hosts.iter().map(ToString::to_string).collect();
    let mut spec = json!({ "parentRefs": parents });
    if let Some(spec) = spec.as_object_mut() {
        if !hosts.is_empty() {
            spec.insert("hostnames".to_owned(), json!(hosts));
        }
        let rules: Vec<Value> =
            route.rules.iter().map(|it| rule::manifest(it, key, losses)).collect();
        spec.insert("rules".to_owned(), json!(rules));
    }
    let suffix = if number == 0 { String::new() } else { format!("-{number}") };
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": { "name": format!("{}{suffix}", key.name), "namespace": key.namespace },
        "spec": spec,
    })
}

/// Namespace of the Gateways that are printed.
const GATEWAY_NAMESPACE: &str = "lb-system";

/// A Gateway for the Ingresses of a class.
#[derive(Default)]
struct GatewayDraft {
    certificates: BTreeSet<ObjectKey>,
}

impl GatewayDraft {
    fn add(&mut self, key: &ObjectKey, ingress: &Ingress) {
        for tls in ingress.spec.iter().flat_map(|it| it.tls.iter().flatten()) {
            if let Some(secret) = &tls.secret_name {
                self.certificates.insert(ObjectKey::new(&key.namespace, secret));
            }
        }
    }

    fn manifest(&self, class: &str) -> Value {
        let from_all = json!({ "namespaces": { "from": "All" } });
        let mut listeners = vec![
            json!({ "name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": from_all }),
        ];
        if !self.certificates.is_empty() {
            let reference = |it: &ObjectKey| json!({ "name": it.name, "namespace": it.namespace });
            let references: Vec<Value> = self.certificates.iter().map(reference).collect();
            listeners.push(json!({
                "name": "https",
                "port": 443,
                "protocol": "HTTPS",
                "tls": { "certificateRefs": references },
                "allowedRoutes": from_all,
            }));
        }
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "Gateway",
            "metadata": { "name": class, "namespace": GATEWAY_NAMESPACE },
            "spec": { "gatewayClassName": "lb", "listeners": listeners },
        })
    }
}
