//! What an API server answers to requests.

use super::{
    faults::happens,
    server::{Server, State, api_version},
    site::{Id, KINDS},
    stream::{Told, expired},
};
use futures_util::{future::BoxFuture, stream};
use http_body_util::{BodyExt, Collected, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Method, Request, Response, StatusCode, body::Bytes};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::sleep;

type Answer = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// A way to a server.
pub(crate) struct Way(Arc<Server>);

impl Way {
    pub(crate) fn client(server: &Arc<Server>) -> Client {
        Client::new(Self(Arc::clone(server)), "default")
    }
}

impl tower_service::Service<Request<Body>> for Way {
    type Response = Answer;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Answer>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = Arc::clone(&self.0);
        Box::pin(async move { answer(server, request).await })
    }
}

/// What is asked for.
struct Asked {
    method: Method,
    path: Vec<String>,
    query: BTreeMap<String, String>,
    body: Value,
}

impl Asked {
    async fn of(request: Request<Body>) -> Self {
        let (parts, body) = request.into_parts();
        let bytes = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        let path = parts.uri.path().split('/').filter(|it| !it.is_empty());
        let pairs = parts.uri.query().unwrap_or_default().split('&');
        let pairs = pairs.filter_map(|it| it.split_once('='));
        Self {
            method: parts.method,
            path: path.map(str::to_owned).collect(),
            query: pairs
                .map(|(name, value)| (name.to_owned(), value.replace("%3D", "=")))
                .collect(),
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        }
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.query.get(name)?.parse().ok()
    }
}

/// What happens to a request before it is looked at.
enum Luck {
    Good,
    Refused,
    Hanging,
    Failing(u16),
}

async fn answer(server: Arc<Server>, request: Request<Body>) -> io::Result<Answer> {
    let asked = Asked::of(request).await;
    let (late_ms, luck) = {
        let mut state = server.lock();
        let faults = state.faults.clone();
        let rng = state.luck(&asked.path.join("/"));
        let late_ms = if faults.late_ms > 0 { rng.u64(..=faults.late_ms) } else { 0 };
        (late_ms, luck(&faults, rng))
    };
    if late_ms > 0 {
        sleep(Duration::from_millis(late_ms)).await;
    }
    match luck {
        Luck::Refused => return Err(io::ErrorKind::ConnectionRefused.into()),
        Luck::Hanging => return std::future::pending().await,
        Luck::Failing(code) => {
            return Ok(status(&json!({
                "kind": "Status", "status": "Failure", "reason": "InternalError",
                "message": "the server is not well", "code": code,
            })));
        }
        Luck::Good => {}
    }
    if asked.query.get("watch").is_some_and(|it| it == "true") {
        return Ok(watch(&server, &asked));
    }
    let mut state = server.lock();
    Ok(match asked.path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["version"] => version(&state),
        ["apis"] => ok(&groups()),
        ["api", "v1"] => ok(&resources("")),
        ["apis", group, "v1"] => ok(&resources(group)),
        _ => match super::written::answer(&mut state, &asked.method, &asked.path, &asked.body) {
            Some((code, value)) => {
                drop(state);
                server.wake();
                with(code, &value)
            }
            None => list(&mut state, &asked),
        },
    })
}

fn luck(faults: &super::faults::Faults, rng: &mut fastrand::Rng) -> Luck {
    if faults.is_down {
        return if rng.u8(0..4) == 0 { Luck::Hanging } else { Luck::Refused };
    }
    if happens(faults.hanging, rng) {
        return Luck::Hanging;
    }
    if happens(faults.failing, rng) {
        let codes = [429, 500, 503, 504];
        return if rng.bool() { Luck::Refused } else { Luck::Failing(codes[rng.usize(..4)]) };
    }
    Luck::Good
}

fn version(state: &State) -> Answer {
    let minor = if state.streams { "34" } else { "30" };
    ok(&json!({
        "major": "1", "minor": minor, "gitVersion": format!("v1.{minor}.0"), "gitCommit": "",
        "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": "",
    }))
}

fn groups() -> Value {
    let names: std::collections::BTreeSet<&str> =
        KINDS.iter().map(|it| it.group).filter(|it| !it.is_empty()).collect();
    let groups = names.into_iter().map(|name| {
        let version = json!({ "groupVersion": api_version(name), "version": "v1" });
        json!({ "name": name, "versions": [&version], "preferredVersion": &version })
    });
    json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups.collect::<Vec<_>>() })
}

