//! lbd beside API servers: what clusters ask for is served, and goes on being served while they
//! are away. Needs no root: addresses are the host's own.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail the test; JSON is looked into by name"
)]

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use lb_tests::{
    kube::ApiServer,
    wait::{binary, eventually},
};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);

/// lbd with a configuration of its own; ends when dropped.
struct Daemon {
    directory: TempDir,
    child: Child,
}

impl Daemon {
    /// Starts lbd for these clusters; it hands out 127.0.0.1.
    fn start(clusters: &[(&str, &ApiServer)]) -> Self {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("lb.yaml"), configuration(clusters)).unwrap();
        let child = run(directory.path());
        let daemon = Self { directory, child };
        eventually(LIMIT, "an answer of lbd", || daemon.clusters().map(drop)).unwrap();
        daemon
    }

    /// `lbctl get clusters -o json`.
    fn clusters(&self) -> Option<Vec<Value>> {
        let mut command = Command::new(binary("lbctl").unwrap());
        command.args(["get", "clusters", "-o", "json", "--run-directory"]);
        let output = command.arg(self.directory.path()).output().unwrap();
        let list: Value = serde_json::from_slice(&output.stdout).ok()?;
        list["items"].as_array().cloned()
    }

    /// Waits until a cluster is in a state.
    fn await_state(&self, name: &str, state: &str) {
        eventually(LIMIT, state, || {
            let clusters = self.clusters()?;
            clusters.iter().any(|it| it["name"] == name && it["state"] == state).then_some(())
        })
        .unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn run(directory: &Path) -> Child {
    let mut command = Command::new(binary("lbd").unwrap());
    command.arg("run").arg("--config").arg(directory.join("lb.yaml"));
    command.arg("--run-directory").arg(directory).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let stderr = child.stderr.take().unwrap();
    // Shown with the test's own output when it fails.
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            println!("{line}");
        }
    });
    child
}

fn configuration(clusters: &[(&str, &ApiServer)]) -> String {
    let one = |(name, server): &(&str, &ApiServer)| {
        format!("    - {{ name: {name}, kubeconfig: {} }}\n", server.kubeconfig_path().display())
    };
    let clusters: String = clusters.iter().map(one).collect();
    format!(
        "proxy: {{ workers: 1 }}\nkubernetes:\n  status: false\n  clusters:\n{clusters}  \
         pools:\n    - {{ name: host, addresses: [\"127.0.0.1\"], bind: true }}\n"
    )
}

/// An HTTP server that says its name.
fn backend(name: &'static str) -> u16 {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).is_ok_and(|count| count > 0) {
                    let answer =
                        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

/// A port that nobody listens at.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What a GET of `/` on a host gives: status and body; 0 if there is no answer.
fn get(port: u16, host: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else {
        return (0, String::new());
    };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let mut text = String::new();
    if stream.write_all(request.as_bytes()).is_err() || stream.read_to_string(&mut text).is_err() {
        return (0, String::new());
    }
    let status = text.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or_default();
    let body = text.split_once("\r\n\r\n").map(|it| it.1.to_owned()).unwrap_or_default();
    (status, body)
}

fn await_answer(port: u16, host: &str, wanted: (u16, &str)) {
    eventually(LIMIT, "the wanted answer", || {
        let (status, body) = get(port, host);
        (status == wanted.0 && body.contains(wanted.1)).then_some(())
    })
    .unwrap_or_else(|error| panic_with(&error, port, host));
}

#[expect(clippy::panic, reason = "a test fails by panicking")]
fn panic_with(error: &anyhow::Error, port: u16, host: &str) {
    panic!("{error}: {host} gives {:?}", get(port, host));
}

/// A Gateway at a port.
fn gateway(port: u16) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{ name: lb }}
spec: {{ controllerName: lb.internal/gateway-controller }}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{ name: web, namespace: default }}
spec:
  gatewayClassName: lb
  listeners: [{{ name: http, port: {port}, protocol: HTTP }}]
"
    )
}

/// A Service with one endpoint, and a route to it.
fn service(name: &str, endpoint: u16, host: &str) -> String {
    format!(
        "apiVersion: v1
kind: Service
metadata: {{ name: {name}, namespace: default }}
spec: {{ ports: [{{ name: http, port: 80, targetPort: {endpoint} }}] }}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: {name}-1
  namespace: default
  labels: {{ kubernetes.io/service-name: {name} }}
addressType: IPv4
ports: [{{ name: http, port: {endpoint}, protocol: TCP }}]
endpoints: [{{ addresses: [127.0.0.1], conditions: {{ ready: true }} }}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{ name: {name}, namespace: default }}
spec:
  parentRefs: [{{ name: web }}]
  hostnames: [{host}]
  rules: [{{ backendRefs: [{{ name: {name}, port: 80 }}] }}]
"
    )
}

