//! Clusters, and what of them is served.

mod discovery;
mod pool;

use super::{policy, proxy, scalar};
use crate::{
    config::{diagnostic::Report, files::Files, located::Located, schema},
    kube::{AddressRequest, ClusterOptions, ObjectKey, Options, contexts},
};
use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

/// Clusters, at most.
const CLUSTERS_MAX: usize = 64;

/// Weight of a cluster's endpoints, unless the file says otherwise.
const WEIGHT: u16 = 100;

/// The cluster that is watched if none is named.
const LOCAL: &str = "local";

/// Key of a ConfigMap's data, unless the file says otherwise.
const DATA_KEY: &str = "lb.yaml";

/// Characters of a name in Kubernetes (RFC 1123).
const NAME_CHARS_MAX: usize = 253;

/// What the file says about clusters; `None` = nothing.
pub(super) fn lower(
    file: &schema::File,
    files: &mut Files,
    report: &mut Report,
) -> Option<Options> {
    let said = file.kubernetes.as_ref()?;
    let default = Options::default();
    let mut text =
        |text: &Option<Located<String>>| text.as_ref().and_then(|text| object_name(text, report));
    let (zone, node) = (text(&said.zone), text(&said.node));
    let lease_namespace = text(&said.lease_namespace).unwrap_or(default.lease_namespace);
    let pools = pool::all(said.pools.as_deref().unwrap_or_default(), report);
    let ingress_address = said.ingress_address.as_ref();
    let external_names = said.external_names.as_deref().unwrap_or_default();
    Some(Options {
        clusters: clusters(said, files, report),
        load_balancer_class: said
            .load_balancer_class
            .as_ref()
            .and_then(|text| class(text, report))
            .unwrap_or(default.load_balancer_class),
        takes_unclassed_services: said
            .unclassed_services
            .unwrap_or(default.takes_unclassed_services),
        ingress_classes: said
            .ingress_classes
            .iter()
            .flatten()
            .filter_map(|text| object_name(text, report))
            .collect(),
        takes_unclassed_ingresses: said
            .unclassed_ingresses
            .unwrap_or(default.takes_unclassed_ingresses),
        mode: said.mode.map_or(default.mode, policy::mode),
        ingress_address: ingress_address.and_then(|it| address_request(it, report)),
        external_names: external_names.iter().filter_map(|it| host(it, report)).collect(),
        discovery: said.discovery.as_ref().map(|it| discovery::lower(it, file, report)),
        config_map: said.config_map.as_ref().and_then(|it| config_map(it, report)),
        certificates: crate::model::Table::new(),
        writes_status: said.status.unwrap_or(default.writes_status),
        lease_namespace,
        pools,
        zone,
        node,
    })
}

fn clusters(
    said: &schema::Kubernetes,
    files: &mut Files,
    report: &mut Report,
) -> Vec<ClusterOptions> {
    let Some(list) = &said.clusters else {
        return vec![ClusterOptions {
            name: LOCAL.to_owned(),
            kubeconfig: None,
            context: None,
            namespaces: Vec::new(),
            weight: WEIGHT,
        }];
    };
    if list.value.is_empty() {
        let hint = "leave the key out for the cluster that this runs in";
        report.error(list.at, "no clusters", hint);
    }
    if let Some(first) = list.value.get(CLUSTERS_MAX) {
        let message = format!("{} clusters are too many", list.value.len());
        report.error(first.name.at, message, format!("at most {CLUSTERS_MAX}"));
    }
    let mut seen = HashMap::new();
    let mut clusters = Vec::new();
    for cluster in &list.value {
        let Some(name) = scalar::name(&cluster.name, report) else { continue };
        if let Some(other) = seen.insert(name.clone(), cluster.name.at) {
            let message = format!("a second cluster with the name `{name}`");
            report.error(cluster.name.at, message, scalar::other_at(other));
            continue;
        }
        let namespaces = cluster.namespaces.iter().flatten();
        clusters.push(ClusterOptions {
            name,
            kubeconfig: cluster
                .kubeconfig
                .as_ref()
                .and_then(|path| kubeconfig(path, cluster.context.as_ref(), files, report)),
            context: cluster.context.as_ref().map(|it| it.value.clone()),
            namespaces: namespaces.filter_map(|it| object_name(it, report)).collect(),
            weight: scalar::count("weight", cluster.weight.as_ref(), 0..=1_000, WEIGHT, report),
        });
        if let (None, Some(context)) = (&cluster.kubeconfig, &cluster.context) {
            let hint = "contexts are those of a kubeconfig; leave the key out, or name the file";
            report.error(context.at, "a context without a kubeconfig", hint);
        }
    }
    clusters
}

