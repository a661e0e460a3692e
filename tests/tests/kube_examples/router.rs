//! Two routers in front of two clusters.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use lb_tests::{
    authority::Authority,
    client::{Tally, TcpRun, UdpRun, tcp_connections, udp_exchanges},
    curl::Curl,
    kube::{ApiServer, Pod, router_lab},
    lab::{Host, Lab},
    lbd::Daemon,
    origin::Origin,
    server::{Ports, Server},
    wait::eventually,
};
use lb_userspace::admin::resource::{List, TraceResource, VipResource};
use serde_json::{Value, json};

use super::bed::{self, LIMIT};

const SHOP: &str = "https://shop.apps.test/";
const WIKI: &str = "https://wiki.apps.test/";
const BLOG: &str = "https://blog.west.test/";
/// Where Ingresses are served.
const INGRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
/// Connections, exchanges and traced flows.
const COUNT: u64 = 200;

/// Two clusters and two routers: the first serves the client, the second the host `far`. Pods of
/// `east` are on the first two backends, those of `west` on the others; an API server is on the
/// last of each.
struct Site {
    routers: [Daemon; 2],
    east: ApiServer,
    west: ApiServer,
    authority: Authority,
    _origins: Vec<Origin>,
    _servers: Vec<Server>,
    lab: Lab,
}

impl Site {
    fn start() -> Self {
        let lab = router_lab(4).unwrap();
        let (east, east_kubeconfig) =
            ApiServer::stand_in_at(lab.backend(2).unwrap(), None).unwrap();
        let (west, west_kubeconfig) =
            ApiServer::stand_in_at(lab.backend(4).unwrap(), None).unwrap();
        let authority = Authority::new().unwrap();
        let shared = bed::example("router/manifests.yaml");
        for (server, file) in [(&east, "router/east.yaml"), (&west, "router/west.yaml")] {
            server.apply(&shared).unwrap();
            server.apply(&bed::example(file)).unwrap();
        }
        west.set_certificate("shop/blog-tls", &authority.issue(&["blog.west.test"]).unwrap())
            .unwrap();
        let origins = lab.backends().iter().map(|it| Origin::start(it, 8080, None).unwrap());
        let ports = Ports { tcp: vec![53, 5432], udp: vec![53], http: Vec::new() };
        let servers = lab.backends().iter().map(|it| Server::start(it, &ports).unwrap());
        let (origins, servers) = (origins.collect(), servers.collect());
        for (server, numbers) in [(&east, [1, 2]), (&west, [3, 4])] {
            let pods = numbers.map(|it| Pod::on(lab.backend(it).unwrap()));
            server.set_pods("shop/web", &pods).unwrap();
            server.set_pods("shop/dns", &pods).unwrap();
        }
        west.set_pods("shop/database", &[3, 4].map(|it| Pod::on(lab.backend(it).unwrap())))
            .unwrap();

        let apps = authority.issue(&["*.apps.test"]).unwrap();
        let files = [
            ("east.kubeconfig", east_kubeconfig.as_str()),
            ("west.kubeconfig", &west_kubeconfig),
            ("certs/apps.pem", &apps.chain),
            ("certs/apps.key", &apps.key),
        ];
        let configuration = bed::example("router/lb.yaml");
        let second = format!("{}-second", lab.instance());
        let routers = [(lab.router(), lab.instance()), (lab.gateway(), second)]
            .map(|(host, instance)| bed::run_on(host, &instance, &configuration, &files));
        Self { routers, east, west, authority, _origins: origins, _servers: servers, lab }
    }

    /// The clients: one of each router.
    fn clients(&self) -> [&Host; 2] {
        [self.lab.client(), self.lab.far()]
    }

    /// A client of a router that asks for Ingresses.
    fn curl(&self, router: usize) -> Curl {
        let curl = Curl::new(self.clients()[router], INGRESS);
        bed::trusting(&self.routers[router], curl, &self.authority)
    }

    /// Waits until exactly these answer on a host, at both routers.
    fn await_who(&self, url: &str, who: &[&str]) {
        let who: BTreeSet<String> = who.iter().map(|it| format!("200 {it}")).collect();
        for router in [0, 1] {
            let mut last = BTreeSet::new();
            let seen = eventually(LIMIT, url, || {
                last = self.curl(router).count(url, 40, &[]).ok()?.into_keys().collect();
                (last == who).then_some(())
            });
            assert!(seen.is_ok(), "{url} at router {router}: {last:?}\n{}", self.said());
        }
    }

