//! The API servers of the tests do what one may rely on, the real one and the stand-in alike.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail the test; JSON is looked into by name"
)]

use std::time::Duration;

use anyhow::Result;
use futures_util::{StreamExt as _, TryStreamExt as _};
use gateway_api::experimental::httproutes::HttpRoute;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::ResourceExt;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::runtime::watcher::{self, Event, watcher};
use lb_tests::{kube::ApiServer, wait::eventually};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// Long enough for a busy machine; what is awaited comes at once.
const LIMIT: Duration = Duration::from_mins(1);

const ROUTE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{name: edge}]
  hostnames: [shop.example]
";

#[test]
fn an_object_is_created_changed_watched_and_deleted() {
    on_each(|api| {
        inside(async {
            let client = api.client().await?;
            let maps: Api<ConfigMap> = Api::namespaced(client, "default");
            let list = maps.list(&ListParams::default()).await?;
            let version = list.metadata.resource_version.unwrap();
            let map: ConfigMap = object(json!({
                "metadata": { "name": "settings" }, "data": { "a": "1" },
            }));
            let created = maps.create(&PostParams::default(), &map).await?;
            assert!(created.uid().is_some() && created.creation_timestamp().is_some());
            let again = maps.create(&PostParams::default(), &map).await;
            assert_eq!(code(again), Some(409));

            let mut changed = created.clone();
            changed.data.as_mut().unwrap().insert("b".to_owned(), "2".to_owned());
            let changed = maps.replace("settings", &PostParams::default(), &changed).await?;
            let stale = maps.replace("settings", &PostParams::default(), &created).await;
            assert_eq!(code(stale), Some(409));
            let same = maps.replace("settings", &PostParams::default(), &changed).await?;
            assert_eq!(same.resource_version(), changed.resource_version());

            maps.delete("settings", &kube::api::DeleteParams::default()).await?;
            assert!(maps.get_opt("settings").await?.is_none());
            // A watch from before all this tells all of it, and what did not change anything not.
            let mut told = Vec::new();
            let mut events = maps.watch(&WatchParams::default(), &version).await?.boxed();
            while told.len() < 3 {
                let event = timeout(LIMIT, events.try_next()).await??;
                match event.unwrap() {
                    WatchEvent::Added(map) => told.push(("added", map.data.unwrap().len())),
                    WatchEvent::Modified(map) => told.push(("modified", map.data.unwrap().len())),
                    WatchEvent::Deleted(map) => told.push(("deleted", map.data.unwrap().len())),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(told, [("added", 1), ("modified", 2), ("deleted", 2)]);
            Ok(())
        })
    });
}

#[test]
fn status_is_written_by_itself_and_does_not_count_as_a_generation() {
    on_each(|api| {
        api.install_crds()?;
        api.apply(ROUTE)?;
        let generation = |object: &Value| object["metadata"]["generation"].as_i64().unwrap();
        let route = || api.get("HTTPRoute", "shop/web").map(Option::unwrap);
        assert_eq!(generation(&route()?), 1);

        let status = json!({ "status": { "parents": [{
            "parentRef": { "name": "edge" },
            "controllerName": "lb.internal/gateway-controller",
            "conditions": [{
                "type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
            }],
        }] } });
        api.patch_status("HTTPRoute", "shop/web", &status)?;
        assert_eq!(generation(&route()?), 1);
        api.patch("HTTPRoute", "shop/web", &json!({ "status": { "parents": [] } }))?;
        assert_eq!(route()?["status"]["parents"].as_array().unwrap().len(), 1);
        api.patch("HTTPRoute", "shop/web", &json!({ "spec": { "hostnames": ["a.example"] } }))?;
        assert_eq!(generation(&route()?), 2);
        api.patch("HTTPRoute", "shop/web", &json!({ "metadata": { "labels": { "a": "b" } } }))?;
        assert_eq!(generation(&route()?), 2);
        assert_eq!(route()?["status"]["parents"].as_array().unwrap().len(), 1);

        // Applied as before: the hostname comes back, the status stays.
        api.apply(ROUTE)?;
        assert_eq!(route()?["spec"]["hostnames"], json!(["shop.example"]));
        assert_eq!(route()?["status"]["parents"].as_array().unwrap().len(), 1);
        api.delete("HTTPRoute", "shop/web")?;
        assert!(api.get("HTTPRoute", "shop/web")?.is_none());
        api.delete("HTTPRoute", "shop/web")
    });
}

#[test]
fn only_one_of_two_takes_a_lease() {
    on_each(|api| {
        inside(async {
            let client = api.client().await?;
            let leases: Api<Lease> = Api::namespaced(client, "kube-system");
            let lease: Lease = object(json!({
                "metadata": { "name": "leader" }, "spec": { "holderIdentity": "nobody" },
            }));
            let lease = leases.create(&PostParams::default(), &lease).await?;
            let take = |holder: &str| {
                let mut lease = lease.clone();
                lease.spec.as_mut().unwrap().holder_identity = Some(holder.to_owned());
                let leases = leases.clone();
                async move { leases.replace("leader", &PostParams::default(), &lease).await }
            };
            let (first, second) = tokio::join!(take("a"), take("b"));
            let codes = [code(first), code(second)];
            assert!(codes == [None, Some(409)] || codes == [Some(409), None], "{codes:?}");
            Ok(())
        })
    });
}

#[test]
fn a_watcher_sees_what_is_applied_and_what_is_taken_away() {
    on_each(|api| {
        api.install_crds()?;
        api.apply(ROUTE)?;
        inside(async {
            let routes: Api<HttpRoute> = Api::all(api.client().await?);
            let mut events = watcher(routes, watcher::Config::default()).boxed();
            let mut names = Vec::new();
            while names.last().is_none_or(|name| name != "gone web") {
                let event = timeout(LIMIT, events.next()).await?;
                match event.unwrap()? {
                    Event::Init => names.push("init".to_owned()),
                    Event::InitApply(route) => names.push(format!("first {}", route.name_any())),
                    Event::InitDone => {
                        names.push("done".to_owned());
                        api.patch(
                            "HTTPRoute",
                            "shop/web",
                            &json!({ "spec": { "hostnames": ["b.example"] } }),
                        )?;
                    }
                    Event::Apply(route) => {
                        names.push(format!("then {}", route.spec.hostnames.unwrap().join(" ")));
                        api.delete("HTTPRoute", "shop/web")?;
                    }
                    Event::Delete(route) => names.push(format!("gone {}", route.name_any())),
                }
            }
            assert_eq!(names, ["init", "first web", "done", "then b.example", "gone web"]);
            Ok(())
        })
    });
}

#[test]
fn what_selectors_leave_out_is_not_told() {
    on_each(|api| {
        inside(async {
            let client = api.client().await?;
            let secrets: Api<Secret> = Api::namespaced(client, "default");
            for (name, kind) in [("a", "Opaque"), ("b", "example/own"), ("c", "example/own")] {
                let secret: Secret = object(json!({
                    "metadata": { "name": name, "labels": { "is": name } },
                    "type": kind,
                    "stringData": { "key": "value" },
                }));
                secrets.create(&PostParams::default(), &secret).await?;
            }
            let names = |parameters: ListParams| {
                let secrets = secrets.clone();
                async move {
                    let list = secrets.list(&parameters).await?;
                    anyhow::Ok(list.iter().map(ResourceExt::name_any).collect::<Vec<_>>())
                }
            };
            let own = ListParams::default().fields("type=example/own");
            assert_eq!(names(own).await?, ["b", "c"]);
            let one = ListParams::default().labels("is in (a, c),is!=a");
            assert_eq!(names(one).await?, ["c"]);
            let page = ListParams { limit: Some(2), ..ListParams::default() };
            let first = secrets.list(&page).await?;
            let next = ListParams { continue_token: first.metadata.continue_, ..page };
            assert_eq!(first.items.len() + secrets.list(&next).await?.items.len(), 3);
            assert_eq!(secrets.get("a").await?.data.unwrap()["key"].0, b"value");
            let metadata = secrets.get_metadata("b").await?;
            assert_eq!(metadata.labels()["is"], "b");
            Ok(())
        })
    });
}

#[test]
fn what_a_manager_no_longer_applies_goes() {
    on_each(|api| {
        inside(async {
            let maps: Api<ConfigMap> = Api::namespaced(api.client().await?, "default");
            let apply = |manager: &'static str, data: Value| {
                let maps = maps.clone();
                async move {
                    let document = json!({
                        "apiVersion": "v1", "kind": "ConfigMap",
                        "metadata": { "name": "shared" }, "data": data,
                    });
                    let parameters = PatchParams::apply(manager).force();
                    maps.patch("shared", &parameters, &Patch::Apply(document)).await
                }
            };
            apply("one", json!({ "a": "1", "b": "1" })).await?;
            apply("two", json!({ "c": "2" })).await?;
            let map = apply("one", json!({ "b": "1" })).await?;
            let keys: Vec<String> = map.data.unwrap().into_keys().collect();
            assert_eq!(keys, ["b", "c"]);
            Ok(())
        })
    });
}

#[test]
fn what_has_a_finalizer_waits_for_it() {
    on_each(|api| {
        let map = |finalizers: &[&str]| json!({ "metadata": { "finalizers": finalizers } });
        api.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: kept}}")?;
        api.patch("ConfigMap", "kept", &map(&["lb.internal/test"]))?;
        api.delete("ConfigMap", "kept")?;
        let kept = api.get("ConfigMap", "kept")?.unwrap();
        assert!(kept["metadata"]["deletionTimestamp"].is_string());
        api.patch("ConfigMap", "kept", &map(&[]))?;
        assert!(api.get("ConfigMap", "kept")?.is_none());
        Ok(())
    });
}

