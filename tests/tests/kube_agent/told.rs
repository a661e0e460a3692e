//! What stands in the way of lbd in a cluster, told to the operator; and API servers that have only
//! older versions of the Gateway API.

use super::stage::{Daemon, LIMIT, await_answer, backend, free_port, gateway, get, service};
use lb_tests::{kube::ApiServer, wait::eventually};
use serde_json::{Value, json};

const USER: &str = "system:serviceaccount:default:lb";

/// Waits until exactly these reasons are told of the first cluster; what is told then.
fn await_problems(daemon: &Daemon, reasons: &[&str]) -> Vec<Value> {
    eventually(LIMIT, "the problems", || {
        let problems = daemon.clusters()?[0]["problems"].as_array()?.clone();
        let told: Vec<_> = problems.iter().filter_map(|it| it["reason"].as_str()).collect();
        (told == reasons).then_some(problems)
    })
    .unwrap()
}

fn namespace(server: &ApiServer, name: &str) {
    server
        .create(json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }))
        .unwrap();
}

#[test]
fn a_missing_namespace_of_the_lease_is_told_once_with_what_to_do() {
    let server = ApiServer::stand_in().unwrap();
    server.install_crds().unwrap();
    let daemon = Daemon::start_writing(&[("blue", &server)]);
    let problems = await_problems(&daemon, &["LeaseNamespaceMissing"]);
    let hint = problems[0]["hint"].as_str().unwrap();
    assert!(hint.contains("create the namespace `lb-system`"), "{hint}");
    let (table, code) = daemon.lbctl(&["get", "clusters"]);
    assert!(code == Some(3) && table.contains("LeaseNamespaceMissing"), "{table}");
    let sample = "lb_cluster_problems{cluster=\"blue\",reason=\"LeaseNamespaceMissing\"} 1";
    assert!(daemon.lbctl(&["metrics"]).0.contains(sample));
    namespace(&server, "lb-system");
    await_problems(&daemon, &[]);
    assert_eq!(daemon.lbctl(&["get", "clusters"]).1, Some(0));
    assert_eq!(daemon.lines_with("LeaseNamespaceMissing").len(), 1, "it is logged once");
}

#[test]
fn what_may_not_be_read_or_written_is_told_with_what_to_grant() {
    let server = ApiServer::stand_in().unwrap();
    server.install_crds().unwrap();
    namespace(&server, "lb-system");
    let port = free_port();
    server.apply(&gateway(port)).unwrap();
    let all_but = |resources: &[&str]| {
        let read =
            json!({ "apiGroups": ["*"], "resources": resources, "verbs": ["list", "watch"] });
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": { "name": "lb" }, "rules": [read] })
    };
    let resources = [
        "namespaces",
        "endpointslices",
        "secrets",
        "configmaps",
        "ingressclasses",
        "ingresses",
        "gatewayclasses",
        "gateways",
        "listenersets",
        "httproutes",
        "grpcroutes",
        "tlsroutes",
        "tcproutes",
        "udproutes",
        "referencegrants",
        "backendtlspolicies",
        "xbackendtrafficpolicies",
        "xbackends",
        "addresspools",
    ];
    server.create(all_but(&resources)).unwrap();
    server
        .create(json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": { "name": "lb" },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "lb" },
            "subjects": [{ "kind": "ServiceAccount", "name": "lb", "namespace": "default" }] }))
        .unwrap();
    let kubeconfig = server.kubeconfig_as(USER).unwrap();
    let daemon = Daemon::start_with(&format!(
        "proxy: {{ workers: 1 }}\nkubernetes:\n  clusters:\n    - {{ name: blue, kubeconfig: {} }}\n",
        kubeconfig.display()
    ));
    let problems = await_problems(&daemon, &["ReadForbidden", "LeaseForbidden"]);
    let (read, lease) = (&problems[0], &problems[1]);
    assert!(read["message"].as_str().unwrap().starts_with("Service: "), "{read}");
    assert!(read["hint"].as_str().unwrap().contains("list and watch `services`"), "{read}");
    assert!(lease["hint"].as_str().unwrap().contains("namespace `lb-system`"), "{lease}");
    assert_eq!(daemon.lines_with("may not be read").len(), 1, "it is logged once");
    // With a Lease, but without the right to write statuses.
    server
        .replace(json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
            "metadata": { "name": "lb" }, "rules": [
                { "apiGroups": ["*"], "resources": resources, "verbs": ["list", "watch"] },
                { "apiGroups": [""], "resources": ["services"], "verbs": ["list", "watch"] },
                { "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
                  "verbs": ["get", "create", "update"] },
            ] }))
        .unwrap();
    eventually(LIMIT, "the refused statuses", || {
        let problems = daemon.clusters()?[0]["problems"].as_array()?.clone();
        let mut hints = problems.iter().filter_map(|it| it["hint"].as_str());
        hints.any(|it| it.contains("`gatewayclasses/status`")).then_some(())
    })
    .unwrap();
}

#[test]
fn statuses_are_written_at_the_version_that_is_served() {
    let server = ApiServer::stand_in().unwrap();
    server.install_crds().unwrap();
    namespace(&server, "lb-system");
    only(&server, "tcproutes", "v1alpha2");
    only(&server, "referencegrants", "v1beta1");
    let (port, tcp) = (free_port(), free_port());
    let text = gateway(port).replace(
        "protocol: HTTP }",
        &format!("protocol: HTTP }}, {{ name: tcp, port: {tcp}, protocol: TCP }}"),
    );
    server.apply(&text).unwrap();
    namespace(&server, "far");
    let far = service("shop", backend("one"), "shop.example");
    let mut parts = far.rsplitn(2, "---");
    let route =
        parts.next().unwrap().replace("name: shop, port", "name: shop, namespace: far, port");
    server.apply(&parts.next().unwrap().replace("namespace: default", "namespace: far")).unwrap();
    server.apply(&route).unwrap();
    server
        .apply(
            "apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: { name: routes, namespace: far }
spec:
  from: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default }]
  to: [{ group: \"\", kind: Service }]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: { name: raw, namespace: default }
spec:
  parentRefs: [{ name: web, sectionName: tcp }]
  rules: [{ backendRefs: [{ name: none, port: 80 }] }]
",
        )
        .unwrap();
    let daemon = Daemon::start_writing(&[("blue", &server)]);
    await_answer(port, "shop.example", (200, "one"));
    eventually(LIMIT, "a status of the TCPRoute", || {
        let kind = "gateway.networking.k8s.io/v1alpha2/TCPRoute";
        let route = server.get(kind, "raw").ok()??;
        (route["status"]["parents"][0]["conditions"][0]["type"].is_string()).then_some(())
    })
    .unwrap();
    assert_eq!(get(port, "shop.example").0, 200);
    drop(daemon);
}

/// Has a kind of the Gateway API be served at one version only.
fn only(server: &ApiServer, plural: &str, version: &str) {
    let name = format!("{plural}.gateway.networking.k8s.io");
    let mut definition = server.get("CustomResourceDefinition", &name).unwrap().unwrap();
    let versions = definition["spec"]["versions"].as_array_mut().unwrap();
    versions.retain(|it| it["name"] == version);
    versions[0]["storage"] = json!(true);
    server.replace(definition).unwrap();
}
