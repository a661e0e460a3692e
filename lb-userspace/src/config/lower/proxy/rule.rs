//! Rules of a route.

use super::{Context, answer, field, filter, names::Kind, request_match};
use crate::{
    config::{diagnostic::Position, located::Located, lower::scalar, schema},
    model::{CookiePersistence, PathMatch, Retry, RouteBackend, Rule, Timeouts},
};
use lb_common::limits;
use std::{collections::HashMap, ops::RangeInclusive, time::Duration};

/// Shares, relative to each other (Gateway API, `HTTPBackendRef.weight`).
const WEIGHT: RangeInclusive<u32> = 0..=1_000_000;
const WEIGHT_DEFAULT: u32 = 1;

/// Tries beyond the first; more would be an attack on the backends.
const ATTEMPTS: RangeInclusive<u8> = 1..=10;
const ATTEMPTS_DEFAULT: u8 = 1;

/// Envoy's base interval of a retry.
const BACKOFF_DEFAULT: Duration = Duration::from_millis(25);

/// Cookies live at most so long in browsers (RFC 6265bis, section 5.5: 400 days).
const COOKIE_LIFETIME: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(400 * 24);

pub(super) fn lower(file: &Located<schema::Rule>, cx: &mut Context<'_>) -> Rule {
    cx.rule_count += 1;
    if cx.rule_count == limits::RULES_MAX + 1 {
        let count = cx.rule_count;
        cx.too_many("rules", count, limits::RULES_MAX, file.at);
    }
    let rule = &file.value;
    let matches = request_match::all(rule.matches.as_ref(), cx);
    let mut filters =
        rule.filters.as_ref().map_or_else(Default::default, |it| filter::rule(it, cx));
    let redirect = rule.redirect.as_ref().map(|it| answer::redirect(it, cx));
    let fixed = rule.answer.as_ref().map(|it| answer::fixed(it, cx));
    who_answers(file, cx);
    filters.answer = redirect.or(fixed);
    let backends = rule.backends.as_ref().map_or(&[][..], |list| &list.value);
    let timeouts = rule.timeouts.as_ref();
    let timeouts = timeouts.map_or_else(Timeouts::default, |it| self::timeouts(it, cx));
    let retry = rule.retry.as_ref().map(|it| retry(it, &timeouts, cx));
    prefixes_are_replaced(rule, &matches, cx);
    Rule {
        name: rule.name.as_ref().and_then(|name| scalar::name(name, cx.report)),
        matches,
        filters,
        backends: self::backends(backends, cx),
        timeouts,
        retry,
        persistence: rule.persistence.as_ref().and_then(|it| persistence(it, cx)),
        connect: rule.connect.unwrap_or_default(),
    }
}

/// Exactly one of backends, redirect and answer.
fn who_answers(file: &Located<schema::Rule>, cx: &mut Context<'_>) {
    let rule = &file.value;
    let said = [
        rule.backends.as_ref().map(|it| it.at),
        rule.redirect.as_ref().map(|it| it.at),
        rule.answer.as_ref().map(|it| it.at),
    ];
    let mut said = said.into_iter().flatten();
    match (said.next(), said.next()) {
        (None, _) => cx.report.error(
            file.at,
            "nobody answers the requests of this rule",
            "add `backends`, `redirect` or `answer`",
        ),
        (Some(_), Some(second)) => cx.report.error(
            second,
            "more than one of `backends`, `redirect` and `answer`",
            "keep one: a request is answered once",
        ),
        _ => {}
    }
    if let Some(list) = rule.backends.as_ref().filter(|list| list.value.is_empty()) {
        let hint = "name an upstream of the section `upstreams`, or use `answer`";
        cx.report.error(list.at, "no backend is listed", hint);
    }
    let redirect = rule.redirect.as_ref().map(|it| it.at);
    let Some(second) = redirect.or_else(|| rule.answer.as_ref().map(|it| it.at)) else { return };
    if rule.retry.is_some() || rule.persistence.is_some() {
        let hint = "remove `retry` and `persistence`: there is no backend";
        cx.report.error(second, "an answer from here is not sent again", hint);
    }
}

/// What replaces a prefix needs one, in whatever way the rule matched.
fn prefixes_are_replaced(
    rule: &schema::Rule,
    matches: &[crate::model::RequestMatch],
    cx: &mut Context<'_>,
) {
    let is_prefix =
        |path: &PathMatch| matches!(path, PathMatch::Prefix(_) | PathMatch::PrefixIgnoreCase(_));
    if matches.iter().all(|it| is_prefix(&it.path)) {
        return;
    }
    let rewrite = rule.filters.as_ref().and_then(|filters| filters.rewrite.as_ref());
    let redirect = rule.redirect.as_ref().and_then(|redirect| redirect.value.path.as_ref());
    let backends = rule.backends.as_ref().map_or(&[][..], |list| &list.value);
    let of_backends = backends.iter().filter_map(|backend| match &backend.value {
        schema::TextOr::Text(_) => None,
        schema::TextOr::Full(it) => it.filters.as_ref()?.rewrite.as_ref()?.path.as_ref(),
    });
    let paths = rewrite.and_then(|it| it.path.as_ref()).into_iter().chain(redirect);
    for at in paths.chain(of_backends).filter_map(|path| filter::replaces_prefix(Some(path))) {
        cx.report.error(
            at,
            "a prefix is replaced, but the rule matches paths otherwise too",
            "match by `prefix` in all alternatives, or rewrite by `full` or `regex`",
        );
    }
}

