//! What answers requests, as the protocol's servers see it.

use super::{Fields, Reason, Request, Response};
use crate::{account::Record, connection::Connection};
use std::rc::Rc;

/// What answers requests. One per worker, shared by its connections.
pub trait Service {
    /// Answers a request. `early` takes informational responses meanwhile. Dropped before it ends
    /// if the client goes away.
    fn call(
        &self,
        connection: &Rc<Connection>,
        request: Request,
        early: Informational,
    ) -> impl Future<Output = Response>;

    /// Tells that a response (see [`Response::record`]) was written, or could not be.
    fn finished(&self, connection: &Rc<Connection>, record: Option<Box<Record>>, sent: Sent);

    /// Tells that a request was refused by the protocol's server before it could be called.
    fn refused(&self, connection: &Rc<Connection>, reason: Reason);
}

/// What became of a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Bytes of the request body that were received.
    pub request_bytes: u64,
    /// Bytes of the response body that were written.
    pub response_bytes: u64,
    /// Whether all of the response was written.
    pub is_complete: bool,
}

/// Takes informational responses (1xx but 101; RFC 9110, section 15.2) to the client: status and
/// fields. A client that cannot have them (HTTP/1.0) does not get them.
#[derive(Clone, Default)]
pub struct Informational(Option<Rc<Write>>);

type Write = dyn Fn(u16, &Fields);

impl Informational {
    /// Calls `write` for each.
    pub fn new(write: impl Fn(u16, &Fields) + 'static) -> Self {
        Self(Some(Rc::new(write)))
    }

    /// Nobody listens.
    pub fn none() -> Self {
        Self(None)
    }

    /// Sends one to the client, in the background.
    pub fn send(&self, status: u16, fields: &Fields) {
        if let Some(write) = &self.0 {
            write(status, fields);
        }
    }
}
