//! A rule as `HTTPRouteRule` says it, and what that has no words for.

use crate::ObjectKey;
use lb_model::{
    Answer, Cors, ExternalAuth, FieldMatch, Filters, HeaderEdit, HostRewrite, PathMatch,
    PathRewrite, Redirect, RequestMatch, Retry, RouteBackend, Rule, Timeouts, ValueMatch,
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, time::Duration};

/// The rule of an object at `key`; what is lost on the way is added to `losses`.
pub(super) fn manifest(rule: &Rule, key: &ObjectKey, losses: &mut BTreeSet<String>) -> Value {
    let mut lost = |what: &str| {
        losses.insert(what.to_owned());
    };
    let mut manifest = Map::new();
    let matches: Vec<Value> = rule.matches.iter().map(|it| request(it, &mut lost)).collect();
    manifest.insert("matches".to_owned(), json!(matches));
    let filters = filters(&rule.filters, key, &mut lost);
    if !filters.is_empty() {
        manifest.insert("filters".to_owned(), json!(filters));
    }
    let backends: Vec<Value> =
        rule.backends.iter().filter_map(|it| backend(it, key, &mut lost)).collect();
    if !backends.is_empty() && rule.filters.answer.is_none() {
        manifest.insert("backendRefs".to_owned(), json!(backends));
    }
    if let Some(timeouts) = timeouts(&rule.timeouts, &mut lost) {
        manifest.insert("timeouts".to_owned(), timeouts);
    }
    if let Some(wanted) = &rule.retry {
        manifest.insert("retry".to_owned(), retry(wanted));
    }
    if let Some(cookie) = &rule.persistence {
        let mut persistence = json!({ "type": "Cookie", "sessionName": cookie.cookie });
        if let (Some(lifetime), Some(it)) = (cookie.lifetime, persistence.as_object_mut()) {
            it.insert("absoluteTimeout".to_owned(), json!(duration(lifetime)));
            it.insert("cookieConfig".to_owned(), json!({ "lifetimeType": "Permanent" }));
        }
        manifest.insert("sessionPersistence".to_owned(), persistence);
    }
    Value::Object(manifest)
}

fn request(wanted: &RequestMatch, lost: &mut impl FnMut(&str)) -> Value {
    let method_path;
    let (kind, path) = match &wanted.path {
        PathMatch::Exact(path) => ("Exact", path),
        PathMatch::Prefix(path) => ("PathPrefix", path),
        PathMatch::Regex(path) => ("RegularExpression", path),
        PathMatch::Method(method) => {
            method_path = format!("/[^/]+/{method}");
            ("RegularExpression", &method_path)
        }
        PathMatch::PrefixIgnoreCase(path) => {
            lost("a prefix whatever its case");
            ("PathPrefix", path)
        }
    };
    let mut request = json!({ "path": { "type": kind, "value": path } });
    let fields = |all: &[FieldMatch]| -> Vec<Value> { all.iter().map(field).collect() };
    if let Some(request) = request.as_object_mut() {
        if let Some(method) = &wanted.method {
            request.insert("method".to_owned(), json!(method));
        }
        if !wanted.headers.is_empty() {
            request.insert("headers".to_owned(), json!(fields(&wanted.headers)));
        }
        if !wanted.query.is_empty() {
            request.insert("queryParams".to_owned(), json!(fields(&wanted.query)));
        }
    }
    request
}

fn field(field: &FieldMatch) -> Value {
    let (kind, value) = match &field.value {
        ValueMatch::Exact(value) => ("Exact", value.as_str()),
        ValueMatch::Regex(value) => ("RegularExpression", value.as_str()),
        ValueMatch::Present => ("RegularExpression", ".*"),
    };
    json!({ "type": kind, "name": field.name, "value": value })
}

fn filters(filters: &Filters, key: &ObjectKey, lost: &mut impl FnMut(&str)) -> Vec<Value> {
    let mut all = Vec::new();
    let lacking = [
        ("addresses that may ask", filters.access.is_some()),
        ("rate limits", !filters.rate_limits.is_empty()),
        ("basic authentication", filters.basic_auth.is_some()),
        ("limits of bodies", filters.body_bytes_max.is_some()),
        ("compression", filters.compression.is_some()),
        ("error pages", !filters.error_pages.is_empty()),
    ];
    for (what, _) in lacking.iter().filter(|it| it.1) {
        lost(what);
    }
    if let Some(cors) = &filters.cors {
        all.push(self::cors(cors));
    }
    if let Some(auth) = &filters.auth {
        all.extend(external_auth(auth, key, lost));
    }
    for (kind, slot, edit) in [
        ("RequestHeaderModifier", "requestHeaderModifier", &filters.request_headers),
        ("ResponseHeaderModifier", "responseHeaderModifier", &filters.response_headers),
    ] {
        if *edit != HeaderEdit::default() {
            all.push(json!({ "type": kind, slot: edits(edit) }));
        }
    }
    let mut rewrite = Map::new();
    match &filters.rewrite.host {
        Some(HostRewrite::To(host)) => drop(rewrite.insert("hostname".to_owned(), json!(host))),
        Some(HostRewrite::Endpoint) => lost("the endpoint's name as host"),
        None => {}
    }
    if let Some(path) = filters.rewrite.path.as_ref().and_then(|it| path(it, lost)) {
        rewrite.insert("path".to_owned(), path);
    }
    if !rewrite.is_empty() {
        all.push(json!({ "type": "URLRewrite", "urlRewrite": rewrite }));
    }
    match &filters.answer {
        Some(Answer::Redirect(redirect)) => all.push(self::redirect(redirect, lost)),
        Some(Answer::Fixed { .. }) => lost("fixed answers"),
        None => {}
    }
    all
}

