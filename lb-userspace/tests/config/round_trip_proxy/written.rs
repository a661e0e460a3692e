//! A proxy as a file.

use lb_userspace::model::{
    Answer, Balance, EndpointAddress, FieldMatch, Filters, HeaderEdit, PathMatch, PathRewrite,
    Proxy, Redirect, RequestMatch, Route, Rule, Shared, Upstream,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// A file that asks for it, as JSON, which is YAML.
pub(crate) fn file(proxy: &Proxy) -> Value {
    let listeners = proxy.listeners.iter().map(|(name, listener)| {
        let binds: Vec<String> =
            listener.binds.iter().map(|bind| bind.address.to_string()).collect();
        let http = &listener.http;
        json!({
            "name": name,
            "binds": binds,
            "protocol": listener.protocol,
            "host": listener.host,
            "proxy_protocol": listener.takes_proxy_protocol,
            "sources": listener.sources,
            "connections_max": listener.connections_max,
            "http": {
                "header_timeout": ms(http.header_timeout),
                "header_bytes_max": http.header_bytes_max,
                "requests_max": http.requests_max,
                "http2": http.http2,
                "body_bytes_max": http.body_bytes_max.map_or_else(|| json!("none"), |bytes| json!(bytes)),
                "trusted_peers": http.trusted_peers,
            },
        })
    });
    let mut routes: Vec<(&String, &Route)> =
        proxy.routes.iter().map(|(name, it)| (name, &**it)).collect();
    routes.sort_by_key(|(_, route)| route.age);
    let routes = routes.into_iter().map(|(name, route)| {
        json!({
            "name": name,
            "listeners": route.listeners,
            "hosts": route.hosts,
            "rules": route.rules.iter().map(rule).collect::<Vec<_>>(),
        })
    });
    json!({
        "listeners": listeners.collect::<Vec<_>>(),
        "routes": routes.collect::<Vec<_>>(),
        "upstreams": proxy.upstreams.iter().map(upstream).collect::<Vec<_>>(),
    })
}

fn ms(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

fn ms_or_none(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "none".to_owned(), ms)
}

fn upstream((name, upstream): (&String, &Shared<Upstream>)) -> Value {
    let endpoints = upstream.endpoints.iter().map(|(name, endpoint)| {
        let address = match &endpoint.address {
            EndpointAddress::Ip(address) => address.to_string(),
            EndpointAddress::Name(name) => name.clone(),
        };
        json!({
            "name": name,
            "address": address,
            "port": endpoint.port,
            "weight": endpoint.weight,
            "drain": endpoint.drain,
        })
    });
    let outlier = upstream.outlier.as_ref().map_or_else(
        || json!("none"),
        |outlier| {
            json!({
                "failures": outlier.failures,
                "ejection": ms(outlier.ejection),
                "ejected_percent_max": outlier.ejected_percent_max,
            })
        },
    );
    let balance = match &upstream.balance {
        Balance::PeakEwma => json!("peak_ewma"),
        Balance::RoundRobin => json!("round_robin"),
        Balance::LeastRequest => json!("least_request"),
        Balance::Maglev(key) => json!({ "maglev": key }),
    };
    json!({
        "name": name,
        "endpoints": endpoints.collect::<Vec<_>>(),
        "protocol": upstream.protocol,
        "balance": balance,
        "outlier": outlier,
        "limits": upstream.limits,
        "slow_start": "none",
        "connect_timeout": ms(upstream.connect_timeout),
        "idle_timeout": ms(upstream.idle_timeout),
        "proxy_protocol": upstream.sends_proxy_protocol,
    })
}

fn rule(rule: &Rule) -> Value {
    let backends: Vec<Value> = rule
        .backends
        .iter()
        .map(|backend| json!({ "upstream": backend.upstream, "weight": backend.weight }))
        .collect();
    let matches: Vec<Value> = rule.matches.iter().map(request_match).collect();
    let retry = rule.retry.as_ref().map(|retry| {
        json!({
            "attempts": retry.attempts,
            "codes": retry.codes,
            "on_connection_error": retry.on_connection_error,
            "backoff": ms(retry.backoff),
            "any_method": retry.any_method,
        })
    });
    let (redirect, answer) = match &rule.filters.answer {
        None => (None, None),
        Some(Answer::Redirect(it)) => (Some(redirect(it)), None),
        Some(Answer::Fixed { status, content_type, body }) => {
            let text = str::from_utf8(body).unwrap();
            (None, Some(json!({ "status": status, "content_type": content_type, "text": text })))
        }
    };
    json!({
        "name": rule.name,
        "match": (!matches.is_empty()).then_some(matches),
        "filters": filters(&rule.filters),
        "backends": (!backends.is_empty()).then_some(backends),
        "redirect": redirect,
        "answer": answer,
        "timeouts": {
            "request": ms_or_none(rule.timeouts.request),
            "backend": ms_or_none(rule.timeouts.backend),
            "idle": ms_or_none(rule.timeouts.idle),
        },
        "retry": retry,
        "persistence": rule.persistence.as_ref().map(|it| {
            json!({ "cookie": it.cookie, "lifetime": ms_or_none(it.lifetime) })
        }),
        "connect": rule.connect,
    })
}

fn redirect(redirect: &Redirect) -> Value {
    json!({
        "scheme": redirect.scheme,
        "host": redirect.host,
        "port": redirect.port,
        "path": redirect.path.as_ref().map(path),
        "status": redirect.status,
    })
}

fn path(path: &PathRewrite) -> Value {
    match path {
        PathRewrite::Full(path) => json!({ "full": path }),
        PathRewrite::Prefix(path) => json!({ "prefix": path }),
        PathRewrite::Regex { pattern, replacement } => {
            json!({ "regex": pattern, "replacement": replacement })
        }
    }
}

fn request_match(request: &RequestMatch) -> Value {
    let path = match &request.path {
        PathMatch::Method(_) => unreachable!("no file can say it"),
        PathMatch::Exact(path) => json!({ "exact": path }),
        PathMatch::Prefix(path) => json!(path),
        PathMatch::PrefixIgnoreCase(path) => json!({ "prefix_ignore_case": path }),
        PathMatch::Regex(pattern) => json!({ "regex": pattern }),
    };
    let fields = |fields: &[FieldMatch]| -> Value {
        fields.iter().map(|field| (field.name.clone(), json!(field.value))).collect()
    };
    json!({
        "path": path,
        "method": request.method,
        "headers": fields(&request.headers),
        "query": fields(&request.query),
    })
}

fn filters(filters: &Filters) -> Value {
    let rate_limits = filters.rate_limits.iter().map(|it| {
        json!({
            "requests": it.requests,
            "interval": ms(it.interval),
            "burst": it.burst,
            "key": it.key,
        })
    });
    let mirrors = filters.mirrors.iter().map(
        |it| json!({ "upstream": it.upstream, "share": format!("{}/{}", it.share.0, it.share.1) }),
    );
    let pages = filters.error_pages.iter().map(|it| {
        json!({
            "statuses": it.statuses,
            "content_type": it.content_type,
            "text": str::from_utf8(&it.body).unwrap(),
            "replaces_backend": it.replaces_backend,
        })
    });
    let auth = filters.auth.as_ref().map(|it| {
        let mut auth = serde_json::to_value(it).unwrap();
        auth["timeout"] = json!(ms(it.timeout));
        auth
    });
    let rewrite = &filters.rewrite;
    let limit = |bytes| if bytes == 0 { json!("none") } else { json!(bytes) };
    json!({
        "access": filters.access,
        "rate_limits": rate_limits.collect::<Vec<_>>(),
        "auth": auth,
        "body_bytes_max": filters.body_bytes_max.map(limit),
        "request_headers": edit(&filters.request_headers),
        "rewrite": { "host": rewrite.host, "path": rewrite.path.as_ref().map(path) },
        "mirrors": mirrors.collect::<Vec<_>>(),
        "compression": filters.compression,
        "error_pages": pages.collect::<Vec<_>>(),
        "response_headers": edit(&filters.response_headers),
    })
}

fn edit(edit: &HeaderEdit) -> Value {
    let mut add: BTreeMap<&String, Vec<&String>> = BTreeMap::new();
    for (name, value) in &edit.add {
        add.entry(name).or_default().push(value);
    }
    let set: BTreeMap<_, _> = edit.set.iter().cloned().collect();
    json!({ "set": set, "add": add, "remove": edit.remove })
}
