//! Rules of HTTPRoutes.

use super::{
    backend::Context,
    duration::duration,
    fault::{Failure, Fault},
    filter,
    header::is_token,
    matching,
    source::Source,
};
use crate::api::{BackendRef, HttpRetry, HttpRule, HttpTimeouts, SessionPersistence};
use lb_model::{CookiePersistence, RequestMatch, Retry, Rule, Timeouts, UpstreamProtocol};
use std::time::Duration;

/// Retries, and the wait before the first, where the route leaves them to us (Gateway API,
/// `HTTPRouteRetry`); as in the file.
const ATTEMPTS_DEFAULT: u32 = 1;
const BACKOFF_DEFAULT: Duration = Duration::from_millis(25);

/// What requests of a rule look like.
pub(super) fn matches(rule: &HttpRule) -> Result<Vec<RequestMatch>, Fault> {
    rule.matches.iter().map(matching::request).collect()
}

/// What is done with requests of the rule at `place`.
pub(super) fn actions(
    rule: &HttpRule,
    place: usize,
    matches: &[RequestMatch],
    cx: &mut Context<'_, '_>,
) -> Result<Rule, Failure> {
    let timeouts = rule.timeouts.as_ref().map(timeouts).transpose()?.unwrap_or_default();
    let retry = rule.retry.as_ref().map(retry).transpose()?;
    let sessions = rule.session_persistence.as_ref();
    let persistence = persistence_of(sessions, &rule.backend_refs, place, cx)?;
    let asked = filter::lower(&rule.filters, matches)?;
    let protocol = UpstreamProtocol::Auto;
    let mut filters = asked.resolve(cx, protocol)?;
    let backends = cx.backends(&rule.backend_refs, matches, protocol, &mut filters)?;
    let connect = matches.iter().any(|it| it.method.as_deref() == Some("CONNECT"));
    Ok(Rule {
        name: rule.name.clone(),
        filters,
        backends,
        timeouts,
        retry,
        persistence,
        connect,
        ..Rule::default()
    })
}

/// Zero means no limit.
fn timeouts(wanted: &HttpTimeouts) -> Result<Timeouts, Fault> {
    let limit = |text: &Option<String>| {
        let time = text.as_deref().map(time).transpose()?;
        Ok::<_, Fault>(time.filter(|it| !it.is_zero()))
    };
    let (request, backend) = (limit(&wanted.request)?, limit(&wanted.backend_request)?);
    if let (Some(request), Some(backend)) = (request, backend)
        && backend > request
    {
        return Err(Fault::value("the timeout backendRequest is longer than request"));
    }
    Ok(Timeouts { request, backend, idle: None })
}

/// Connection errors and timeouts of a try are retried too (GEP-1731); a request whose method is
/// not idempotent never is (RFC 9110, section 9.2.2).
fn retry(wanted: &HttpRetry) -> Result<Retry, Fault> {
    if let Some(code) = wanted.codes.iter().find(|it| !(400..=599).contains(*it)) {
        return Err(Fault::value(format!("status {code} is not retried: 400 to 599 are")));
    }
    let attempts = wanted.attempts.unwrap_or(ATTEMPTS_DEFAULT).max(1);
    let backoff = wanted.backoff.as_deref().map(time).transpose()?;
    Ok(Retry {
        attempts: u8::try_from(attempts).unwrap_or(u8::MAX),
        codes: wanted.codes.iter().copied().collect(),
        on_connection_error: true,
        on_backend_timeout: true,
        backoff: backoff.unwrap_or(BACKOFF_DEFAULT),
        any_method: false,
    })
}

/// How sessions of the rule at `place` are kept: as it says, else as a policy for its only backend
/// does, if that can be done: what a policy asks in vain is not the route's fault.
pub(super) fn persistence_of(
    wanted: Option<&SessionPersistence>,
    backends: &[BackendRef],
    place: usize,
    cx: &Context<'_, '_>,
) -> Result<Option<CookiePersistence>, Fault> {
    if let Some(wanted) = wanted {
        return persistence(wanted, cx.source, place).map(Some);
    }
    Ok(cx.persistence_of(backends).and_then(|it| persistence(it, cx.source, place).ok()))
}

/// One that ends after a time is kept by a cookie that does.
fn persistence(
    wanted: &SessionPersistence,
    source: &Source<'_>,
    place: usize,
) -> Result<CookiePersistence, Fault> {
    let kind = wanted.r#type.as_deref().unwrap_or("Cookie");
    if kind != "Cookie" {
        return Err(Fault::value(format!("session persistence of type {kind} is not supported")));
    }
    let own_name = || format!("lb-{}-{}-{place}", source.key.namespace, source.key.name);
    let cookie = wanted.session_name.clone().filter(|it| !it.is_empty()).unwrap_or_else(own_name);
    if !is_token(&cookie) {
        return Err(Fault::value(format!("`{}` is no cookie name", cookie.escape_debug())));
    }
    let lifetime = wanted.absolute_timeout.as_deref().map(time).transpose()?;
    let lifetime_type = wanted.cookie_config.as_ref().and_then(|it| it.lifetime_type.as_deref());
    match lifetime_type.unwrap_or("Session") {
        "Session" => {}
        "Permanent" if lifetime.is_some() => {}
        "Permanent" => return Err(Fault::value("a permanent cookie needs an absoluteTimeout")),
        other => return Err(Fault::value(format!("cookies of type {other} are not known"))),
    }
    Ok(CookiePersistence { cookie, lifetime })
}

fn time(text: &str) -> Result<Duration, Fault> {
    duration(text).ok_or_else(|| Fault::value(format!("`{}` is no duration", text.escape_debug())))
}
