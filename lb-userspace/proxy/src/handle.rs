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
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
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
    inherited: Inherited,
    drain_timeout: Duration,
    /// Endpoints by upstream that are drained as soon as they are there.
    drained: BTreeSet<(String, String)>,
}

/// Listening sockets that go from one process to its successor.
#[derive(Debug, Default)]
pub struct Inherited(BTreeMap<(bool, SocketAddr, Transport), Arc<Bound>>);

impl Inherited {
    /// Adds sockets; more than one group of an address becomes one.
    pub fn add(&mut self, mut bound: Bound, is_steered: bool) {
        let key = (is_steered, bound.address, bound.transport);
        if let Some(known) = self.0.remove(&key).and_then(Arc::into_inner) {
            let Bound { sockets, .. } = known;
            bound.sockets.splice(0..0, sockets);
        }
        self.0.insert(key, Arc::new(bound));
    }

    /// The groups of sockets, and whether steered connections come to them.
    pub fn groups(&self) -> impl Iterator<Item = (&Bound, bool)> {
        self.0.iter().map(|(&(is_steered, ..), bound)| (&**bound, is_steered))
    }

    fn take(&mut self, address: SocketAddr, transport: Transport) -> Option<Bound> {
        self.0.remove(&(false, address, transport)).and_then(Arc::into_inner)
    }

    fn take_steered(&mut self, is_ipv4: bool, transport: Transport) -> Option<Bound> {
        let mut keys = self.0.keys().copied();
        let key = keys.find(|&(is_steered, address, of)| {
            is_steered && of == transport && address.is_ipv4() == is_ipv4
        })?;
        self.0.remove(&key).and_then(Arc::into_inner)
    }
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

impl Steered {
    fn all(&self) -> [&Arc<Bound>; 4] {
        [&self.tcp4, &self.tcp6, &self.udp4, &self.udp6]
    }
}

impl Proxy {
    /// Starts the workers; they serve nothing yet. `seed` is the same on all routers. Must be
    /// called inside a tokio runtime, which follows the names of endpoints.
    pub fn start(settings: &lb_model::ProxySettings, seed: u64) -> io::Result<Self> {
        Self::start_with(settings, seed, Inherited::default())
    }

