//! HTTP/1.1 in front of the store: who asks, what is answered, and what goes wrong on request.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::failure::Failure;
use super::faults::{Plan, Shared, Write};
use super::kinds::{Kind, Kinds};
use super::patch::Patch;
use super::rbac::Wish;
use super::target::{Query, Target};
use super::watch::{Render, Watched, events};
use super::write::{Part, Written};

/// Largest body of a request: a little more than a real server's etcd takes.
const BODY_BYTES_MAX: usize = 3 << 20;

/// Whom an administrator acts as.
const IMPERSONATED: HeaderName = HeaderName::from_static("impersonate-user");

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Who is behind a listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// What is tested: faults are its, and its writes are counted
    Client,
    /// The test's own hand
    Hand,
}

/// Serves until the task is dropped.
pub(super) async fn serve(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    caller: Caller,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        // What cannot be accepted now (no descriptors left) may be a moment later.
        let Ok((connection, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        tokio::spawn(connect(connection, Arc::clone(&shared), caller));
    }
}

async fn connect(connection: TcpStream, shared: Arc<Shared>, caller: Caller) {
    connection.set_nodelay(true).ok();
    let service = service_fn(|request| answer(Arc::clone(&shared), caller, request));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(connection), service);
    // A client that goes away is not the server's affair.
    drop(serving.await);
}

async fn answer(
    shared: Arc<Shared>,
    caller: Caller,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let query = Query::parse(head.uri.query().unwrap_or_default());
    let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => return Ok(failed(&Failure::bad_request("the body is too large or broken"))),
    };
    let target = Target::parse(&path, &shared.store().kinds);
    let is_write = head.method != Method::GET;
    let mut is_answer_lost = false;
    if caller == Caller::Client {
        let delay = shared.plan().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let mut plan = shared.plan();
        let failing = if is_write { &mut plan.failing_writes } else { &mut plan.failing_reads };
        if let Some(code) = failing.pop() {
            count(&mut plan, &head.method, target.as_ref().ok(), code);
            return Ok(failed(&Failure::injected(code)));
        }
        if is_write && plan.lost_answers_count > 0 {
            plan.lost_answers_count -= 1;
            is_answer_lost = true;
        }
    }
    let answer = target.clone().and_then(|target| {
        permit(&shared, &head, &target, &query)?;
        respond(&shared, &head.method, &head.headers, target, &query, &body)
    });
    let answer = answer.unwrap_or_else(|failure| failed(&failure));
    if is_write && caller == Caller::Client {
        let code = answer.status().as_u16();
        count(&mut shared.plan(), &head.method, target.as_ref().ok(), code);
    }
    if is_answer_lost { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(answer) }
}

fn count(plan: &mut Plan, method: &Method, target: Option<&Target>, code: u16) {
    let verb = match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => return,
    };
    let (kind, object, is_status) = match target {
        Some(Target::Object { kind, namespace, name, part }) => {
            let object =
                if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
            (kind.kind.clone(), object, *part == Part::Status)
        }
        Some(Target::Collection { kind, namespace }) => {
            (kind.kind.clone(), namespace.clone().unwrap_or_default(), false)
        }
        _ => return,
    };
    plan.count(Write { verb: verb.to_owned(), kind, object, is_status, code });
}

/// Errors: the client acts as somebody who may not do this.
fn permit(shared: &Shared, head: &Parts, target: &Target, query: &Query) -> Result<(), Failure> {
    let user = field(&head.headers, IMPERSONATED);
    if user.is_empty() {
        return Ok(());
    }
    let is_collection = matches!(target, Target::Collection { .. });
    let verb = match head.method {
        Method::GET if is_collection && query.is_watch => "watch",
        Method::GET if is_collection => "list",
        Method::GET => "get",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if is_collection => "deletecollection",
        Method::DELETE => "delete",
        _ => return Err(Failure::no_such_method()),
    };
    let wish = Wish { user, verb, target, selected_name: query.selected_name() };
    let permitted = wish.check(&shared.store());
    if let Err(failure) = &permitted {
        shared.plan().forbidden.insert(failure.message.clone());
    }
    permitted
}

fn respond(
    shared: &Arc<Shared>,
    method: &Method,
    headers: &HeaderMap,
    target: Target,
    query: &Query,
    body: &Bytes,
) -> Result<Response<Body>, Failure> {
    if query.is_dry_run {
        return Err(Failure::bad_request("the stand-in has no dry run"));
    }
    let render: Render =
        if field(headers, ACCEPT).contains("as=PartialObjectMetadata") { metadata } else { whole };
    match (method, target) {
        (&Method::GET, Target::Collection { kind, namespace }) if query.is_watch => {
            let selector = query.selector()?;
            let watched = Watched { kind, namespace, selector, render };
            let events = events(Arc::clone(shared), watched, query)?;
            let body = StreamBody::new(events.map_ok(Frame::data)).boxed_unsync();
            let mut response = Response::new(body);
            response.headers_mut().insert(CONTENT_TYPE, JSON);
            Ok(response)
        }
        (&Method::GET, Target::Collection { kind, namespace }) => {
            list(shared, &kind, namespace.as_deref(), query, render)
        }
        (&Method::GET, Target::Object { kind, namespace, name, .. }) => {
            let store = shared.store();
            let object = store.object(&kind, &(namespace, name.clone()));
            let object = object.ok_or_else(|| Failure::not_found(&kind.plural, &name))?;
            Ok(document(200, &render(&kind, object)))
        }
        (&Method::POST, Target::Collection { kind, namespace }) => {
            let namespace = namespace.unwrap_or_default();
            let object = parse(headers, body)?;
            let written = shared.change(|store| store.create(&kind, &namespace, object))?;
            Ok(changed(&kind, &written))
        }
        (&Method::DELETE, Target::Collection { kind, namespace }) => {
            let selector = query.selector()?;
            shared.change(|store| store.delete_all(&kind, namespace.as_deref(), &selector))?;
            Ok(document(200, &success()))
        }
        (_, Target::Object { kind, namespace, name, part }) => {
            let object = Named { kind, namespace, name, part };
            change(shared, method, headers, &object, query, body)
        }
        (&Method::GET, about) => about_itself(shared, about),
        _ => Err(Failure::no_such_method()),
    }
}