/// Looks whether the file is there and has the context.
fn kubeconfig(
    path: &Located<String>,
    context: Option<&Located<String>>,
    files: &mut Files,
    report: &mut Report,
) -> Option<PathBuf> {
    let bytes = match files.read(&path.value) {
        Ok(bytes) => bytes,
        Err(why) => {
            let message = format!("cannot read `{}`: {why}", path.value);
            report.error(path.at, message, proxy::RELATIVE);
            return None;
        }
    };
    let text = String::from_utf8_lossy(&bytes);
    let found = match contexts(&text) {
        Ok(found) => found,
        Err(why) => {
            let message = format!("`{}` is not a kubeconfig", path.value);
            report.error(path.at, message, why);
            return None;
        }
    };
    let (at, wanted) = match context {
        Some(context) => (context.at, context.value.clone()),
        None => (path.at, found.current.unwrap_or_default()),
    };
    if found.names.contains(&wanted) {
        return files.path(&path.value);
    }
    let message = if wanted.is_empty() {
        format!("`{}` has no current context", path.value)
    } else {
        format!("`{}` has no context `{wanted}`", path.value)
    };
    report.error(at, message, format!("it has {}", quoted(&found.names)));
    None
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|it| format!("`{it}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn class(text: &Located<String>, report: &mut Report) -> Option<String> {
    let value = text.value.trim();
    let is_part = |part: &str| part.split('.').all(is_label);
    let is_class = match value.split_once('/') {
        Some((domain, name)) => is_part(domain) && is_part(name),
        None => is_part(value),
    };
    if !is_class {
        let hint = "a class looks like `example.com/lb`";
        report.error(text.at, format!("`{value}` is not a loadBalancerClass"), hint);
    }
    is_class.then(|| value.to_owned())
}

/// A name of an object.
pub(super) fn object_name(text: &Located<String>, report: &mut Report) -> Option<String> {
    let value = text.value.as_str();
    let is_name = value.len() <= NAME_CHARS_MAX && value.split('.').all(is_label);
    if !is_name {
        let hint = "names in Kubernetes have small letters, digits, `-` and `.`, and start and \
                    end with a letter or digit";
        report.error(text.at, format!("`{value}` cannot be a name"), hint);
    }
    is_name.then(|| value.to_owned())
}

fn is_label(text: &str) -> bool {
    let is_edge =
        |it: Option<&u8>| it.is_some_and(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
    let is_inner = |it: &u8| it.is_ascii_lowercase() || it.is_ascii_digit() || *it == b'-';
    let bytes = text.as_bytes();
    is_edge(bytes.first()) && is_edge(bytes.last()) && bytes.iter().all(is_inner)
}

fn host(text: &Located<String>, report: &mut Report) -> Option<crate::model::HostPattern> {
    let parsed: Result<_, crate::model::HostSyntaxError> = text.value.parse();
    parsed
        .map_err(|error| {
            report.error(text.at, format!("`{}` is not a host name", error.text), error.why);
        })
        .ok()
}

fn address_request(
    said: &Located<schema::IngressAddress>,
    report: &mut Report,
) -> Option<AddressRequest> {
    match (&said.value.pool, &said.value.addresses) {
        (Some(pool), None) => object_name(pool, report).map(AddressRequest::Pool),
        (None, Some(list)) if !list.is_empty() => {
            let addresses = list.iter().filter_map(|it| super::address::host(it, report));
            Some(AddressRequest::Addresses(addresses.collect()))
        }
        _ => {
            let hint = "write `{pool: NAME}` or `{addresses: [ADDRESS, ...]}`";
            report.error(said.at, "either a pool or addresses", hint);
            None
        }
    }
}

fn config_map(said: &schema::ConfigMap, report: &mut Report) -> Option<(ObjectKey, String)> {
    let namespace = object_name(&said.namespace, report);
    let name = object_name(&said.name, report);
    let key = said.key.as_ref().map_or_else(|| DATA_KEY.to_owned(), |it| it.value.clone());
    Some((ObjectKey::new(namespace?, name?), key))
}

/// Labels that must all be there.
fn labels(said: Option<&schema::Entries<Located<String>>>) -> BTreeMap<String, String> {
    let entries = schema::Entries::of(said).iter();
    entries.map(|(name, value)| (name.value.clone(), value.value.clone())).collect()
}
