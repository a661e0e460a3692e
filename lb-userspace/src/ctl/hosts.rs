//! `lbctl hosts`.

use super::{
    output::{Exit, Output, print, print_json},
    source,
};
use crate::{
    admin::resource::{Kind, List, ListenerResource, RouteResource},
    model::HostPattern,
    runtime::Instance,
};
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

/// Hosts of a line: some resolvers stop reading at a certain length (musl takes 512 bytes).
const HOSTS_OF_LINE_MAX: usize = 8;

/// Hosts that are served at an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct HostsResource {
    /// The address; the unspecified one stands for every address of the router.
    address: String,
    /// Hosts, sorted.
    hosts: Vec<String>,
    /// Hosts that only DNS can say.
    wildcards: Vec<String>,
}

impl Kind for HostsResource {
    const LIST: &'static str = "HostsList";
}

/// Prints lines for `/etc/hosts`.
pub(super) fn run(instance: &Instance, output: Output) -> Result<Exit> {
    let (listeners, routes): (List<ListenerResource>, List<RouteResource>) =
        source::ask(instance, async |client| {
            Ok((client.get("/v1/listeners").await?, client.get("/v1/routes").await?))
        })?;
    let hosts = hosts(&listeners.items, &routes.items);
    if output.is_json() {
        print_json(&List::new(hosts))?;
    } else {
        print(&text(&hosts))?;
    }
    Ok(Exit::Done)
}

/// The hosts by address, of listeners together with their routes.
fn hosts(listeners: &[ListenerResource], routes: &[RouteResource]) -> Vec<HostsResource> {
    let mut by_address: BTreeMap<IpAddr, BTreeSet<String>> = BTreeMap::new();
    for listener in listeners {
        let Ok(own) = listener.host.parse::<HostPattern>() else { continue };
        let mut served = BTreeSet::new();
        for route in routes.iter().filter(|it| it.listeners.contains(&listener.listener)) {
            let asked = route.hosts.iter().filter_map(|it| it.parse::<HostPattern>().ok());
            let narrower = asked.filter_map(|it| own.narrower(&it).map(ToString::to_string));
            let narrower: BTreeSet<_> = narrower.collect();
            if route.hosts.is_empty() {
                served.insert(own.to_string());
            }
            served.extend(narrower);
        }
        served.remove("*");
        for address in addresses(listener) {
            by_address.entry(address).or_default().extend(served.iter().cloned());
        }
    }
    let resource = |(address, served): (IpAddr, BTreeSet<String>)| {
        let (wildcards, hosts) = served.into_iter().partition(|it| it.contains('*'));
        HostsResource { address: address.to_string(), hosts, wildcards }
    };
    by_address.into_iter().map(resource).collect()
}

/// `ADDRESS:PORT/tcp` of VIPs and `ADDRESS:PORT` of binds.
fn addresses(listener: &ListenerResource) -> impl Iterator<Item = IpAddr> {
    let all = listener.vips.iter().chain(&listener.binds);
    all.filter_map(|it| it.split('/').next()?.parse::<SocketAddr>().ok()).map(|it| it.ip())
}

/// Lines of hosts, and comments where a line cannot say it.
fn text(hosts: &[HostsResource]) -> String {
    let mut text = String::new();
    for HostsResource { address, hosts, wildcards } in hosts {
        let is_any = address.parse::<IpAddr>().is_ok_and(|it| it.is_unspecified());
        for names in hosts.chunks(HOSTS_OF_LINE_MAX) {
            let names = names.join(" ");
            // Writing to a string cannot fail.
            if is_any {
                writeln!(text, "# any address of the router: {names}").ok();
            } else {
                writeln!(text, "{address} {names}").ok();
            }
        }
        for wildcard in wildcards {
            writeln!(text, "# {address} {wildcard} (a wildcard: only DNS can say this)").ok();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(name: &str, host: &str, vip: &str) -> ListenerResource {
        ListenerResource {
            listener: name.to_owned(),
            protocol: "http".to_owned(),
            host: host.to_owned(),
            vips: vec![vip.to_owned()],
            binds: Vec::new(),
            routes: Vec::new(),
            connections_open: 0,
            connections_max: 1,
            connections: 0,
            connections_refused: 0,
            handshakes: 0,
            handshakes_failed: 0,
            refusals: 0,
            problems: Vec::new(),
        }
    }

    fn route(listeners: &[&str], hosts: &[&str]) -> RouteResource {
        let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        RouteResource {
            rule: "r/0".to_owned(),
            listeners: owned(listeners),
            hosts: owned(hosts),
            matches: Vec::new(),
            filters: Vec::new(),
            backends: Vec::new(),
            requests: None,
            problems: Vec::new(),
            object: None,
        }
    }

    #[test]
    fn hosts_are_those_of_listeners_and_routes_together() {
        let listeners = [
            listener("any", "*", "192.0.2.1:80/tcp"),
            listener("own", "own.example", "192.0.2.1:443/tcp"),
            listener("wild", "*.w.example", "[2001:db8::1]:443/tcp"),
            listener("idle", "idle.example", "192.0.2.2:80/tcp"),
        ];
        let routes = [
            route(&["any"], &["synchat.internal", "synchatapi.internal"]),
            route(&["own", "any"], &[]),
            route(&["wild"], &["a.w.example", "*.w.example", "elsewhere.example"]),
        ];
        assert_eq!(
            text(&hosts(&listeners, &routes)),
            "192.0.2.1 own.example synchat.internal synchatapi.internal\n\
             2001:db8::1 a.w.example\n\
             # 2001:db8::1 *.w.example (a wildcard: only DNS can say this)\n"
        );
    }

    #[test]
    fn an_address_that_is_every_address_is_a_comment() {
        let mut any = listener("any", "a.example", "0.0.0.0:80/tcp");
        any.binds = std::mem::take(&mut any.vips);
        let lines = text(&hosts(&[any], &[route(&["any"], &[])]));
        assert_eq!(lines, "# any address of the router: a.example\n");
    }
}
