//! What a proxy may be desired to do.

use lb_userspace::model::{
    AddressAccess, Answer, Balance, Bind, Compression, CookiePersistence, Endpoint,
    EndpointAddress, ErrorPage, ExternalAuth, FieldMatch, Filters, HashKey, HeaderEdit,
    HostPattern, HostRewrite, Listener, ListenerProtocol, Mirror, OutlierDetection, PathMatch,
    PathRewrite, Proxy, RateLimit, RateLimitKey, Redirect, RequestMatch, Retry, Rewrite, Route,
    RouteBackend, Rule, Timeouts, Upstream, UpstreamLimits, UpstreamProtocol, ValueMatch,
};
use proptest::{collection, option, prelude::*, sample::select};
use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

/// Names, so few that they meet.
const UPSTREAMS: [&str; 3] = ["api", "copy", "shop"];

/// Any proxy that needs no files.
pub(crate) fn proxy() -> impl Strategy<Value = Proxy> {
    let upstreams = [upstream(), upstream(), upstream()];
    let routes = collection::vec((hosts(), collection::vec(rule(), 1..4)), 0..4);
    (collection::vec(listener(), 1..4), upstreams, routes).prop_map(
        |(listeners, upstreams, routes)| {
            let named = |prefix: &str, n: usize| format!("{prefix}{n}");
            let mut listeners: BTreeMap<String, Listener> =
                (0..).zip(listeners).map(|(n, listener)| (named("l", n), listener)).collect();
            for (port, listener) in (8_000..).zip(listeners.values_mut()) {
                let address = (Ipv4Addr::LOCALHOST, port).into();
                listener.binds = [Bind { address }].into();
            }
            let names: Vec<String> = listeners.keys().cloned().collect();
            let routes = (0..).zip(routes).map(|(n, (hosts, rules))| {
                let listeners = names.iter().take(1 + n % names.len()).cloned().collect();
                (named("r", n), Route { listeners, hosts, age: n as u64, rules }.into())
            });
            Proxy {
                routes: routes.collect(),
                upstreams: UPSTREAMS
                    .map(str::to_owned)
                    .into_iter()
                    .zip(upstreams.map(Into::into))
                    .collect(),
                listeners: listeners.into(),
                ..Proxy::default()
            }
        },
    )
}

fn hosts() -> impl Strategy<Value = std::collections::BTreeSet<HostPattern>> {
    let host = prop_oneof!["[a-z]{1,9}\\.example", "\\*\\.[a-z]{1,9}\\.example"];
    collection::btree_set(host.prop_map(|host| host.parse().unwrap()), 0..3)
}

fn time() -> impl Strategy<Value = Duration> {
    (1..=86_400_000_u64).prop_map(Duration::from_millis)
}

fn listener() -> impl Strategy<Value = Listener> {
    let prefixes =
        || collection::vec("10\\.[0-9]\\.0\\.0/16".prop_map(|it| it.parse().unwrap()), 0..3);
    (
        (any::<bool>(), 1..=16_777_216_u32, time(), 1..=1_048_576_u32),
        (option::of(1..=u32::MAX), any::<bool>(), option::of(1..=u64::MAX), prefixes()),
        prefixes(),
    )
        .prop_map(|((proxied, connections_max, header_timeout, bytes), rest, sources)| {
            let (requests_max, http2, body_bytes_max, trusted_peers) = rest;
            Listener {
                vips: [].into(),
                binds: [].into(),
                protocol: ListenerProtocol::Http,
                host: HostPattern::Any,
                tls: None,
                takes_proxy_protocol: proxied,
                sources,
                connections_max,
                http: lb_userspace::model::HttpOptions {
                    header_timeout,
                    header_bytes_max: bytes,
                    requests_max,
                    http2,
                    body_bytes_max,
                    trusted_peers,
                    ..Default::default()
                },
                idle_timeout: lb_userspace::model::SESSION_IDLE_DEFAULT,
            }
        })
}

