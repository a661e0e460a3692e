//! Filters: what is done with requests and responses, in the order of the fields here.

use super::Secret;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What is done, in this order. Requests run down the list, responses up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filters {
    /// Who may ask at all; 403.
    pub access: Option<AddressAccess>,
    /// How often; 429.
    pub rate_limits: Vec<RateLimit>,
    /// Cross-origin requests (Fetch standard).
    pub cors: Option<Cors>,
    /// User and password (RFC 7617); 401.
    pub basic_auth: Option<BasicAuth>,
    /// Another service is asked first.
    pub auth: Option<ExternalAuth>,
    /// Bytes of the request body; 413. `None` = the listener's limit; `Some(0)` = no limit.
    pub body_bytes_max: Option<u64>,
    /// Fields of the request.
    pub request_headers: HeaderEdit,
    /// Path and host of the request.
    pub rewrite: Rewrite,
    /// Copies of the request.
    pub mirrors: Vec<Mirror>,
    /// Bodies are compressed.
    pub compression: Option<Compression>,
    /// Pages for error statuses, wherever they come from as `from` says.
    pub error_pages: Vec<ErrorPage>,
    /// Fields of the response.
    pub response_headers: HeaderEdit,
    /// The request is answered here; no backend sees it.
    pub answer: Option<Answer>,
}

impl Filters {
    /// Names of those that do something, as the configuration calls them, in order.
    pub fn names(&self) -> Vec<&'static str> {
        let edits = |it: &HeaderEdit| *it != HeaderEdit::default();
        let all = [
            ("access", self.access.is_some()),
            ("rate_limits", !self.rate_limits.is_empty()),
            ("cors", self.cors.is_some()),
            ("basic_auth", self.basic_auth.is_some()),
            ("auth", self.auth.is_some()),
            ("body_bytes_max", self.body_bytes_max.is_some()),
            ("request_headers", edits(&self.request_headers)),
            ("rewrite", self.rewrite != Rewrite::default()),
            ("mirrors", !self.mirrors.is_empty()),
            ("compression", self.compression.is_some()),
            ("error_pages", !self.error_pages.is_empty()),
            ("response_headers", edits(&self.response_headers)),
            ("answer", self.answer.is_some()),
        ];
        all.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect()
    }
}

/// Who may ask, by client address. A denied address is refused; if `allow` is not empty, so is
/// one that it does not hold. The longer prefix wins; in a tie `deny`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressAccess {
    /// Prefixes that may ask; empty = all.
    pub allow: Vec<IpNet>,
    /// Prefixes that may not.
    pub deny: Vec<IpNet>,
}

/// A token bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Tokens filled in per `interval`, at least 1.
    pub requests: u32,
    /// The interval that `requests` belong to.
    pub interval: Duration,
    /// Tokens the bucket holds, at least 1.
    pub burst: u32,
    /// Who shares a bucket.
    pub key: RateLimitKey,
}

/// Who shares a bucket. Buckets of a limit with keys are bounded in number; the oldest goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RateLimitKey {
    /// All requests of the rule.
    Rule,
    /// Requests for one host.
    Host,
    /// Requests of one client address.
    Client,
    /// Requests with one value of this header field; those without it share one.
    Header(String),
}

/// Cross-origin requests: preflights are answered here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cors {
    /// `*`, `https://shop.example`, `https://*.example` or `https://*`; ports as written.
    pub allow_origins: Vec<String>,
    /// Scripts may send credentials; then `*` is answered with the origin itself.
    pub allow_credentials: bool,
    /// Methods; `*` = any.
    pub allow_methods: Vec<String>,
    /// Request fields; `*` = any.
    pub allow_headers: Vec<String>,
    /// Response fields that scripts may read.
    pub expose_headers: Vec<String>,
    /// How long a preflight's answer may be remembered.
    pub max_age: Option<Duration>,
}

/// User and password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BasicAuth {
    /// The realm told to clients.
    pub realm: String,
    /// What `htpasswd` writes after the colon, by user: `$2y$` (bcrypt, cost up to 14), `{SHA256}`
    /// or `{SHA}` and base64, `{PLAIN}` and text. Other formats are refused where the
    /// configuration is read.
    pub users: BTreeMap<String, Secret>,
}

