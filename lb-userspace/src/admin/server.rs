//! The API's server. Reading never waits for the driver; commands go through it.

use super::{
    Inspect, View, address, interface_names,
    resource::{
        API_VERSION, BackendResource, ChangeResource, FlowFilter, FlowResource, GenerationResource,
        List, ProgramResource, StatResource, TraceRequest, TraceResource, VipResource, backends,
        changes, degraded, stats, vips,
    },
};
use crate::{
    dataplane::Neighbours,
    health::{HealthBoard, Key},
    kube::{ClusterReport, GatewayReport, ServiceReport, Told},
    model::Desired,
    proxy::{snapshot::Problem, worker::Common},
    reconcile::{CompileError, Image, Observed, compile},
    runtime::backend_addresses,
};
use arc_swap::ArcSwap;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use serde_json::json;
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::{mpsc, oneshot, watch};

mod proxy;

/// Bytes of a request, at most: a whole desired state to compare (`lbd diff`).
const REQUEST_BYTES_MAX: usize = 64 << 20;

/// What the driver publishes after every cycle.
#[derive(Clone, Debug)]
pub struct Status {
    /// What the maps hold.
    pub image: Arc<Image>,
    /// What is known about the world.
    pub observed: Arc<Observed>,
    /// Generations, configuration, interfaces.
    pub generation: GenerationResource,
    /// What of the proxy does not work, while the rest does.
    pub problems: Vec<Problem>,
    /// Upstreams and endpoints that an operator drained.
    pub drained_endpoints: BTreeSet<Key>,
}

/// Something that an operator asks the driver to do.
#[derive(Debug)]
pub enum Command {
    /// Drain a backend or take it back.
    Drain {
        /// Service and backend.
        key: Key,
        /// Which of the two.
        drain: bool,
        /// Answered after the cycle: the generation in force, or why not.
        reply: oneshot::Sender<Result<u64, String>>,
    },
}

/// What the handlers share.
#[derive(Clone)]
pub struct Api {
    /// Latest status.
    pub status: Arc<ArcSwap<Status>>,
    /// The maps.
    pub inspect: Arc<dyn Inspect>,
    /// The proxy.
    pub proxy: Arc<Common>,
    /// Health records.
    pub board: HealthBoard,
    /// Way to the driver.
    pub commands: mpsc::Sender<Command>,
    /// How the clusters are.
    pub clusters: watch::Receiver<Vec<ClusterReport>>,
    /// What became of the clusters' objects.
    pub told: watch::Receiver<Arc<Told>>,
}

/// The API's routes.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/vips", get(get_vips))
        .route("/v1/backends", get(get_backends))
        .route("/v1/flows", get(get_flows))
        .route("/v1/stats", get(get_stats))
        .route("/v1/programs", get(get_programs))
        .route("/v1/generation", get(get_generation))
        .route("/v1/clusters", get(get_clusters))
        .route("/v1/gateways", get(get_gateways))
        .route("/v1/services", get(get_services))
        .route("/v1/trace", post(post_trace))
        .merge(proxy::router())
        .route("/v1/diff", post(post_diff))
        .route("/v1/drains/{service}/{backend}", put(put_drain).delete(delete_drain))
        .fallback(async || Failure(StatusCode::NOT_FOUND, "no such resource".to_owned()))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(api)
}

/// An error answer: `{"apiVersion", "kind": "Error", "message"}`.
struct Failure(StatusCode, String);

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let body = json!({ "apiVersion": API_VERSION, "kind": "Error", "message": self.1 });
        (self.0, Json(body)).into_response()
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}"))
    }
}

type Answer<T> = Result<Json<T>, Failure>;

async fn get_vips(State(api): State<Api>) -> Answer<List<VipResource>> {
    api.view().await.map(|view| Json(List::new(vips(&view))))
}

async fn get_backends(State(api): State<Api>) -> Answer<List<BackendResource>> {
    api.view().await.map(|view| Json(List::new(backends(&view))))
}

async fn get_stats(State(api): State<Api>) -> Answer<List<StatResource>> {
    api.view().await.map(|view| Json(List::new(stats(&view))))
}

async fn get_flows(
    State(api): State<Api>,
    Query(filter): Query<FlowFilter>,
) -> Answer<List<FlowResource>> {
    api.read(move |inspect| inspect.flows(&filter)).await.map(|items| Json(List::new(items)))
}

async fn get_programs(State(api): State<Api>) -> Answer<List<ProgramResource>> {
    api.read(|inspect| inspect.programs()).await.map(|items| Json(List::new(items)))
}

