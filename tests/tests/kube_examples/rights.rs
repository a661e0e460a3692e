//! What is installed in a cluster lets lbd do all that it wants to do, and it wants nothing else.

use std::net::{IpAddr, SocketAddr};

use lb_tests::{
    authority::Authority,
    client::{TcpRun, tcp_connections},
    curl::Curl,
    kube::{ApiServer, Pod, router_lab},
    lab::Lab,
    lbd::Daemon,
    origin::Origin,
    server::{Ports, Server},
};
use serde_json::{Value, json};

use super::{bed, chart};

/// Who lbd is in its DaemonSet.
const ACCOUNT: &str = "system:serviceaccount:lb-system:lb";
/// The namespace of what `kustomization.yaml` of the base installs.
const NAMESPACE: &str = "lb-system";

/// What users ask for: a Gateway with TLS, a name in cluster DNS and a policy, an Ingress, a
/// Service of its own address, a pool, and something to complain about.
const WISHES: &str = "
apiVersion: lb.internal/v1alpha1
kind: AddressPool
metadata: {name: more}
spec: {addresses: [192.0.2.64/28], autoAssign: false}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: lb
  infrastructure: {labels: {team: shop}}
  listeners:
    - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: edge-tls}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{name: edge}]
  hostnames: [shop.test]
  rules: [{backendRefs: [{name: web, port: 443}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: web, namespace: shop}
spec:
  targetRefs: [{group: '', kind: Service, name: web}]
  validation:
    hostname: pods.test
    caCertificateRefs: [{group: '', kind: ConfigMap, name: pods-ca}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: shop}
spec:
  ingressClassName: lb
  rules:
    - host: old.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 443}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  ports: [{name: https, port: 443, targetPort: 8443}]
---
apiVersion: v1
kind: Service
metadata:
  name: lines
  namespace: shop
  annotations: {lb.internal/pool: more, lb.internal/mode: sideways}
spec:
  type: LoadBalancer
  ports: [{port: 7, targetPort: 7}]
";

/// The configuration that is installed, on the lab's interfaces, and by way of a kubeconfig.
fn configuration(installed: &[Value]) -> String {
    let config = installed.iter().find(|it| it["kind"] == "ConfigMap").unwrap();
    let text = config["data"]["lb.yaml"].as_str().unwrap();
    let there = text.replace("[eth0]", "[wan, lan]");
    there.replace("    - name: local\n", "    - name: local\n      kubeconfig: kubeconfig\n")
}

/// A cluster with what users ask for, and lbd with the rights that a folder gives it.
struct Site {
    daemon: Daemon,
    server: ApiServer,
    curl: Curl,
    _origin: Origin,
    _lines: Server,
    lab: Lab,
}

impl Site {
    fn start(folder: &str) -> Self {
        let lab = router_lab(1).unwrap();
        let pod = lab.backend(1).unwrap();
        let (server, kubeconfig) = ApiServer::stand_in_at(pod, Some(ACCOUNT)).unwrap();
        server.apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}").unwrap();
        let installed = chart::kustomized(folder);
        for object in &installed {
            server.apply(&object.to_string()).unwrap();
        }
        let authority = Authority::new().unwrap();
        let issued = authority.issue(&["shop.test", "*.test"]).unwrap();
        server.set_certificate("shop/edge-tls", &issued).unwrap();
        server.set_authority("shop/pods-ca", &authority).unwrap();
        server.apply(WISHES).unwrap();
        for service in ["shop/web", "shop/lines"] {
            server.set_pods(service, &[Pod::on(pod)]).unwrap();
        }
        let tls = authority.issue(&["pods.test"]).unwrap().server(None).unwrap();
        let origin = Origin::start(pod, 8443, Some(tls)).unwrap();
        let ports = Ports { tcp: vec![7], ..Ports::default() };
        let lines = Server::start(pod, &ports).unwrap();
        let text = configuration(&installed);
        let daemon = bed::run(&lab, &text, &[("kubeconfig", &kubeconfig)]);
        let curl = Curl::new(lab.client(), IpAddr::from([192, 0, 2, 0]));
        let curl = bed::trusting(&daemon, curl, &authority);
        Self { daemon, server, curl, _origin: origin, _lines: lines, lab }
    }

    /// All that is asked for is served and told.
    fn assert_served(&self) {
        let server = &self.server;
        bed::await_route(server, "HTTPRoute", "shop/web");
        let address = bed::address_of_gateway(server, "shop/edge");
        bed::asked(&self.daemon, &self.curl.at(address), "https://shop.test/", |it| {
            it.status == 200
        });
        let told = |kind: &str, name: &str, path: &str| {
            let there = |it: &Value| it.pointer(path).is_some_and(|it| !it.is_null());
            server.eventually(kind, name, path, there).unwrap().pointer(path).unwrap().clone()
        };
        let ingress = "/status/loadBalancer/ingress/0/ip";
        let at: IpAddr = told("networking.k8s.io/v1/Ingress", "shop/web", ingress)
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        bed::asked(&self.daemon, &self.curl.at(at), "http://old.test/", |it| it.status == 200);
        let lines = told("v1/Service", "shop/lines", ingress);
        assert_eq!(lines, "192.0.2.64");
        let to = SocketAddr::new(lines.as_str().unwrap().parse().unwrap(), 7);
        let tally = tcp_connections(self.lab.client(), &TcpRun::new(to, 20)).unwrap();
        assert_eq!(tally.failures, []);

        // It is told, too, while nobody leads who could hand one out.
        let has_given = |it: &Value| it["status"]["assigned"] == 1;
        server.eventually("AddressPool", "more", "an address that is assigned", has_given).unwrap();
        told("GatewayClass", "lb", "/status/conditions/0");
        told("BackendTLSPolicy", "shop/web", "/status/ancestors/0");
        told("Lease", &format!("{NAMESPACE}/lbd"), "/spec/holderIdentity");
        let named = told("v1/Service", "shop/edge-lb", "/metadata/labels/team");
        assert_eq!(named, "shop");
        let complained = || {
            let events = server.list("events.k8s.io/v1/Event").ok()?;
            let about = |it: &Value| it["reason"] == "InvalidAnnotation";
            events.iter().any(about).then_some(())
        };
        lb_tests::wait::eventually(bed::LIMIT, "an Event", complained).unwrap();
    }

    /// Nothing was asked for that is not allowed.
    fn assert_nothing_refused(&self) {
        let faults = self.server.faults().unwrap();
        assert_eq!(faults.forbidden(), [].into());
        let refused = faults.writes().into_iter().filter(|it| it.code >= 400 && it.code != 409);
        assert_eq!(refused.collect::<Vec<_>>(), []);
        let clusters: Value = self.daemon.ask(&["get", "clusters"]).unwrap();
        assert_eq!(clusters["items"][0]["forbidden"], json!({}));
        assert_eq!(clusters["items"][0]["problems"], json!([]));
    }
}

#[test]
fn with_the_roles_of_the_base_everything_works_and_nothing_is_refused() {
    let site = Site::start("base");
    site.assert_served();
    site.assert_nothing_refused();
}

#[test]
fn with_the_roles_of_one_namespace_it_is_served_and_others_are_left_alone() {
    let site = Site::start("namespaced");
    site.server.apply("{apiVersion: v1, kind: Namespace, metadata: {name: other}}").unwrap();
    let elsewhere = WISHES.replace("namespace: shop", "namespace: other");
    let (_, elsewhere) = elsewhere.split_once("---\n").unwrap();
    site.server.apply(elsewhere).unwrap();
    site.assert_served();
    site.assert_nothing_refused();
    let other = site.server.get("v1/Service", "other/lines").unwrap().unwrap();
    assert_eq!(other["status"]["loadBalancer"], json!({}), "{other:#}");
}
