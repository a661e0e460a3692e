//! Filters: what is done with requests and responses.

use super::{BasicAuth, Entries, ExternalAuth, Located, TextOr, TextOrNumber, Texts, value::Bytes};
use schemars::JsonSchema;
use serde::Deserialize;

/// What is done with requests and responses: requests run down the list, responses up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Filters {
    /// Who may ask at all, by client address.
    pub(in crate::config) access: Option<Located<Access>>,
    /// How often: `200/s`, or a mapping.
    pub(in crate::config) rate_limits: Option<Located<Vec<Located<TextOr<RateLimit>>>>>,
    /// Cross-origin requests.
    pub(in crate::config) cors: Option<Located<Cors>>,
    /// User and password.
    pub(in crate::config) basic_auth: Option<BasicAuth>,
    /// Another service is asked first.
    pub(in crate::config) auth: Option<ExternalAuth>,
    /// Bytes of the request body, or `none`. Default: the listener's limit.
    pub(in crate::config) body_bytes_max: Option<Bytes>,
    /// Fields of the request.
    pub(in crate::config) request_headers: Option<HeaderEdit>,
    /// Path and host of the request.
    pub(in crate::config) rewrite: Option<Rewrite>,
    /// Copies of the request: names of upstreams, or mappings.
    pub(in crate::config) mirrors: Option<Located<Vec<Located<TextOr<Mirror>>>>>,
    /// Bodies are compressed.
    pub(in crate::config) compression: Option<Located<Compression>>,
    /// Pages for error statuses.
    pub(in crate::config) error_pages: Option<Located<Vec<Located<ErrorPage>>>>,
    /// Fields of the response.
    pub(in crate::config) response_headers: Option<HeaderEdit>,
}

/// What is done for one backend beyond the rule's filters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct BackendFilters {
    /// Fields of the request.
    pub(in crate::config) request_headers: Option<HeaderEdit>,
    /// Path and host of the request.
    pub(in crate::config) rewrite: Option<Rewrite>,
    /// Fields of the response.
    pub(in crate::config) response_headers: Option<HeaderEdit>,
}

/// Who may ask, by client address: addresses and prefixes. The longer prefix wins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Access {
    /// Who may ask. Default: everybody.
    pub(in crate::config) allow: Option<Vec<Located<String>>>,
    /// Who may not. Default: nobody.
    pub(in crate::config) deny: Option<Vec<Located<String>>>,
}

/// A token bucket.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RateLimit {
    /// Requests in an interval.
    #[schemars(range(min = 1))]
    pub(in crate::config) requests: Located<i64>,
    /// The interval. Default 1s.
    pub(in crate::config) interval: Option<Located<String>>,
    /// Requests at once. Default: as `requests`.
    #[schemars(range(min = 1))]
    pub(in crate::config) burst: Option<Located<i64>>,
    /// Who shares a bucket. Default rule.
    pub(in crate::config) key: Option<RateKey>,
}

/// Who shares a bucket.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum RateKey {
    /// All requests of the rule.
    Rule,
    /// Requests for one host.
    Host,
    /// Requests of one client address.
    Client,
    /// Requests with one value of a header field.
    Header(#[schemars(description = "Name of a header field.")] Located<String>),
}

/// Cross-origin requests: preflights are answered here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Cors {
    /// `*`, `https://shop.example`, `https://*.example` or `https://*`.
    pub(in crate::config) allow_origins: Located<Vec<Located<String>>>,
    /// Scripts may send credentials. Default false.
    pub(in crate::config) allow_credentials: Option<bool>,
    /// Methods; `*` = any. Default GET, HEAD and POST.
    pub(in crate::config) allow_methods: Option<Vec<Located<String>>>,
    /// Request fields; `*` = any. Default: none beyond the safe ones.
    pub(in crate::config) allow_headers: Option<Vec<Located<String>>>,
    /// Response fields that scripts may read. Default: none beyond the safe ones.
    pub(in crate::config) expose_headers: Option<Vec<Located<String>>>,
    /// How long a preflight's answer may be remembered. Default: the browser's.
    pub(in crate::config) max_age: Option<Located<String>>,
}

