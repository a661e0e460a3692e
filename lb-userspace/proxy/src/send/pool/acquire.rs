//! Finds a connection for a request, or opens one, or waits for one.

use super::{
    Pool, Pools,
    connection::{Alone, Counted, SharedConnection, Stream, Wire},
    open::{Opened, open},
};
use crate::{
    connection::Connection,
    http::Reason,
    send::{Lease, SendError, clock::after, endpoint::Endpoint, limits::Pending},
};
use lb_model::UpstreamProtocol;
use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
};
use tokio::time::{Instant, timeout_at};

/// A connection to the endpoint of a lease, and since when there is one; `now` = it was there.
pub(in crate::send) async fn acquire(
    pools: &Pools,
    lease: &Lease,
    client: Option<&Connection>,
    now: Instant,
) -> Result<(Wire, Instant), SendError> {
    let endpoint = lease.endpoint();
    let pool = match client.filter(|_| endpoint.settings.outgoing.proxy_protocol.is_some()) {
        Some(client) => pools.of(&Arc::new(endpoint.pool_key.telling(client))),
        None => pools.of(&endpoint.pool_key),
    };
    if let Some(wire) = take(&pool, now) {
        endpoint.state.counters.connections_reused.add(1);
        return Ok((wire, now));
    }
    let pending = Pending::begin(&endpoint.shared, &endpoint.settings);
    let _pending = pending.map_err(SendError::unseen)?;
    // Rare, and large.
    let wire = Box::pin(wait_or_open(endpoint, &pool, client)).await?;
    Ok((wire, Instant::now()))
}

/// A connection that has room.
fn take(pool: &Rc<Pool>, now: Instant) -> Option<Wire> {
    if let Some(connection) = pool.with_stream() {
        return Some(Wire::Http2(Stream::new(&connection, pool)));
    }
    let (client, counted) = pool.pop(now)?;
    Some(Wire::Http1(Alone { client, counted, pool: Rc::clone(pool) }))
}

async fn wait_or_open(
    endpoint: &Arc<Endpoint>,
    pool: &Rc<Pool>,
    client: Option<&Connection>,
) -> Result<Wire, SendError> {
    let deadline = after(Instant::now(), endpoint.settings.outgoing.connect_timeout);
    loop {
        // One connection at a time, where many requests are to share it.
        let shares =
            endpoint.settings.protocol == UpstreamProtocol::Http2 || pool.spoke_http2.get();
        let is_coming = shares && pool.opening.get() > 0;
        if !is_coming && let Some(counted) = Counted::begin(endpoint) {
            let _opening = Opening::begin(pool);
            let opened = timeout_at(deadline, open(endpoint, client)).await;
            let opened = opened.map_err(|_| failed(endpoint))??;
            return Ok(wire(opened, counted, pool));
        }
        let _waiting = Waiting::begin(endpoint, pool);
        let news = async {
            tokio::select! {
                () = pool.freed.notified() => {}
                () = endpoint.state.closed.notified() => {}
            }
        };
        timeout_at(deadline, news).await.map_err(|_| refused(endpoint))?;
        if let Some(wire) = take(pool, Instant::now()) {
            endpoint.state.counters.connections_reused.add(1);
            return Ok(wire);
        }
    }
}

fn wire(opened: Opened, counted: Counted, pool: &Rc<Pool>) -> Wire {
    match opened {
        Opened::Http1(client) => {
            pool.spoke_http2.set(false);
            Wire::Http1(Alone { client, counted, pool: Rc::clone(pool) })
        }
        Opened::Http2(client) => {
            let connection = Rc::new(SharedConnection::new(client, counted));
            pool.spoke_http2.set(true);
            let mut shared = pool.shared.borrow_mut();
            shared.retain(|it| !it.client.is_closed());
            shared.push(Rc::clone(&connection));
            Wire::Http2(Stream::new(&connection, pool))
        }
    }
}

fn failed(endpoint: &Endpoint) -> SendError {
    endpoint.state.counters.connect_errors.add(1);
    SendError::unseen(Reason::ConnectFailed)
}

fn refused(endpoint: &Endpoint) -> SendError {
    endpoint.shared.refused.add(1);
    SendError::unseen(Reason::CircuitOpen)
}

/// A connection being opened, until it is dropped.
struct Opening(Rc<Pool>);

impl Opening {
    fn begin(pool: &Rc<Pool>) -> Self {
        pool.opening.set(pool.opening.get() + 1);
        Self(Rc::clone(pool))
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.opening.set(self.0.opening.get().saturating_sub(1));
        // However it went: those that wait for it have to look again.
        self.0.freed.notify_waiters();
    }
}

/// A request that waits, until it is dropped.
struct Waiting(Arc<Endpoint>, Rc<Pool>);

impl Waiting {
    fn begin(endpoint: &Arc<Endpoint>, pool: &Rc<Pool>) -> Self {
        endpoint.state.waiting.fetch_add(1, Relaxed);
        pool.waiting.set(pool.waiting.get() + 1);
        Self(Arc::clone(endpoint), Rc::clone(pool))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.state.waiting.fetch_sub(1, Relaxed);
        self.1.waiting.set(self.1.waiting.get().saturating_sub(1));
    }
}
