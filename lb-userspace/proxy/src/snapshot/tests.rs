//! Snapshot after snapshot serves what each serves by itself.

use super::*;
use crate::http::{Method, Request};
use lb_model::{
    Endpoint, EndpointAddress, HttpOptions, ListenerProtocol, PathMatch, Proxy, RequestMatch,
    Route, RouteBackend, StreamBackend, StreamRoute,
};
use std::net::Ipv4Addr;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const HOSTS: [&str; 4] = ["a.example", "b.example", "*.example", "*"];
const PATHS: [&str; 3] = ["/", "/a", "/b/c"];

fn listener(rng: &mut fastrand::Rng) -> lb_model::Listener {
    let port = 8_000 + rng.u16(..3);
    lb_model::Listener {
        vips: BTreeSet::new(),
        binds: [lb_model::Bind { address: (Ipv4Addr::LOCALHOST, port).into() }].into(),
        protocol: if rng.u8(..5) == 0 { ListenerProtocol::Tcp } else { ListenerProtocol::Http },
        host: HOSTS[rng.usize(..4)].parse().unwrap(),
        tls: None,
        takes_proxy_protocol: false,
        sources: Vec::new(),
        connections_max: 10,
        http: HttpOptions {
            body_bytes_max: rng.bool().then_some(rng.u64(..3)),
            ..HttpOptions::default()
        },
        idle_timeout: std::time::Duration::from_secs(1),
    }
}

fn upstream(rng: &mut fastrand::Rng) -> lb_model::Upstream {
    let endpoint = |port: u16| {
        let address = EndpointAddress::Ip(Ipv4Addr::LOCALHOST.into());
        (format!("e{port}"), Endpoint { address, port, weight: 1, drain: false })
    };
    lb_model::Upstream {
        endpoints: (1..=rng.u16(1..4)).map(endpoint).collect(),
        slow_start: std::time::Duration::from_secs(u64::from(rng.u8(..4) == 0)),
        ..lb_model::Upstream::default()
    }
}

fn names(rng: &mut fastrand::Rng) -> BTreeSet<String> {
    NAMES.iter().filter(|_| rng.bool()).map(|it| (*it).to_owned()).collect()
}

fn backend(rng: &mut fastrand::Rng) -> Option<String> {
    Some(NAMES[rng.usize(..4)].to_owned()).filter(|_| rng.u8(..5) > 0)
}

fn route(rng: &mut fastrand::Rng) -> Route {
    let path = |rng: &mut fastrand::Rng| match rng.u8(..12) {
        0 => PathMatch::Regex("(".to_owned()),
        1 => PathMatch::Regex("/a.*".to_owned()),
        2..6 => PathMatch::Exact(PATHS[rng.usize(..3)].to_owned()),
        _ => PathMatch::Prefix(PATHS[rng.usize(..3)].to_owned()),
    };
    let rule = |rng: &mut fastrand::Rng| {
        let matches = RequestMatch { path: path(rng), ..RequestMatch::default() };
        let filters = lb_model::Filters::default();
        let backend = RouteBackend { upstream: backend(rng), weight: 1, filters };
        lb_model::Rule {
            matches: vec![matches],
            backends: vec![backend],
            ..lb_model::Rule::default()
        }
    };
    let hosts = HOSTS.iter().filter(|_| rng.bool()).map(|it| it.parse().unwrap()).collect();
    Route {
        listeners: names(rng),
        hosts,
        age: rng.u64(..3),
        rules: (0..rng.usize(..3)).map(|_| rule(rng)).collect(),
    }
}

fn stream(rng: &mut fastrand::Rng) -> StreamRoute {
    let backends = vec![StreamBackend { upstream: backend(rng), weight: 1 }];
    StreamRoute { listeners: names(rng), hosts: BTreeSet::new(), age: rng.u64(..3), backends }
}

fn change(rng: &mut fastrand::Rng, wanted: &mut Proxy) {
    let name = NAMES[rng.usize(..4)].to_owned();
    let goes = rng.u8(..4) == 0;
    match rng.u8(..12) {
        0 if goes => drop(wanted.listeners.remove(&name)),
        0 => drop(wanted.listeners.insert(name, listener(rng))),
        1..4 if goes => drop(wanted.upstreams.remove(&name)),
        1..4 => drop(wanted.upstreams.insert(name, upstream(rng).into())),
        4 if goes => drop(wanted.stream_routes.remove(&name)),
        4 => drop(wanted.stream_routes.insert(name, stream(rng))),
        _ if goes => drop(wanted.routes.remove(&name)),
        _ => drop(wanted.routes.insert(name, route(rng).into())),
    }
}

