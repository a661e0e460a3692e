//! What several sources ask for, together.

use crate::model::{Desired, Vip};
use std::collections::{BTreeMap, BTreeSet};

/// Something that is not taken, with the reason.
pub type LeftOut = (String, String);

/// What the file asks for and what clusters ask for, together. Where both cannot have their way,
/// the file has: it is what the operator said last.
pub fn merge(file: &Desired, clusters: &Desired) -> (Desired, Vec<LeftOut>) {
    let mut merged = file.clone();
    let mut left_out = Vec::new();
    let taken = vips(file);
    for (name, service) in &clusters.services {
        let what = format!("service {name}");
        if merged.interfaces.is_empty() {
            left_out.push((what, "there are no interfaces that packets arrive on".to_owned()));
        } else if let Some(vip) = service.vips.iter().find(|it| taken.contains(it)) {
            left_out.push((what, format!("the file has {vip}")));
        } else if merged.services.contains_key(name) {
            left_out.push((what, SAME_NAME.to_owned()));
        } else {
            merged.services.insert(name.clone(), service.clone());
        }
    }
    let proxy = &mut merged.proxy;
    let more = &clusters.proxy;
    for (name, listener) in &more.listeners {
        let services = &file.services;
        let forwarded = listener
            .vips
            .iter()
            .find(|vip| services.values().any(|it| it.vips.iter().any(|one| one == *vip)));
        if let Some(vip) = forwarded {
            left_out.push((format!("listener {name}"), format!("the file forwards {vip}")));
        } else if proxy.listeners.contains_key(name) {
            left_out.push((format!("listener {name}"), SAME_NAME.to_owned()));
        } else {
            proxy.listeners.insert(name.clone(), listener.clone());
        }
    }
    add("route", &mut proxy.routes, &more.routes, &mut left_out);
    add("stream route", &mut proxy.stream_routes, &more.stream_routes, &mut left_out);
    add("upstream", &mut proxy.upstreams, &more.upstreams, &mut left_out);
    add("certificate", &mut proxy.certificates, &more.certificates, &mut left_out);
    (merged, left_out)
}

const SAME_NAME: &str = "the file has something else with this name";

fn vips(desired: &Desired) -> BTreeSet<Vip> {
    let services = desired.services.values().flat_map(|it| it.vips.iter().copied());
    let listeners = desired.proxy.listeners.values().flat_map(|it| it.vips.iter().copied());
    services.chain(listeners).collect()
}

fn add<T: Clone>(
    what: &str,
    merged: &mut BTreeMap<String, T>,
    more: &BTreeMap<String, T>,
    left_out: &mut Vec<LeftOut>,
) {
    for (name, one) in more {
        if merged.contains_key(name) {
            left_out.push((format!("{what} {name}"), SAME_NAME.to_owned()));
        } else {
            merged.insert(name.clone(), one.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config,
        health::test_service::{backend, service},
    };

    const CLUSTERS: &str = "\
interfaces: [eth0]
listeners: [{name: web, protocol: http, vips: ['192.0.2.1:80/tcp']}]
upstreams: [{name: u, endpoints: [10.0.0.1:80]}]
";

    fn desired(name: &str, vip: &str) -> Desired {
        let one = service(&[vip], [("a", backend(Some("10.0.0.1"), None))]);
        Desired {
            interfaces: vec!["eth0".to_owned()],
            services: [(name.to_owned(), one)].into(),
            ..Desired::default()
        }
    }

    fn names(left_out: &[LeftOut]) -> Vec<&str> {
        left_out.iter().map(|it| it.0.as_str()).collect()
    }

    #[test]
    fn what_does_not_clash_is_all_there() {
        let (merged, left_out) =
            merge(&desired("a", "192.0.2.1:80"), &desired("b", "192.0.2.2:80"));
        assert_eq!(merged.services.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(names(&left_out), Vec::<&str>::new());
    }

    #[test]
    fn the_file_keeps_its_names_and_its_vips() {
        let file = desired("a", "192.0.2.1:80");
        let (merged, left_out) = merge(&file, &desired("b", "192.0.2.1:80"));
        assert_eq!((merged.services.len(), names(&left_out)), (1, vec!["service b"]));
        let (merged, left_out) = merge(&file, &desired("a", "192.0.2.9:80"));
        assert_eq!((&merged, names(&left_out)), (&file, vec!["service a"]));
        let clusters = config::parse("clusters", CLUSTERS).unwrap();
        let (merged, left_out) = merge(&file, &clusters);
        assert_eq!(names(&left_out), ["listener web"]);
        assert!(merged.proxy.upstreams.contains_key("u"));
    }

    #[test]
    fn nothing_is_forwarded_without_interfaces() {
        let file = Desired::default();
        let (merged, left_out) = merge(&file, &desired("b", "192.0.2.1:80"));
        assert_eq!((&merged, names(&left_out)), (&file, vec!["service b"]));
    }
}