fn backends(
    list: &[Located<schema::TextOr<schema::RouteBackend>>],
    cx: &mut Context<'_>,
) -> Vec<RouteBackend> {
    let mut places = HashMap::new();
    let mut backends = Vec::new();
    for file in list {
        let (name, weight, filters) = match &file.value {
            schema::TextOr::Text(name) => {
                (Located { value: name.clone(), at: file.at }, WEIGHT_DEFAULT, None)
            }
            schema::TextOr::Full(it) => {
                let filters = it.filters.as_ref().map(|it| filter::backend(it, cx));
                (it.upstream.clone(), weight(it.weight.as_ref(), cx), filters)
            }
        };
        // Twice is meant if the filters differ.
        let plain = filters.is_none();
        refer_once(&name, plain, &mut places, cx);
        let upstream = Some(name.value);
        backends.push(RouteBackend { upstream, weight, filters: filters.unwrap_or_default() });
    }
    not_too_many(list.first().map(|it| it.at), backends.len(), cx);
    backends
}

/// An upstream that is there, and was not listed in the same way before.
pub(super) fn refer_once(
    name: &Located<String>,
    once: bool,
    places: &mut HashMap<String, Position>,
    cx: &mut Context<'_>,
) {
    cx.refers(Kind::Upstream, name);
    if !once {
        return;
    }
    if let Some(other) = places.insert(name.value.clone(), name.at) {
        let hint = format!("{}; for a larger share use `weight`", scalar::other_at(other));
        cx.report.error(name.at, format!("upstream `{}` is listed twice", name.value), hint);
    }
}

pub(super) fn not_too_many(at: Option<Position>, count: usize, cx: &mut Context<'_>) {
    if count > limits::RULE_BACKENDS_MAX {
        cx.too_many("backends", count, limits::RULE_BACKENDS_MAX, at.unwrap_or_default());
    }
}

pub(super) fn weight(number: Option<&Located<i64>>, cx: &mut Context<'_>) -> u32 {
    scalar::count("weight", number, WEIGHT, WEIGHT_DEFAULT, cx.report)
}

fn timeouts(file: &schema::Timeouts, cx: &mut Context<'_>) -> Timeouts {
    let timeouts = Timeouts {
        request: cx.time_or_none("request timeout", file.request.as_ref(), None),
        backend: cx.time_or_none("backend timeout", file.backend.as_ref(), None),
        idle: cx.time_or_none("idle timeout", file.idle.as_ref(), None),
    };
    if let (Some(request), Some(backend), Some(text)) =
        (timeouts.request, timeouts.backend, &file.backend)
        && backend > request
    {
        let message = format!("`backend` {} is longer than `request`", text.value);
        let hint =
            format!("a try is part of its request: at most {}", scalar::show_duration(request));
        cx.report.error(text.at, message, hint);
    }
    timeouts
}

fn retry(file: &Located<schema::Retry>, timeouts: &Timeouts, cx: &mut Context<'_>) -> Retry {
    let it = &file.value;
    let codes = super::list(it.codes.as_ref());
    let on_timeout = it.on_backend_timeout.as_ref();
    if let Some(on) = on_timeout.filter(|on| on.value && timeouts.backend.is_none()) {
        let hint = "add `timeouts: { backend: 5s }`: without it no try runs out of time";
        cx.report.error(on.at, "`on_backend_timeout` without a backend timeout", hint);
    }
    let retry = Retry {
        attempts: scalar::count(
            "number of tries",
            it.attempts.as_ref(),
            ATTEMPTS,
            ATTEMPTS_DEFAULT,
            cx.report,
        ),
        codes: answer::statuses(codes, (400, 599), cx),
        on_connection_error: it.on_connection_error.unwrap_or(true),
        on_backend_timeout: on_timeout.is_some_and(|on| on.value),
        backoff: cx.time("backoff", it.backoff.as_ref(), BACKOFF_DEFAULT),
        any_method: it.any_method.unwrap_or_default(),
    };
    if codes.is_empty() && !retry.on_connection_error && !retry.on_backend_timeout {
        let hint = "add `codes`, or remove `retry`";
        cx.report.error(file.at, "a retry of nothing", hint);
    }
    retry
}

fn persistence(file: &schema::Persistence, cx: &mut Context<'_>) -> Option<CookiePersistence> {
    let lifetime = file.lifetime.as_ref();
    let lifetime =
        scalar::time_or_none("lifetime of a cookie", lifetime, COOKIE_LIFETIME, None, cx.report);
    Some(CookiePersistence { cookie: field::cookie(&file.cookie, cx.report)?, lifetime })
}

/// Reports names that stand more than once.
pub(super) fn names_are_unique(rules: &[Located<schema::Rule>], cx: &mut Context<'_>) {
    let mut taken = super::names::Taken::default();
    for name in rules.iter().filter_map(|rule| rule.value.name.as_ref()) {
        taken.insert("rule", &name.value, name.at, cx.report);
    }
}
