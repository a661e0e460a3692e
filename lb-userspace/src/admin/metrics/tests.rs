use super::*;
use crate::{
    config,
    kube::{ClusterProblem, ClusterState},
    proxy::snapshot::Context,
};
use families::{ALL, Family};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

const FILE: &str = r#"
listeners:
  - { name: web, binds: ["127.0.0.1:8080"], protocol: http }
routes:
  - { name: shop, listeners: [web], rules: [{ backends: [shop] }] }
upstreams:
  - { name: shop, endpoints: ["10.2.0.11:8080", "10.2.0.12:8080"] }
"#;

fn rendered() -> String {
    let desired = config::parse("lb.yaml", FILE).unwrap();
    let context = Context { previous: &Snapshot::default(), seed: 1, worker_count: 1 };
    let snapshot = Snapshot::compile(&desired.proxy, 1, context);
    let shop = &snapshot.upstreams["shop"];
    drop(shop.pick(&shop.key(None, None), &[]).unwrap());
    shop.set_health("10.2.0.12:8080", None, false);
    let cluster = ClusterReport {
        name: "blue".to_owned(),
        state: ClusterState::Away,
        since_ms: 5_000,
        saved_at_ms: None,
        problems: vec![ClusterProblem {
            reason: "LeaseForbidden".to_owned(),
            message: "no".to_owned(),
            hint: "allow it".to_owned(),
        }],
        last_error: None,
        forbidden: BTreeMap::new(),
        malformed: [("Service a/x".to_owned(), "no".to_owned())].into(),
        objects: [("Service".to_owned(), 2)].into(),
    };
    render(&Counted {
        view: &View::default(),
        snapshot: &snapshot,
        generation: &GenerationResource::new("test", 4),
        clusters: &[cluster],
        dropped_lines: 3,
    })
}

#[test]
fn tells_what_is_counted() {
    let text = rendered();
    for line in [
        "lb_generation{kind=\"applied\"} 4",
        "lb_access_log_dropped_lines_total 3",
        "lb_cluster_watched{cluster=\"blue\"} 0",
        "lb_cluster_since_timestamp_seconds{cluster=\"blue\"} 5",
        "lb_cluster_saved{cluster=\"blue\"} 0",
        "lb_cluster_problems{cluster=\"blue\",reason=\"LeaseForbidden\"} 1",
        "lb_cluster_objects{cluster=\"blue\",kind=\"Service\"} 2",
        "lb_cluster_malformed_objects{cluster=\"blue\"} 1",
        "lb_listener_connections{listener=\"web\"} 0",
        "lb_tls_handshakes_total{listener=\"web\",result=\"failed\"} 0",
        "lb_upstream_up{upstream=\"shop\",endpoint=\"10.2.0.11:8080\"} 1",
        "lb_upstream_up{upstream=\"shop\",endpoint=\"10.2.0.12:8080\"} 0",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
    }
    let requests = text.lines().filter(|it| it.starts_with("lb_upstream_requests_total{"));
    let sum: u64 = requests.map(|it| it.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum();
    assert_eq!(sum, 1);
}

#[test]
fn a_series_is_told_once() {
    let text = rendered();
    let series = || text.lines().filter(|it| !it.starts_with('#')).map(|it| it.rsplit_once(' '));
    let unique: BTreeSet<_> = series().map(|it| it.unwrap().0).collect();
    assert_eq!(unique.len(), series().count());
}

/// To write the table anew, run this test with `UPDATE_DOCS=1`.
#[test]
fn the_document_lists_what_is_emitted() {
    let emitted: BTreeSet<_> = rendered()
        .lines()
        .filter_map(|it| it.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect();
    let listed = ALL.iter().map(|it| (it.name.to_owned(), it.kind.to_owned())).collect();
    assert_eq!(emitted, listed);

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/METRICS.md");
    let document = fs::read_to_string(&path).unwrap();
    let rows: Vec<_> = ALL.iter().map(row).collect();
    let is_row = |it: &&str| it.starts_with("| `lb_");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let others = document.lines().filter(|it| !is_row(it));
        let with_rows = others.flat_map(|line| {
            let rows = if line.starts_with("|---") { &rows[..] } else { &[] };
            std::iter::once(line.to_owned()).chain(rows.iter().cloned())
        });
        fs::write(&path, with_rows.map(|it| it + "\n").collect::<String>()).unwrap();
        return;
    }
    let written: Vec<_> = document.lines().filter(is_row).collect();
    assert_eq!(written, rows, "docs/METRICS.md is stale: run this test with UPDATE_DOCS=1");
}

fn row(family: &Family) -> String {
    let labels: Vec<_> = family.labels.iter().map(|it| format!("`{it}`")).collect();
    let labels = if labels.is_empty() { "-".to_owned() } else { labels.join(", ") };
    format!("| `{}` | {} | {labels} | {} |", family.name, family.kind, family.help)
}
