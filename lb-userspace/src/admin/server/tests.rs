use super::*;
use crate::{
    admin::{Client, ClientError, bind, resource::InterfaceResource},
    dataplane::Stats,
    health::test_service::{backend, service},
    runtime::{Daemon, Event, daemon::tests::parts},
};
use anyhow::Result;
use std::collections::BTreeMap;
use tempfile::TempDir;

/// Maps without traffic.
struct Idle;

impl Inspect for Idle {
    fn image(&self) -> Result<Image> {
        Ok(Image::default())
    }

    fn stats(&self) -> Result<Stats> {
        Ok(Stats::default())
    }

    fn flows(&self, filter: &FlowFilter) -> Result<Vec<FlowResource>> {
        anyhow::ensure!(filter.limit < 10, "asked for {}", filter.limit);
        Ok(Vec::new())
    }

    fn programs(&self) -> Result<Vec<ProgramResource>> {
        Ok(Vec::new())
    }

    fn attachments(&self) -> Result<Vec<InterfaceResource>> {
        Ok(Vec::new())
    }

    fn trace(&self, _request: &TraceRequest) -> Result<TraceResource> {
        anyhow::bail!("no program is loaded")
    }
}

fn desired() -> Desired {
    let backends = [("a", backend(Some("10.0.0.1"), None)), ("b", backend(Some("10.0.0.2"), None))];
    let service = service(&["192.0.2.10:80", "[2001:db8::10]:80"], backends);
    Desired { services: [("web".to_owned(), service)].into(), ..Desired::default() }
}

/// A daemon on a socket of its own.
pub(super) fn serve(desired: Desired) -> (TempDir, Client) {
    let directory = tempfile::tempdir().unwrap();
    let parts = parts(directory.path());
    let board = parts.checkers.board();
    let proxy = parts.proxy.common();
    let mut daemon = Daemon::new(parts);
    daemon.start(desired.into(), BTreeMap::new()).unwrap();
    let (commands, mut asked) = mpsc::channel(1);
    let api = Api {
        status: daemon.status(),
        inspect: Arc::new(Idle),
        proxy,
        board,
        commands,
        clusters: watch::channel(Vec::new()).1,
        told: watch::channel(Arc::default()).1,
    };
    let (events, received) = mpsc::channel(1);
    tokio::spawn(daemon.run(received));
    tokio::spawn(async move {
        while let Some(command) = asked.recv().await {
            events.send(Event::Command(command)).await.unwrap();
        }
    });
    let socket = directory.path().join("lbd.sock");
    let listener = bind(&socket).unwrap();
    tokio::spawn(async move { axum::serve(listener, router(api)).await });
    (directory, Client::new(&socket))
}

#[tokio::test]
async fn lists_vips_and_backends() {
    let (_directory, client) = serve(desired());
    let vips: List<VipResource> = client.get("/v1/vips").await.unwrap();
    assert_eq!((vips.api_version.as_str(), vips.kind.as_str()), ("lb.internal/v1", "VipList"));
    let names: Vec<_> = vips.items.iter().map(|vip| vip.vip.as_str()).collect();
    assert_eq!(names, ["192.0.2.10:80/tcp", "[2001:db8::10]:80/tcp"]);
    assert_eq!((vips.items[0].backends_active, vips.items[0].backends_total), (2, 2));

    let backends: List<BackendResource> = client.get("/v1/backends").await.unwrap();
    assert_eq!(backends.items.len(), 4);
    let first = &backends.items[0];
    assert_eq!((first.backend.as_str(), first.state.as_str()), ("a", "active"));
    let shares: f64 = backends.items.iter().map(|backend| backend.ring_share).sum();
    assert!((shares - 2.0).abs() < 1e-9, "each VIP's shares add up: {shares}");
}

#[tokio::test]
async fn drains_and_takes_back() {
    let (_directory, client) = serve(desired());
    let drained: GenerationResource = client.set("/v1/drains/web/a", true).await.unwrap();
    assert_eq!(drained.applied, 2);
    let backends: List<BackendResource> = client.get("/v1/backends").await.unwrap();
    let first = &backends.items[0];
    assert_eq!((first.state.as_str(), first.ring_share), ("draining", 0.0));
    assert_eq!(first.state_reason.as_deref(), Some("drained by operator"));
    let back: GenerationResource = client.set("/v1/drains/web/a", false).await.unwrap();
    assert_eq!(back.applied, 3);
}

#[tokio::test]
async fn what_does_not_exist_cannot_be_drained() {
    let (_directory, client) = serve(desired());
    let error = client.set::<GenerationResource>("/v1/drains/web/z", true).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no backend `web/z`");
}

#[tokio::test]
async fn compares_with_what_runs() {
    let (_directory, client) = serve(desired());
    let same: List<ChangeResource> = client.post("/v1/diff", &desired()).await.unwrap();
    assert_eq!(same.items, []);
    let mut other = desired();
    other.services.get_mut("web").unwrap().backends.remove("a");
    let list: List<ChangeResource> = client.post("/v1/diff", &other).await.unwrap();
    assert_eq!(list.items.len(), 2);
    assert_eq!(list.items[0].action, "change");
    assert!((0.4..0.6).contains(&list.items[0].ring_moves), "{}", list.items[0].ring_moves);
}

#[tokio::test]
async fn errors_come_in_words() {
    let (_directory, client) = serve(desired());
    let request = TraceRequest {
        protocol: crate::model::Protocol::Tcp,
        source: "198.51.100.7:40000".parse().unwrap(),
        destination: "192.0.2.10:80".parse().unwrap(),
        opens: true,
        interface: None,
    };
    let error = client.post::<_, TraceResource>("/v1/trace", &request).await.unwrap_err();
    assert_eq!(error.to_string(), "no program is loaded");
    let error = client.get::<List<FlowResource>>("/v1/flows?limit=10").await.unwrap_err();
    assert_eq!(error.to_string(), "asked for 10");
    let error = client.get::<List<FlowResource>>("/v2").await.unwrap_err();
    assert_eq!(error.to_string(), "no such resource");
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_missing_daemon_named() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("lbd.sock");
    drop(bind(&socket).unwrap());
    let error = Client::new(&socket).get::<GenerationResource>("/").await.unwrap_err();
    assert!(matches!(error, ClientError::NotRunning(_)), "{error}");
    let _listener = bind(&socket).unwrap();
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}
