//! Owners of addresses: Gateways, Services and Ingress classes of ours.

use super::{
    Unassigned,
    allocate::{Claim, Want},
    pool::Pool,
    request::{self, Annotations},
};
use crate::{
    AddressRequest, GATEWAY_CONTROLLER, ObjectId, ObjectKey, ObjectKind,
    api::{Gateway, ListenerSet},
    lower::{age::created, draft::Draft, ingress::Classes},
};
use k8s_openapi::api::{core::v1::Service, networking::v1::Ingress};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Ports of HTTP and HTTPS, which Ingress classes listen on.
const INGRESS_PORTS: [u16; 2] = [80, 443];

/// An owner of addresses.
#[derive(Debug, Default)]
pub(super) struct Owner {
    /// It in each cluster that has it; the first rules.
    pub(super) ids: Vec<ObjectId>,
    /// Why it gets none whatever is free.
    pub(super) refusal: Option<Unassigned>,
    /// What it wants.
    pub(super) claim: Claim,
    created: u64,
}

/// All owners, the eldest first.
pub(super) fn owners(draft: &Draft<'_>, pools: &[Pool]) -> Vec<Owner> {
    let mut owners = gateways(draft, pools);
    owners.extend(services(draft, pools));
    owners.extend(ingress_classes(draft, pools));
    for owner in &mut owners {
        let world = draft.world;
        let may_know_more = |id: &&ObjectId| world.leads || world.recalled.contains(&id.cluster);
        let known = owner.ids.first().filter(may_know_more);
        for address in known.and_then(|it| world.assigned.get(it)).into_iter().flatten() {
            if !owner.claim.current.contains(address) {
                owner.claim.current.push(*address);
            }
        }
    }
    let identity = |it: &Owner| it.ids.first().map(|it| (it.kind, it.key.clone()));
    owners.sort_by_cached_key(|it| (it.created, identity(it)));
    owners
}

/// What all kinds of owners have.
struct Common<'a> {
    kind: ObjectKind,
    key: &'a ObjectKey,
    clusters: Vec<usize>,
    labels: Option<&'a BTreeMap<String, String>>,
    annotations: Annotations<'a>,
    /// Asked for beside annotations.
    pool: Option<&'a str>,
    created: u64,
}

impl Common<'_> {
    fn owner(
        &self,
        draft: &Draft<'_>,
        pools: &[Pool],
        wants: Result<Vec<Want>, Unassigned>,
    ) -> Owner {
        let first = self.clusters.first().copied().unwrap_or_default();
        let labels = self.labels.cloned().unwrap_or_default();
        let named = self.annotations.value("pool").or(self.pool);
        let is_named = |pool: &Pool| named.is_none_or(|it| it == pool.name);
        let admitted = pools.iter().enumerate().filter(|(_, pool)| {
            is_named(pool) && pool.admits(draft, first, &self.key.namespace, &labels)
        });
        let admitted: Vec<usize> = admitted.map(|(place, _)| place).collect();
        let pools_note = match named {
            Some(name) if !pools.iter().any(is_named) => format!(": there is no pool {name}"),
            Some(name) if admitted.is_empty() => format!(": pool {name} is not for it"),
            Some(name) => format!(", only pool {name} is asked for"),
            None => String::new(),
        };
        let (wants, refusal) = match wants {
            Ok(wants) => (wants, None),
            Err(refusal) => (Vec::new(), Some(refusal)),
        };
        let claim = Claim {
            name: format!("{} {}", self.kind.name(), self.key),
            wants,
            pools: admitted,
            pools_note,
            is_pool_named: named.is_some(),
            sharing_key: self.annotations.value("sharing-key").map(str::to_owned),
            ..Claim::default()
        };
        let ids = self.clusters.iter().map(|it| draft.id(*it, self.kind, self.key)).collect();
        Owner { ids, refusal, claim, created: self.created }
    }
}

