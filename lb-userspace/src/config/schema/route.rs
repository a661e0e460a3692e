//! Routes: which requests and connections go where.

use super::{BackendFilters, Entries, Filters, Fixed, Located, Redirect, TextOr, TextOrNumber};
use schemars::JsonSchema;
use serde::Deserialize;

/// Rules for the HTTP requests of some hosts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Route {
    /// Name, unique among routes.
    pub(in crate::config) name: Located<String>,
    /// Names of the listeners it is attached to.
    #[schemars(length(min = 1))]
    pub(in crate::config) listeners: Located<Vec<Located<String>>>,
    /// Hosts, `shop.example` or `*.shop.example`. Default: every host of its listeners.
    pub(in crate::config) hosts: Option<Vec<Located<String>>>,
    /// The rules. The most specific one that matches is taken, whatever the order.
    #[schemars(length(min = 1))]
    pub(in crate::config) rules: Located<Vec<Located<Rule>>>,
}

/// What happens to requests that match.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Rule {
    /// Name, for people and metrics; unique in its route.
    pub(in crate::config) name: Option<Located<String>>,
    /// One of these must match: a path prefix, or a mapping. Default: every request.
    #[serde(rename = "match")]
    pub(in crate::config) matches: Option<Located<Vec<Located<TextOr<RequestMatch>>>>>,
    /// What is done with requests and responses.
    pub(in crate::config) filters: Option<Filters>,
    /// Who answers: names of upstreams, or mappings with a weight.
    pub(in crate::config) backends: Option<Located<Vec<Located<TextOr<RouteBackend>>>>>,
    /// The request is answered with another place, instead of by a backend.
    pub(in crate::config) redirect: Option<Located<Redirect>>,
    /// The request is answered here, instead of by a backend.
    pub(in crate::config) answer: Option<Located<Fixed>>,
    /// How long it may take.
    pub(in crate::config) timeouts: Option<Timeouts>,
    /// When a request is sent again.
    pub(in crate::config) retry: Option<Located<Retry>>,
    /// A client stays with its endpoint by a cookie.
    pub(in crate::config) persistence: Option<Persistence>,
    /// `CONNECT` may be used. Default false.
    pub(in crate::config) connect: Option<bool>,
}

/// What a request must look like: all of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RequestMatch {
    /// Path: a prefix of whole segments, or a mapping. Default: every path.
    pub(in crate::config) path: Option<Located<TextOr<PathMatch>>>,
    /// Method. Default: every method.
    pub(in crate::config) method: Option<Located<String>>,
    /// Header fields by name: the value, `present`, or a mapping.
    pub(in crate::config) headers: Option<Entries<Located<TextOr<ValueMatch>>>>,
    /// Query parameters by name: the value, `present`, or a mapping.
    pub(in crate::config) query: Option<Entries<Located<TextOr<ValueMatch>>>>,
}

/// What the path must look like: one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct PathMatch {
    /// This path and no other.
    pub(in crate::config) exact: Option<Located<String>>,
    /// This path and everything below it, by whole segments.
    pub(in crate::config) prefix: Option<Located<String>>,
    /// As `prefix`, whatever the case of ASCII letters.
    pub(in crate::config) prefix_ignore_case: Option<Located<String>>,
    /// A regular expression that the whole path must match.
    pub(in crate::config) regex: Option<Located<String>>,
}

/// What a value must look like: one of these.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ValueMatch {
    /// This value.
    pub(in crate::config) exact: Option<Located<String>>,
    /// A regular expression that the whole value must match.
    pub(in crate::config) regex: Option<Located<String>>,
}

/// Who answers, with its share.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RouteBackend {
    /// Name of the upstream.
    pub(in crate::config) upstream: Located<String>,
    /// Its share relative to the others. Default 1.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(in crate::config) weight: Option<Located<i64>>,
    /// What is done beyond the rule's filters.
    pub(in crate::config) filters: Option<BackendFilters>,
}

/// How long a request may take: times, or `none`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Timeouts {
    /// From the request's header to the end of the response, over all tries. Default none.
    pub(in crate::config) request: Option<Located<String>>,
    /// From a try's begin to its response header. Default none.
    pub(in crate::config) backend: Option<Located<String>>,
    /// Between two reads of a response body, or of a tunnel. Default none.
    pub(in crate::config) idle: Option<Located<String>>,
}

/// When a request is sent again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Retry {
    /// Tries beyond the first. Default 1.
    #[schemars(range(min = 1, max = 10))]
    pub(in crate::config) attempts: Option<Located<i64>>,
    /// Response codes that are retried: codes or ranges. Default: none.
    pub(in crate::config) codes: Option<Vec<Located<TextOrNumber>>>,
    /// Retry if the connection breaks before the response header. Default true.
    pub(in crate::config) on_connection_error: Option<bool>,
    /// Retry if a try runs into `timeouts.backend`. Default false.
    pub(in crate::config) on_backend_timeout: Option<Located<bool>>,
    /// Wait before the first retry; doubles. Default 25ms.
    pub(in crate::config) backoff: Option<Located<String>>,
    /// Retry also methods that are not idempotent. Default false.
    pub(in crate::config) any_method: Option<bool>,
}

/// A client stays with its endpoint by a cookie.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Persistence {
    /// Name of the cookie.
    pub(in crate::config) cookie: Located<String>,
    /// How long it lives, or `none`. Default: as long as the browser's session.
    pub(in crate::config) lifetime: Option<Located<String>>,
}

/// Where connections of TCP, TLS and UDP listeners go.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct StreamRoute {
    /// Name, unique among stream routes.
    pub(in crate::config) name: Located<String>,
    /// Names of the listeners it is attached to.
    #[schemars(length(min = 1))]
    pub(in crate::config) listeners: Located<Vec<Located<String>>>,
    /// Server names (SNI), for TLS listeners. Default: every one.
    pub(in crate::config) hosts: Option<Vec<Located<String>>>,
    /// Who answers: names of upstreams, or mappings with a weight.
    #[schemars(length(min = 1))]
    pub(in crate::config) backends: Located<Vec<Located<TextOr<WeightedUpstream>>>>,
}

/// Who answers a connection, with its share.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct WeightedUpstream {
    /// Name of the upstream.
    pub(in crate::config) upstream: Located<String>,
    /// Its share relative to the others. Default 1.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(in crate::config) weight: Option<Located<i64>>,
}