fn cors(cors: &Cors) -> Value {
    json!({ "type": "CORS", "cors": {
        "allowOrigins": cors.allow_origins,
        "allowMethods": cors.allow_methods,
        "allowHeaders": cors.allow_headers,
        "exposeHeaders": cors.expose_headers,
        "allowCredentials": cors.allow_credentials,
        "maxAge": cors.max_age.map_or(5, |it| it.as_secs()),
    } })
}

fn external_auth(
    auth: &ExternalAuth,
    key: &ObjectKey,
    lost: &mut impl FnMut(&str),
) -> Option<Value> {
    if !auth.appends_path {
        lost("external authorisation at a path of its own (the request's path is appended)");
    }
    if auth.login.is_some() {
        lost("the login page of external authorisation");
    }
    let Some(reference) = reference(&auth.upstream, key) else {
        lost("external authorisation outside of the cluster");
        return None;
    };
    Some(json!({ "type": "ExternalAuth", "externalAuth": {
        "protocol": "HTTP",
        "backendRef": reference,
        "http": {
            "path": auth.path_prefix,
            "allowedHeaders": auth.request_headers,
            "allowedResponseHeaders": auth.upstream_headers,
        },
    } }))
}

fn edits(edit: &HeaderEdit) -> Value {
    let pairs = |all: &[(String, String)]| -> Vec<Value> {
        all.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
    };
    json!({ "set": pairs(&edit.set), "add": pairs(&edit.add), "remove": edit.remove })
}

fn path(path: &PathRewrite, lost: &mut impl FnMut(&str)) -> Option<Value> {
    match path {
        PathRewrite::Full(path) => {
            Some(json!({ "type": "ReplaceFullPath", "replaceFullPath": path }))
        }
        PathRewrite::Prefix(path) => {
            Some(json!({ "type": "ReplacePrefixMatch", "replacePrefixMatch": path }))
        }
        PathRewrite::Regex { .. } => {
            lost("rewrites by an expression");
            None
        }
    }
}

fn redirect(redirect: &Redirect, lost: &mut impl FnMut(&str)) -> Value {
    let mut fields = Map::new();
    fields.insert("statusCode".to_owned(), json!(redirect.status));
    let texts = [("scheme", &redirect.scheme), ("hostname", &redirect.host)];
    for (name, text) in texts {
        if let Some(text) = text {
            fields.insert(name.to_owned(), json!(text));
        }
    }
    if let Some(port) = redirect.port {
        fields.insert("port".to_owned(), json!(port));
    }
    if let Some(path) = redirect.path.as_ref().and_then(|it| path(it, lost)) {
        fields.insert("path".to_owned(), path);
    }
    json!({ "type": "RequestRedirect", "requestRedirect": fields })
}

fn timeouts(timeouts: &Timeouts, lost: &mut impl FnMut(&str)) -> Option<Value> {
    if timeouts.idle.is_some() {
        lost("timeouts between two reads");
    }
    let mut fields = Map::new();
    for (name, time) in [("request", timeouts.request), ("backendRequest", timeouts.backend)] {
        if let Some(time) = time {
            fields.insert(name.to_owned(), json!(duration(time)));
        }
    }
    (!fields.is_empty()).then_some(Value::Object(fields))
}

fn retry(retry: &Retry) -> Value {
    let mut fields = json!({ "attempts": retry.attempts, "codes": retry.codes });
    if let (false, Some(fields)) = (retry.backoff.is_zero(), fields.as_object_mut()) {
        fields.insert("backoff".to_owned(), json!(duration(retry.backoff)));
    }
    fields
}

fn backend(backend: &RouteBackend, key: &ObjectKey, lost: &mut impl FnMut(&str)) -> Option<Value> {
    let name = backend.upstream.as_deref()?;
    if name.contains(" +") {
        lost("how its endpoints are spoken to or chosen (BackendTLSPolicy, appProtocol)");
    }
    let mut reference = reference(name, key)?;
    if let Some(reference) = reference.as_object_mut() {
        reference.insert("weight".to_owned(), json!(backend.weight));
    }
    Some(reference)
}

/// The Service that an upstream was made of: `NAMESPACE/NAME:PORT`, maybe with more words.
fn reference(upstream: &str, key: &ObjectKey) -> Option<Value> {
    let (namespace, rest) = upstream.split_once('/')?;
    let (name, port) = rest.split_once(':')?;
    let digits = port.split(' ').next().unwrap_or(port);
    let port: u16 = digits.parse().ok()?;
    let mut reference = json!({ "name": name, "port": port });
    if let (true, Some(reference)) = (namespace != key.namespace, reference.as_object_mut()) {
        reference.insert("namespace".to_owned(), json!(namespace));
    }
    Some(reference)
}

/// A duration as the Gateway API writes it (GEP-2257).
fn duration(time: Duration) -> String {
    if time.subsec_millis() == 0 {
        format!("{}s", time.as_secs())
    } else {
        format!("{}ms", time.as_millis())
    }
}
