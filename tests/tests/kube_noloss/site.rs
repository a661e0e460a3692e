//! A Gateway and two Services in front of pods, all on a router.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use lb_tests::{
    authority::Authority,
    curl::Curl,
    kube::{self, ApiServer, PodState, router_lab},
    lab::Lab,
    lbd::Daemon,
    server::{Ports, Server},
    tls_client::served_certificate,
    wait::eventually,
};
use rustls::ServerConfig;
use serde_json::Value;
use tokio::task::block_in_place;

use super::pod::{HTTP, LINES, Pod, TLS};

/// How long anything may take on a busy machine.
pub(super) const LIMIT: Duration = Duration::from_mins(2);
/// Hosts that are asked for: over HTTP and HTTPS, by gRPC, and by TLS that is passed through.
pub(super) const NAME: &str = "swap.example";
pub(super) const GRPC: &str = "grpc.example";
pub(super) const PASSED: &str = "pass.example";
/// Pods at a time, and the hosts that they take turns on; another has what stays.
const PODS: usize = 2;
const HOSTS: usize = 4;

const CONFIGURATION: &str = "
interfaces: [wan, lan]
proxy: { workers: 2, drain_timeout: 20s }
kubernetes:
  clusters: [{ name: local, kubeconfig: kubeconfig }]
  pools: [{ name: public, addresses: [192.0.2.0/28] }]
";

/// The site; ends when dropped.
pub(super) struct Site {
    // Before the lab, so that it goes first.
    pub(super) daemon: Daemon,
    pub(super) authority: Authority,
    /// What is forwarded to pods that come and go, and to those that stay.
    pub(super) lines: SocketAddr,
    pub(super) still: SocketAddr,
    gateway: IpAddr,
    server: ApiServer,
    pods: Vec<Pod>,
    tls: Arc<ServerConfig>,
    _still: Server,
    pub(super) lab: Lab,
}

impl Site {
    /// Raises it. In a runtime, and blocking.
    pub(super) fn start() -> Self {
        let lab = router_lab(HOSTS + 1).unwrap();
        let other = lab.backend(HOSTS + 1).unwrap();
        let (server, kubeconfig) = ApiServer::stand_in_at(other, None).unwrap();
        let authority = Authority::new().unwrap();
        let tls = authority.issue(&[PASSED]).unwrap().server(None).unwrap();
        server.set_certificate("swap", &authority.issue(&[NAME]).unwrap()).unwrap();
        server.apply(&manifests()).unwrap();
        server.apply(&route(0)).unwrap();
        let pods: Vec<Pod> =
            lab.backends().iter().take(PODS).map(|host| Pod::start(host, &tls)).collect();
        let ports = Ports { tcp: vec![7000], udp: vec![7000], http: Vec::new() };
        let still = Server::start(other, &ports).unwrap();
        server.set_pods("still", &[kube::Pod::on(other)]).unwrap();
        let daemon = Daemon::prepare_on(lab.router(), &lab.instance(), CONFIGURATION).unwrap();
        daemon.write_beside("kubeconfig", &kubeconfig).unwrap();
        let unknown = SocketAddr::from(([0, 0, 0, 0], 7));
        let mut site = Self {
            daemon,
            authority,
            lines: unknown,
            still: unknown,
            gateway: unknown.ip(),
            server,
            pods,
            tls,
            _still: still,
            lab,
        };
        site.tell_pods(&[]);
        site.daemon.run().unwrap();
        site.gateway = site.address("Gateway", "edge", "/status/addresses/0/value");
        let ip = "/status/loadBalancer/ingress/0/ip";
        site.lines.set_ip(site.address("v1/Service", "lines", ip));
        site.still.set_ip(site.address("v1/Service", "still", ip));
        site.await_in_force();
        site
    }