async fn get_generation(State(api): State<Api>) -> Json<GenerationResource> {
    Json(api.generation())
}

async fn get_clusters(State(api): State<Api>) -> Json<List<ClusterReport>> {
    Json(List::new(api.clusters.borrow().clone()))
}

async fn post_trace(
    State(api): State<Api>,
    Json(request): Json<TraceRequest>,
) -> Answer<TraceResource> {
    api.read(move |inspect| inspect.trace(&request)).await.map(Json)
}

async fn post_diff(
    State(api): State<Api>,
    Json(desired): Json<Desired>,
) -> Answer<List<ChangeResource>> {
    let status = api.status.load_full();
    let compare = move || {
        let mut observed = Observed::clone(&status.observed);
        // The way to backends that only this configuration has is not watched.
        let mut unknown = backend_addresses(&desired);
        for backend in status.image.vips.values().flat_map(|vip| vip.backends.values()) {
            unknown.remove(&address(backend.entry.address));
        }
        let found = Neighbours::open().and_then(|mut neighbours| neighbours.reach(&unknown));
        let found =
            found.map_err(|error| Failure(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        observed.reach.extend(found);
        compile(&desired, &observed, &status.image)
            .map(|next| changes(&status.image, &next.image))
            .map_err(|errors| Failure(StatusCode::UNPROCESSABLE_ENTITY, lines(&errors)))
    };
    blocking(compare).await?.map(|items| Json(List::new(items)))
}

async fn get_gateways(State(api): State<Api>) -> Answer<List<GatewayReport>> {
    let told = api.told();
    blocking(move || told.gateways()).await.map(|it| Json(List::new(it)))
}

async fn get_services(State(api): State<Api>) -> Answer<List<ServiceReport>> {
    let told = api.told();
    blocking(move || told.services()).await.map(|it| Json(List::new(it)))
}

async fn put_drain(state: State<Api>, key: Path<Key>) -> Answer<GenerationResource> {
    set_drain(state, key, true).await
}

async fn delete_drain(state: State<Api>, key: Path<Key>) -> Answer<GenerationResource> {
    set_drain(state, key, false).await
}

async fn set_drain(
    State(api): State<Api>,
    Path(key): Path<Key>,
    drain: bool,
) -> Answer<GenerationResource> {
    let is_known = api
        .status
        .load()
        .image
        .vips
        .values()
        .any(|vip| vip.service == key.0 && vip.backends.contains_key(&key.1));
    let is_endpoint = {
        let upstreams = &api.proxy.snapshot.load().upstreams;
        upstreams.get(key.0.as_str()).is_some_and(|it| it.has_endpoint(&key.1))
    };
    if !is_known && !is_endpoint {
        let (service, backend) = key;
        let message = format!("there is no backend `{service}/{backend}`");
        return Err(Failure(StatusCode::NOT_FOUND, message));
    }
    let (reply, answer) = oneshot::channel();
    let gone = || Failure(StatusCode::SERVICE_UNAVAILABLE, "lbd is stopping".to_owned());
    api.commands.send(Command::Drain { key, drain, reply }).await.map_err(|_| gone())?;
    match answer.await.map_err(|_| gone())? {
        Ok(_) => Ok(Json(api.status.load().generation.clone())),
        Err(message) => Err(Failure(StatusCode::INTERNAL_SERVER_ERROR, message)),
    }
}

impl Api {
    /// Where the daemon stands, clusters and all.
    fn generation(&self) -> GenerationResource {
        let mut generation = self.status.load().generation.clone();
        generation.degraded.extend(degraded(&self.clusters.borrow()));
        generation
    }

    /// What became of the clusters' objects.
    fn told(&self) -> Arc<Told> {
        Arc::clone(&self.told.borrow())
    }

    /// Everything as of now; counters are read from the maps.
    async fn view(&self) -> Result<View, Failure> {
        let stats = self.read(|inspect| inspect.stats()).await?;
        let status = self.status.load_full();
        Ok(View {
            interfaces: interface_names(&status.image),
            image: Arc::clone(&status.image),
            stats,
            health: self.board.records(),
            drained: status.observed.drained.clone(),
        })
    }

    /// Reads the maps off the runtime's threads: there can be millions of entries.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Inspect) -> anyhow::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let inspect = Arc::clone(&self.inspect);
        Ok(blocking(move || read(inspect.as_ref())).await??)
    }
}

/// All reasons, a line each.
fn lines(errors: &[CompileError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

#[cfg(test)]
mod tests;
