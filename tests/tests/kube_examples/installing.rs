//! What an operator does with the chart, by Helm itself, on a real API server.

use super::{
    bed::LIMIT,
    chart::{chart, objects, program},
};
use lb_tests::{kube::ApiServer, wait::eventually};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

const NAMESPACE: &str = "edge";
const DEFINITION: &str = "apiextensions.k8s.io/v1/CustomResourceDefinition";
const POOLS: &str = "addresspools.lb.internal";

/// Helm as somebody uses it who has a cluster.
struct Helm<'a> {
    program: &'a Path,
    server: &'a ApiServer,
}

impl Helm<'_> {
    /// Runs it, which must succeed; what it prints.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "helm {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.program);
        command.args(arguments).args(["--namespace", NAMESPACE, "--kubeconfig"]);
        command.arg(self.server.kubeconfig_path());
        for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(variable, self.server.directory().join(variable));
        }
        command.output().unwrap()
    }

    /// What of a release is there, of what its manifest names; and how many that names.
    fn installed(&self, release: &str) -> (Vec<Value>, usize) {
        let named = objects(&self.run(&["get", "manifest", release]));
        (self.found(&named), named.len())
    }

    fn found(&self, named: &[Value]) -> Vec<Value> {
        let text = |value: &Value, path: &str| value.pointer(path)?.as_str().map(str::to_owned);
        let found = named.iter().filter_map(|it| {
            let [version, kind] = ["/apiVersion", "/kind"].map(|path| text(it, path).unwrap());
            let name = text(it, "/metadata/name").unwrap();
            let name = match text(it, "/metadata/namespace") {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name,
            };
            self.server.get(&format!("{version}/{kind}"), &name).unwrap()
        });
        found.collect()
    }
}

#[test]
fn helm_installs_upgrades_and_removes_the_chart() {
    let Some(program) = program("helm") else { return };
    let server = ApiServer::start().unwrap();
    if !server.is_real() {
        eprintln!("no kube-apiserver: Helm asks for more than the stand-in knows");
        return;
    }
    server.install_crds().unwrap();
    // That is the chart's own. The server takes a definition away after its objects, and tells Helm of
    // a group a little after it serves it.
    server.delete(DEFINITION, POOLS).unwrap();
    let is_gone = || server.get(DEFINITION, POOLS).unwrap().is_none().then_some(());
    eventually(LIMIT, "no definition of pools", is_gone).unwrap();
    eventually(LIMIT, "a known GatewayClass", || server.list("GatewayClass").ok()).unwrap();
    let helm = Helm { program: &program, server: &server };
    let install = |chart: &str| helm.output(&["install", "lb", chart, "--create-namespace"]);

    let refused = install(chart("").to_str().unwrap());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("requires kubeVersion: >=1.21"), "an older cluster is told so: {said}");

    let folder = tempfile::tempdir().unwrap();
    let chart = for_any_version(&chart(""), folder.path());
    let chart = chart.to_str().unwrap();
    let installed = install(chart);
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let (found, count) = helm.installed("lb");
    assert!(count > 5 && found.len() == count, "{count} objects: {found:#?}");
    assert!(server.get(DEFINITION, POOLS).unwrap().is_some());

    helm.run(&["upgrade", "lb", chart, "--set", "maxUnavailable=2,gatewayClass.name=edge"]);
    let daemons = server.get("apps/v1/DaemonSet", &format!("{NAMESPACE}/lbd")).unwrap().unwrap();
    let unavailable = daemons.pointer("/spec/updateStrategy/rollingUpdate/maxUnavailable");
    assert_eq!(unavailable, Some(&2.into()));
    let class = |name| server.get("gateway.networking.k8s.io/v1/GatewayClass", name).unwrap();
    assert!(class("lb").is_none() && class("edge").is_some(), "the class has its new name");

    let named = objects(&helm.run(&["get", "manifest", "lb"]));
    helm.run(&["uninstall", "lb"]);
    assert_eq!(helm.found(&named), [Value::Null; 0]);
    assert!(server.get(DEFINITION, POOLS).unwrap().is_some(), "pools would go");
}

/// A copy of the chart for clusters of any version: the tests' API server is older than what it asks
/// for.
fn for_any_version(chart: &Path, place: &Path) -> PathBuf {
    let copy = place.join("lb");
    let copied = Command::new("cp").arg("-r").arg(chart).arg(&copy).status().unwrap();
    assert!(copied.success());
    let file = copy.join("Chart.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("kubeVersion:"));
    fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    copy
}