#[test]
fn a_user_may_do_what_roles_allow_and_nothing_else() {
    on_each(|api| {
        api.apply(
            "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules:
- {apiGroups: [''], resources: [configmaps], resourceNames: [one], verbs: [get, list, watch]}
- {apiGroups: [''], resources: [configmaps], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: agent, namespace: default}]
",
        )?;
        inside(async {
            let client = api.client_as("system:serviceaccount:default:agent").await?;
            let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
            // A real server hears of its own roles by a watch: a little later than they are there.
            let is_known = async {
                while code(maps.get("one").await) == Some(403) {
                    tokio::task::yield_now().await;
                }
            };
            timeout(LIMIT, is_known).await?;
            for name in ["one", "two"] {
                let map: ConfigMap = object(json!({ "metadata": { "name": name } }));
                maps.create(&PostParams::default(), &map).await?;
            }
            maps.get("one").await?;
            maps.list(&ListParams::default().fields("metadata.name=one")).await?;
            assert_eq!(code(maps.get("two").await), Some(403));
            assert_eq!(code(maps.list(&ListParams::default()).await), Some(403));
            let patch = Patch::Merge(json!({ "data": { "a": "1" } }));
            assert_eq!(code(maps.patch("one", &PatchParams::default(), &patch).await), Some(403));
            let elsewhere: Api<ConfigMap> = Api::namespaced(client, "kube-system");
            assert_eq!(code(elsewhere.get("one").await), Some(403));
            Ok(())
        })
    });
}