    fn said(&self) -> String {
        self.routers.iter().flat_map(Daemon::lines).collect::<Vec<_>>().join("\n")
    }

    /// The address of a Service, once it is told.
    fn address(&self, server: &ApiServer, service: &str) -> IpAddr {
        let told = server.eventually("v1/Service", service, "a Service with an address", |it| {
            it["status"]["loadBalancer"]["ingress"][0]["ip"].is_string()
        });
        let told = told.unwrap_or_else(|error| panic!("{error:#}\n{}", self.said()));
        told["status"]["loadBalancer"]["ingress"][0]["ip"].as_str().unwrap().parse().unwrap()
    }

    fn vips(&self, router: usize) -> Vec<VipResource> {
        self.routers[router].ask::<List<VipResource>>(&["get", "vips"]).unwrap().items
    }

    /// Waits until both routers have the same tables, of so many VIPs.
    fn await_same_tables(&self, count: usize) {
        let tables = |router| {
            let rows = self.vips(router).into_iter().map(|it| {
                (it.vip, it.service, it.mode, it.backends_active, it.ring_slots, it.ring_hash)
            });
            rows.collect::<Vec<_>>()
        };
        let mut last = [Vec::new(), Vec::new()];
        let same = eventually(LIMIT, "the same tables", || {
            last = [tables(0), tables(1)];
            (last[0] == last[1] && last[0].len() == count).then_some(())
        });
        assert!(same.is_ok(), "{last:#?}");
    }

    /// Waits until the clients' connections are over: what ends them is for the proxy, too.
    fn await_closed(&self) {
        let words = ["ss", "--tcp", "--no-header", "--numeric", "state", "connected"];
        let words = [&words[..], &["exclude", "time-wait"]].concat();
        for client in self.clients() {
            let are_closed = || client.run(&words).ok()?.stdout.is_empty().then_some(());
            eventually(LIMIT, "no connection left", are_closed).unwrap();
        }
    }

    /// Waits until new flows of UDP to the name server go to so many pods, at both routers.
    fn await_dns_pods(&self, dns: SocketAddr, count: u32) {
        let vips = [format!("{dns}/tcp"), format!("{dns}/udp")];
        let seen = eventually(LIMIT, "pods of the name server", || {
            let all = [0, 1].into_iter().flat_map(|it| self.vips(it));
            let counts = all.filter(|it| vips.contains(&it.vip)).map(|it| it.backends_active);
            (counts.collect::<Vec<_>>() == [count; 4]).then_some(())
        });
        assert!(seen.is_ok(), "{}", self.said());
    }
}

/// Connections of a client to a port.
fn connect(from: &Host, to: SocketAddr) -> Tally {
    tcp_connections(from, &TcpRun::new(to, COUNT)).unwrap()
}

/// Exchanges of a client with a port of UDP.
fn exchange(from: &Host, to: SocketAddr) -> Tally {
    udp_exchanges(from, &UdpRun::new(to, COUNT)).unwrap()
}

/// Nothing failed, and exactly these answered.
fn assert_from(tally: &Tally, names: &[&str]) {
    assert_eq!(tally.failures, []);
    assert_eq!(tally.per_backend.keys().collect::<Vec<_>>(), names);
}

#[test]
fn hosts_and_ports_lead_to_the_pods_of_the_clusters_that_name_them() {
    let site = Site::start();
    site.await_who(SHOP, &["b1", "b2", "b3", "b4"]);
    site.await_who(WIKI, &["b1", "b2"]);
    site.await_who(BLOG, &["b3", "b4"]);
    for router in [0, 1] {
        let curl = site.curl(router);
        assert_eq!(curl.get("https://other.apps.test/", &[]).unwrap().status, 404);
        assert!(curl.get("https://other.test/", &[]).is_err(), "no certificate is for it");
        assert_eq!(curl.get("http://shop.apps.test/", &[]).unwrap().status, 200);
    }
    let dns = SocketAddr::new(site.address(&site.east, "shop/dns"), 53);
    assert_eq!(dns.ip(), site.address(&site.west, "shop/dns"), "one Service has one address");
    let database = SocketAddr::new(site.address(&site.west, "shop/database"), 5432);
    for address in [dns.ip(), database.ip()] {
        let range = IpAddr::from([192, 0, 2, 16])..=IpAddr::from([192, 0, 2, 31]);
        assert!(range.contains(&address), "{address}");
    }
    // The Ingresses' ports, the name server's in both protocols, the database's.
    site.await_same_tables(5);
    site.await_dns_pods(dns, 4);

    site.await_closed();
    let before = [0, 1].map(|it| steered(&site.routers[it]));
    for client in site.clients() {
        assert_from(&connect(client, dns), &["b1", "b2", "b3", "b4"]);
        assert_from(&exchange(client, dns), &["b1", "b2", "b3", "b4"]);
        assert_from(&connect(client, database), &["b3", "b4"]);
    }
    for (router, before) in [0, 1].into_iter().zip(before) {
        let vips = [format!("{dns}/tcp"), format!("{dns}/udp"), format!("{database}/tcp")];
        for vip in site.vips(router).iter().filter(|it| vips.contains(&it.vip)) {
            assert_eq!(vip.mode, "nat", "{vip:?}");
            assert!(vip.packets >= COUNT, "the kernel has forwarded every packet: {vip:?}");
        }
        assert_eq!(steered(&site.routers[router]), before, "the proxy got none of them");
    }
    assert_flows_agree(&site, database);
}

