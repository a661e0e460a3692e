//! What annotations say about requests and responses.

use super::{
    Wishes, auth,
    offer::{Claim, PathKind, Source},
};
use crate::lower::draft::Draft;
use lb_model::{
    AddressAccess, Answer, CookiePersistence, Cors, Filters, HostRewrite, PathMatch, PathRewrite,
    RateLimit, RateLimitKey, Redirect, RequestMatch, Retry, Rule,
};
use std::{collections::BTreeSet, time::Duration};

/// Requests that a client may send at once, in multiples of its rate (ingress-nginx,
/// `limit-burst-multiplier`).
const BURST: u32 = 5;

/// Name of the cookie of `affinity: cookie` (ingress-nginx, `session-cookie-name`).
const COOKIE: &str = "INGRESSCOOKIE";

/// Tries beyond the first of `proxy-next-upstream` (ingress-nginx: 3 in all).
const TRIES: u32 = 3;

/// Puts what the annotations of `source` say into `rule`.
pub(super) fn apply(
    draft: &mut Draft<'_>,
    source: &mut Source<'_>,
    claim: &Claim,
    rule: &mut Rule,
) {
    auth::apply(draft, source, &mut rule.filters);
    let wishes = &mut source.wishes;
    rule.filters.access = access(wishes);
    rule.filters.rate_limits = rate_limits(wishes);
    rule.filters.cors = cors(wishes);
    rule.filters.body_bytes_max = wishes.bytes("proxy-body-size");
    rule.filters.rewrite.path = rewrite(wishes, claim);
    rule.filters.rewrite.host =
        wishes.text("upstream-vhost").map(|it| HostRewrite::To(it.to_owned()));
    if let Some(prefix) = wishes.text("x-forwarded-prefix") {
        let field = ("x-forwarded-prefix".to_owned(), prefix.to_owned());
        rule.filters.request_headers.set.push(field);
    }
    rule.filters.answer = redirect(wishes);
    let read = wishes.time("proxy-read-timeout");
    rule.timeouts.backend = read;
    rule.timeouts.idle = read.max(wishes.time("proxy-send-timeout"));
    rule.retry = retry(wishes);
    rule.persistence = persistence(wishes);
}

/// Where plain requests are sent: as ingress-nginx, with a 308, which keeps the method.
pub(super) fn to_https() -> Redirect {
    let scheme = Some("https".to_owned());
    Redirect { scheme, host: None, port: None, path: None, status: 308 }
}

/// The rule that sends `/` to `app-root`.
pub(super) fn root_redirect(wishes: &Wishes, claim: &Claim) -> Option<Rule> {
    let root = wishes.text("app-root").filter(|_| claim.path == "/")?;
    let path = Some(PathRewrite::Full(root.to_owned()));
    let redirect = Redirect { scheme: None, host: None, port: None, path, status: 302 };
    let answer = Some(Answer::Redirect(redirect));
    let path = PathMatch::Exact("/".to_owned());
    Some(Rule {
        matches: vec![RequestMatch { path, ..RequestMatch::default() }],
        filters: Filters { answer, ..Filters::default() },
        ..Rule::default()
    })
}

fn access(wishes: &mut Wishes) -> Option<AddressAccess> {
    let mut allow = wishes.prefixes("allowlist-source-range");
    allow.extend(wishes.prefixes("whitelist-source-range"));
    let deny = wishes.prefixes("denylist-source-range");
    let asked = ["allowlist-source-range", "whitelist-source-range"];
    let is_asked = asked.iter().any(|it| wishes.text(it).is_some());
    if is_asked && allow.is_empty() {
        // A list that is not understood lets nobody in, rather than everybody.
        let deny = ["0.0.0.0/0", "::/0"].iter().filter_map(|it| it.parse().ok()).collect();
        return Some(AddressAccess { allow, deny });
    }
    (!allow.is_empty() || !deny.is_empty()).then_some(AddressAccess { allow, deny })
}

fn rate_limits(wishes: &mut Wishes) -> Vec<RateLimit> {
    let burst = wishes.number("limit-burst-multiplier").unwrap_or(BURST).max(1);
    let mut limits = Vec::new();
    for (name, interval) in [("limit-rps", 1), ("limit-rpm", 60)] {
        let Some(requests) = wishes.number(name).filter(|it| *it > 0) else { continue };
        limits.push(RateLimit {
            requests,
            interval: Duration::from_secs(interval),
            burst: requests.saturating_mul(burst),
            key: RateLimitKey::Client,
        });
    }
    if wishes.text("limit-whitelist").is_some() && !limits.is_empty() {
        wishes.refuse("limit-whitelist", "the limit counts for all clients");
    }
    limits
}