#[test]
fn a_server_that_was_away_comes_back_with_all_it_held() {
    on_each(|api| {
        api.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: kept}}")?;
        let runtime = Runtime::new()?;
        let maps: Api<ConfigMap> = Api::namespaced(runtime.block_on(api.client())?, "default");
        runtime.block_on(maps.get("kept"))?;
        api.go_down();
        assert!(runtime.block_on(maps.get("kept")).is_err());
        api.come_up();
        // A connection that broke may be found to be broken only now.
        eventually(LIMIT, "an answer", || runtime.block_on(maps.get("kept")).ok())?;
        Ok(())
    });
}

#[test]
fn a_watcher_starts_over_when_its_past_is_forgotten() {
    let api = ApiServer::stand_in().unwrap();
    let faults = api.faults().unwrap();
    api.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}").unwrap();
    inside(async {
        let maps: Api<ConfigMap> = Api::namespaced(api.client().await?, "default");
        for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
            let mut events = watcher(maps.clone(), config).boxed();
            wait_for(&mut events, |event| matches!(event, Event::InitDone)).await?;
            // Missed for good: the watch is held back, then told that the past is gone.
            faults.hold_events("ConfigMap");
            api.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}")?;
            api.delete("ConfigMap", "a")?;
            faults.expire_watches();
            faults.release_events();
            wait_for(
                &mut events,
                |event| matches!(event, Event::InitApply(map) if map.name_any() == "b"),
            )
            .await?;
            wait_for(&mut events, |event| matches!(event, Event::InitDone)).await?;
            // A break alone loses nothing.
            faults.break_watches();
            api.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}")?;
            wait_for(
                &mut events,
                |event| matches!(event, Event::Apply(map) if map.name_any() == "a"),
            )
            .await?;
            api.delete("ConfigMap", "b")?;
        }
        Ok(())
    })
    .unwrap();
}

