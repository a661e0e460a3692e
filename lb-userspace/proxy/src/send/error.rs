//! Why a try to have a request answered failed.

use crate::http::Reason;

/// A try that failed. The request is still with the caller; whether its body is too, that shows
/// (a body of which something was sent is gone).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", reason.name())]
pub struct SendError {
    /// Why.
    pub reason: Reason,
    /// The endpoint cannot have begun to answer: no connection, a kept connection that was closed
    /// before a byte of the response came, or an HTTP/2 stream that the endpoint refused unseen
    /// (RFC 9113, sections 6.8 and 8.7). Sending it again is safe whatever the method is.
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
