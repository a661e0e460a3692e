//! What the API tells about the L7 proxy.

use super::Api;
use crate::{
    admin::resource::{
        CertificateResource, List, ListenerResource, RouteResource, UpstreamResource, certificates,
        listeners, routes, upstreams,
    },
    proxy::snapshot::Snapshot,
};
use axum::{Json, Router, extract::State, routing::get};
use std::sync::Arc;

/// The routes of the proxy's part.
pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/v1/listeners", get(get_listeners))
        .route("/v1/routes", get(get_routes))
        .route("/v1/upstreams", get(get_upstreams))
        .route("/v1/certificates", get(get_certificates))
}

async fn get_listeners(State(api): State<Api>) -> Json<List<ListenerResource>> {
    Json(List::new(listeners(&api.snapshot(), &api.status.load().problems)))
}

async fn get_routes(State(api): State<Api>) -> Json<List<RouteResource>> {
    Json(List::new(routes(&api.snapshot(), &api.status.load().problems)))
}

async fn get_upstreams(State(api): State<Api>) -> Json<List<UpstreamResource>> {
    let status = api.status.load();
    Json(List::new(upstreams(&api.snapshot(), &status.problems, &status.drained_endpoints)))
}

async fn get_certificates(State(api): State<Api>) -> Json<List<CertificateResource>> {
    Json(List::new(certificates(&api.snapshot())))
}

impl Api {
    /// What the proxy serves now.
    fn snapshot(&self) -> Arc<Snapshot> {
        self.proxy.snapshot.load_full()
    }
}