fn upstream() -> impl Strategy<Value = Upstream> {
    let address = prop_oneof![
        (1..=u32::MAX / 2).prop_map(|bits| EndpointAddress::Ip(Ipv4Addr::from_bits(bits).into())),
        "[a-z]{1,9}\\.internal".prop_map(EndpointAddress::Name),
    ];
    let endpoint = (address, 1..=u16::MAX, 0..=1_000_u16, any::<bool>())
        .prop_map(|(address, port, weight, drain)| Endpoint { address, port, weight, drain });
    let key = prop_oneof![
        Just(HashKey::Source),
        "[a-z-]{1,9}".prop_map(HashKey::Header),
        "[A-Za-z_]{1,9}".prop_map(HashKey::Cookie),
    ];
    let balance = prop_oneof![
        Just(Balance::PeakEwma),
        Just(Balance::RoundRobin),
        Just(Balance::LeastRequest),
        key.prop_map(Balance::Maglev),
    ];
    let outlier = (1..=1_000_u32, time(), 0..=100_u8).prop_map(|(failures, ejection, percent)| {
        OutlierDetection { failures, ejection, ejected_percent_max: percent }
    });
    let limits = (1..=9_u32, 1..=9_u32, 0..=9_u32, 0..=100_u8).prop_map(
        |(connections_max, requests_max, pending_max, retries_percent_max)| UpstreamLimits {
            connections_max,
            requests_max,
            pending_max,
            retries_percent_max,
        },
    );
    let protocol = select(vec![UpstreamProtocol::Auto, UpstreamProtocol::Http2]);
    let endpoints = collection::btree_map("[a-z]{1,9}", endpoint, 0..4);
    (endpoints, protocol, balance, option::of(outlier), limits, time(), time()).prop_map(
        |(mut endpoints, protocol, balance, outlier, limits, connect_timeout, idle_timeout)| {
            for (port, endpoint) in (1..).zip(endpoints.values_mut()) {
                endpoint.port = port;
            }
            Upstream {
                endpoints,
                protocol,
                balance,
                outlier,
                limits,
                connect_timeout,
                idle_timeout,
                ..Upstream::default()
            }
        },
    )
}

fn path() -> impl Strategy<Value = String> {
    "(/[a-zA-Z0-9_~-]{1,5}){1,3}/?"
}

fn rule() -> impl Strategy<Value = Rule> {
    let weights = collection::btree_map(select(UPSTREAMS.to_vec()), 0..=1_000_000_u32, 1..4);
    let backends = weights.prop_map(|weights| {
        let backends = weights.into_iter().map(|(name, weight)| RouteBackend {
            upstream: Some(name.to_owned()),
            weight,
            filters: Filters::default(),
        });
        (backends.collect(), None)
    });
    let answer = answer().prop_map(|answer| (Vec::new(), Some(answer)));
    let who = prop_oneof![2 => backends, 1 => answer];
    let matches = collection::vec(request_match(), 0..3);
    let timeouts = (option::of(time()), option::of(time())).prop_map(|(one, other)| {
        let request = one.max(other);
        let backend = one.min(other).filter(|_| request.is_some());
        Timeouts { request, backend, idle: other }
    });
    (who, matches, filters(), timeouts, retry(), any::<bool>()).prop_map(
        |((backends, answer), matches, filters, timeouts, retry, connect)| {
            let sent = answer.is_none();
            Rule {
                name: None,
                matches,
                filters: Filters { answer, ..filters },
                backends,
                timeouts,
                retry: retry.filter(|_| sent),
                persistence: sent.then(|| CookiePersistence {
                    cookie: "LB".to_owned(),
                    lifetime: Some(Duration::from_secs(9)),
                }),
                connect,
            }
        },
    )
}

fn retry() -> impl Strategy<Value = Option<Retry>> {
    let codes = collection::btree_set(400..=599_u16, 0..4);
    let retry = (1..=10_u8, codes, time(), any::<bool>()).prop_map(
        |(attempts, codes, backoff, any_method)| Retry {
            attempts,
            codes,
            on_connection_error: true,
            on_backend_timeout: false,
            backoff,
            any_method,
        },
    );
    option::of(retry)
}

fn answer() -> impl Strategy<Value = Answer> {
    let scheme = select(vec!["http".to_owned(), "https".to_owned()]);
    let status = select(vec![301, 302, 303, 307, 308]);
    let host = option::of("[a-z]{1,9}\\.example");
    let full = option::of(path().prop_map(PathRewrite::Full));
    let redirect = (scheme, host, option::of(1..=u16::MAX), full, status).prop_map(
        |(scheme, host, port, path, status)| {
            Answer::Redirect(Redirect { scheme: Some(scheme), host, port, path, status })
        },
    );
    let fixed = (400..=599_u16, "\\PC{0,20}").prop_map(|(status, body)| Answer::Fixed {
        status,
        content_type: "text/plain".to_owned(),
        body: body.into_bytes(),
    });
    prop_oneof![redirect, fixed]
}