#[test]
fn writes_are_counted_and_fail_on_request() {
    let api = ApiServer::stand_in().unwrap();
    let faults = api.faults().unwrap();
    api.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}").unwrap();
    inside(async {
        let maps: Api<ConfigMap> = Api::namespaced(api.client().await?, "default");
        let patch = Patch::Merge(json!({ "data": { "a": "1" } }));
        let parameters = PatchParams::default();
        let write = || maps.patch("a", &parameters, &patch);
        faults.fail_writes(1, 409);
        assert_eq!(code(write().await), Some(409));
        faults.lose_answers(1);
        assert!(write().await.is_err());
        assert_eq!(maps.get("a").await?.data.unwrap()["a"], "1");
        write().await?;
        let counted: Vec<_> =
            faults.writes().into_iter().map(|w| (w.verb, w.object, w.code)).collect();
        let patched = |code| ("patch".to_owned(), "default/a".to_owned(), code);
        assert_eq!(counted, [patched(409), patched(200), patched(200)]);
        Ok(())
    })
    .unwrap();
}

/// Runs a case on the stand-in and, where its binaries are, on a real server.
fn on_each(case: impl Fn(&ApiServer) -> Result<()>) {
    case(&ApiServer::stand_in().unwrap()).expect("on the stand-in");
    if ApiServer::has_real() {
        case(&ApiServer::start().unwrap()).expect("on a real server");
    } else {
        eprintln!("no kube-apiserver: `cargo xtask setup --kube-server` builds one");
    }
}

fn inside(case: impl Future<Output = Result<()>>) -> Result<()> {
    Runtime::new()?.block_on(case)
}

fn object<T: serde::de::DeserializeOwned>(document: Value) -> T {
    serde_json::from_value(document).unwrap()
}

fn code<T>(result: kube::Result<T>) -> Option<u16> {
    match result {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => Some(status.code),
        Err(error) => panic!("{error}"),
    }
}

async fn wait_for(
    events: &mut (impl futures_util::Stream<Item = watcher::Result<Event<ConfigMap>>> + Unpin),
    is_it: impl Fn(&Event<ConfigMap>) -> bool,
) -> Result<()> {
    loop {
        let event = timeout(LIMIT, events.next()).await?;
        if let Ok(event) = event.unwrap()
            && is_it(&event)
        {
            return Ok(());
        }
    }
}
