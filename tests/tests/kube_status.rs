//! Statuses and Events as the API server gets them, and who writes them.

#![allow(clippy::indexing_slicing, reason = "an index of JSON makes it an object")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use lb_kube::{
    Candidate, Cluster, Counts, GATEWAY_CONTROLLER, Lowered, Notice, ObjectId, ObjectKey,
    ObjectKind, Objects, Options, Pool, Status, Versions, World, Writer, elect, lower,
};
use lb_tests::kube::ApiServer;
use lb_tests::wait::eventually;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Long enough for a busy machine; what is awaited comes at once, or as Leases have it.
const LIMIT: Duration = Duration::from_mins(2);

const GATEWAY: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: lb}
spec: {controllerName: lb.internal/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: lb
  listeners: [{name: http, port: 80, protocol: HTTP}]
";

#[test]
fn a_thousand_routes_attach_with_one_write_each() -> Result<()> {
    let stage = Stage::new()?;
    let routes = (0..1_000).map(|it| route(&format!("r{it}"), "edge")).collect();
    stage.api.apply_many(routes)?;
    let (_leads, writer) = stage.leader()?;
    writer.publish(stage.objects()?, stage.lowered()?);
    stage.settled(&writer)?;
    for (object, count) in stage.writes("HTTPRoute")? {
        assert_eq!(count, 1, "{object}");
    }
    let gateway = stage.api.get("Gateway", "shop/edge")?.context("the gateway")?;
    assert_eq!(gateway["status"]["listeners"][0]["attachedRoutes"], 1_000);
    assert_eq!(gateway["status"]["addresses"][0]["value"], "192.0.2.1");

    // Said again, nothing is written but what is new.
    stage.api.apply_many(vec![route("new", "edge")])?;
    writer.publish(stage.objects()?, stage.lowered()?);
    stage.settled(&writer)?;
    let writes = stage.writes("HTTPRoute")?;
    assert_eq!(writes.len(), 1_001);
    assert!(writes.values().all(|count| *count == 1), "a status was written anew");
    assert_eq!(writer.counts().failures_total, 0);
    Ok(())
}

#[test]
fn of_two_replicas_one_writes_until_it_stops() -> Result<()> {
    let stage = Stage::new()?;
    let first = stage.candidate("first")?;
    eventually(LIMIT, "the first leads", || first.leads().borrow().then_some(()))?;
    let second = stage.candidate("second")?;
    let writer = |it: &Candidate| stage.writer(it.leads());
    let (one, two) = (writer(&first)?, writer(&second)?);
    for writer in [&one, &two] {
        writer.publish(stage.objects()?, stage.lowered()?);
    }
    stage.settled(&one)?;
    assert_eq!(two.counts().writes_total, 0);

    stage.api.apply_many(vec![route("more", "edge")])?;
    two.publish(stage.objects()?, stage.lowered()?);
    stage.runtime.block_on(first.release());
    stage.settled(&two)?;
    assert!(*second.leads().borrow());
    counted(&two, "the route, and the gateway that counts it", |it| it.writes.len() == 2)?;
    let lease = stage.api.get("Lease", "shop/status")?.context("the Lease")?;
    assert_eq!(lease["spec"]["holderIdentity"], "second");
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
    Ok(())
}

#[test]
fn a_lease_is_taken_over_when_its_holder_renews_it_no_more() -> Result<()> {
    let stage = Stage::new()?;
    stage.api.create(json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "status", "namespace": "shop"},
        "spec": {"holderIdentity": "gone", "leaseDurationSeconds": 1, "leaseTransitions": 4,
            "renewTime": "2099-01-01T00:00:00.000000Z"},
    }))?;
    let candidate = stage.candidate("next")?;
    eventually(LIMIT, "it leads", || candidate.leads().borrow().then_some(()))?;
    let lease = stage.api.get("Lease", "shop/status")?.context("the Lease")?;
    assert_eq!(lease["spec"]["holderIdentity"], "next");
    assert_eq!(lease["spec"]["leaseTransitions"], 5);
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 15);
    Ok(())
}

