//! Ingress classes: whose Ingresses are ours.

use crate::{INGRESS_CONTROLLER, ObjectId, ObjectKey, ObjectKind, World};
use k8s_openapi::api::networking::v1::{Ingress, IngressClass};
use std::collections::BTreeMap;

/// The annotation that came before `spec.ingressClassName` (Kubernetes, Ingress reference).
const CLASS: &str = "kubernetes.io/ingress.class";

/// The annotation of the class for Ingresses without one (Kubernetes, Ingress reference).
const IS_DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";

/// The class of Ingresses without one where the operator takes those and no class is ours.
const UNCLASSED: &str = "default";

/// Classes that are served.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    /// Owner of the class's addresses, by its name.
    pub(in crate::lower) owners: BTreeMap<String, ObjectId>,
    /// The class of Ingresses without one.
    fallback: Option<String>,
}

impl Classes {
    pub(crate) fn new(world: &World) -> Self {
        let mut classes = Self::default();
        for cluster in &world.clusters {
            for (key, class) in &cluster.objects.ingress_classes {
                let is_ours = controller(class) == Some(INGRESS_CONTROLLER);
                if is_ours && is_default(class) {
                    classes.fallback.get_or_insert_with(|| key.name.clone());
                }
                if is_ours || world.options.ingress_classes.contains(&key.name) {
                    classes.add(&cluster.name, &key.name);
                }
            }
        }
        let first = world.clusters.first().map_or("", |it| it.name.as_str());
        for name in &world.options.ingress_classes {
            classes.add(first, name);
        }
        if world.options.takes_unclassed_ingresses && classes.fallback.is_none() {
            if classes.owners.is_empty() {
                classes.add(first, UNCLASSED);
            }
            classes.fallback = classes.owners.keys().next().cloned();
        }
        classes
    }

    /// The class of ours that `ingress` belongs to.
    pub(crate) fn of(&self, ingress: &Ingress) -> Option<&str> {
        let named = ingress.spec.as_ref().and_then(|it| it.ingress_class_name.as_deref());
        let annotations = ingress.metadata.annotations.as_ref();
        let named = named.or_else(|| annotations.and_then(|it| it.get(CLASS)).map(String::as_str));
        let name = named.or(self.fallback.as_deref())?;
        self.owners.get_key_value(name).map(|(name, _)| name.as_str())
    }

    fn add(&mut self, cluster: &str, name: &str) {
        let key = ObjectKey::new("", name);
        let owner =
            || ObjectId { cluster: cluster.to_owned(), kind: ObjectKind::IngressClass, key };
        self.owners.entry(name.to_owned()).or_insert_with(owner);
    }
}

fn controller(class: &IngressClass) -> Option<&str> {
    class.spec.as_ref()?.controller.as_deref()
}

fn is_default(class: &IngressClass) -> bool {
    let annotations = class.metadata.annotations.as_ref();
    annotations.and_then(|it| it.get(IS_DEFAULT)).is_some_and(|it| it == "true")
}
