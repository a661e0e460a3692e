//! What stands for a Gateway with `spec.infrastructure` in its clusters: a headless Service, whose
//! name in cluster DNS has the Gateway's addresses, with the labels and annotations that are asked
//! for. It is named as GEP-1762 says, and removed by the owner reference when the Gateway is.

use super::{Draft, GROUP, GatewayDraft, Gateways};
use crate::{
    InfrastructureChange, ObjectKey, ObjectKind, PREFIX, Store,
    api::{Gateway, GatewayInfrastructure},
    lowered::Infrastructure,
};
use k8s_openapi::{
    api::{
        core::v1::{Service, ServicePort, ServiceSpec},
        discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::Resource;
use lb_model::ListenerProtocol;
use std::collections::{BTreeMap, BTreeSet};

/// Label with the Gateway's name (Gateway API, `GatewayNameLabelKey`).
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
/// Labels that tell who made an object, and the Service of a slice (Kubernetes, well-known labels).
const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
const SLICE_MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What names of slices end in.
const FAMILIES: [&str; 2] = ["ipv4", "ipv6"];

/// Bytes of a Service's name, at most (RFC 1123, section 2.1, as Kubernetes reads it).
const NAME_BYTES_MAX: usize = 63;

/// Says what is to be changed. What is as it should be is left alone.
pub(super) fn report(draft: &mut Draft<'_>, gateways: &Gateways) {
    let mut services: Vec<BTreeMap<ObjectKey, Service>> = Vec::new();
    let mut slices: Vec<BTreeMap<ObjectKey, EndpointSlice>> = Vec::new();
    services.resize_with(draft.world.clusters.len(), BTreeMap::new);
    slices.resize_with(draft.world.clusters.len(), BTreeMap::new);
    for (key, gateway) in &gateways.gateways {
        for cluster in &gateway.clusters {
            let objects = draft.cluster(*cluster).map(|it| &it.objects);
            let Some(object) = objects.and_then(|it| it.gateways.get(key)) else { continue };
            let Some(wanted) = &object.spec.infrastructure else { continue };
            if wanted.labels.is_empty() && wanted.annotations.is_empty() {
                continue;
            }
            let Some(meta) = meta(draft, *cluster, object, wanted) else { continue };
            if let Some(services) = services.get_mut(*cluster) {
                services.insert(name(&meta), service(meta.clone(), gateway));
            }
            if let Some(slices) = slices.get_mut(*cluster) {
                slices.extend(self::slices(&meta, gateway).map(|it| (name(&it.metadata), it)));
            }
        }
    }
    for ((cluster, services), slices) in draft.world.clusters.iter().zip(services).zip(slices) {
        let objects = &cluster.objects;
        let (added, removed) = difference(&objects.services, services, MANAGED_BY);
        let mut changes: Vec<_> =
            added.into_iter().map(|it| Infrastructure::Service(Box::new(it))).collect();
        changes.extend(removed.into_iter().map(Infrastructure::NoService));
        let (added, removed) = difference(&objects.endpoint_slices, slices, SLICE_MANAGED_BY);
        changes.extend(added.into_iter().map(|it| Infrastructure::Slice(Box::new(it))));
        changes.extend(removed.into_iter().map(Infrastructure::NoSlice));
        let cluster = &cluster.name;
        let change = |change| InfrastructureChange { cluster: cluster.clone(), change };
        draft.infrastructure.extend(changes.into_iter().map(change));
    }
}

/// Name, labels, annotations and owner; `None` = there can be no such Service, which is told.
fn meta(
    draft: &mut Draft<'_>,
    cluster: usize,
    gateway: &Gateway,
    wanted: &GatewayInfrastructure,
) -> Option<ObjectMeta> {
    let own = ObjectKey::of(gateway);
    let name = format!("{}-{}", own.name, gateway.spec.gateway_class_name);
    let key = ObjectKey::new(&own.namespace, &name);
    draft.uses.see(&key);
    for family in FAMILIES {
        draft.uses.see(&ObjectKey::new(&own.namespace, format!("{name}-{family}")));
    }
    let services = draft.cluster(cluster).map(|it| &it.objects.services);
    let existing = services.and_then(|it| it.get(&key));
    let is_foreign = existing.is_some_and(|it| !is_ours(&it.metadata, MANAGED_BY));
    let is_label = name.len() <= NAME_BYTES_MAX
        && name.starts_with(|it: char| it.is_ascii_lowercase())
        && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-');
    if is_foreign || !is_label {
        let why = if is_label { "is somebody else's" } else { "is no name for a Service" };
        let message = format!("spec.infrastructure is not given on: {name} {why}");
        let id = draft.id(cluster, ObjectKind::Gateway, &own);
        draft.warn(id, "InfrastructureNotMade", message);
        return None;
    }
    let mut labels = wanted.labels.clone();
    labels.insert(GATEWAY_NAME.to_owned(), own.name.clone());
    labels.insert(MANAGED_BY.to_owned(), PREFIX.to_owned());
    let owner = OwnerReference {
        api_version: format!("{GROUP}/v1"),
        kind: ObjectKind::Gateway.name().to_owned(),
        name: own.name,
        uid: gateway.metadata.uid.clone()?,
        ..OwnerReference::default()
    };
    Some(ObjectMeta {
        namespace: Some(own.namespace),
        name: Some(name),
        labels: Some(labels),
        annotations: Some(wanted.annotations.clone()),
        owner_references: Some(vec![owner]),
        ..ObjectMeta::default()
    })
}

fn service(metadata: ObjectMeta, gateway: &GatewayDraft) -> Service {
    let port = |(protocol, port): (&str, u16)| ServicePort {
        name: Some(format!("{}-{port}", protocol.to_ascii_lowercase())),
        port: port.into(),
        protocol: Some(protocol.to_owned()),
        ..ServicePort::default()
    };
    let spec = ServiceSpec {
        cluster_ip: Some("None".to_owned()),
        ports: Some(ports(gateway).into_iter().map(port).collect()),
        ..ServiceSpec::default()
    };
    Service { metadata, spec: Some(spec), status: None }
}

/// The addresses, a slice for each family.
fn slices(meta: &ObjectMeta, gateway: &GatewayDraft) -> impl Iterator<Item = EndpointSlice> {
    [true, false].into_iter().filter_map(move |is_ipv4| {
        let of_family = gateway.addresses.iter().filter(|it| it.address.is_ipv4() == is_ipv4);
        let endpoint = |address: String| Endpoint {
            addresses: vec![address],
            conditions: Some(EndpointConditions {
                ready: Some(true),
                ..EndpointConditions::default()
            }),
            ..Endpoint::default()
        };
        let endpoints: Vec<_> = of_family.map(|it| endpoint(it.address.to_string())).collect();
        let port = |(protocol, port): (&str, u16)| EndpointPort {
            name: Some(format!("{}-{port}", protocol.to_ascii_lowercase())),
            port: Some(port.into()),
            protocol: Some(protocol.to_owned()),
            ..EndpointPort::default()
        };
        let service = meta.name.clone().unwrap_or_default();
        let [ipv4, ipv6] = FAMILIES;
        let family = if is_ipv4 { ipv4 } else { ipv6 };
        let mut metadata = ObjectMeta { name: Some(format!("{service}-{family}")), ..meta.clone() };
        let labels = metadata.labels.get_or_insert_default();
        labels.remove(MANAGED_BY);
        labels.insert(SLICE_MANAGED_BY.to_owned(), PREFIX.to_owned());
        labels.insert(SERVICE_NAME.to_owned(), service);
        (!endpoints.is_empty()).then(|| EndpointSlice {
            address_type: if is_ipv4 { "IPv4" } else { "IPv6" }.to_owned(),
            endpoints: Some(endpoints),
            metadata,
            ports: Some(ports(gateway).into_iter().map(port).collect()),
        })
    })
}

/// Ports that are served.
fn ports(gateway: &GatewayDraft) -> BTreeSet<(&'static str, u16)> {
    let served = gateway.listeners.iter().filter(|it| it.name.is_some());
    served
        .map(|it| (if it.protocol == ListenerProtocol::Udp { "UDP" } else { "TCP" }, it.port))
        .collect()
}

/// What is to be applied, and what of ours is not wanted any more.
fn difference<T: Part>(
    there: &Store<T>,
    wanted: BTreeMap<ObjectKey, T>,
    label: &str,
) -> (Vec<T>, Vec<ObjectKey>) {
    let ours = there.iter().filter(|(_, it)| {
        is_ours(it.meta(), label) && said(it.meta()).0.contains_key(GATEWAY_NAME)
    });
    let removed = ours.map(|(key, _)| key).filter(|it| !wanted.contains_key(it)).cloned().collect();
    let added = wanted.into_iter().filter(|(key, wanted)| {
        let is_as_wanted = |it: &T| {
            let ((labels, annotations), (own_labels, own_annotations)) =
                (said(wanted.meta()), said(it.meta()));
            is_within(&labels, &own_labels)
                && is_within(&annotations, &own_annotations)
                && wanted.content() == it.content()
        };
        !there.get(key).is_some_and(|it| is_as_wanted(it))
    });
    (added.map(|(_, it)| it).collect(), removed)
}

/// An object of ours, by what it is about.
trait Part: Resource {
    /// Addresses and ports.
    fn content(&self) -> BTreeSet<(String, i32)>;
}

impl Part for Service {
    fn content(&self) -> BTreeSet<(String, i32)> {
        let ports = self.spec.iter().flat_map(|it| it.ports.iter().flatten());
        ports.map(|it| (it.name.clone().unwrap_or_default(), it.port)).collect()
    }
}

impl Part for EndpointSlice {
    fn content(&self) -> BTreeSet<(String, i32)> {
        let ports = self.ports.iter().flatten();
        let ports =
            ports.map(|it| (it.name.clone().unwrap_or_default(), it.port.unwrap_or_default()));
        let endpoints = self.endpoints.iter().flatten().flat_map(|it| &it.addresses);
        ports.chain(endpoints.map(|it| (it.clone(), 0))).collect()
    }
}

type Texts = BTreeMap<String, String>;

/// Labels and annotations.
fn said(meta: &ObjectMeta) -> (Texts, Texts) {
    let (labels, annotations) = (meta.labels.clone(), meta.annotations.clone());
    (labels.unwrap_or_default(), annotations.unwrap_or_default())
}

fn is_within(part: &Texts, whole: &Texts) -> bool {
    part.iter().all(|(name, value)| whole.get(name) == Some(value))
}

/// Whether an object was made by us, to stand for a Gateway.
pub(in crate::lower) fn is_for_gateway(meta: &ObjectMeta) -> bool {
    is_ours(meta, MANAGED_BY) || is_ours(meta, SLICE_MANAGED_BY)
}

fn is_ours(meta: &ObjectMeta, label: &str) -> bool {
    meta.labels.as_ref().and_then(|it| it.get(label)).is_some_and(|it| it == PREFIX)
}

fn name(meta: &ObjectMeta) -> ObjectKey {
    let (namespace, name) = (meta.namespace.clone(), meta.name.clone());
    ObjectKey::new(namespace.unwrap_or_default(), name.unwrap_or_default())
}
