//! Errors as a Kubernetes API server words them.

use serde_json::{Value, json};

/// An answer that is no success: its HTTP status, `reason` and `message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: u16,
    reason: &'static str,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self { code: 400, reason: "BadRequest", message: message.into() }
    }

    pub(super) fn forbidden(message: String) -> Self {
        Self { code: 403, reason: "Forbidden", message }
    }

    pub(super) fn no_such_path() -> Self {
        let message = "the server could not find the requested resource".to_owned();
        Self { code: 404, reason: "NotFound", message }
    }

    pub(super) fn not_found(plural: &str, name: &str) -> Self {
        Self { code: 404, reason: "NotFound", message: format!("{plural} {name:?} not found") }
    }

    pub(super) fn no_such_method() -> Self {
        let message = "the server does not allow this method on the requested resource".to_owned();
        Self { code: 405, reason: "MethodNotAllowed", message }
    }

    pub(super) fn already_exists(plural: &str, name: &str) -> Self {
        let message = format!("{plural} {name:?} already exists");
        Self { code: 409, reason: "AlreadyExists", message }
    }

    pub(super) fn conflict(plural: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {plural} {name:?}: {why}");
        Self { code: 409, reason: "Conflict", message }
    }

    pub(super) fn expired(asked: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {asked} ({oldest})");
        Self { code: 410, reason: "Expired", message }
    }

    pub(super) fn unsupported(media_type: &str) -> Self {
        let message = format!("the body of the request was in an unknown format: {media_type}");
        Self { code: 415, reason: "UnsupportedMediaType", message }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self { code: 422, reason: "Invalid", message: message.into() }
    }

    /// What a test has asked for.
    pub(super) fn injected(code: u16) -> Self {
        let reason = match code {
            403 => "Forbidden",
            409 => "Conflict",
            410 => "Expired",
            429 => "TooManyRequests",
            500 => "InternalError",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "Unknown",
        };
        Self { code, reason, message: "a fault that the test asked for".to_owned() }
    }

    /// The `Status` object.
    pub(super) fn document(&self) -> Value {
        json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        })
    }
}
