//! How fast much is loaded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, WatchEvent, WatchParams};
use kube::core::GroupVersionKind;
use tokio::runtime::Runtime;

use super::Options;
use super::ask::{Client, ORIGINS, origin};
use super::report::{Load, milliseconds};
use super::site::{Site, address, gateway, gateway_name, named, route, service};
use crate::kube::ApiServer;
use crate::wait::eventually;

/// Listeners of a Gateway (Gateway API, `Gateway.spec.listeners`: at most 64).
const LISTENERS_PER_GATEWAY: u32 = 64;

/// How long anything may take.
const LIMIT: Duration = Duration::from_mins(10);

/// Measures a start with everything there.
pub(super) fn measure(options: &Options) -> Result<Load> {
    let (listeners_count, routes_count) = options.load;
    let gateways_count = u8::try_from(listeners_count.div_ceil(LISTENERS_PER_GATEWAY))?;
    let site = Site::start(gateways_count)?;
    eprintln!("writing {routes_count} routes in {listeners_count} listeners");
    site.server.create_many(objects(&site, origin()?, listeners_count, routes_count))?;
    let writes = Writes::start(&site.server)?;
    eprintln!("loading them");
    let began = Instant::now();
    let process = site.run()?;
    for number in 0..gateways_count {
        let mut client = Client::new(SocketAddr::from((address(number), site.port)));
        let listener = u32::from(number) * LISTENERS_PER_GATEWAY;
        client
            .await_ok(&host(listener, listener), LIMIT)
            .with_context(|| format!("lbd printed:\n{}", process.output()))?;
    }
    let served = began.elapsed();
    let per_listener = u64::from(routes_count / listeners_count);
    let is_right =
        || (0..gateways_count).all(|it| attached(&site.server, it) == Some(per_listener));
    eventually(LIMIT, "attachedRoutes that are right", || is_right().then_some(()))?;
    let told = began.elapsed().saturating_sub(served);
    Ok(Load {
        listeners_count,
        routes_count,
        served_ms: milliseconds(served),
        status_ms: milliseconds(told),
        status_writes_per_route: writes.settled() as f64 / f64::from(routes_count),
        rss_bytes: process.rss_bytes()?,
    })
}

/// Routes at each listener of a Gateway, if all have as many.
fn attached(server: &ApiServer, number: u8) -> Option<u64> {
    let object = server.get("Gateway", &named(&gateway_name(number))).ok().flatten()?;
    let counts = object.pointer("/status/listeners")?.as_array()?;
    let counts: Option<Vec<u64>> =
        counts.iter().map(|it| it.get("attachedRoutes")?.as_u64()).collect();
    let counts = counts?;
    let first = *counts.first()?;
    counts.iter().all(|it| *it == first).then_some(first)
}

fn objects(
    site: &Site,
    origin: u16,
    listeners_count: u32,
    routes_count: u32,
) -> Vec<serde_json::Value> {
    let [a, b, ..] = ORIGINS;
    let mut objects: Vec<_> = service("s", origin, &[a, b]).into();
    let listeners: Vec<u32> = (0..listeners_count).collect();
    for (number, chunk) in (0..).zip(listeners.chunks(LISTENERS_PER_GATEWAY as usize)) {
        let named = chunk.iter().map(|it| (section(*it), Some(format!("*.l{it}.example"))));
        objects.push(gateway(number, site.port, &named.collect::<Vec<_>>()));
    }
    for number in 0..routes_count {
        let listener = number % listeners_count;
        let gateway = u8::try_from(listener / LISTENERS_PER_GATEWAY).unwrap_or(u8::MAX);
        let (name, host) = (format!("r{number}"), host(number, listener));
        objects.push(route(&name, gateway, &section(listener), &host, "s"));
    }
    objects
}

fn section(listener: u32) -> String {
    format!("l{listener}")
}

fn host(route: u32, listener: u32) -> String {
    format!("r{route}.l{listener}.example")
}

/// Counts writes to routes.
struct Writes {
    count: Arc<AtomicU64>,
    /// Watching ends with it.
    _runtime: Runtime,
}

/// How long no write may come until they count as over.
const QUIET: Duration = Duration::from_secs(3);

impl Writes {
    fn start(server: &ApiServer) -> Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute");
        let resource = ApiResource::from_gvk(&kind);
        let (api, version) = runtime.block_on(async {
            let api: Api<DynamicObject> = Api::all_with(server.client().await?, &resource);
            let list = api.list(&ListParams::default().limit(1)).await?;
            anyhow::Ok((api, list.metadata.resource_version.unwrap_or_default()))
        })?;
        let count = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&count);
        runtime.spawn(async move {
            let mut version = version;
            while let Ok(events) = api.watch(&WatchParams::default(), &version).await {
                let mut events = std::pin::pin!(events);
                while let Ok(Some(event)) = events.try_next().await {
                    let WatchEvent::Modified(object) = event else { continue };
                    version = object.metadata.resource_version.unwrap_or_default();
                    shared.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Ok(Self { count, _runtime: runtime })
    }

    /// The count when no more come.
    fn settled(&self) -> u64 {
        let mut before = self.count.load(Ordering::Relaxed);
        loop {
            thread::sleep(QUIET);
            let now = self.count.load(Ordering::Relaxed);
            if now == before {
                return now;
            }
            before = now;
        }
    }
}
