//! Rules of GRPCRoutes. A call of `METHOD` of `SERVICE` is a request for `/SERVICE/METHOD` (gRPC
//! over HTTP/2).

use super::{
    backend::Context,
    fault::{Failure, Fault},
    filter, http, matching,
    pattern::pattern,
};
use crate::api::{GrpcMatch, GrpcMethodMatch, GrpcRule};
use lb_model::{PathMatch, RequestMatch, Rule, UpstreamProtocol};

/// What calls of a rule look like.
pub(super) fn matches(rule: &GrpcRule) -> Result<Vec<RequestMatch>, Fault> {
    rule.matches.iter().map(one).collect()
}

/// What is done with calls of a rule.
pub(super) fn actions(
    rule: &GrpcRule,
    place: usize,
    matches: &[RequestMatch],
    cx: &mut Context<'_, '_>,
) -> Result<Rule, Failure> {
    let sessions = rule.session_persistence.as_ref();
    let persistence = http::persistence_of(sessions, &rule.backend_refs, place, cx)?;
    let known =
        ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef"];
    let all = rule.filters.iter().chain(rule.backend_refs.iter().flat_map(|it| &it.filters));
    if let Some(other) = all.map(|it| &it.r#type).find(|it| !known.contains(&it.as_str())) {
        return Err(Fault::value(format!("filters of type {other} are not known")).into());
    }
    let protocol = UpstreamProtocol::Http2;
    let mut filters = filter::lower(&rule.filters, matches)?.resolve(cx, protocol)?;
    let backends = cx.backends(&rule.backend_refs, matches, protocol, &mut filters)?;
    Ok(Rule { name: rule.name.clone(), filters, backends, persistence, ..Rule::default() })
}

fn one(wanted: &GrpcMatch) -> Result<RequestMatch, Fault> {
    Ok(RequestMatch {
        path: wanted.method.as_ref().map_or_else(|| Ok(PathMatch::default()), path)?,
        method: None,
        headers: matching::headers(&wanted.headers)?,
        query: Vec::new(),
    })
}

fn path(wanted: &GrpcMethodMatch) -> Result<PathMatch, Fault> {
    let said = |it: &'_ Option<String>| it.clone().filter(|it| !it.is_empty());
    let (service, method) = (said(&wanted.service), said(&wanted.method));
    match wanted.r#type.as_deref().unwrap_or("Exact") {
        "Exact" => {
            for name in service.iter().chain(&method) {
                check(name)?;
            }
            Ok(match (service, method) {
                (Some(service), Some(method)) => PathMatch::Exact(format!("/{service}/{method}")),
                (Some(service), None) => PathMatch::Prefix(format!("/{service}")),
                (None, Some(method)) => PathMatch::Method(method),
                (None, None) => PathMatch::default(),
            })
        }
        "RegularExpression" => {
            let any = || "[^/]+".to_owned();
            let (service, method) = (service.unwrap_or_else(any), method.unwrap_or_else(any));
            // Each on its own: a parenthesis must not reach from one into the other.
            let (service, method) = (pattern(service)?, pattern(method)?);
            pattern(format!("/(?:{service})/(?:{method})")).map(PathMatch::Regex)
        }
        other => Err(Fault::value(format!("method matches of type {other} are not known"))),
    }
}

/// Names are identifiers (Gateway API, the rules of `GRPCMethodMatch`).
fn check(name: &str) -> Result<(), Fault> {
    let is_sign = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'.');
    if name.bytes().all(is_sign) {
        return Ok(());
    }
    Err(Fault::value(format!("`{}` is no name of a service or method", name.escape_debug())))
}
