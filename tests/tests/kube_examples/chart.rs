//! What is installed: the kustomizations and the chart, as the real programs render them.
//!
//! `chart/NAME.values.yaml` are values, `chart/NAME.yaml` what Helm makes of them, and
//! `chart/kustomize-NAME.yaml` what kustomize makes of a folder. `UPDATE_CHART=1` writes them anew:
//! read the diff. What is recorded is compared with what is rendered where the programs are there
//! (`cargo xtask setup --helm`).

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use lb_tests::{kube::ApiServer, wait::binary};
use serde_json::{Value, json};

use super::bed;

/// Cases with the namespaces that they are installed in.
const CASES: [(&str, &str); 4] = [
    ("default", "lb-system"),
    ("namespaced", "lb-system"),
    ("outside", "lb-system"),
    ("everything", "edge"),
];
/// Folders of `deploy/kustomize`.
const KUSTOMIZATIONS: [&str; 2] = ["base", "namespaced"];
const UPDATE: &str = "UPDATE_CHART";

/// What kustomize makes of a folder.
pub(super) fn kustomized(folder: &str) -> Vec<Value> {
    objects(&recorded(&format!("kustomize-{folder}")))
}

#[test]
fn values_are_rendered_as_recorded() {
    let Some(helm) = program("helm") else { return };
    for (name, namespace) in CASES {
        let rendered = template(&helm, namespace, &values(name));
        let said = String::from_utf8_lossy(&rendered.stderr);
        assert!(rendered.status.success(), "{name}: {said}");
        compare(name, &rendered.stdout);
    }
    let lint = Command::new(&helm).args(["lint", "--strict"]).arg(chart("")).output().unwrap();
    assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout));
}

#[test]
fn kustomizations_are_rendered_as_recorded() {
    let Some(kubectl) = program("kubectl") else { return };
    for folder in KUSTOMIZATIONS {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kustomize").join(folder);
        let rendered = Command::new(&kubectl).arg("kustomize").arg(place).output().unwrap();
        let said = String::from_utf8_lossy(&rendered.stderr);
        assert!(rendered.status.success(), "{folder}: {said}");
        compare(&format!("kustomize-{folder}"), &rendered.stdout);
    }
}

#[test]
fn the_chart_installs_what_kustomize_does() {
    for (case, folder) in [("default", "base"), ("namespaced", "namespaced")] {
        let mut by_kustomize = by_name(kustomized(folder));
        // `helm install` wants the namespace to be there; see `everything` for who does not.
        let namespace = by_kustomize.remove("v1/Namespace //lb-system").unwrap();
        let by_helm = by_name(objects(&recorded(case)));
        let names = |all: &BTreeMap<String, Value>| all.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&by_helm), names(&by_kustomize), "{case}");
        for (name, object) in &by_helm {
            assert_eq!(*object, by_kustomize[name], "{case}: {name}");
        }
        let all = by_name(objects(&recorded("everything")));
        let label = "/metadata/labels";
        assert_eq!(all["v1/Namespace //edge"].pointer(label), namespace.pointer(label));
    }
}

#[test]
fn without_a_cluster_of_its_own_it_has_no_rights() {
    let objects = by_name(objects(&recorded("outside")));
    assert!(objects.keys().all(|it| !it.starts_with("rbac.authorization.k8s.io")), "{objects:#?}");
    assert!(objects.contains_key("v1/ServiceAccount /lb-system/lb"));
}

#[test]
fn every_configuration_that_is_rendered_is_one_that_lbd_takes() {
    for (case, _) in CASES {
        let objects = objects(&recorded(case));
        let config = objects.iter().find(|it| it["kind"] == "ConfigMap").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let text = config["data"]["lb.yaml"].as_str().unwrap();
        // Those of the values are Secrets elsewhere.
        let text = text.replace("/etc/clusters/", "");
        for name in ["east", "west", "far"] {
            fs::write(folder.path().join(name), KUBECONFIG).unwrap();
        }
        let file = folder.path().join("lb.yaml");
        fs::write(&file, text).unwrap();
        let check = Command::new(binary("lbd").unwrap()).arg("check").arg(file).output().unwrap();
        assert!(check.status.success(), "{case}: {}", String::from_utf8_lossy(&check.stderr));
    }
}

