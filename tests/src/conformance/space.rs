//! A namespace of a test.

use std::{
    net::{IpAddr, SocketAddr},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{Answer, Ask, Echo, Speaks, Suite, suite::LIMIT};
use crate::wait::eventually;

/// A namespace of a test. Its objects go with it.
pub struct Space {
    suite: &'static Suite,
    name: String,
    backends: Vec<Echo>,
}

impl Space {
    pub(super) fn new(suite: &'static Suite, name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}-{number}");
        let space = Self { suite, name, backends: Vec::new() };
        space.apply(
            "{apiVersion: v1, kind: Namespace, metadata: {name: '{ns}', labels: {space: '{ns}'}}}",
        );
        space
    }

    /// Its namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The suite.
    pub fn suite(&self) -> &'static Suite {
        self.suite
    }

    /// Applies manifests; `{ns}` is the namespace, which objects that name none are put in.
    pub fn apply(&self, yaml: &str) {
        let text = yaml.replace("{ns}", &self.name);
        let documents = text.split("\n---\n").map(|document| {
            let mut value: Value = serde_saphyr::from_str(document).unwrap_or_default();
            let kind = value["kind"].as_str().unwrap_or_default().to_owned();
            let is_namespaced =
                !matches!(kind.as_str(), "Namespace" | "GatewayClass" | "AddressPool");
            if is_namespaced && value.pointer("/metadata/namespace").is_none() && !value.is_null() {
                value["metadata"]["namespace"] = json!(self.name);
            }
            value
        });
        for value in documents.filter(|it| !it.is_null()) {
            let applied = self.suite.server.apply(&value.to_string());
            self.must(applied.with_context(|| format!("applying {value}")));
        }
    }

    /// Removes an object of this namespace.
    pub fn delete(&self, kind: &str, name: &str) {
        self.must(self.suite.server.delete(kind, &format!("{}/{name}", self.name)));
    }

    /// A Service `name` with port 8080 on one echoing backend.
    pub fn backend(&mut self, name: &str) {
        self.backends_speaking(name, 1, &Speaks::Http, "");
    }

    /// A Service with port 8080 on several echoing backends; `port` is what else its port says
    /// (`appProtocol: ...`).
    pub fn backends_speaking(&mut self, name: &str, count: usize, speaks: &Speaks, port: &str) {
        let port = if port.is_empty() { String::new() } else { format!(", {port}") };
        let mut endpoints = Vec::new();
        for number in 0..count {
            let echo =
                Echo::start(self.suite, &format!("{name}-{number}"), &self.name, speaks.clone());
            let echo = self.must(echo);
            endpoints.push((echo.name().to_owned(), echo.address()));
            self.backends.push(echo);
        }
        let protocol = if matches!(speaks, Speaks::Datagrams) { "UDP" } else { "TCP" };
        self.apply(&format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{ports: \
             [{{name: main, port: 8080, protocol: {protocol}{port}}}]}}}}"
        ));
        self.endpoints(name, protocol, &endpoints);
    }

    /// Paths and queries that the backends of a Service were asked for so far.
    pub fn asked(&self, service: &str) -> Vec<String> {
        let prefix = format!("{service}-");
        let of_service = self.backends.iter().filter(|it| it.name().starts_with(&prefix));
        of_service.flat_map(Echo::asked).collect()
    }

    /// The port that the first backend of a Service listens on, at 127.0.0.1.
    pub fn port_of(&self, service: &str) -> u16 {
        let name = format!("{service}-0");
        let found = self.backends.iter().find(|it| it.name() == name);
        self.must(found.map(|it| it.address().port()).context("a backend of that Service"))
    }

    /// The slices of a Service: one for each endpoint, since their ports differ.
    pub fn endpoints(&self, service: &str, protocol: &str, endpoints: &[(String, SocketAddr)]) {
        for (name, address) in endpoints {
            let (ip, port) = (address.ip(), address.port());
            self.apply(&format!(
                "{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: {name}, \
                 labels: {{kubernetes.io/service-name: {service}}}}}, addressType: IPv4, ports: \
                 [{{name: main, port: {port}, protocol: {protocol}}}], endpoints: [{{addresses: \
                 [{ip}], conditions: {{ready: true}}}}]}}"
            ));
        }
    }

    /// The address of a Gateway, once it is programmed.
    pub fn address(&self, gateway: &str) -> IpAddr {
        let found = eventually(LIMIT, "the Gateway is programmed", || {
            let gateway = self.get("Gateway", gateway)?;
            let status = &gateway["status"];
            holds(&status["conditions"], "Programmed", "True", None, &gateway).then_some(())?;
            status.pointer("/addresses/0/value")?.as_str()?.parse().ok()
        });
        self.must(found.with_context(|| self.shown("Gateway", gateway)))
    }

    /// Waits until a condition of a Gateway holds.
    pub fn gateway_condition(&self, gateway: &str, kind: &str, status: &str, reason: &str) {
        self.condition("Gateway", gateway, "/status/conditions", kind, status, reason);
    }

    /// Waits until a condition of a GatewayClass holds.
    pub fn class_condition(&self, class: &str, kind: &str, status: &str, reason: &str) {
        let what = format!("GatewayClass {class}: {kind}={status} ({reason})");
        let held = eventually(LIMIT, &what, || {
            let found = self.suite.server.get("GatewayClass", class).ok()??;
            let conditions = found.pointer("/status/conditions")?;
            holds(conditions, kind, status, Some(reason), &found).then_some(())
        });
        self.must(held.with_context(|| self.last_words()));
    }

    /// Waits until a condition of a listener (by place) of a Gateway holds.
    pub fn listener_condition(
        &self,
        gateway: &str,
        place: usize,
        kind: &str,
        status: &str,
        reason: &str,
    ) {
        let path = format!("/status/listeners/{place}/conditions");
        self.condition("Gateway", gateway, &path, kind, status, reason);
    }

    /// Waits until a condition of a route under its first parent holds.
    pub fn route_condition(&self, route: &str, name: &str, kind: &str, status: &str, reason: &str) {
        self.condition(route, name, "/status/parents/0/conditions", kind, status, reason);
    }

    /// Waits until a condition of a route under a parent (by place) holds.
    pub fn parent_condition(
        &self,
        route: (&str, &str),
        place: usize,
        kind: &str,
        status: &str,
        reason: &str,
    ) {
        let path = format!("/status/parents/{place}/conditions");
        self.condition(route.0, route.1, &path, kind, status, reason);
    }

    /// Waits until a condition at `path` of an object holds for its current generation.
    pub fn condition(
        &self,
        object: &str,
        name: &str,
        path: &str,
        kind: &str,
        status: &str,
        reason: &str,
    ) {
        let what = format!("{object} {name}: {kind}={status} ({reason})");
        let held = eventually(LIMIT, &what, || {
            let found = self.get(object, name)?;
            let conditions = found.pointer(path)?;
            holds(conditions, kind, status, Some(reason), &found).then_some(())
        });
        self.must(held.with_context(|| self.shown(object, name)));
    }

    /// Waits until a value of an object is this.
    pub fn value(&self, object: &str, name: &str, path: &str, expected: &Value) {
        let what = format!("{object} {name}: {path} is {expected}");
        let held = eventually(LIMIT, &what, || {
            (self.get(object, name)?.pointer(path)? == expected).then_some(())
        });
        self.must(held.with_context(|| self.shown(object, name)));
    }

    /// Waits until listeners of an object (the one of this place) say that they take no routes.
    pub fn takes_no_kinds(&self, object: &str, name: &str, place: usize) {
        let held = eventually(LIMIT, &format!("{object} {name} takes no kinds of routes"), || {
            let found = self.get(object, name)?;
            let listener = found.pointer(&format!("/status/listeners/{place}"))?;
            // An empty list may be left out.
            listener["supportedKinds"].as_array().is_none_or(Vec::is_empty).then_some(())
        });
        self.must(held.with_context(|| self.shown(object, name)));
    }

    /// An object of this namespace.
    pub fn get(&self, kind: &str, name: &str) -> Option<Value> {
        self.suite.server.get(kind, &format!("{}/{name}", self.name)).ok()?
    }

    /// Asks until the answer is as `is_right` says.
    pub fn ask(&self, ask: &Ask, what: &str, is_right: impl Fn(&Answer) -> bool) -> Answer {
        let mut last = String::new();
        let answered = eventually(LIMIT, what, || match ask.once(self.suite) {
            Ok(answer) if is_right(&answer) => Some(answer),
            Ok(answer) => {
                last = format!("{answer:?}");
                None
            }
            Err(error) => {
                last = format!("{error:#}");
                None
            }
        });
        self.must(answered.with_context(|| format!("{ask:?}: {last}")))
    }

    /// Asks until a backend of this Service answers.
    pub fn reaches(&self, ask: &Ask, service: &str) -> Answer {
        self.ask(ask, &format!("{service} answers"), |it| it.is_from(service))
    }

    /// Asks until the answer has this status.
    pub fn status(&self, ask: &Ask, status: u16) -> Answer {
        self.ask(ask, &format!("the answer is {status}"), |it| it.status == status)
    }

    fn shown(&self, kind: &str, name: &str) -> String {
        let object =
            self.get(kind, name).map_or_else(|| "not there".to_owned(), |it| it.to_string());
        format!("{object}\n{}", self.last_words())
    }

    /// What `lbd` said last, for a report of a failure.
    pub(super) fn last_words(&self) -> String {
        let output = self.suite.output();
        let last: Vec<&str> = output.lines().rev().take(20).collect();
        format!("lbd said:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    #[expect(clippy::panic, reason = "an assertion of a test: a panic is how it fails")]
    #[track_caller]
    pub(super) fn must<T>(&self, result: Result<T>) -> T {
        match result {
            Ok(value) => value,
            Err(error) => panic!("{}: {error:#}", self.name),
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // Addresses are given back, so that many tests fit into the pool.
        for kind in
            ["ListenerSet", "Gateway", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"]
        {
            let objects = self.suite.server.list(kind).unwrap_or_default();
            for object in objects {
                if object["metadata"]["namespace"] == self.name.as_str()
                    && let Some(name) = object["metadata"]["name"].as_str()
                {
                    self.suite.server.delete(kind, &format!("{}/{name}", self.name)).ok();
                }
            }
        }
        self.suite.server.delete("Namespace", &self.name).ok();
    }
}

/// Whether a condition is as expected and about the object's generation.
fn holds(
    conditions: &Value,
    kind: &str,
    status: &str,
    reason: Option<&str>,
    object: &Value,
) -> bool {
    let all = conditions.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().any(|it| {
        it["type"] == kind
            && it["status"] == status
            && reason.is_none_or(|reason| it["reason"] == reason)
            && it["observedGeneration"] == object["metadata"]["generation"]
    })
}
