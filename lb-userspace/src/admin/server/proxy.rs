//! What the API tells about the L7 proxy.

use super::{Answer, Api, Failure, blocking};
use crate::{
    admin::{
        metrics::{Counted, MEDIA_TYPE, render},
        resource::{
            CertificateResource, List, ListenerResource, RouteResource, TraceRequest,
            UpstreamResource, WhyRequest, WhyResource, certificates, listeners, routes, upstreams,
            with_objects,
        },
        why::{name_objects, why},
    },
    model::Protocol,
    proxy::snapshot::Snapshot,
};
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::{get, post},
};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

/// The routes of the proxy's part.
pub(super) fn router() -> Router<Api> {
    Router::new()
        .route("/v1/listeners", get(get_listeners))
        .route("/v1/routes", get(get_routes))
        .route("/v1/upstreams", get(get_upstreams))
        .route("/v1/certificates", get(get_certificates))
        .route("/v1/why", post(post_why))
        .route("/metrics", get(get_metrics))
}

async fn get_listeners(State(api): State<Api>) -> Json<List<ListenerResource>> {
    Json(List::new(listeners(&api.snapshot(), &api.status.load().problems)))
}

async fn get_routes(State(api): State<Api>) -> Answer<List<RouteResource>> {
    let (snapshot, status, told) = (api.snapshot(), api.status.load_full(), api.told());
    let list = move || with_objects(routes(&snapshot, &status.problems), &told.routes());
    blocking(list).await.map(|it| Json(List::new(it)))
}

async fn get_upstreams(State(api): State<Api>) -> Json<List<UpstreamResource>> {
    let status = api.status.load();
    Json(List::new(upstreams(&api.snapshot(), &status.problems, &status.drained_endpoints)))
}

async fn get_certificates(State(api): State<Api>) -> Json<List<CertificateResource>> {
    Json(List::new(certificates(&api.snapshot())))
}

async fn get_metrics(State(api): State<Api>) -> Result<impl IntoResponse, Failure> {
    let view = api.view().await?;
    let snapshot = api.snapshot();
    let dropped_lines = api.proxy.log.load().as_ref().map_or(0, |it| it.dropped_lines());
    let (generation, clusters) = (api.generation(), api.clusters.borrow().clone());
    let text = blocking(move || {
        let (generation, clusters) = (&generation, clusters.as_slice());
        let (view, snapshot) = (&view, &*snapshot);
        render(&Counted { view, snapshot, generation, clusters, dropped_lines })
    });
    Ok(([(header::CONTENT_TYPE, MEDIA_TYPE)], text.await?))
}

async fn post_why(State(api): State<Api>, Json(request): Json<WhyRequest>) -> Answer<WhyResource> {
    let (snapshot, status) = (api.snapshot(), api.status.load_full());
    let (from, objects) = (request.from, api.told());
    let follow = move || {
        let mut told = why(&snapshot, &status.drained_endpoints, &request)?;
        name_objects(&mut told, &request, &objects);
        Ok::<_, String>(told)
    };
    let told = blocking(follow).await?;
    let mut told = told.map_err(|message| Failure(StatusCode::BAD_REQUEST, message))?;
    if let Some(packet) = told.address.as_ref().and_then(|it| api.packet(it, from)) {
        match api.read(move |inspect| inspect.trace(&packet)).await {
            Ok(packet) => told.packet = Some(packet),
            Err(Failure(_, message)) => told.packet_error = Some(message),
        }
    }
    Ok(Json(told))
}

impl Api {
    /// The packet that opens a connection to a VIP; `None` if the address is none.
    fn packet(&self, address: &str, from: Option<IpAddr>) -> Option<TraceRequest> {
        let destination: SocketAddr = address.parse().ok()?;
        let status = self.status.load();
        let is_this = |vip: &crate::model::Vip| {
            (vip.address, vip.port, vip.protocol)
                == (destination.ip(), destination.port(), Protocol::Tcp)
        };
        if !status.image.vips.keys().any(is_this) {
            return None;
        }
        // Addresses for documentation (RFC 5737, RFC 3849).
        let client: IpAddr = match destination {
            SocketAddr::V4(_) => Ipv4Addr::new(198, 51, 100, 1).into(),
            SocketAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1).into(),
        };
        let client = from.filter(|it| it.is_ipv4() == destination.is_ipv4()).unwrap_or(client);
        Some(TraceRequest {
            protocol: Protocol::Tcp,
            source: SocketAddr::new(client, 40_000),
            destination,
            opens: true,
            interface: None,
        })
    }

    /// What the proxy serves now.
    fn snapshot(&self) -> Arc<Snapshot> {
        self.proxy.snapshot.load_full()
    }
}

#[cfg(test)]
mod tests;