const KUBECONFIG: &str = "
apiVersion: v1
kind: Config
current-context: a
clusters: [{name: a, cluster: {server: 'https://192.0.2.1:6443'}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
users: [{name: a, user: {token: t}}]
";

#[test]
fn an_api_server_accepts_what_is_rendered() {
    let server = ApiServer::start().unwrap();
    server.install_crds().unwrap();
    for namespace in ["lb-system", "edge", "shop", "team-a"] {
        let object = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace },
        });
        server.apply(&object.to_string()).unwrap();
    }
    for (case, _) in CASES {
        for mut object in objects(&recorded(case)) {
            if object["kind"] == "DaemonSet" {
                // Nobody has to find out what a default was left to.
                object["metadata"]["name"] = json!(format!("lbd-{case}"));
            }
            let applied = server.apply(&object.to_string());
            let applied = applied.unwrap_or_else(|error| panic!("{case}: {error:#}\n{object:#}"));
            assert!(
                is_within(&object, &applied[0]),
                "{case}: {:#} became {:#}",
                object,
                applied[0]
            );
        }
    }
}

/// Whether all that one value says is said by another, too.
fn is_within(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => one
            .iter()
            .all(|(key, value)| other.get(key).is_some_and(|other| is_within(value, other))),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| is_within(a, b))
        }
        _ => one == other,
    }
}

#[test]
fn unknown_and_wrong_values_are_refused() {
    let Some(helm) = program("helm") else { return };
    let folder = tempfile::tempdir().unwrap();
    for (text, told) in REFUSED {
        let file = folder.path().join("values.yaml");
        fs::write(&file, text).unwrap();
        let rendered = template(&helm, "lb-system", &file);
        let said = String::from_utf8_lossy(&rendered.stderr);
        assert!(!rendered.status.success(), "{text} was taken");
        assert!(said.contains(told), "{text}: {said}");
    }
}

/// Values, and what a refusal of them names.
const REFUSED: [(&str, &str); 16] = [
    ("imagee: {}", "imagee"),
    ("image: {repo: lb}", "repo"),
    ("image: {tag: 'a b'}", "tag"),
    ("image: {digest: 'md5:1'}", "digest"),
    ("image: {pullPolicy: Sometimes}", "pullPolicy"),
    ("image: {repository: ''}", "repository"),
    ("config: {interface: [eth0]}", "interface"),
    ("config: {interfaces: eth0}", "interfaces"),
    ("config: {kubernetes: {pools: [{name: a}]}}", "addresses"),
    ("config: {kubernetes: {clusters: [{name: a, kubeconf: b}]}}", "kubeconf"),
    (
        "config: {kubernetes: {clusters: [{name: a}, {name: b}]}}",
        "more than one without a kubeconfig",
    ),
    ("nodeSelector: {a: 1}", "nodeSelector"),
    ("tolerations: [{operator: Exist}]", "operator"),
    ("maxUnavailable: 0", "maxUnavailable"),
    ("terminationGracePeriodSeconds: 45s", "terminationGracePeriodSeconds"),
    ("gatewayClass: {name: Edge_1}", "gatewayClass"),
];

#[test]
fn the_chart_has_the_definition_of_pools_and_the_schema_of_configurations() {
    let definition = bed::deployed("kustomize/base/address-pool-crd.yaml");
    let file = chart("values.schema.json");
    let mut schema: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let was = schema.clone();
    let mut config = lb_userspace::config::json_schema();
    let config = config.as_object_mut().unwrap();
    schema["$defs"] = config.remove("$defs").unwrap();
    for of_a_document in ["$schema", "title"] {
        config.remove(of_a_document);
    }
    schema["properties"]["config"] = Value::Object(config.clone());
    let copy = chart("crds/address-pool.yaml");
    if env::var_os(UPDATE).is_some() {
        fs::write(&file, format!("{schema:#}\n")).unwrap();
        fs::write(&copy, &definition).unwrap();
        return;
    }
    assert!(schema == was, "{UPDATE}=1 writes {} anew", file.display());
    assert_eq!(fs::read_to_string(copy).unwrap(), definition, "{UPDATE}=1 writes it anew");
}