/// Another service is asked whether a request may pass: a subrequest without a body. 2xx lets it
/// pass; 401 and 403 are given to the client, with `login` a 401 becomes a redirect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalAuth {
    /// Name of the upstream that is asked.
    pub upstream: String,
    /// `Host` of the subrequest; `None` = the request's.
    pub host: Option<String>,
    /// Path (and query) of the subrequest, as it is.
    pub path_prefix: String,
    /// The request's path and query follow [`Self::path_prefix`].
    pub appends_path: bool,
    /// Method of the subrequest; `None` = the request's.
    pub method: Option<String>,
    /// Request fields sent along, beside `Host`, `X-Forwarded-*` and `X-Original-*`: lower case.
    pub request_headers: BTreeSet<String>,
    /// Fields of the answer that are set on the request to the backend: lower case. `*` = all of
    /// them but those about the connection and about the answer's body.
    pub upstream_headers: BTreeSet<String>,
    /// Fields of a refusing answer that are given to the client: lower case. `www-authenticate`,
    /// `location` and `set-cookie` always are.
    pub client_headers: BTreeSet<String>,
    /// How long it may take.
    pub timeout: Duration,
    /// Status given to the client if the service cannot be asked or answers otherwise.
    pub status_on_error: u16,
    /// Where a 401 is redirected (302) to log in. `{scheme}`, `{host}`, `{path}` and `{url}` (all
    /// of it) of the request are filled in percent-encoded, `{host_raw}` as it is.
    pub login: Option<String>,
}

/// Fields set, added and removed, in this order (Gateway API, `HTTPHeaderFilter`). Names are lower
/// case. Values may hold `{client_address}`, `{client_port}`, `{host}`, `{scheme}`, `{request_id}`
/// and `{upstream_host}`, which are filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderEdit {
    /// Replaces all fields of the name.
    pub set: Vec<(String, String)>,
    /// Adds one more.
    pub add: Vec<(String, String)>,
    /// Removes all fields of the name.
    pub remove: Vec<String>,
}

/// Path and host of the request. The original host is kept in `X-Forwarded-Host`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rewrite {
    /// Another `Host`.
    pub host: Option<HostRewrite>,
    /// Another path.
    pub path: Option<PathRewrite>,
}

/// Another `Host`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostRewrite {
    /// This one.
    To(String),
    /// The endpoint's host name (or address and port).
    Endpoint,
}

/// Another path. The query stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathRewrite {
    /// This one.
    Full(String),
    /// This in place of the prefix that matched (Gateway API, `ReplacePrefixMatch`). Needs a
    /// prefix match.
    Prefix(String),
    /// What this expression matches, replaced; `$1` and `${name}` stand for groups.
    Regex {
        /// The expression.
        pattern: String,
        /// What takes its place.
        replacement: String,
    },
}

/// A copy of the request whose response nobody sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// Name of the upstream; `None` = it was named but is not there: nothing is copied.
    pub upstream: Option<String>,
    /// Share of requests: numerator and denominator, 0 <= n <= d, d > 0.
    pub share: (u32, u32),
}

/// Bodies are compressed with gzip where the receiver takes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compression {
    /// Responses to clients that accept it.
    pub response: bool,
    /// Requests to the backend, which is known to take it.
    pub request: bool,
    /// Level, 1 (fast) ..= 9 (small).
    pub level: u8,
    /// Media types (without parameters) that are compressed; `text/*` stands for all of text.
    pub types: BTreeSet<String>,
    /// Bodies known to be shorter are not.
    pub bytes_min: u32,
}

/// A page for error statuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorPage {
    /// Statuses it stands for.
    pub statuses: BTreeSet<u16>,
    /// Media type of the body.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// Also in place of bodies that backends sent, not only for errors found here.
    pub replaces_backend: bool,
}

/// An answer without a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Another place.
    Redirect(Redirect),
    /// A fixed response.
    Fixed {
        /// Status, 200..=599.
        status: u16,
        /// Media type of the body.
        content_type: String,
        /// The body; may be empty.
        body: Vec<u8>,
    },
}

/// Another place: what is not said stays as in the request (Gateway API,
/// `HTTPRequestRedirectFilter`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// Host.
    pub host: Option<String>,
    /// Port; `None` = with a scheme that scheme's own, else the listener's. 80 for http and 443
    /// for https are not written.
    pub port: Option<u16>,
    /// Path.
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}
