//! A connection to an endpoint, and a request's use of it.

use super::Pool;
use crate::{
    http::{Informational, Method, Request, Response, h1, h2},
    send::{
        SendError,
        clock::after,
        endpoint::{Endpoint, State},
        limits::count_in,
    },
};
use std::{
    cell::Cell,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};
use tokio::time::Instant;

/// A connection that is counted, until it is dropped.
pub(super) struct Counted(Arc<Endpoint>);

/// An HTTP/2 connection.
pub(super) struct SharedConnection {
    pub(super) client: h2::Client,
    pub(super) counted: Counted,
    /// When a request last ended.
    last_used: Cell<Instant>,
}

/// A connection for one request.
pub(in crate::send) enum Wire {
    /// HTTP/1.1: the request has it alone.
    Http1(Alone),
    /// HTTP/2.
    Http2(Stream),
}

/// A connection that a request has alone.
pub(in crate::send) struct Alone {
    pub(super) client: h1::Client,
    pub(super) counted: Counted,
    /// Where it goes afterwards.
    pub(super) pool: Rc<Pool>,
}

/// A request's part of an HTTP/2 connection, until it is dropped.
pub(in crate::send) struct Stream {
    connection: Rc<SharedConnection>,
    pool: Rc<Pool>,
}

impl Counted {
    /// Counts a connection, unless there are too many.
    pub(super) fn begin(endpoint: &Arc<Endpoint>) -> Option<Self> {
        let limit = endpoint.settings.limits.connections_max;
        count_in(&endpoint.state.connections, limit).then(|| Self(Arc::clone(endpoint)))
    }

    /// The endpoint's.
    pub(super) fn state(&self) -> &State {
        &self.0.state
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.state.connections.fetch_sub(1, Relaxed);
        if self.0.state.waiting.load(Relaxed) > 0 {
            self.0.state.closed.notify_one();
        }
    }
}

impl SharedConnection {
    pub(super) fn new(client: h2::Client, counted: Counted) -> Self {
        Self { client, counted, last_used: Cell::new(Instant::now()) }
    }

    /// Whether it is closed, or unused for too long.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let is_unused = self.client.streams_active() == 0;
        let idle_timeout = self.counted.0.settings.idle_timeout;
        self.client.is_closed() || (is_unused && after(self.last_used.get(), idle_timeout) <= now)
    }
}

impl Stream {
    pub(super) fn new(connection: &Rc<SharedConnection>, pool: &Rc<Pool>) -> Self {
        Self { connection: Rc::clone(connection), pool: Rc::clone(pool) }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.last_used.set(Instant::now());
        self.pool.notify();
    }
}

/// A kept connection that ends without a word may have ended because of this very request: only
/// what is idempotent is sent again without being asked for (RFC 9110, section 9.2.2).
fn as_safe(error: SendError, method: &Method) -> SendError {
    SendError { is_unseen: error.is_unseen && method.is_idempotent(), ..error }
}

impl Wire {
    /// Has a request answered. What comes with the response is kept until its body ended.
    pub(in crate::send) async fn exchange(
        self,
        request: &mut Request,
        early: &Informational,
    ) -> Result<(Response, Option<Stream>), SendError> {
        match self {
            Self::Http1(alone) => {
                let Alone { client, counted, pool } = alone;
                let idle_timeout = counted.0.settings.idle_timeout;
                let release = move |client| pool.put(client, counted, idle_timeout);
                let options = h1::ExchangeOptions::default();
                let response = client.exchange(request, early, options, release).await;
                Ok((response.map_err(|error| as_safe(error, &request.method))?, None))
            }
            Self::Http2(stream) => {
                let response = stream.connection.client.exchange(request, early).await?;
                Ok((response, Some(stream)))
            }
        }
    }
}