    /// A port of the Gateway.
    pub(super) fn gateway(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.gateway, port)
    }

    /// Waits until everything is served.
    pub(super) fn await_in_force(&self) {
        self.await_number(None);
        let client = self.lab.client();
        for port in [443, 8443] {
            let connect = || std::net::TcpStream::connect_timeout(&self.gateway(port), LIMIT);
            let connected = || client.enter(connect).ok()?.ok();
            eventually(LIMIT, "a port of the Gateway", connected).unwrap();
        }
        self.await_states(|backends| {
            backends.iter().all(|it| it["state"] == "active" && it["nextHop"].is_object())
        });
    }

    /// Sends requests to another port of the Service, by rules in another order.
    pub(super) fn route(&self, number: usize) {
        self.server.apply(&route(number)).unwrap();
        self.await_number(Some(number));
    }

    /// Replaces the eldest pod, as a Deployment does that surges by one: the next is ready, the old
    /// one ends, and is gone.
    pub(super) async fn roll(&mut self, number: usize) {
        let host = self.lab.backends()[(PODS + number - 1) % HOSTS].clone();
        let next = Pod::start(&host, &self.tls);
        block_in_place(|| self.tell_pods(&[(&next, PodState::Starting)]));
        block_in_place(|| self.tell_pods(&[(&next, PodState::Ready)]));
        let mut old = self.pods.remove(0);
        block_in_place(|| {
            self.tell_pods(&[(&next, PodState::Ready), (&old, PodState::Ending)]);
            self.await_drained(&old);
        });
        old.end().await;
        self.pods.push(next);
        block_in_place(|| self.tell_pods(&[(&old, PodState::Ended)]));
        block_in_place(|| self.tell_pods(&[]));
    }

    /// Gives the Gateway another certificate.
    pub(super) fn rotate(&self) {
        let issued = self.authority.issue(&[NAME]).unwrap();
        self.server.set_certificate("swap", &issued).unwrap();
        let is_served = || {
            let shown = served_certificate(self.lab.client(), self.gateway(443), NAME).ok()?;
            shown.replace('\r', "").contains(issued.chain.replace('\r', "").trim()).then_some(())
        };
        eventually(LIMIT, "the new certificate", is_served).unwrap();
    }

    /// The slices of pods that are there, and of others.
    fn tell_pods(&self, others: &[(&Pod, PodState)]) {
        let there = self.pods.iter().map(|it| kube::Pod::on(&it.host));
        let others = others.iter().map(|(pod, state)| kube::Pod::on(&pod.host).state(*state));
        let pods: Vec<_> = there.chain(others).collect();
        for service in ["web", "lines"] {
            self.server.set_pods(service, &pods).unwrap();
        }
    }

    /// Waits until a pod gets nothing new.
    fn await_drained(&self, pod: &Pod) {
        let of_pod = |it: &Value, field: &str| {
            it[field].as_str().is_some_and(|it| it.contains(&format!("{}:", pod.address())))
        };
        let is_drained = || {
            let upstreams = self.shown("upstreams")?;
            let endpoints = upstreams.iter().filter_map(|it| it["endpoints"].as_array()).flatten();
            let mut endpoints = endpoints.filter(|it| of_pod(it, "address")).peekable();
            endpoints.peek()?;
            endpoints.all(|it| it["state"] == "draining").then_some(())
        };
        eventually(LIMIT, "a pod that drains", is_drained).unwrap();
        self.await_states(|backends| {
            let mut backends = backends.iter().filter(|it| of_pod(it, "backend")).peekable();
            backends.peek().is_some() && backends.all(|it| it["state"] == "draining")
        });
    }

    /// Waits until backends are as they should be.
    fn await_states(&self, are_so: impl Fn(&[Value]) -> bool) {
        let mut last = Vec::new();
        let seen = eventually(LIMIT, "backends as they should be", || {
            last = self.shown("backends")?;
            (!last.is_empty() && are_so(&last)).then_some(())
        });
        assert!(seen.is_ok(), "{last:#?}\n{}", self.daemon.lines().join("\n"));
    }

    fn shown(&self, what: &str) -> Option<Vec<Value>> {
        let output = self.daemon.lbctl(&["get", what, "-o", "json"]).ok()?;
        let list: Value = serde_json::from_slice(&output.stdout).ok()?;
        list["items"].as_array().cloned()
    }

    /// Waits until a number of [`route`], or any, is in force.
    fn await_number(&self, number: Option<usize>) {
        let curl = Curl::new(self.lab.client(), self.gateway);
        let mut last = None;
        let is_there = || {
            let answer = curl.get(&format!("http://{NAME}/"), &[]);
            let told = answer.as_ref().ok()?.field("x-number").map(str::to_owned);
            last = Some(answer);
            (told.is_some() && number.is_none_or(|it| told == Some(it.to_string()))).then_some(())
        };
        let seen = eventually(LIMIT, "the route", is_there);
        assert!(seen.is_ok(), "{last:?}\n{}", self.daemon.lines().join("\n"));
    }

    fn address(&self, kind: &str, name: &str, path: &str) -> IpAddr {
        let is_told = |it: &Value| it.pointer(path).is_some_and(Value::is_string);
        let object = self.server.eventually(kind, name, "an address", is_told);
        let object =
            object.unwrap_or_else(|it| panic!("{it:#}\n{}", self.daemon.lines().join("\n")));
        object.pointer(path).and_then(Value::as_str).unwrap().parse().unwrap()
    }
}