/// Fields set, added and removed, in this order. Values may hold placeholders.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HeaderEdit {
    /// Replaces all fields of a name.
    pub(in crate::config) set: Option<Entries<Located<String>>>,
    /// Adds fields: a value, or a list.
    pub(in crate::config) add: Option<Entries<Located<Texts>>>,
    /// Removes all fields of a name.
    pub(in crate::config) remove: Option<Vec<Located<String>>>,
}

/// Path and host of the request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Rewrite {
    /// Another host: a name, or `endpoint` for the endpoint's host name.
    pub(in crate::config) host: Option<Located<TextOr<HostRewrite>>>,
    /// Another path.
    pub(in crate::config) path: Option<Located<PathRewrite>>,
}

/// Another host, in full.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HostRewrite {
    /// This one, even if it is called `endpoint`.
    pub(in crate::config) to: Located<String>,
}

/// Another path: one of `full`, `prefix` and `regex`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct PathRewrite {
    /// This path.
    pub(in crate::config) full: Option<Located<String>>,
    /// This in place of the prefix that matched.
    pub(in crate::config) prefix: Option<Located<String>>,
    /// What this expression matches is replaced.
    pub(in crate::config) regex: Option<Located<String>>,
    /// What takes the place of `regex`; `$1` and `${name}` stand for groups.
    pub(in crate::config) replacement: Option<Located<String>>,
}

/// A copy of the request whose response nobody sees.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Mirror {
    /// Name of the upstream.
    pub(in crate::config) upstream: Located<String>,
    /// Share of requests, `10%` or `1/3`. Default: all.
    pub(in crate::config) share: Option<Located<String>>,
}

/// Bodies are compressed with gzip.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Compression {
    /// Responses to clients that accept it. Default true.
    pub(in crate::config) response: Option<bool>,
    /// Requests to backends, which must take it. Default false.
    pub(in crate::config) request: Option<bool>,
    /// 1 (fast) to 9 (small). Default 5.
    #[schemars(range(min = 1, max = 9))]
    pub(in crate::config) level: Option<Located<i64>>,
    /// Media types, `text/*` for all of text. Default: the usual texts.
    pub(in crate::config) types: Option<Vec<Located<String>>>,
    /// Bodies known to be shorter are left as they are. Default 1KiB.
    pub(in crate::config) bytes_min: Option<Bytes>,
}

/// A page for error statuses. The body is one of `file` and `text`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ErrorPage {
    /// Statuses it stands for: codes or ranges.
    pub(in crate::config) statuses: Located<Vec<Located<TextOrNumber>>>,
    /// Media type of the body. Default text/html; charset=utf-8.
    pub(in crate::config) content_type: Option<Located<String>>,
    /// File with the body.
    pub(in crate::config) file: Option<Located<String>>,
    /// The body.
    pub(in crate::config) text: Option<Located<String>>,
    /// Also in place of bodies that backends sent. Default false.
    pub(in crate::config) replaces_backend: Option<bool>,
}

/// A fixed response. The body is one of `file` and `text`, or empty.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Fixed {
    /// Status.
    #[schemars(range(min = 200, max = 599))]
    pub(in crate::config) status: Located<i64>,
    /// Media type of the body. Default text/plain; charset=utf-8.
    pub(in crate::config) content_type: Option<Located<String>>,
    /// File with the body.
    pub(in crate::config) file: Option<Located<String>>,
    /// The body.
    pub(in crate::config) text: Option<Located<String>>,
}

/// Another place: what is not said stays as in the request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Redirect {
    /// Scheme.
    pub(in crate::config) scheme: Option<Scheme>,
    /// Host.
    pub(in crate::config) host: Option<Located<String>>,
    /// Port.
    #[schemars(range(min = 1, max = 65_535))]
    pub(in crate::config) port: Option<Located<i64>>,
    /// Path.
    pub(in crate::config) path: Option<Located<PathRewrite>>,
    /// 301, 302, 303, 307 or 308. Default 302.
    pub(in crate::config) status: Option<Located<i64>>,
}

/// A scheme.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}