    /// As [`Self::start`], with the sockets of a predecessor, which goes on accepting until it is
    /// told. Those that the first configuration does not want are closed.
    pub fn start_with(
        settings: &lb_model::ProxySettings,
        seed: u64,
        inherited: Inherited,
    ) -> io::Result<Self> {
        let available = || thread::available_parallelism().map_or(1, usize::from);
        let count = settings.workers.map_or_else(available, usize::from);
        let common = Arc::new(Common::default());
        common.limit.set_max(settings.connections_max);
        common.set_queue_delay_max(settings.queue_delay_max);
        let shared = Arc::clone(&common);
        let workers = Workers::start(count, move |index| Worker::new(index, Arc::clone(&shared)))?;
        let names = Names::new(SystemResolver::new()?);
        let followed = Arc::clone(&names);
        tokio::spawn(async move { followed.run().await });
        Ok(Self {
            common,
            workers,
            names,
            seed,
            log: None,
            steered: None,
            inherited,
            drain_timeout: settings.drain_timeout,
            drained: BTreeSet::new(),
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
        self.common.set_queue_delay_max(wanted.settings.queue_delay_max);
        self.drain_timeout = wanted.settings.drain_timeout;
        self.take_log(wanted.settings.access_log.as_ref(), &mut snapshot.problems);
        for (upstream, endpoint) in std::mem::take(&mut self.drained) {
            if let Some(upstream) = snapshot.upstreams.get(&*upstream) {
                upstream.set_drain(&endpoint, true);
            }
        }
        for upstream in std::mem::take(&mut snapshot.changed) {
            self.names.follow(&upstream);
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
        let steered = Steered {
            tcp4: self.open_steered(true, Transport::Tcp)?,
            tcp6: self.open_steered(false, Transport::Tcp)?,
            udp4: self.open_steered(true, Transport::Udp)?,
            udp6: self.open_steered(false, Transport::Udp)?,
        };
        self.steered = Some(steered.clone());
        Ok(steered)
    }

    /// Has the next configuration begin with these endpoints drained, by upstream.
    pub fn drain_first(&mut self, endpoints: BTreeSet<(String, String)>) {
        self.drained = endpoints;
    }

    /// Drains an endpoint, or takes it back; false if there is none.
    pub fn set_drain(&self, upstream: &str, endpoint: &str, drain: bool) -> bool {
        let snapshot = self.common.snapshot.load();
        snapshot.upstreams.get(upstream).is_some_and(|it| it.set_drain(endpoint, drain))
    }

    /// Endpoints by upstream that an operator drained.
    pub fn drained(&self) -> BTreeSet<(String, String)> {
        let snapshot = self.common.snapshot.load();
        let mut drained = BTreeSet::new();
        for (name, upstream) in &snapshot.upstreams {
            drained.extend(upstream.drained().into_iter().map(|it| (name.to_string(), it)));
        }
        drained
    }

    /// All listening sockets, for a successor.
    pub fn sockets(&self) -> Inherited {
        let steered: Vec<_> = self.steered.iter().flat_map(Steered::all).collect();
        let key = |it: &Arc<Bound>| {
            let is_steered = steered.iter().any(|other| Arc::ptr_eq(other, it));
            ((is_steered, it.address, it.transport), Arc::clone(it))
        };
        Inherited(self.workers.bound().map(key).collect())
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
        self.end(Ending::Closed);
    }

    /// As [`Self::stop`], but what comes now is for a successor that has the same sockets.
    pub fn leave(self) {
        self.end(Ending::HandedOver);
    }

    fn end(self, ending: Ending) {
        // Else connections would go on waiting there for somebody to accept them.
        drop(self.steered);
        self.workers.stop(self.drain_timeout, ending);
    }

    /// Sockets that nobody needs to reach by their own address. Nothing is accepted from them
    /// before it is known what is served.
    fn open_steered(
        &mut self,
        is_ipv4: bool,
        transport: Transport,
    ) -> Result<Arc<Bound>, SocketError> {
        let count = self.workers.count();
        if let Some(mut bound) = self.inherited.take_steered(is_ipv4, transport) {
            bound.grow(count)?;
            return Ok(Arc::new(bound));
        }
        let address: IpAddr =
            if is_ipv4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        Bound::open((address, 0).into(), transport, count).map(Arc::new)
    }

    fn listen(
        &mut self,
        address: SocketAddr,
        transport: Transport,
    ) -> Result<Arc<Bound>, SocketError> {
        let Some(mut bound) = self.inherited.take(address, transport) else {
            return self.workers.listen(address, transport);
        };
        bound.grow(self.workers.count())?;
        let bound = Arc::new(bound);
        self.workers.adopt(Arc::clone(&bound))?;
        Ok(bound)
    }

    fn bind(&mut self, binds: &BTreeSet<(SocketAddr, bool)>, problems: &mut Vec<Problem>) {
        let mut wanted: BTreeSet<(SocketAddr, Transport)> = BTreeSet::new();
        for &(address, is_udp) in binds {
            let transport = if is_udp { Transport::Udp } else { Transport::Tcp };
            match self.listen(address, transport) {
                Ok(bound) => drop(wanted.insert((bound.address, transport))),
                Err(error) => problems
                    .push(Problem { object: format!("bind {address}"), why: error.to_string() }),
            }
        }
        for bound in self.steered.iter().flat_map(Steered::all) {
            if wanted.insert((bound.address, bound.transport))
                && !self.workers.bound().any(|it| Arc::ptr_eq(it, bound))
                && let Err(error) = self.workers.adopt(Arc::clone(bound))
            {
                let object = "steered connections".to_owned();
                problems.push(Problem { object, why: error.to_string() });
            }
        }
        self.workers.retain(&wanted);
        self.inherited = Inherited::default();
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
