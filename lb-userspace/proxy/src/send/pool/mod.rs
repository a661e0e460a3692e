//! Connections to endpoints, per worker: no locks.
//!
//! HTTP/1.1 connections wait unused, the last used one is used next, so that the others can grow
//! old and be closed. HTTP/2 connections are shared; another is opened when all streams are taken.

mod acquire;
mod connection;
mod open;

use super::{clock::after, settings::Settings};
use crate::{connection::Connection, http::h1, turn};
use foldhash::fast::FixedState;
use lb_model::{ProxyProtocol, UpstreamProtocol};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, Hash, Hasher},
    net::SocketAddr,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

pub(super) use acquire::acquire;
pub(super) use connection::Stream;
use connection::{Counted, SharedConnection};

/// Unused connections to one endpoint that a worker keeps. Beyond it the oldest is closed.
const IDLE_MAX: usize = 256;

/// What makes connections alike.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PoolKey {
    hash: u64,
    address: SocketAddr,
    protocol: UpstreamProtocol,
    tls: Option<u64>,
    host_name: Option<Arc<str>>,
    announces: Option<ProxyProtocol>,
    /// The client that connections tell, and where it connected.
    told: Option<(SocketAddr, SocketAddr)>,
}

/// All connections of a worker.
#[derive(Default)]
pub(super) struct Pools(RefCell<HashMap<Arc<PoolKey>, Rc<Pool>, BuildHasherDefault<Prehashed>>>);

/// Connections that are alike.
#[derive(Default)]
pub(super) struct Pool {
    /// HTTP/1.1: unused ones, the last used one at the end.
    idle: RefCell<Vec<Idle>>,
    /// HTTP/2.
    shared: RefCell<Vec<Rc<SharedConnection>>>,
    /// Whether the last connection that was opened spoke HTTP/2.
    spoke_http2: Cell<bool>,
    /// Connections being opened.
    opening: Cell<u32>,
    /// Requests of this worker that wait.
    waiting: Cell<u32>,
    /// Told when a connection or a stream is free.
    freed: Notify,
}

struct Idle {
    client: h1::Client,
    counted: Counted,
    expires: Instant,
}

impl PoolKey {
    /// For an endpoint of these settings.
    pub(super) fn new(
        address: SocketAddr,
        settings: &Settings,
        host_name: Option<&Arc<str>>,
    ) -> Self {
        let tls = settings.outgoing.tls.as_ref().map(|it| it.identity());
        // The name is verified, if at all, by TLS.
        let host_name = tls.and(host_name).map(Arc::clone);
        let protocol = settings.protocol;
        let announces = settings.outgoing.proxy_protocol;
        let hash = FixedState::default().hash_one((address, protocol, tls, &host_name, announces));
        Self { hash, address, protocol, tls, host_name, announces, told: None }
    }

    /// For connections that tell this client, and serve no other.
    fn telling(&self, client: &Connection) -> Self {
        let told = (client.client, client.local);
        Self {
            hash: FixedState::default().hash_one((self.hash, told)),
            told: Some(told),
            host_name: self.host_name.clone(),
            ..*self
        }
    }
}

impl Hash for PoolKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Takes a hash as it is.
#[derive(Default)]
struct Prehashed(u64);

impl Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl Pools {
    /// The connections of this kind.
    pub(super) fn of(&self, key: &Arc<PoolKey>) -> Rc<Pool> {
        if let Some(pool) = self.0.borrow().get(key) {
            return Rc::clone(pool);
        }
        Rc::clone(self.0.borrow_mut().entry(Arc::clone(key)).or_default())
    }

    /// Closes what was unused for too long, and forgets kinds of which nothing is left.
    pub(super) fn sweep(&self) {
        self.0.borrow_mut().retain(|_, pool| {
            pool.sweep();
            Rc::strong_count(pool) > 1 || !pool.is_empty()
        });
    }
}

impl Pool {
    /// Keeps a connection for the next request, unless one of another worker waits for it.
    fn put(&self, client: h1::Client, counted: Counted, idle_timeout: Duration) {
        let wanted_elsewhere = counted.state().waiting.load(Relaxed) > self.waiting.get();
        if wanted_elsewhere && self.waiting.get() == 0 {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= IDLE_MAX {
            idle.remove(0);
        }
        idle.push(Idle { client, counted, expires: after(turn::now(), idle_timeout) });
        self.notify();
    }

    /// An unused connection that lives.
    fn pop(&self, now: Instant) -> Option<(h1::Client, Counted)> {
        loop {
            let Idle { client, counted, expires } = self.idle.borrow_mut().pop()?;
            if expires > now && client.is_alive() {
                return Some((client, counted));
            }
        }
    }

    /// An HTTP/2 connection with a free stream.
    fn with_stream(&self) -> Option<Rc<SharedConnection>> {
        let shared = self.shared.borrow();
        shared.iter().find(|it| it.client.has_capacity()).map(Rc::clone)
    }

    /// Tells one that waits.
    fn notify(&self) {
        if self.waiting.get() > 0 {
            self.freed.notify_one();
        }
    }

    fn sweep(&self) {
        let now = Instant::now();
        self.idle.borrow_mut().retain(|it| it.expires > now && it.client.is_alive());
        self.shared.borrow_mut().retain(|it| !it.is_over(now));
    }

    fn is_empty(&self) -> bool {
        self.idle.borrow().is_empty() && self.shared.borrow().is_empty()
    }
}
