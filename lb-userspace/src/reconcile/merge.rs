//! What several sources ask for, together.

use crate::model::{Desired, Listener, Proxy, Service, Table, Vip};
use std::collections::BTreeSet;

/// Something that is not taken, with the reason.
pub type LeftOut = (String, String);

/// What the file asks for and what clusters ask for, together. Where both cannot have their way,
/// the file has: it is what the operator said last.
///
/// What clusters ask for is shared, not copied: this costs as much as the file says.
pub fn merge(file: &Desired, clusters: &Desired) -> (Desired, Vec<LeftOut>) {
    let mut left_out = Vec::new();
    let services = services(file, clusters, &mut left_out);
    let listeners = listeners(file, clusters, &mut left_out);
    let (own, more) = (&file.proxy, &clusters.proxy);
    let proxy = Proxy {
        settings: own.settings.clone(),
        listeners,
        routes: add("route", &own.routes, &more.routes, &mut left_out),
        stream_routes: add("stream route", &own.stream_routes, &more.stream_routes, &mut left_out),
        upstreams: add("upstream", &own.upstreams, &more.upstreams, &mut left_out),
        certificates: add("certificate", &own.certificates, &more.certificates, &mut left_out),
    };
    let merged = Desired {
        interfaces: file.interfaces.clone(),
        settings: file.settings.clone(),
        services,
        proxy: Box::new(proxy),
    };
    (merged, left_out)
}

const SAME_NAME: &str = "the file has something else with this name";

fn services(
    file: &Desired,
    clusters: &Desired,
    left_out: &mut Vec<LeftOut>,
) -> Table<String, Service> {
    let taken = vips(file);
    if file.interfaces.is_empty() {
        let why = "there are no interfaces that packets arrive on";
        let names = clusters.services.keys();
        left_out.extend(names.map(|it| (format!("service {it}"), why.to_owned())));
        return file.services.clone();
    }
    let mut theirs = clusters.services.clone();
    for (name, service) in clusters.services.iter().filter(|_| !taken.is_empty()) {
        if let Some(vip) = service.vips.iter().find(|it| taken.contains(it)) {
            left_out.push((format!("service {name}"), format!("the file has {vip}")));
            theirs.remove(name);
        }
    }
    add("service", &file.services, &theirs, left_out)
}

fn listeners(
    file: &Desired,
    clusters: &Desired,
    left_out: &mut Vec<LeftOut>,
) -> Table<String, Listener> {
    let forwarded: BTreeSet<Vip> =
        file.services.values().flat_map(|it| it.vips.iter().copied()).collect();
    let mut theirs = clusters.proxy.listeners.clone();
    for (name, listener) in clusters.proxy.listeners.iter().filter(|_| !forwarded.is_empty()) {
        if let Some(vip) = listener.vips.iter().find(|it| forwarded.contains(it)) {
            left_out.push((format!("listener {name}"), format!("the file forwards {vip}")));
            theirs.remove(name);
        }
    }
    add("listener", &file.proxy.listeners, &theirs, left_out)
}

fn vips(desired: &Desired) -> BTreeSet<Vip> {
    let services = desired.services.values().flat_map(|it| it.vips.iter().copied());
    let listeners = desired.proxy.listeners.values().flat_map(|it| it.vips.iter().copied());
    services.chain(listeners).collect()
}

/// What the file has, and what clusters have beside it.
fn add<T: Clone>(
    what: &str,
    file: &Table<String, T>,
    clusters: &Table<String, T>,
    left_out: &mut Vec<LeftOut>,
) -> Table<String, T> {
    let mut together = clusters.clone();
    for (name, one) in file {
        if together.insert(name.clone(), one.clone()).is_some() {
            left_out.push((format!("{what} {name}"), SAME_NAME.to_owned()));
        }
    }
    together
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