#[test]
fn every_value_is_in_the_readme_and_in_the_schema() {
    let values: Value = serde_saphyr::from_str(&bed::deployed("helm/lb/values.yaml")).unwrap();
    let readme = bed::deployed("helm/lb/README.md");
    let schema: Value = serde_json::from_str(&bed::deployed("helm/lb/values.schema.json")).unwrap();
    let schema = &schema["properties"];
    let mut names = Vec::new();
    for (name, value) in values.as_object().unwrap() {
        let parts = schema[name]["properties"].as_object();
        match (value.as_object(), parts) {
            (Some(value), Some(parts))
                if !["config", "resources", "affinity"].contains(&name.as_str()) =>
            {
                let (has, may): (Vec<_>, Vec<_>) = (value.keys().collect(), parts.keys().collect());
                assert_eq!(has, may, "{name}");
                names.extend(parts.keys().map(|part| format!("{name}.{part}")));
            }
            _ => names.push(name.clone()),
        }
    }
    assert_eq!(values.as_object().unwrap().len() + 1, schema.as_object().unwrap().len(), "global");
    let missing: Vec<_> = names.iter().filter(|it| !readme.contains(&format!("`{it}`"))).collect();
    assert_eq!(missing, [""; 0]);
}

/// A program of the cache that `cargo xtask setup --helm` fills, or else of the machine.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let chosen = env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty());
    let home = || Some(PathBuf::from(env::var_os("HOME")?).join(".cache"));
    let cached = chosen.map(PathBuf::from).or_else(home)?.join("lb/helm").join(name);
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = [cached].into_iter().chain(env::split_paths(&path).map(|it| it.join(name)));
    let found = places.find(|it| it.is_file());
    if found.is_none() {
        eprintln!("no {name}: what it renders is not compared with what is recorded");
    }
    found
}

fn template(helm: &Path, namespace: &str, values: &Path) -> Output {
    let mut command = Command::new(helm);
    command.args(["template", "lb"]).arg(chart(""));
    command.args(["--include-crds", "--namespace", namespace, "--values"]).arg(values);
    command.output().unwrap()
}

/// Compares with what is recorded, or records it.
fn compare(name: &str, rendered: &[u8]) {
    let rendered = str::from_utf8(rendered).unwrap();
    if env::var_os(UPDATE).is_some() {
        fs::write(folder().join(format!("{name}.yaml")), rendered).unwrap();
    }
    assert_eq!(objects(rendered), objects(&recorded(name)), "{name}: {UPDATE}=1 writes it anew");
}

fn recorded(name: &str) -> String {
    fs::read_to_string(folder().join(format!("{name}.yaml"))).unwrap()
}

fn values(name: &str) -> PathBuf {
    folder().join(format!("{name}.values.yaml"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kube_examples/chart")
}

pub(super) fn chart(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/helm/lb").join(file)
}

pub(super) fn objects(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    all.into_iter().filter(|it| !it.is_null()).collect()
}

/// Objects by kind, namespace and name; of configurations what they say, not how it is written.
fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let named = objects.into_iter().map(|mut it| {
        if let Some(Value::String(text)) = it.pointer_mut("/data/lb.yaml") {
            let said: Value = serde_saphyr::from_str(text).unwrap();
            it["data"]["lb.yaml"] = said;
        }
        let text = |path| it.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let name = format!(
            "{}/{} /{}/{}",
            text("/apiVersion"),
            text("/kind"),
            text("/metadata/namespace"),
            text("/metadata/name")
        );
        (name, it)
    });
    named.collect()
}