/// Packets that were given to the proxy.
fn steered(router: &Daemon) -> u64 {
    let stats: Value = router.ask(&["get", "stats"]).unwrap();
    let stats = stats["items"].as_array().unwrap();
    let steered = stats.iter().find(|it| it["name"] == "steered").unwrap();
    steered["packets"].as_u64().unwrap()
}

/// A flow has the same pod, whichever router it comes to.
fn assert_flows_agree(site: &Site, to: SocketAddr) {
    let mut pods = BTreeMap::new();
    for port in 5_000..5_032 {
        let from = SocketAddr::from(([198, 51, 100, 7], port)).to_string();
        let words = ["trace", "tcp", &from, &to.to_string()];
        let traces = [0, 1].map(|it| site.routers[it].ask::<TraceResource>(&words).unwrap());
        let [one, other] = traces.map(|it| it.backend.unwrap());
        assert_eq!(one, other, "{from}");
        *pods.entry(one).or_insert(0) += 1;
    }
    assert_eq!(pods.len(), 2, "{pods:?}");
}

#[test]
fn what_one_cluster_deletes_or_cannot_say_stays_as_the_other_has_it() {
    let site = Site::start();
    site.await_who(SHOP, &["b1", "b2", "b3", "b4"]);
    let dns = SocketAddr::new(site.address(&site.east, "shop/dns"), 53);
    site.await_dns_pods(dns, 4);

    site.east.go_down();
    for router in &site.routers {
        await_state(router, "east", "away");
        await_state(router, "west", "watching");
    }
    site.await_who(SHOP, &["b1", "b2", "b3", "b4"]);
    site.await_who(WIKI, &["b1", "b2"]);
    for client in site.clients() {
        assert_from(&exchange(client, dns), &["b1", "b2", "b3", "b4"]);
    }
    // What the other says meanwhile is heard.
    site.west.set_pods("shop/dns", &[Pod::on(site.lab.backend(4).unwrap())]).unwrap();
    site.await_dns_pods(dns, 3);
    site.east.come_up();
    site.routers.iter().for_each(|it| await_state(it, "east", "watching"));

    site.east.delete("networking.k8s.io/v1/Ingress", "shop/shop").unwrap();
    site.east.delete("v1/Service", "shop/dns").unwrap();
    site.await_who(SHOP, &["b3", "b4"]);
    site.await_who(WIKI, &["b1", "b2"]);
    site.await_dns_pods(dns, 1);
    for client in site.clients() {
        assert_from(&connect(client, dns), &["b4"]);
    }
    assert_eq!(site.address(&site.west, "shop/dns"), dns.ip(), "the address stays");

    site.west.delete("v1/Service", "shop/dns").unwrap();
    site.await_same_tables(3);
    let refused = connect(site.clients()[0], dns);
    assert_eq!(refused.success_count(), 0, "nobody serves it any more");
    site.await_who(BLOG, &["b3", "b4"]);
}

/// Waits until a router says that of a cluster.
fn await_state(router: &Daemon, cluster: &str, state: &str) {
    let mut last = json!(null);
    let seen = eventually(LIMIT, state, || {
        let output = router.lbctl(&["get", "clusters", "-o", "json"]).ok()?;
        last = serde_json::from_slice(&output.stdout).ok()?;
        let clusters = last["items"].as_array()?;
        clusters.iter().any(|it| it["name"] == cluster && it["state"] == state).then_some(())
    });
    assert!(seen.is_ok(), "{cluster} is not {state}: {last:#}");
}