/// With the defaults of ingress-nginx.
fn cors(wishes: &mut Wishes) -> Option<Cors> {
    if !wishes.is_on("enable-cors") {
        return None;
    }
    let words = |text: &str| text.split(", ").map(ToOwned::to_owned).collect::<Vec<_>>();
    let list = |name: &str, default: &str| wishes.list(name).unwrap_or_else(|| words(default));
    let allow_origins = list("cors-allow-origin", "*");
    let allow_methods = list("cors-allow-methods", "GET, PUT, POST, DELETE, PATCH, OPTIONS");
    let allow_headers = list(
        "cors-allow-headers",
        "DNT, Keep-Alive, User-Agent, X-Requested-With, If-Modified-Since, Cache-Control, \
         Content-Type, Range, Authorization",
    );
    let expose_headers = wishes.list("cors-expose-headers").unwrap_or_default();
    let allow_credentials = wishes.is_not_off("cors-allow-credentials");
    let seconds = wishes.number("cors-max-age").unwrap_or(1_728_000);
    let max_age = Some(Duration::from_secs(seconds.into()));
    Some(Cors {
        allow_origins,
        allow_credentials,
        allow_methods,
        allow_headers,
        expose_headers,
        max_age,
    })
}

/// `rewrite-target` stands for the whole path.
fn rewrite(wishes: &Wishes, claim: &Claim) -> Option<PathRewrite> {
    let target = wishes.text("rewrite-target")?;
    if claim.kind != PathKind::Regex {
        return Some(PathRewrite::Full(target.to_owned()));
    }
    let pattern = format!("{}.*$", claim.expression());
    Some(PathRewrite::Regex { pattern, replacement: braced(target) })
}

/// nginx's `$1x` is group 1 and an x; of expressions here it would be a group called `1x`.
fn braced(target: &str) -> String {
    let mut text = String::with_capacity(target.len());
    let mut rest = target.chars().peekable();
    while let Some(letter) = rest.next() {
        match rest.peek() {
            Some(digit) if letter == '$' && digit.is_ascii_digit() => {
                text.extend(["${", digit.to_string().as_str(), "}"]);
                rest.next();
            }
            _ => text.push(letter),
        }
    }
    text
}

fn redirect(wishes: &mut Wishes) -> Option<Answer> {
    let kinds = [
        ("permanent-redirect", "permanent-redirect-code", 301),
        ("temporal-redirect", "temporal-redirect-code", 302),
    ];
    for (name, code, default) in kinds {
        let Some(url) = wishes.parsed(name, Url::parse) else { continue };
        let status = wishes.number(code).and_then(|it| u16::try_from(it).ok()).unwrap_or(default);
        if ![301, 302, 303, 307, 308].contains(&status) {
            wishes.refuse(code, format!("{status} is no redirect"));
        }
        return Some(Answer::Redirect(Redirect {
            scheme: Some(url.scheme),
            host: Some(url.host),
            port: url.port,
            path: Some(PathRewrite::Full(url.path)),
            status,
        }));
    }
    None
}

fn retry(wishes: &mut Wishes) -> Option<Retry> {
    let text = wishes.text("proxy-next-upstream")?.to_owned();
    let tries = wishes.number("proxy-next-upstream-tries").unwrap_or(TRIES);
    let attempts = u8::try_from(tries.saturating_sub(1)).unwrap_or(u8::MAX);
    let words: BTreeSet<&str> = text.split_whitespace().collect();
    if words.contains("off") || attempts == 0 {
        return None;
    }
    let code = |word: &&str| word.strip_prefix("http_").and_then(|it| it.parse().ok());
    Some(Retry {
        attempts,
        codes: words.iter().filter_map(code).collect(),
        on_connection_error: words.contains("error"),
        on_backend_timeout: words.contains("timeout"),
        backoff: Duration::ZERO,
        any_method: words.contains("non_idempotent"),
    })
}

fn persistence(wishes: &mut Wishes) -> Option<CookiePersistence> {
    if wishes.text("affinity")? != "cookie" {
        wishes.refuse("affinity", "only `cookie` is known");
        return None;
    }
    let cookie = wishes.text("session-cookie-name").unwrap_or(COOKIE).to_owned();
    let age = wishes.number("session-cookie-max-age");
    let age = age.or_else(|| wishes.number("session-cookie-expires"));
    let lifetime = age.filter(|it| *it > 0).map(|it| Duration::from_secs(it.into()));
    Some(CookiePersistence { cookie, lifetime })
}

/// An absolute URL, in parts.
#[derive(Debug)]
pub(super) struct Url {
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) path: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        if !matches!(scheme, "http" | "https") {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (authority, None),
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let (scheme, host) = (scheme.to_owned(), host.to_owned());
        (!host.is_empty()).then_some(Self { scheme, host, port, path })
    }
}
