//! lbd with a configuration of its own, API objects for it, and its clients and backends.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lb_tests::{
    kube::ApiServer,
    port::Port,
    wait::{binary, eventually},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take on a busy machine: an API server that comes back is tried again after
/// up to half a minute.
pub(super) const LIMIT: Duration = Duration::from_mins(2);

/// lbd with a configuration of its own; ends when dropped.
pub(super) struct Daemon {
    pub(super) directory: TempDir,
    child: Child,
    lines: Lines,
}

/// What lbd has said so far.
type Lines = Arc<Mutex<Vec<String>>>;

impl Daemon {
    /// Starts lbd for these clusters; it hands out 127.0.0.1 and what follows.
    pub(super) fn start(clusters: &[(&str, &ApiServer)]) -> Self {
        Self::start_with(&configuration(clusters, false))
    }

    /// The same, and it takes part in the election of who writes status.
    pub(super) fn start_writing(clusters: &[(&str, &ApiServer)]) -> Self {
        Self::start_with(&configuration(clusters, true))
    }

    /// Starts lbd with a configuration.
    pub(super) fn start_with(configuration: &str) -> Self {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("lb.yaml"), configuration).unwrap();
        let (child, lines) = run(directory.path());
        let daemon = Self { directory, child, lines };
        eventually(LIMIT, "an answer of lbd", || daemon.clusters().map(drop)).unwrap();
        daemon
    }

    /// Ends lbd in good order, does something, and starts it again.
    pub(super) fn restart(&mut self, meanwhile: impl FnOnce(&Path)) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        meanwhile(self.directory.path());
        (self.child, self.lines) = run(self.directory.path());
        eventually(LIMIT, "an answer of lbd", || self.clusters().map(drop)).unwrap();
    }

    /// What lbctl prints, and its exit code.
    pub(super) fn lbctl(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let mut command = Command::new(binary("lbctl").unwrap());
        command.args(arguments).arg("--run-directory").arg(self.directory.path());
        let output = command.output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), output.status.code())
    }

    /// The items of a list as JSON.
    pub(super) fn items(&self, arguments: &[&str]) -> Option<Vec<Value>> {
        let (text, _) = self.lbctl(&[arguments, &["-o", "json"]].concat());
        let list: Value = serde_json::from_str(&text).ok()?;
        list["items"].as_array().cloned()
    }

    /// `lbctl get clusters -o json`.
    pub(super) fn clusters(&self) -> Option<Vec<Value>> {
        self.items(&["get", "clusters"])
    }

    /// Waits until a cluster is in a state.
    pub(super) fn await_state(&self, name: &str, state: &str) {
        eventually(LIMIT, state, || {
            let clusters = self.clusters()?;
            clusters.iter().any(|it| it["name"] == name && it["state"] == state).then_some(())
        })
        .unwrap();
    }

    /// Lines of its log with a text, once there is one: what it prints is read a little later.
    pub(super) fn lines_with(&self, text: &str) -> Vec<String> {
        eventually(LIMIT, text, || {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            let found: Vec<_> = lines.iter().filter(|it| it.contains(text)).cloned().collect();
            (!found.is_empty()).then_some(found)
        })
        .unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn run(directory: &Path) -> (Child, Lines) {
    let mut command = Command::new(binary("lbd").unwrap());
    command.arg("run").arg("--config").arg(directory.join("lb.yaml"));
    command.arg("--run-directory").arg(directory).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let stderr = child.stderr.take().unwrap();
    let lines = Lines::default();
    let told = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            // Shown with the test's own output when it fails.
            println!("{line}");
            told.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
    (child, lines)
}

fn configuration(clusters: &[(&str, &ApiServer)], writes: bool) -> String {
    let one = |(name, server): &(&str, &ApiServer)| {
        format!("    - {{ name: {name}, kubeconfig: {} }}\n", server.kubeconfig_path().display())
    };
    let clusters: String = clusters.iter().map(one).collect();
    format!(
        "proxy: {{ workers: 1 }}\nkubernetes:\n  status: {writes}\n  clusters:\n{clusters}  \
         pools:\n    - {{ name: host, addresses: [127.0.0.1-127.0.0.9], bind: true }}\n"
    )
}

/// An HTTP server that says its name.
pub(super) fn backend(name: &'static str) -> u16 {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // A client may be gone before it is accepted.
            let Ok(mut stream) = stream else { continue };
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

/// A port that nobody listens at, and that nobody but lbd can until this process ends.
pub(super) fn free_port() -> u16 {
    static RESERVED: Mutex<Vec<Port>> = Mutex::new(Vec::new());
    let port = Port::reserve().unwrap();
    let number = port.number();
    RESERVED.lock().unwrap_or_else(PoisonError::into_inner).push(port);
    number
}

/// What a GET of `/` on a host gives: status and body; 0 if there is no answer.
pub(super) fn get(port: u16, host: &str) -> (u16, String) {
    get_at("127.0.0.1", port, host)
}

/// The same at another address.
pub(super) fn get_at(address: &str, port: u16, host: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let Ok(mut stream) = std::net::TcpStream::connect((address, port)) else {
        return (0, String::new());
    };
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    let mut text = String::new();
    if stream.write_all(request.as_bytes()).is_err() || stream.read_to_string(&mut text).is_err() {
        return (0, String::new());
    }
    let status = text.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or_default();
    let body = text.split_once("\r\n\r\n").map(|it| it.1.to_owned()).unwrap_or_default();
    (status, body)
}

pub(super) fn await_answer(port: u16, host: &str, wanted: (u16, &str)) {
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
pub(super) fn gateway(port: u16) -> String {
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
pub(super) fn service(name: &str, endpoint: u16, host: &str) -> String {
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