/// A route in another form for each number.
fn route(number: usize) -> String {
    let port = 80 + number % 2;
    let slow = "    - matches: [{path: {type: PathPrefix, value: /slow}}]\n      backendRefs: [{name: web, port: 80}]\n";
    let edited = format!(
        "    - filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: X-Number, \
         value: '{number}'}}]}}}}]\n      backendRefs: [{{name: web, port: {port}}}]\n"
    );
    let rules = if number.is_multiple_of(3) {
        format!("{edited}{slow}")
    } else {
        format!("{slow}{edited}")
    };
    format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: web}}
spec:
  parentRefs: [{{name: edge, sectionName: http}}, {{name: edge, sectionName: https}}]
  hostnames: [{NAME}]
  rules:
{rules}"
    )
}

fn manifests() -> String {
    let [http, other] = HTTP;
    format!(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: lb}}
spec: {{controllerName: lb.internal/gateway-controller}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: edge}}
spec:
  gatewayClassName: lb
  listeners:
    - {{name: http, port: 80, protocol: HTTP}}
    - {{name: https, port: 443, protocol: HTTPS, tls: {{certificateRefs: [{{name: swap}}]}}}}
    - {{name: passed, port: 8443, protocol: TLS, tls: {{mode: Passthrough}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {{name: calls}}
spec:
  parentRefs: [{{name: edge, sectionName: http}}]
  hostnames: [{GRPC}]
  rules: [{{backendRefs: [{{name: web, port: 90}}]}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {{name: passed}}
spec:
  parentRefs: [{{name: edge, sectionName: passed}}]
  hostnames: [{PASSED}]
  rules: [{{backendRefs: [{{name: web, port: 443}}]}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  ports:
    - {{name: http, port: 80, targetPort: {http}}}
    - {{name: other, port: 81, targetPort: {other}}}
    - {{name: calls, port: 90, targetPort: {http}, appProtocol: kubernetes.io/h2c}}
    - {{name: tls, port: 443, targetPort: {TLS}}}
---
apiVersion: v1
kind: Service
metadata: {{name: lines, annotations: {{lb.internal/udp: migrate}}}}
spec:
  type: LoadBalancer
  ports:
    - {{name: tcp, port: 7, targetPort: {LINES}}}
    - {{name: udp, port: 7, targetPort: {LINES}, protocol: UDP}}
---
apiVersion: v1
kind: Service
metadata: {{name: still}}
spec:
  type: LoadBalancer
  ports:
    - {{name: tcp, port: 7, targetPort: {LINES}}}
    - {{name: udp, port: 7, targetPort: {LINES}, protocol: UDP}}
"
    )
}
