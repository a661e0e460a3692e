//! The running proxy, as the daemon holds it.

use crate::{
    accept::{Bound, Ending, SocketError, Transport, Workers},
    account::LogWriter,
    send::{Names, SystemResolver},
    snapshot::{Context, Problem, Snapshot},
    worker::{Common, Worker},
};
use lb_model::AccessLog;
use std::{
    collections::BTreeSet,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    thread,
    time::Duration,
};

/// The running proxy.
pub struct Proxy {
    common: Arc<Common>,
    workers: Workers,
    names: Arc<Names>,
    seed: u64,
    log: Option<AccessLog>,
    steered: Option<Steered>,
    drain_timeout: Duration,
}

/// Sockets that steered connections and datagrams are given to: any of each group will do.
#[derive(Clone, Debug)]
pub struct Steered {
    /// TCP over IPv4.
    pub tcp4: Arc<Bound>,
    /// TCP over IPv6.
    pub tcp6: Arc<Bound>,
    /// UDP over IPv4.
    pub udp4: Arc<Bound>,
    /// UDP over IPv6.
    pub udp6: Arc<Bound>,
}

impl Proxy {
    /// Starts the workers; they serve nothing yet. `seed` is the same on all routers. Must be
    /// called inside a tokio runtime, which follows the names of endpoints.
    pub fn start(settings: &lb_model::ProxySettings, seed: u64) -> io::Result<Self> {
        let available = || thread::available_parallelism().map_or(1, usize::from);
        let count = settings.workers.map_or_else(available, usize::from);
        let common = Arc::new(Common::default());
        common.limit.set_max(settings.connections_max);
        let shared = Arc::clone(&common);
        let workers = Workers::start(count, move |index| Worker::new(index, Arc::clone(&shared)))?;
        let names = Names::new(SystemResolver::new().map_err(io::Error::other)?);
        let followed = Arc::clone(&names);
        tokio::spawn(async move { followed.run().await });
        Ok(Self {
            common,
            workers,
            names,
            seed,
            log: None,
            steered: None,
            drain_timeout: settings.drain_timeout,
        })
    }

    /// Serves `wanted` from now on: requests that begin after this are answered by it, on every
    /// worker. What does not work is told; the rest works.
    pub fn apply(&mut self, wanted: &lb_model::Proxy, generation: u64) -> Vec<Problem> {
        let previous = self.common.snapshot.load_full();
        let worker_count = self.workers.count();
        let context = Context { previous: &previous, seed: self.seed, worker_count };
        let mut snapshot = Snapshot::compile(wanted, generation, context);
        self.common.limit.set_max(wanted.settings.connections_max);
        self.drain_timeout = wanted.settings.drain_timeout;
        self.take_log(wanted.settings.access_log.as_ref(), &mut snapshot.problems);
        for upstream in snapshot.upstreams.values() {
            self.names.follow(upstream);
        }
        // The routes first: a socket must not be open before what it serves is known.
        let binds = snapshot.binds();
        let mut problems = snapshot.problems.clone();
        self.common.snapshot.store(Arc::new(snapshot));
        self.bind(&binds, &mut problems);
        problems
    }

    /// What is served now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.common.snapshot.load_full()
    }

    /// A way to see what is served that outlives borrows of the proxy.
    pub fn common(&self) -> Arc<Common> {
        Arc::clone(&self.common)
    }

    /// The sockets for steered connections and datagrams; made when first asked for.
    pub fn steered(&mut self) -> Result<Steered, SocketError> {
        if let Some(steered) = &self.steered {
            return Ok(steered.clone());
        }
        // Nobody needs to reach them by their own address.
        let ipv4 = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let ipv6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
        let steered = Steered {
            tcp4: self.workers.listen(ipv4, Transport::Tcp)?,
            tcp6: self.workers.listen(ipv6, Transport::Tcp)?,
            udp4: self.workers.listen(ipv4, Transport::Udp)?,
            udp6: self.workers.listen(ipv6, Transport::Udp)?,
        };
        self.steered = Some(steered.clone());
        Ok(steered)
    }

    /// Takes the verdict of active checks about an endpoint.
    pub fn set_health(&self, upstream: &str, endpoint: &str, is_up: bool) {
        if let Some(upstream) = self.common.snapshot.load().upstreams.get(upstream) {
            upstream.set_health(endpoint, None, is_up);
        }
    }

    /// Opens the access log's file anew, after somebody renamed it.
    pub fn reopen_log(&self) {
        if let Some(writer) = &*self.common.log.load() {
            writer.reopen();
        }
    }

    /// Takes no connections any more, lets what is open finish for a while, and ends the workers.
    /// Blocks meanwhile.
    pub fn stop(self) {
        // Else connections would go on waiting there for somebody to accept them.
        drop(self.steered);
        self.workers.stop(self.drain_timeout, Ending::Closed);
    }

    fn bind(&mut self, binds: &BTreeSet<(SocketAddr, bool)>, problems: &mut Vec<Problem>) {
        let mut wanted: BTreeSet<(SocketAddr, Transport)> = BTreeSet::new();
        for &(address, is_udp) in binds {
            let transport = if is_udp { Transport::Udp } else { Transport::Tcp };
            match self.workers.listen(address, transport) {
                Ok(bound) => drop(wanted.insert((bound.address, transport))),
                Err(error) => problems
                    .push(Problem { object: format!("bind {address}"), why: error.to_string() }),
            }
        }
        if let Some(Steered { tcp4, tcp6, udp4, udp6 }) = &self.steered {
            wanted.extend([tcp4, tcp6, udp4, udp6].map(|it| (it.address, it.transport)));
        }
        self.workers.retain(&wanted);
    }

    fn take_log(&mut self, wanted: Option<&AccessLog>, problems: &mut Vec<Problem>) {
        let file = |log: Option<&AccessLog>| log.map(|it| it.file.clone());
        if file(wanted) == file(self.log.as_ref()) {
            self.log = wanted.cloned();
            return;
        }
        match wanted.map(LogWriter::start).transpose() {
            Ok(writer) => {
                self.common.log.store(writer);
                self.log = wanted.cloned();
            }
            Err(error) => {
                problems.push(Problem { object: "access log".to_owned(), why: error.to_string() });
            }
        }
    }
}