#[test]
fn what_is_applied_is_served_and_what_is_deleted_is_not() {
    let server = ApiServer::stand_in().unwrap();
    server.install_crds().unwrap();
    let port = free_port();
    server.apply(&gateway(port)).unwrap();
    let daemon = Daemon::start(&[("blue", &server)]);
    daemon.await_state("blue", "watching");
    await_answer(port, "shop.example", (404, ""));
    server.apply(&service("shop", backend("one"), "shop.example")).unwrap();
    await_answer(port, "shop.example", (200, "one"));
    let other = backend("two");
    let slice =
        serde_json::json!({ "ports": [{ "name": "http", "port": other, "protocol": "TCP" }] });
    server.patch("EndpointSlice", "shop-1", &slice).unwrap();
    await_answer(port, "shop.example", (200, "two"));
    server.delete("HTTPRoute", "shop").unwrap();
    await_answer(port, "shop.example", (404, ""));
}

#[test]
fn the_last_good_state_is_served_while_the_api_server_is_away() {
    let server = ApiServer::stand_in().unwrap();
    server.install_crds().unwrap();
    let port = free_port();
    server.apply(&gateway(port)).unwrap();
    server.apply(&service("shop", backend("one"), "shop.example")).unwrap();
    let daemon = Daemon::start(&[("blue", &server)]);
    await_answer(port, "shop.example", (200, "one"));
    server.go_down();
    daemon.await_state("blue", "away");
    assert_eq!(get(port, "shop.example"), (200, "one".to_owned()));
    let blue = daemon.clusters().unwrap().remove(0);
    assert!(blue["lastError"].is_string(), "{blue}");
    // Missed while it was away.
    server.apply(&service("late", backend("two"), "late.example")).unwrap();
    server.come_up();
    daemon.await_state("blue", "watching");
    await_answer(port, "late.example", (200, "two"));
}

/// Something that goes wrong.
type Fault = fn(&lb_tests::kube::Faults);

#[test]
fn watches_that_end_or_expire_lose_nothing() {
    let server = ApiServer::stand_in().unwrap();
    server.install_crds().unwrap();
    let faults = server.faults().unwrap();
    let port = free_port();
    server.apply(&gateway(port)).unwrap();
    let _daemon = Daemon::start(&[("blue", &server)]);
    await_answer(port, "shop.example", (404, ""));
    let rounds: [(&str, Fault); 4] = [
        ("ended", |it| it.end_watches()),
        ("broken", |it| it.break_watches()),
        ("forgotten", |it| it.forget_history()),
        ("expired", |it| it.expire_watches()),
    ];
    for (name, fault) in rounds {
        fault(&faults);
        let host = format!("{name}.example");
        server.apply(&service(name, backend("one"), &host)).unwrap();
        await_answer(port, &host, (200, "one"));
    }
    await_answer(port, "ended.example", (200, "one"));
}

#[test]
fn endpoints_of_two_clusters_are_one_service_and_one_may_go_away() {
    let (blue, green) = (ApiServer::stand_in().unwrap(), ApiServer::stand_in().unwrap());
    blue.install_crds().unwrap();
    green.install_crds().unwrap();
    let port = free_port();
    for (server, name) in [(&blue, "blue"), (&green, "green")] {
        server.apply(&gateway(port)).unwrap();
        server.apply(&service("shop", backend(name), "shop.example")).unwrap();
    }
    let daemon = Daemon::start(&[("blue", &blue), ("green", &green)]);
    await_answer(port, "shop.example", (200, "blue"));
    await_answer(port, "shop.example", (200, "green"));
    green.go_down();
    daemon.await_state("green", "away");
    daemon.await_state("blue", "watching");
    await_answer(port, "shop.example", (200, "green"));
    blue.delete("HTTPRoute", "shop").unwrap();
    // What one cluster deletes, another still has.
    eventually(LIMIT, "only green", || {
        let all: Vec<_> = (0..8).map(|_| get(port, "shop.example")).collect();
        all.iter().all(|it| *it == (200, "green".to_owned())).then_some(())
    })
    .unwrap();
}
