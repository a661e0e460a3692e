//! TCPRoutes and UDPRoutes at addresses of a pool: the kernel forwards them to pods, and the proxy
//! has no part in it.

use std::net::{IpAddr, SocketAddr};

use lb_tests::{
    client::{LongLived, Tally, TcpRun, UdpRun, tcp_connections, udp_exchanges},
    kube::{ApiServer, Pod, router_lab},
    lab::Lab,
    lbd::Daemon,
    server::{Ports, Server},
    wait::eventually,
};
use lb_userspace::admin::resource::{List, ListenerResource, VipResource};
use serde_json::json;

use super::bed::{self, LIMIT};

const CONFIGURATION: &str = "
interfaces: [wan, lan]
kubernetes:
  clusters: [{name: local, kubeconfig: kubeconfig}]
  pools: [{name: public, addresses: [192.0.2.0/28]}]
";

/// A name server and a database behind one Gateway; of the database there are two Services.
const WISHES: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: lb}
spec: {controllerName: lb.internal/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: lb
  listeners:
    - {name: dns, port: 53, protocol: UDP}
    - {name: database, port: 5432, protocol: TCP}
---
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: shop}
spec: {ports: [{port: 53, targetPort: 5353, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: blue, namespace: shop}
spec: {ports: [{port: 5432, targetPort: 15432}]}
---
apiVersion: v1
kind: Service
metadata: {name: green, namespace: shop}
spec: {ports: [{port: 5432, targetPort: 15432}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: dns, namespace: shop}
spec:
  parentRefs: [{name: edge, sectionName: dns}]
  rules: [{backendRefs: [{name: dns, port: 53}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: database, namespace: shop}
spec:
  parentRefs: [{name: edge, sectionName: database}]
  rules: [{backendRefs: [{name: blue, port: 5432, weight: 3}, {name: green, port: 5432, weight: 1}]}]
";

/// Connections and exchanges of a run.
const COUNT: u64 = 500;
/// How far a share may be from what it should be: almost seven standard deviations of as many draws,
/// one run of 10^10 is beyond.
const SHARE_TOLERANCE: f64 = 0.15;

/// A cluster with the wishes on two backends, its API server on the third, and a router.
struct Site {
    daemon: Daemon,
    server: ApiServer,
    address: IpAddr,
    _servers: Vec<Server>,
    lab: Lab,
}

impl Site {
    fn start() -> Self {
        let lab = router_lab(3).unwrap();
        let (server, kubeconfig) = ApiServer::stand_in_at(lab.backend(3).unwrap(), None).unwrap();
        server.apply(WISHES).unwrap();
        let pods = [1, 2].map(|it| Pod::on(lab.backend(it).unwrap()));
        server.set_pods("shop/dns", &pods).unwrap();
        server.set_pods("shop/blue", &pods[..1]).unwrap();
        server.set_pods("shop/green", &pods[1..]).unwrap();
        let ports = Ports { tcp: vec![15432], udp: vec![5353], ..Ports::default() };
        let servers = [1, 2].map(|it| Server::start(lab.backend(it).unwrap(), &ports).unwrap());
        let daemon = bed::run(&lab, CONFIGURATION, &[("kubeconfig", &kubeconfig)]);
        bed::await_route(&server, "TCPRoute", "shop/database");
        bed::await_route(&server, "UDPRoute", "shop/dns");
        let address = bed::address_of_gateway(&server, "shop/edge");
        Self { daemon, server, address, _servers: servers.into(), lab }
    }

    fn database(&self) -> SocketAddr {
        SocketAddr::new(self.address, 5432)
    }

    fn dns(&self) -> SocketAddr {
        SocketAddr::new(self.address, 53)
    }

    fn connect(&self) -> Tally {
        tcp_connections(self.lab.client(), &TcpRun::new(self.database(), COUNT)).unwrap()
    }

    fn exchange(&self) -> Tally {
        udp_exchanges(self.lab.client(), &UdpRun::new(self.dns(), COUNT)).unwrap()
    }

    fn vips(&self) -> Vec<VipResource> {
        self.daemon.ask::<List<VipResource>>(&["get", "vips"]).unwrap().items
    }

    /// The VIP's packets are forwarded by the kernel alone.
    fn assert_forwarded(&self, vip: &str) {
        let vips = self.vips();
        let it = vips.iter().find(|it| it.vip == vip).unwrap_or_else(|| panic!("{vips:#?}"));
        assert_eq!(it.mode, "nat");
        assert!(it.packets >= COUNT, "{it:?}");
    }
}

#[test]
fn tcp_and_udp_routes_are_forwarded_by_the_kernel_in_their_shares() {
    let site = Site::start();
    let tally = site.connect();
    assert_eq!(tally.failures, []);
    let blue = tally.share("b1");
    assert!((blue - 0.75).abs() < SHARE_TOLERANCE, "{:?}", tally.per_backend);
    assert_eq!(tally.success_count(), COUNT);
    let tally = site.exchange();
    assert_eq!(tally.failures, []);
    assert!((tally.share("b1") - 0.5).abs() < SHARE_TOLERANCE, "{:?}", tally.per_backend);

    site.assert_forwarded(&format!("{}/tcp", site.database()));
    site.assert_forwarded(&format!("{}/udp", site.dns()));
    let listeners = site.daemon.ask::<List<ListenerResource>>(&["get", "listeners"]).unwrap();
    assert!(listeners.items.is_empty(), "the proxy listens to none of them: {listeners:?}");
}

#[test]
fn a_route_that_changes_moves_new_connections_and_one_that_goes_ends_them() {
    let site = Site::start();
    let mut open = LongLived::open(site.lab.client(), site.database(), 40, &[]).unwrap();
    for (blue, green, tolerance) in [(1, 9, SHARE_TOLERANCE / 2.0), (0, 1, f64::EPSILON)] {
        let spec = json!({ "spec": { "rules": [{ "backendRefs": [
            { "name": "blue", "port": 5432, "weight": blue },
            { "name": "green", "port": 5432, "weight": green },
        ] }] } });
        site.server.patch("TCPRoute", "shop/database", &spec).unwrap();
        let share = f64::from(blue) / f64::from(blue + green);
        let mut last = Tally::default();
        let moved = eventually(LIMIT, "new shares", || {
            last = site.connect();
            ((last.share("b1") - share).abs() < tolerance).then_some(())
        });
        assert!(moved.is_ok(), "{:?}\n{}", last.per_backend, site.daemon.lines().join("\n"));
        assert_eq!(last.failures, []);
        for ping in open.ping_all() {
            assert_eq!(ping.result, Ok(()), "open connections stay where they are");
        }
    }

    site.server.delete("TCPRoute", "shop/database").unwrap();
    let gone = eventually(LIMIT, "a VIP less", || {
        let vip = format!("{}/tcp", site.database());
        site.vips().iter().all(|it| it.vip != vip || it.mode != "nat").then_some(())
    });
    assert!(gone.is_ok(), "{:#?}", site.vips());
    let refused = tcp_connections(site.lab.client(), &TcpRun::new(site.database(), 20)).unwrap();
    assert_eq!(refused.success_count(), 0);
    assert_eq!(site.exchange().failures, [], "the other route goes on");
}
