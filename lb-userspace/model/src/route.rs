//! Routes: which requests go where, with the semantics of the Gateway API.

use super::{Filters, HostPattern};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};

/// Rules for the requests of some hosts. Which of several rules a request takes: the most specific
/// host, then an exact path, a regular expression (the longer text first), the longest prefix, then
/// a method, more headers, more query parameters; among equals the older route, its name, and the
/// order of rules (Gateway API, `HTTPRouteRule.matches`, which leaves regular expressions open).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Names of the listeners it is attached to.
    pub listeners: BTreeSet<String>,
    /// Hosts; empty = every host of its listeners.
    pub hosts: BTreeSet<HostPattern>,
    /// The smaller, the older. Seconds since the Unix epoch, or a place in a file.
    pub age: u64,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// What happens to requests that match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Name, for people and metrics; unique in its route.
    pub name: Option<String>,
    /// One of these must match; empty = every request.
    pub matches: Vec<RequestMatch>,
    /// What is done with requests and responses.
    pub filters: Filters,
    /// Who answers, shared by weight. Empty without [`Filters::answer`] = 500.
    pub backends: Vec<RouteBackend>,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// When a request is sent again.
    pub retry: Option<Retry>,
    /// A client stays with its endpoint by a cookie.
    pub persistence: Option<CookiePersistence>,
    /// `CONNECT` may be used (RFC 9110, section 9.3.6). WebSocket needs no permission.
    pub connect: bool,
}

/// What a request must look like: all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestMatch {
    /// Path.
    pub path: PathMatch,
    /// Method, case-sensitive; `None` = every method.
    pub method: Option<String>,
    /// Header fields, each of another name.
    pub headers: Vec<FieldMatch>,
    /// Query parameters, each of another name.
    pub query: Vec<FieldMatch>,
}

/// What the path must look like. Compared after percent-encoded unreserved characters are decoded
/// and dot segments removed (RFC 3986, sections 6.2.2 and 6.2.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathMatch {
    /// This path and no other.
    Exact(String),
    /// This path and everything below it, by whole segments: `/foo` matches `/foo`, `/foo/` and
    /// `/foo/bar` but not `/foobar`. `/` matches every path.
    Prefix(String),
    /// As [`PathMatch::Prefix`], whatever the case of ASCII letters.
    PrefixIgnoreCase(String),
    /// A regular expression that the whole path must match (RE2 syntax, linear time).
    Regex(String),
    /// This as the second of two segments: a gRPC method of any service. Comes after all prefixes
    /// but `/` (Gateway API, `GRPCRouteRule.matches`: characters of the service count first).
    Method(String),
}

impl Default for PathMatch {
    fn default() -> Self {
        Self::Prefix("/".to_owned())
    }
}

/// A header field or a query parameter that must be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldMatch {
    /// Name: case-insensitive (kept in lower case) for header fields, case-sensitive for query
    /// parameters.
    pub name: String,
    /// Its value. Of several values of a header field one must match; of a query parameter's the
    /// first.
    pub value: ValueMatch,
}

/// What a value must look like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueMatch {
    /// This value.
    Exact(String),
    /// A regular expression that the whole value must match.
    Regex(String),
    /// Any.
    Present,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteBackend {
    /// Name of the upstream; `None` = it was named but is not there: its share gets 500.
    pub upstream: Option<String>,
    /// Its share relative to the others, 0..=1,000,000.
    pub weight: u32,
    /// What is done beyond the rule's filters. Only header edits and rewrites count here.
    pub filters: Filters,
}

/// How long a request may take. `None` = no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// From the whole request header to the end of the response, over all tries; 504.
    pub request: Option<Duration>,
    /// From a try's begin to its response header; 504.
    pub backend: Option<Duration>,
    /// Between two reads of a response body, or of a tunnel in either direction.
    pub idle: Option<Duration>,
}

/// When a request is sent again. Failing to connect is retried on another endpoint without this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Tries beyond the first, at least 1.
    pub attempts: u8,
    /// Response codes that are retried.
    pub codes: BTreeSet<u16>,
    /// A connection that breaks before its response header, or refuses it, is retried.
    pub on_connection_error: bool,
    /// A try that runs into [`Timeouts::backend`] is retried.
    pub on_backend_timeout: bool,
    /// Wait before the first retry; doubles, with jitter of half of it.
    pub backoff: Duration,
    /// Requests whose method is not idempotent (RFC 9110, section 9.2.2) are retried too.
    pub any_method: bool,
}

/// A client stays with its endpoint by a cookie (RFC 6265).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CookiePersistence {
    /// Name of the cookie.
    pub cookie: String,
    /// How long it lives; `None` = as long as the browser's session.
    pub lifetime: Option<Duration>,
}

/// Where connections of TCP, TLS and UDP listeners go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamRoute {
    /// Names of the listeners it is attached to.
    pub listeners: BTreeSet<String>,
    /// Server names (SNI), for TLS listeners; empty = every one.
    pub hosts: BTreeSet<HostPattern>,
    /// The smaller, the older.
    pub age: u64,
    /// Who answers, shared by weight; connections of the share of a missing one are closed.
    pub backends: Vec<StreamBackend>,
}

/// Who answers a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamBackend {
    /// Name of the upstream; `None` = it was named but is not there.
    pub upstream: Option<String>,
    /// Its share relative to the others, 0..=1,000,000.
    pub weight: u32,
}
