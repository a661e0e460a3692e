//! A response, whoever made it.

use super::{Body, Fields, Known, Reason};
use crate::account::Record;
use bytes::Bytes;

/// A response. Hop-by-hop fields, `Content-Length` and `Transfer-Encoding` are not among
/// [`Response::fields`]: the body knows its length, and whoever writes a response writes them anew.
#[derive(Debug, Default)]
pub struct Response {
    /// Status, 101 or 200..=599.
    pub status: u16,
    /// Fields.
    pub fields: Fields,
    /// Body; of a tunnel (101) everything that the backend sends after it was opened. For a
    /// response to `HEAD` and for 204 and 304 it is empty.
    pub body: Body,
    /// What `Content-Length` says where the body does not: in a response to `HEAD`, and 304.
    pub length_told: Option<u64>,
    /// Why it was made here; `None` = a backend made it.
    pub reason: Option<Reason>,
    /// The connection must not be used again: what is left of the request cannot be trusted.
    pub closes: bool,
    /// What is known about the exchange so far; given back with [`crate::http::Service::finished`].
    pub record: Option<Box<Record>>,
}

impl Response {
    /// A response without fields and body.
    pub fn new(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A response made here, with the status of the reason and a line of text that names it.
    pub fn refusal(reason: Reason) -> Self {
        Self::refusal_as(reason, reason.status())
    }

    /// As [`Response::refusal`], with another status.
    pub fn refusal_as(reason: Reason, status: u16) -> Self {
        let mut response = Self::new(status).with_text(reason.name());
        response.reason = Some(reason);
        response
    }

    /// With a line of plain text as its body.
    pub fn with_text(self, line: &str) -> Self {
        self.with_body("text/plain; charset=utf-8", format!("{line}\n").into())
    }

    /// With this body.
    pub fn with_body(mut self, content_type: &str, body: Bytes) -> Self {
        self.fields.set(Known::ContentType, content_type.as_bytes());
        self.body = Body::from(body);
        self
    }
}
