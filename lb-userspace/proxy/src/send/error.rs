//! Why a try to have a request answered failed.

use crate::http::Reason;

/// A try that failed. The request is still with the caller; whether its body is too, that shows
/// (a body of which something was sent is gone).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", reason.name())]
pub struct SendError {
    /// Why.
    pub reason: Reason,
    /// The request can be sent again without being asked for: there was no connection, the endpoint
    /// refused an HTTP/2 stream unseen (RFC 9113, sections 6.8 and 8.7), or a kept connection was
    /// closed before a byte of the response came. The last one is a guess, which the sender makes
    /// only for idempotent methods (RFC 9110, section 9.2.2).
    pub is_unseen: bool,
}

impl SendError {
    /// The endpoint may have seen the request.
    pub const fn seen(reason: Reason) -> Self {
        Self { reason, is_unseen: false }
    }

    /// The endpoint cannot have begun to answer.
    pub const fn unseen(reason: Reason) -> Self {
        Self { reason, is_unseen: true }
    }
}