fn request_match() -> impl Strategy<Value = RequestMatch> {
    let path = prop_oneof![
        path().prop_map(PathMatch::Exact),
        path().prop_map(PathMatch::Prefix),
        path().prop_map(PathMatch::PrefixIgnoreCase),
        "[a-z0-9]{0,9}[*+]?"
            .prop_filter("an expression", |it| !it.starts_with(['*', '+']))
            .prop_map(PathMatch::Regex),
    ];
    let fields = |name: &'static str| {
        let value = prop_oneof![
            "\\PC{0,9}".prop_map(ValueMatch::Exact),
            "[a-z]{0,9}".prop_map(ValueMatch::Regex),
            Just(ValueMatch::Present),
        ];
        collection::btree_map(name, value, 0..3).prop_map(|fields| {
            fields.into_iter().map(|(name, value)| FieldMatch { name, value }).collect()
        })
    };
    let method = option::of(select(vec!["GET".to_owned(), "PROPFIND".to_owned()]));
    (path, method, fields("[a-z-]{1,9}"), fields("[A-Za-z.]{1,9}"))
        .prop_map(|(path, method, headers, query)| RequestMatch { path, method, headers, query })
}

fn filters() -> impl Strategy<Value = Filters> {
    let prefixes = || {
        let prefix = "10\\.[0-9]\\.0\\.0/16".prop_map(|it| it.parse().unwrap());
        collection::vec(prefix, 1..3)
    };
    let access = option::of(
        (prefixes(), prefixes()).prop_map(|(allow, deny)| AddressAccess { allow, deny }),
    );
    let key = prop_oneof![
        Just(RateLimitKey::Rule),
        Just(RateLimitKey::Client),
        "[a-z-]{1,9}".prop_map(RateLimitKey::Header),
    ];
    let rate_limit = (1..=9_999_u32, 10..=86_400_000_u64, 1..=9_999_u32, key).prop_map(
        |(requests, interval_ms, burst, key)| RateLimit {
            requests,
            interval: Duration::from_millis(interval_ms),
            burst,
            key,
        },
    );
    let mirror = (0..=7_u32, 7..=9_u32)
        .prop_map(|share| Mirror { upstream: Some("copy".to_owned()), share });
    let page = (collection::btree_set(400..=599_u16, 1..4), "\\PC{0,20}", any::<bool>()).prop_map(
        |(statuses, body, replaces_backend)| ErrorPage {
            statuses,
            content_type: "text/html".to_owned(),
            body: body.into_bytes(),
            replaces_backend,
        },
    );
    let limits = collection::vec(rate_limit, 0..3);
    let lists = (limits, collection::vec(mirror, 0..3), collection::vec(page, 0..3));
    (access, lists, auth(), option::of(any::<u64>()), edit(), edit(), rewrite()).prop_map(
        |(access, (rate_limits, mirrors, error_pages), auth, body_bytes_max, one, two, rewrite)| {
            Filters {
                access,
                rate_limits,
                auth,
                body_bytes_max,
                request_headers: one,
                rewrite,
                mirrors,
                compression: Some(Compression {
                    response: true,
                    request: false,
                    level: 1,
                    types: ["text/*".to_owned()].into(),
                    bytes_min: 1,
                }),
                error_pages,
                response_headers: two,
                ..Filters::default()
            }
        },
    )
}

fn rewrite() -> impl Strategy<Value = Rewrite> {
    let host = prop_oneof!["[a-z]{1,9}".prop_map(HostRewrite::To), Just(HostRewrite::Endpoint),];
    let regex = ("[a-z]{1,9}", "[a-z/$0-9]{0,9}")
        .prop_map(|(pattern, replacement)| PathRewrite::Regex { pattern, replacement });
    let path = prop_oneof![path().prop_map(PathRewrite::Full), regex];
    (option::of(host), option::of(path)).prop_map(|(host, path)| Rewrite { host, path })
}

fn auth() -> impl Strategy<Value = Option<ExternalAuth>> {
    let names = || collection::btree_set("[a-z-]{1,9}", 0..3);
    let login = option::of(Just("https://login.example/?next={url}".to_owned()));
    let auth = (time(), 400..=599_u16, names(), names(), names(), login).prop_map(
        |(timeout, status_on_error, request_headers, upstream_headers, client_headers, login)| {
            ExternalAuth {
                upstream: "api".to_owned(),
                host: Some("auth.example".to_owned()),
                path_prefix: "/verify?url=".to_owned(),
                appends_path: true,
                method: None,
                request_headers,
                upstream_headers,
                client_headers,
                timeout,
                status_on_error,
                login,
            }
        },
    );
    option::of(auth)
}

fn edit() -> impl Strategy<Value = HeaderEdit> {
    let value = || prop_oneof!["[!-z]{0,9}", Just("{client_address}".to_owned())];
    let fields = || collection::btree_map("x-[a-z-]{1,9}", value(), 0..3);
    (fields(), fields(), collection::btree_set("x-[a-z-]{1,9}", 0..3)).prop_map(
        |(set, add, remove)| HeaderEdit {
            set: set.into_iter().collect(),
            add: add.into_iter().collect(),
            remove: remove.into_iter().collect(),
        },
    )
}