struct Named {
    kind: Kind,
    namespace: String,
    name: String,
    part: Part,
}

fn change(
    shared: &Shared,
    method: &Method,
    headers: &HeaderMap,
    object: &Named,
    query: &Query,
    body: &Bytes,
) -> Result<Response<Body>, Failure> {
    let Named { kind, namespace, name, part } = object;
    let key = (namespace.clone(), name.clone());
    match *method {
        Method::PUT => {
            let said = parse(headers, body)?;
            let written = shared.change(|store| store.replace(kind, &key, *part, said))?;
            Ok(changed(kind, &written))
        }
        Method::PATCH => {
            let media_type = field(headers, CONTENT_TYPE);
            let media_type = media_type.split(';').next().unwrap_or_default().trim();
            let patch = Patch::parse(media_type, body, query.manager.as_deref())?;
            let written =
                shared.change(|store| store.patch(kind, namespace, name, *part, &patch))?;
            Ok(changed(kind, &written))
        }
        Method::DELETE => {
            let options = if body.is_empty() { Value::Null } else { parse(headers, body)? };
            let written = shared.change(|store| store.delete(kind, &key, &options))?;
            let is_gone = shared.store().object(kind, &key).is_none();
            let said = if is_gone { success() } else { whole(kind, &written.object) };
            Ok(document(200, &said))
        }
        _ => Err(Failure::no_such_method()),
    }
}

fn list(
    shared: &Shared,
    kind: &Kind,
    namespace: Option<&str>,
    query: &Query,
    render: Render,
) -> Result<Response<Body>, Failure> {
    let selector = query.selector()?;
    let store = shared.store();
    let page = store.page(kind, namespace, &selector, query.limit, query.next.as_deref())?;
    drop(store);
    let items: Vec<Value> = page
        .objects
        .iter()
        .map(|object| {
            let mut object = render(kind, object);
            // As a real server does, whose own kinds are not told with each of a list.
            if let (false, Some(fields)) = (kind.is_custom, object.as_object_mut()) {
                fields.remove("apiVersion");
                fields.remove("kind");
            }
            object
        })
        .collect();
    let mut metadata = json!({ "resourceVersion": page.revision.to_string() });
    if let Some(next) = page.next {
        metadata["continue"] = json!(next);
        metadata["remainingItemCount"] = json!(page.left_count);
    }
    let list = json!({
        "kind": format!("{}List", kind.kind),
        "apiVersion": kind.api_version(),
        "metadata": metadata,
        "items": items,
    });
    Ok(document(200, &list))
}

fn about_itself(shared: &Shared, about: Target) -> Result<Response<Body>, Failure> {
    let kinds = &shared.store().kinds;
    let said = match about {
        Target::Health => return Ok(response(200, TEXT, Bytes::from_static(b"ok"))),
        Target::Version => json!({
            "major": "1",
            "minor": "36",
            "gitVersion": "v1.36.0-stand-in",
            "gitCommit": "",
            "gitTreeState": "",
            "buildDate": "",
            "goVersion": "",
            "compiler": "",
            "platform": "linux/amd64",
        }),
        Target::CoreVersions => Kinds::core_versions(),
        Target::Groups => kinds.groups(),
        Target::Group(group) => kinds.group(&group).ok_or_else(Failure::no_such_path)?,
        Target::Resources { group, version } => {
            kinds.resources(&group, &version).ok_or_else(Failure::no_such_path)?
        }
        Target::Collection { .. } | Target::Object { .. } => {
            return Err(Failure::no_such_method());
        }
    };
    Ok(document(200, &said))
}

fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Value, Failure> {
    let media_type = field(headers, CONTENT_TYPE);
    if !media_type.is_empty() && !media_type.starts_with("application/json") {
        return Err(Failure::unsupported(media_type));
    }
    serde_json::from_slice(body).map_err(|error| Failure::bad_request(error.to_string()))
}

fn field(headers: &HeaderMap, name: HeaderName) -> &str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The object, at the version it is asked for.
fn whole(kind: &Kind, object: &Value) -> Value {
    let mut object = object.clone();
    object["apiVersion"] = json!(kind.api_version());
    object["kind"] = json!(kind.kind);
    object
}

fn metadata(_: &Kind, object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object["metadata"],
    })
}

fn changed(kind: &Kind, written: &Written) -> Response<Body> {
    document(if written.is_new { 201 } else { 200 }, &whole(kind, &written.object))
}

fn success() -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" })
}

fn failed(failure: &Failure) -> Response<Body> {
    document(failure.code, &failure.document())
}

fn document(code: u16, document: &Value) -> Response<Body> {
    response(code, JSON, Bytes::from(document.to_string()))
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

fn response(code: u16, media_type: HeaderValue, body: Bytes) -> Response<Body> {
    let body = Full::new(body).map_err(|never| match never {}).boxed_unsync();
    let mut response = Response::new(body);
    if let Ok(code) = hyper::StatusCode::from_u16(code) {
        *response.status_mut() = code;
    }
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    response
}
