//! Ingresses: hosts and paths of our classes, with the annotations of ingress-nginx.
//!
//! An Ingress becomes a route for each of its hosts. Where several clusters offer one path of one
//! host, their endpoints are one upstream; within a cluster the older Ingress wins.

mod annotation;
mod auth;
mod canary;
mod class;
mod filters;
mod listener;
mod offer;
mod rule;
mod upstream;

pub use annotation::Coverage;
pub(super) use annotation::Wishes;
pub(crate) use class::Classes;

use super::draft::Draft;
use crate::{ObjectId, ObjectKey, ObjectKind, Status, World};
use k8s_openapi::api::networking::v1::Ingress;
use offer::{Claim, Offer, Source};
use std::collections::{BTreeMap, BTreeSet};

/// Lowers the Ingresses of our classes.
pub(super) fn lower(draft: &mut Draft<'_>) {
    let classes = Classes::new(draft.world);
    let mut by_class: BTreeMap<&str, Vec<Source<'_>>> = BTreeMap::new();
    for (key, found) in draft.index.merged(|it| &it.ingresses) {
        let Some((_, first)) = found.first() else { continue };
        if let Some(class) = classes.of(first) {
            let clusters = found.iter().map(|(cluster, _)| *cluster).collect();
            by_class.entry(class).or_default().push(Source::new(key, clusters, first));
        }
    }
    for (class, mut sources) in by_class {
        let Some(owner) = classes.owners.get(class) else { continue };
        sources.sort_by(|one, other| one.age().cmp(&other.age()));
        lower_class(draft, class, owner, sources);
    }
}

/// Every Ingress of ours with its class, and how far each annotation is followed.
pub(crate) fn ingress_coverage(
    world: &World,
) -> Vec<(ObjectKey, String, &Ingress, BTreeMap<String, Coverage>)> {
    let classes = Classes::new(world);
    let mut all = Vec::new();
    for cluster in &world.clusters {
        for (key, ingress) in &cluster.objects.ingresses {
            let Some(class) = classes.of(ingress) else { continue };
            let wishes = Wishes::new(ingress.metadata.annotations.as_ref());
            all.push((key.clone(), class.to_owned(), &**ingress, wishes.coverage));
        }
    }
    all
}

fn lower_class(draft: &mut Draft<'_>, class: &str, owner: &ObjectId, mut sources: Vec<Source<'_>>) {
    let assigned = draft.addresses.of(owner).map(<[_]>::to_vec);
    let assigned = assigned.as_deref();
    let listeners = listener::Listeners::add(draft, class, assigned, &mut sources);
    let mut claims: BTreeMap<Claim, Vec<Offer>> = BTreeMap::new();
    for (place, source) in sources.iter().enumerate() {
        for (claim, backend) in source.claims() {
            claims.entry(claim).or_default().push(Offer { source: place, backend });
        }
    }
    rule::lower(draft, &listeners, &mut sources, claims);
    report(draft, &sources, assigned);
}

/// Tells each Ingress its addresses, and what of it is not followed.
fn report(
    draft: &mut Draft<'_>,
    sources: &[Source<'_>],
    assigned: Result<&[super::address::Assigned], &super::address::Unassigned>,
) {
    for source in sources {
        for cluster in &source.clusters {
            let id = draft.id(*cluster, ObjectKind::Ingress, source.key);
            for (name, coverage) in &source.wishes.coverage {
                if let Coverage::Refused(why) = coverage {
                    let message = format!("nginx.ingress.kubernetes.io/{name}: {why}");
                    draft.warn(id.clone(), "AnnotationRefused", message);
                }
            }
            for problem in &source.problems {
                draft.warn(id.clone(), "NotServed", problem.clone());
            }
            if let Err(why) = assigned {
                draft.warn(id.clone(), why.reason, why.message.clone());
            }
            let addresses = assigned.unwrap_or_default().iter().map(|it| it.address).collect();
            let (ports, conditions) = (Vec::new(), Vec::new());
            let proxied = BTreeSet::new();
            draft.tell(id, Status::LoadBalancer { addresses, proxied, ports, conditions });
        }
    }
}