fn resources(group: &str) -> Value {
    let rows = KINDS.iter().filter(|it| it.group == group);
    let resources = rows.map(|it| {
        json!({
            "name": it.plural, "singularName": "", "namespaced": it.is_namespaced,
            "kind": it.name, "verbs": ["get", "list", "watch"],
        })
    });
    json!({
        "kind": "APIResourceList", "groupVersion": api_version(group),
        "resources": resources.collect::<Vec<_>>(),
    })
}

/// Which kind's objects a path names.
fn kind(path: &[String]) -> Option<usize> {
    let group = if path.first()? == "api" { "" } else { path.get(1)?.as_str() };
    KINDS.iter().position(|it| it.group == group && path.last().is_some_and(|end| end == it.plural))
}

fn watch(server: &Arc<Server>, asked: &Asked) -> Answer {
    let Some(kind) = kind(&asked.path) else { return with(404, &json!({})) };
    let streams = asked.query.get("sendInitialEvents").is_some_and(|it| it == "true");
    let from = asked.number("resourceVersion").filter(|_| !streams);
    let rng = {
        let mut state = server.lock();
        let rng = state.luck(&asked.path.join("/")).fork();
        if from.is_some_and(|from| from < state.oldest) && rng.clone().bool() {
            return status(&expired());
        }
        if streams && !state.streams {
            return with(422, &json!({ "kind": "Status", "status": "Failure", "code": 422 }));
        }
        rng
    };
    let lasts = Duration::from_secs(asked.number("timeoutSeconds").unwrap_or(300));
    let name = asked.query.get("fieldSelector").and_then(|it| it.strip_prefix("metadata.name="));
    let told = Told::new(server, kind, name.map(str::to_owned), from, lasts, rng);
    let body = StreamBody::new(stream::unfold(told, Told::next));
    Response::new(UnsyncBoxBody::new(body))
}

fn list(state: &mut State, asked: &Asked) -> Answer {
    let Some(kind) = kind(&asked.path) else { return with(404, &json!({})) };
    let path = asked.path.join("/");
    let (revision, mut rest) = match asked.number("continue") {
        None => {
            let objects = state.objects.iter().filter(|(id, _)| id.kind() == kind);
            (state.revision, objects.map(|(_, it)| it.value.clone()).collect())
        }
        Some(token) => {
            let share = state.faults.expiring;
            let is_expired = happens(share, state.luck(&path));
            match state.rests.remove(&token).filter(|_| !is_expired) {
                Some(rest) => rest,
                None => return status(&expired()),
            }
        }
    };
    let mut metadata = json!({ "resourceVersion": revision.to_string() });
    let page = state.faults.page;
    if page > 0 && rest.len() > page {
        let more = rest.split_off(page);
        let token = state.keep(revision, more);
        metadata["continue"] = json!(token.to_string());
    }
    let body = json!({ "kind": "List", "apiVersion": "v1", "metadata": metadata, "items": rest });
    let ending = state.faults.ending / 4;
    let rng = state.luck(&path);
    if happens(ending, rng) {
        let text = body.to_string();
        let cut = rng.usize(..text.len());
        return Response::new(full(text.into_bytes()[..cut].to_vec()));
    }
    ok(&body)
}

fn ok(value: &Value) -> Answer {
    with(200, value)
}

fn status(value: &Value) -> Answer {
    with(value["code"].as_u64().unwrap_or(500) as u16, value)
}

fn with(code: u16, value: &Value) -> Answer {
    let mut answer = Response::new(full(value.to_string().into_bytes()));
    *answer.status_mut() = StatusCode::from_u16(code).expect("a code of HTTP");
    answer
}

fn full(bytes: Vec<u8>) -> UnsyncBoxBody<Bytes, io::Error> {
    UnsyncBoxBody::new(Full::new(Bytes::from(bytes)).map_err(|never| match never {}))
}

/// The object that a path names.
pub(crate) fn named(path: &[String]) -> Option<Id> {
    Id::all()
        .into_iter()
        .find(|id| path.last().is_some_and(|name| *name == id.name()))
        .filter(|id| path.len() > 1 && path[path.len() - 2] == KINDS[id.kind()].plural)
}