fn gateways(draft: &Draft<'_>, pools: &[Pool]) -> Vec<Owner> {
    let sets = listener_sets(draft);
    let is_ours = |(cluster, gateway): &(usize, &Gateway)| {
        let class = ObjectKey::new("", &gateway.spec.gateway_class_name);
        let objects = draft.cluster(*cluster).map(|it| &it.objects);
        let class = objects.and_then(|it| it.gateway_classes.get(&class));
        class.is_some_and(|it| it.spec.controller_name == GATEWAY_CONTROLLER)
    };
    let mut owners = Vec::new();
    for (key, mut found) in draft.index.merged(|it| &it.gateways) {
        found.retain(is_ours);
        let Some((_, gateway)) = found.first() else { continue };
        let infrastructure = gateway.spec.infrastructure.as_ref().map(|it| &it.annotations);
        let common = Common {
            kind: ObjectKind::Gateway,
            key,
            clusters: found.iter().map(|it| it.0).collect(),
            labels: gateway.metadata.labels.as_ref(),
            annotations: Annotations([infrastructure, gateway.metadata.annotations.as_ref()]),
            pool: None,
            created: created(*gateway),
        };
        let wants = request::of_gateway(&gateway.spec.addresses, common.annotations);
        let mut owner = common.owner(draft, pools, wants);
        let attached = sets.get(key).into_iter().flatten().flat_map(|it| &it.spec.listeners);
        let listeners = gateway.spec.listeners.iter().chain(attached);
        owner.claim.ports.extend(listeners.map(|it| {
            let protocol = if it.protocol == "UDP" { "UDP" } else { "TCP" };
            (protocol.to_owned(), it.port)
        }));
        let status = found.iter().filter_map(|it| it.1.status.as_ref());
        let addresses = status.flat_map(|it| &it.addresses).map(|it| it.value.as_str());
        owner.claim.current = parsed(addresses);
        owners.push(owner);
    }
    owners
}

/// ListenerSets by the Gateway that they name.
fn listener_sets<'a>(draft: &Draft<'a>) -> BTreeMap<ObjectKey, Vec<&'a ListenerSet>> {
    let mut sets: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (key, found) in draft.index.merged(|it| &it.listener_sets) {
        let Some((_, set)) = found.first() else { continue };
        let parent = &set.spec.parent_ref;
        let namespace = parent.namespace.as_deref().unwrap_or(&key.namespace);
        sets.entry(ObjectKey::new(namespace, &parent.name)).or_default().push(*set);
    }
    sets
}

fn services(draft: &Draft<'_>, pools: &[Pool]) -> Vec<Owner> {
    let options = &draft.world.options;
    let is_ours = |(_, service): &(usize, &Service)| {
        service.spec.as_ref().is_some_and(|spec| {
            let class = spec.load_balancer_class.as_deref();
            spec.type_.as_deref() == Some("LoadBalancer")
                && class.map_or(options.takes_unclassed_services, |it| {
                    it == options.load_balancer_class
                })
        })
    };
    let mut owners = Vec::new();
    for (key, mut found) in draft.index.merged(|it| &it.services) {
        found.retain(is_ours);
        let Some((_, service)) = found.first() else { continue };
        let Some(spec) = &service.spec else { continue };
        let common = Common {
            kind: ObjectKind::Service,
            key,
            clusters: found.iter().map(|it| it.0).collect(),
            labels: service.metadata.labels.as_ref(),
            annotations: Annotations([service.metadata.annotations.as_ref(), None]),
            pool: None,
            created: created(*service),
        };
        let wants = request::of_service(spec, common.annotations);
        let mut owner = common.owner(draft, pools, wants);
        owner.claim.ports.extend(spec.ports.iter().flatten().map(|it| {
            let protocol = it.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            (protocol, u16::try_from(it.port).unwrap_or_default())
        }));
        let status = found.iter().filter_map(|it| it.1.status.as_ref()?.load_balancer.as_ref());
        let ingress = status.flat_map(|it| it.ingress.iter().flatten());
        owner.claim.current = parsed(ingress.filter_map(|it| it.ip.as_deref()));
        owners.push(owner);
    }
    owners
}