#[test]
fn what_others_say_meanwhile_is_kept() -> Result<()> {
    let stage = Stage::new()?;
    stage.api.apply_many(vec![route("web", "edge")])?;
    let (_leads, writer) = stage.leader()?;
    let (objects, lowered) = (stage.objects()?, stage.lowered()?);
    // What is published is older than this.
    let other = json!({"parentRef": {"name": "elsewhere"}, "controllerName": "other.example/c",
        "conditions": []});
    stage.api.patch_status("HTTPRoute", "shop/web", &json!({"status": {"parents": [other]}}))?;
    writer.publish(objects, lowered);
    let parents = |route: &Value| -> Vec<String> {
        let parents = route["status"]["parents"].as_array().cloned().unwrap_or_default();
        let name = |it: &Value| it["controllerName"].as_str().unwrap_or_default().to_owned();
        parents.iter().map(name).collect()
    };
    stage.api.eventually("HTTPRoute", "shop/web", "both say something", |it| {
        parents(it) == ["other.example/c", GATEWAY_CONTROLLER]
    })?;
    counted(&writer, "one conflict", |it| it.conflicts_total == 1)?;

    stage.api.patch("HTTPRoute", "shop/web", &json!({"spec": {"parentRefs": []}}))?;
    writer.publish(stage.objects()?, stage.lowered()?);
    stage.api.eventually("HTTPRoute", "shop/web", "only the other one says something", |it| {
        parents(it) == ["other.example/c"]
    })?;
    Ok(())
}

#[test]
fn a_server_that_fails_gets_the_status_later() -> Result<()> {
    let stage = Stage::new()?;
    stage.api.apply_many(vec![route("web", "edge")])?;
    let (_leads, writer) = stage.leader()?;
    let faults = stage.api.faults().context("a stand-in")?;
    faults.fail_writes(4, 500);
    writer.publish(stage.objects()?, stage.lowered()?);
    stage.settled(&writer)?;
    counted(&writer, "each failure", |it| it.failures_total == 4)?;

    // It was done, but nobody said so: the truth is looked up, not written again.
    stage.api.apply_many(vec![route("more", "edge")])?;
    faults.lose_answers(2);
    writer.publish(stage.objects()?, stage.lowered()?);
    stage.settled(&writer)?;
    let more = stage.api.get("HTTPRoute", "shop/more")?.context("the route")?;
    assert_eq!(more["status"]["parents"].as_array().map(Vec::len), Some(1));
    Ok(())
}

#[test]
fn a_notice_is_one_event_however_often_it_is_said() -> Result<()> {
    let stage = Stage::new()?;
    let (_leads, writer) = stage.leader()?;
    let key = ObjectKey::new("shop", "edge");
    let notice = |message: &str| Notice {
        object: ObjectId { cluster: "one".to_owned(), kind: ObjectKind::Gateway, key: key.clone() },
        is_warning: true,
        reason: "Odd",
        message: message.to_owned(),
    };
    let objects = stage.objects()?;
    let say = |notices: Vec<Notice>| {
        let lowered = Lowered { notices, ..Lowered::default() };
        writer.publish(objects.clone(), Arc::new(lowered));
    };
    say(vec![notice("odd")]);
    counted(&writer, "the first Event", |it| it.events_total == 1)?;
    say(vec![notice("odd"), notice("odder")]);
    counted(&writer, "the second Event", |it| it.events_total == 2)?;
    let events = stage.api.list("events.k8s.io/v1/Event")?;
    let mut notes: Vec<_> = events.iter().map(|it| it["note"].clone()).collect();
    notes.sort_by_key(ToString::to_string);
    assert_eq!(notes, ["odd", "odder"]);
    assert_eq!(events[0]["regarding"]["name"], "edge");
    assert_eq!(events[0]["type"], "Warning");
    Ok(())
}

#[test]
fn a_service_has_the_address_that_it_got() -> Result<()> {
    let stage = Stage::new()?;
    stage.api.apply(
        "
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: shop}
spec: {type: LoadBalancer, ports: [{port: 53, protocol: UDP}]}
",
    )?;
    let (_leads, writer) = stage.leader()?;
    writer.publish(stage.objects()?, stage.lowered()?);
    let ip = |it: &Value| it["status"]["loadBalancer"]["ingress"][0]["ip"].clone();
    let dns = stage.api.eventually("Service", "shop/dns", "an address", |it| !ip(it).is_null())?;
    // The next leader hands out the same, though it is not the first any more.
    stage.api.apply(
        "
apiVersion: v1
kind: Service
metadata: {name: a-first, namespace: shop}
spec: {type: LoadBalancer, ports: [{port: 53, protocol: UDP}]}
",
    )?;
    writer.publish(stage.objects()?, stage.lowered()?);
    stage.settled(&writer)?;
    let again = stage.api.get("Service", "shop/dns")?.context("the service")?;
    assert_eq!(ip(&again), ip(&dns));
    Ok(())
}

struct Stage {
    api: ApiServer,
    runtime: Runtime,
}