/// What a snapshot serves, in words.
fn told(snapshot: &Snapshot) -> Vec<String> {
    let mut told: Vec<String> =
        snapshot.problems.iter().map(|it| format!("{} {}", it.object, it.why)).collect();
    for (name, rule) in &snapshot.rules {
        let of = |it: &Option<Arc<Upstream>>| it.as_ref().map(|it| it.snapshot().endpoints.len());
        let backends: Vec<_> = rule.plan.backends().iter().map(|it| of(&it.upstream)).collect();
        told.push(format!("rule {name} {backends:?} {:?}", rule.body_bytes_max()));
    }
    let mut ports: Vec<_> = snapshot.tcp.iter().map(|(address, port)| (*address, port)).collect();
    ports.sort_by_key(|it| it.0);
    for (address, port) in ports {
        let names: Vec<_> = port.listeners.iter().map(|it| (&it.name, &it.model.host)).collect();
        told.push(format!("{address} {names:?}"));
        for listener in &port.listeners {
            let known = snapshot.listeners.get(&listener.name).unwrap();
            assert!(Arc::ptr_eq(known, listener), "{} is an old one", listener.name);
        }
        for host in ["a.example", "x.example", "x"] {
            let found = port.listener_for(Some(host)).map(|it| &it.name);
            told.push(format!("{address} {host} {found:?}"));
        }
    }
    for (name, listener) in &snapshot.listeners {
        told.push(format!("{name} {}", listener.attached_count()));
        let streams = listener.streams.find(None).map(|it| {
            let of = |it: Option<&Arc<Upstream>>| it.map(|it| it.snapshot().endpoints.len());
            it.backends().map(|(_, it)| of(it)).collect::<Vec<_>>()
        });
        told.push(format!("{name} {streams:?}"));
        for host in ["a.example", "b.example", "x.example", "x"] {
            for path in PATHS {
                let request = Request::new(Method::Get, host, path);
                let found = listener.routes.find(&request);
                if let Some(rule) = found.as_ref().map(|it| it.value) {
                    let known = snapshot.rules.get(&rule.name).unwrap();
                    assert!(Arc::ptr_eq(known, rule), "{} is an old one", rule.name);
                }
                let considered = listener.routes.explain(&request);
                told.push(format!("{name} {host} {path} {considered:?}"));
            }
        }
    }
    told
}

#[tokio::test]
async fn snapshot_after_snapshot_serves_what_each_serves_by_itself() {
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut wanted = Proxy::default();
        let mut snapshot = Snapshot::default();
        for step in 0..60 {
            for _ in 0..rng.usize(1..3) {
                change(&mut rng, &mut wanted);
            }
            let context = Context { previous: &snapshot, seed: 1, worker_count: 1 };
            let next = Snapshot::compile(&wanted, step, context);
            let nothing = Snapshot::default();
            let alone = Context { previous: &nothing, ..context };
            let alone = Snapshot::compile(&wanted, step, alone);
            assert_eq!(told(&next), told(&alone), "seed {seed}, step {step}");
            snapshot = next;
        }
    }
}

#[tokio::test]
async fn a_change_of_endpoints_is_seen_by_those_who_hold_what_leads_to_them() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut wanted = Proxy::default();
    wanted.listeners.insert("a".to_owned(), listener(&mut rng));
    wanted.upstreams.insert("a".to_owned(), lb_model::Upstream::default().into());
    wanted.routes.insert("a".to_owned(), route(&mut rng).into());
    let nothing = Snapshot::default();
    let context = Context { previous: &nothing, seed: 1, worker_count: 1 };
    let before = Snapshot::compile(&wanted, 1, context);
    let mut next = upstream(&mut rng);
    next.slow_start = std::time::Duration::ZERO;
    let count = next.endpoints.len();
    wanted.upstreams.insert("a".to_owned(), next.into());
    let after = Snapshot::compile(&wanted, 2, Context { previous: &before, ..context });
    assert!(after.rules.is_same(&before.rules) && after.listeners.is_same(&before.listeners));
    assert_eq!(before.upstreams["a"].snapshot().endpoints.len(), count);
}