/// Classes with Ingresses: without one, nothing could tell their addresses to anybody.
fn ingress_classes(draft: &Draft<'_>, pools: &[Pool]) -> Vec<Owner> {
    let classes = Classes::new(draft.world);
    let mut members: BTreeMap<&str, Vec<&Ingress>> = BTreeMap::new();
    for ingress in draft.world.clusters.iter().flat_map(|it| it.objects.ingresses.values()) {
        if let Some(class) = classes.of(ingress) {
            members.entry(class).or_default().push(ingress);
        }
    }
    let named = named(&members);
    let request = draft.world.options.ingress_address.as_ref();
    let mut owners = Vec::new();
    for (name, ingresses) in members {
        let Some(id) = classes.owners.get(name) else { continue };
        let clusters = draft.world.clusters.iter();
        let class = clusters.clone().find(|it| it.name == id.cluster);
        let class = class.and_then(|it| it.objects.ingress_classes.get(&id.key));
        let eldest = ingresses.iter().map(|it| created(*it)).min().unwrap_or_default();
        let common = Common {
            kind: ObjectKind::IngressClass,
            key: &id.key,
            clusters: clusters.clone().position(|it| it.name == id.cluster).into_iter().collect(),
            labels: class.and_then(|it| it.metadata.labels.as_ref()),
            annotations: Annotations([class.and_then(|it| it.metadata.annotations.as_ref()), None]),
            pool: match request {
                Some(AddressRequest::Pool(name)) => Some(name),
                _ => None,
            },
            created: class.map_or(eldest, |it| created(&**it)),
        };
        let wants = request::of_annotations(common.annotations).unwrap_or_else(|| {
            Ok(match request {
                Some(AddressRequest::Addresses(addresses)) => {
                    addresses.iter().copied().map(Want::Exact).collect()
                }
                _ => request::both_families(),
            })
        });
        let mut owner = common.owner(draft, pools, wants);
        owner.claim.ports.extend(INGRESS_PORTS.map(|it| ("TCP".to_owned(), it)));
        owner.claim.current = named.get(name).cloned().unwrap_or_default();
        owners.push(owner);
    }
    owners
}

/// The addresses that Ingresses of each class name, the most named first. An Ingress that came
/// from another class still names that one's address: it belongs where most name it.
fn named<'a>(members: &BTreeMap<&'a str, Vec<&Ingress>>) -> BTreeMap<&'a str, Vec<IpAddr>> {
    let mut counts: BTreeMap<IpAddr, BTreeMap<&str, usize>> = BTreeMap::new();
    for (class, ingresses) in members {
        for ingress in ingresses {
            let status = ingress.status.as_ref().and_then(|it| it.load_balancer.as_ref());
            let ingress = status.into_iter().flat_map(|it| it.ingress.iter().flatten());
            for address in parsed(ingress.filter_map(|it| it.ip.as_deref())) {
                let count = counts.entry(address).or_default().entry(class).or_default();
                *count = count.saturating_add(1);
            }
        }
    }
    let mut best: BTreeMap<&str, BTreeSet<(std::cmp::Reverse<usize>, IpAddr)>> = BTreeMap::new();
    for (address, counts) in counts {
        let most = counts.iter().max_by_key(|(class, count)| (**count, std::cmp::Reverse(**class)));
        if let Some((class, count)) = most {
            best.entry(class).or_default().insert((std::cmp::Reverse(*count), address));
        }
    }
    best.into_iter()
        .map(|(class, found)| (class, found.into_iter().map(|it| it.1).collect()))
        .collect()
}

fn parsed<'a>(addresses: impl Iterator<Item = &'a str>) -> Vec<IpAddr> {
    let mut parsed = Vec::new();
    for address in addresses.filter_map(|it| it.parse().ok()) {
        if !parsed.contains(&address) {
            parsed.push(address);
        }
    }
    parsed
}