impl Stage {
    fn new() -> Result<Self> {
        let api = ApiServer::stand_in()?;
        api.install_crds()?;
        api.apply(GATEWAY)?;
        Ok(Self { api, runtime: Runtime::new()? })
    }

    /// A writer that leads as long as the sender is there.
    fn leader(&self) -> Result<(watch::Sender<bool>, Writer)> {
        let (sender, leads) = watch::channel(true);
        Ok((sender, self.writer(leads)?))
    }

    fn writer(&self, leads: watch::Receiver<bool>) -> Result<Writer> {
        let client = self.runtime.block_on(self.api.client())?;
        let _guard = self.runtime.enter();
        let versions = watch::channel(Versions::default()).1;
        Ok(Writer::start("one", client, versions, leads, "test"))
    }

    fn candidate(&self, identity: &str) -> Result<Candidate> {
        let client = self.runtime.block_on(self.api.client())?;
        let _guard = self.runtime.enter();
        Ok(elect(client, "shop", "status", identity))
    }

    /// What a watch would have by now.
    fn objects(&self) -> Result<Objects> {
        let mut objects = Objects::default();
        for kind in ["Namespace", "GatewayClass", "Gateway", "HTTPRoute", "Service"] {
            for mut object in self.api.list(kind)? {
                object["kind"] = json!(kind);
                objects.insert(object)?;
            }
        }
        Ok(objects)
    }

    fn lowered(&self) -> Result<Arc<Lowered>> {
        let range = "192.0.2.1-192.0.2.99".parse()?;
        let pool =
            Pool { name: "test".into(), ranges: vec![range], auto_assign: true, ..Pool::default() };
        let world = World {
            options: Arc::new(Options { pools: vec![pool], ..Options::default() }),
            clusters: vec![Cluster { name: "one".into(), weight: 100, objects: self.objects()? }],
            leads: true,
            ..World::default()
        };
        Ok(Arc::new(lower(&world)))
    }

    /// Waits until every object says what it should; names what was written if it does not.
    fn settled(&self, writer: &Writer) -> Result<()> {
        eventually(LIMIT, "every status is written", || {
            let (objects, lowered) = (self.objects().ok()?, self.lowered().ok()?);
            lowered.statuses.iter().all(|(id, status)| is_said(&objects, id, status)).then_some(())
        })
        .with_context(|| format!("{:?}", writer.counts()))
    }

    /// How often the status of each object of a kind was written.
    fn writes(&self, kind: &str) -> Result<BTreeMap<String, usize>> {
        let mut counts = BTreeMap::new();
        for write in self.api.faults().context("a stand-in")?.writes() {
            if write.kind == kind && write.is_status && write.code == 200 {
                *counts.entry(write.object).or_insert(0) += 1;
            }
        }
        Ok(counts)
    }
}

/// Waits until a writer has counted what it should: it counts when the server's answer comes, and the
/// object is as it should be before that.
fn counted(writer: &Writer, what: &str, is_so: impl Fn(&Counts) -> bool) -> Result<()> {
    eventually(LIMIT, what, || is_so(&writer.counts()).then_some(()))
        .with_context(|| format!("{:?}", writer.counts()))
}

/// Whether an object says what it should, as far as it says how far it looked.
fn is_said(objects: &Objects, id: &ObjectId, status: &Status) -> bool {
    match status {
        Status::Gateway { listeners, .. } => {
            let said = objects.gateways.get(&id.key).and_then(|it| it.status.as_ref());
            let said = said.map(|it| it.listeners.iter().map(|it| it.attached_routes).collect());
            said == Some(listeners.iter().map(|it| it.attached_routes).collect::<Vec<_>>())
        }
        Status::Parents(parents) => {
            let said = objects.http_routes.get(&id.key).and_then(|it| it.status.as_ref());
            said.map_or(0, |it| it.parents.len()) == parents.len()
        }
        Status::GatewayClass { .. } => {
            let said = objects.gateway_classes.get(&id.key).and_then(|it| it.status.as_ref());
            said.is_some_and(|it| !it.conditions.is_empty())
        }
        Status::LoadBalancer { addresses, .. } => {
            let said = objects.services.get(&id.key).and_then(|it| it.status.as_ref());
            let said = said.and_then(|it| it.load_balancer.as_ref()?.ingress.as_ref());
            said.map_or(0, Vec::len) == addresses.len()
        }
        _ => true,
    }
}

fn route(name: &str, gateway: &str) -> Value {
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"parentRefs": [{"name": gateway}], "hostnames": [format!("{name}.example")],
            "rules": [{"backendRefs": [{"name": "backend", "port": 80}]}]}})
}
