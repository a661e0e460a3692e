//! Who may ask: passwords, and another service that is asked.

use super::Located;
use schemars::JsonSchema;
use serde::Deserialize;

/// User and password.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct BasicAuth {
    /// The realm told to clients. Default restricted.
    pub(in crate::config) realm: Option<Located<String>>,
    /// File with a line `USER:HASH` each, as `htpasswd` writes it.
    pub(in crate::config) users: Located<String>,
}

/// Another service is asked whether a request may pass.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ExternalAuth {
    /// Name of the upstream that is asked.
    pub(in crate::config) upstream: Located<String>,
    /// `Host` of the subrequest. Default: the request's.
    pub(in crate::config) host: Option<Located<String>>,
    /// Put before the request's path and query. Default: nothing.
    pub(in crate::config) path_prefix: Option<Located<String>>,
    /// The request's path and query follow `path_prefix`. Default: they do.
    pub(in crate::config) appends_path: Option<bool>,
    /// Method of the subrequest. Default: the request's.
    pub(in crate::config) method: Option<Located<String>>,
    /// Request fields sent along. Default: authorization and cookie.
    pub(in crate::config) request_headers: Option<Vec<Located<String>>>,
    /// Fields of the answer that are set on the request to the backend. Default: none.
    pub(in crate::config) upstream_headers: Option<Vec<Located<String>>>,
    /// Fields of a refusing answer that are given to the client. Default: none.
    pub(in crate::config) client_headers: Option<Vec<Located<String>>>,
    /// How long it may take. Default 1s.
    pub(in crate::config) timeout: Option<Located<String>>,
    /// Status given to the client if the service cannot be asked. Default 503.
    #[schemars(range(min = 400, max = 599))]
    pub(in crate::config) status_on_error: Option<Located<i64>>,
    /// Where a 401 is redirected to log in. Default: nowhere.
    pub(in crate::config) login: Option<Located<String>>,
}
