//! An upstream: its endpoints, and which of them gets a request.

use super::{
    balance::{Balancer, Takers, Wanted},
    clock::{now_ns, ns_of},
    endpoint::{Endpoint, State},
    lease::Lease,
    outlier::Member,
    persistence,
    pool::PoolKey,
    settings::{Settings, Shared},
    statistics::{EndpointStatistics, UpstreamStatistics},
};
use crate::{
    http::{Reason, Request},
    secure::ClientTls,
};
use arc_swap::ArcSwap;
use lb_common::balance::name::{Fnv, mix};
use lb_model::{Balance, EndpointAddress, HashKey};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};
use tokio::time::Instant;

/// An upstream, shared by all workers.
#[derive(Debug)]
pub struct Upstream {
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    balance: Balance,
    seed: u64,
    present: ArcSwap<Present>,
    wanted: Mutex<Endpoints>,
    /// What it was compiled of, without endpoints.
    model: lb_model::Upstream,
}

/// What a choice among endpoints depends on.
#[derive(Clone, Copy, Debug, Default)]
pub struct PickKey {
    /// Hash of what is hashed, if it is there.
    pub(super) hash: Option<u64>,
    /// The endpoint that persistence binds to.
    pub(super) pinned: Option<u128>,
}

/// Endpoints as they are configured, and what DNS says.
#[derive(Clone, Debug, Default)]
struct Endpoints {
    configured: BTreeMap<String, lb_model::Endpoint>,
    answers: HashMap<String, Vec<IpAddr>>,
    /// Names of those that an operator drained.
    drained: BTreeSet<String>,
}

/// Endpoints at one moment.
#[derive(Debug)]
struct Present {
    all: Vec<Arc<Endpoint>>,
    by_id: HashMap<u128, u32>,
    takers: Takers,
    balancer: Balancer,
}

impl Upstream {
    /// Compiles an upstream; `previous` itself is the answer if it is what is wanted. What is known about its endpoints, DNS included, is taken over from
    /// `previous`, by name and address. `tls` is the compiled form of [`lb_model::Upstream::tls`];
    /// `seed` is the same on all routers.
    pub fn compile(
        name: &str,
        model: &lb_model::Upstream,
        tls: Option<Arc<ClientTls>>,
        seed: u64,
        previous: Option<&Arc<Self>>,
    ) -> Arc<Self> {
        if let Some(before) = previous.filter(|it| it.seed == seed && it.is_of(model)) {
            return Arc::clone(before);
        }
        let settings = Arc::new(Settings::new(name, model, tls));
        let shared = previous.map(|it| Arc::clone(&it.shared)).unwrap_or_default();
        let answers = previous.map(|it| it.lock().answers.clone()).unwrap_or_default();
        let mut drained = previous.map(|it| it.lock().drained.clone()).unwrap_or_default();
        drained.retain(|name| model.endpoints.contains_key(name));
        let wanted = Endpoints { configured: model.endpoints.clone(), answers, drained };
        let known = previous.map(|it| it.present.load_full());
        let source = Source { settings: &settings, shared: &shared, seed };
        let present =
            source.present(&wanted, known.as_ref().map_or(&[], |it| &it.all), &model.balance);
        Arc::new(Self {
            balance: model.balance.clone(),
            seed,
            present: ArcSwap::from_pointee(present),
            wanted: Mutex::new(wanted),
            settings,
            shared,
            model: without_endpoints(model),
        })
    }

    /// Whether it was compiled of this, and is as it was then. With TLS that cannot be told: files
    /// may have changed.
    fn is_of(&self, model: &lb_model::Upstream) -> bool {
        model.tls.is_none()
            && self.model == without_endpoints(model)
            && self.lock().configured == model.endpoints
    }

    /// Takes the endpoints of `model` if it differs in nothing else, which is told; who holds the
    /// upstream need not know. The caller sees to it that TLS is as it was.
    pub fn take(&self, model: &lb_model::Upstream, seed: u64) -> bool {
        if self.seed != seed || self.model != without_endpoints(model) {
            return false;
        }
        if self.lock().configured != model.endpoints {
            self.set_endpoints(&model.endpoints);
        }
        true
    }

    /// Takes other endpoints, without anyone who holds the upstream having to know.
    pub fn set_endpoints(&self, endpoints: &BTreeMap<String, lb_model::Endpoint>) {
        let mut wanted = self.lock();
        wanted.configured.clone_from(endpoints);
        wanted.drained.retain(|name| endpoints.contains_key(name));
        self.refresh(&wanted);
    }

    /// Takes the addresses of a DNS name.
    pub fn set_addresses(&self, name: &str, addresses: &[IpAddr]) {
        let mut wanted = self.lock();
        if wanted.answers.get(name).is_some_and(|it| it == addresses) {
            return;
        }
        wanted.answers.insert(name.to_owned(), addresses.to_vec());
        self.refresh(&wanted);
    }

    /// Drains an endpoint, or takes it back, whatever the configuration says of the others. Later
    /// configurations keep it, as long as they have the endpoint. False if there is none.
    pub fn set_drain(&self, endpoint: &str, drain: bool) -> bool {
        let mut wanted = self.lock();
        if !wanted.configured.contains_key(endpoint) {
            return false;
        }
        let is_news = if drain {
            wanted.drained.insert(endpoint.to_owned())
        } else {
            wanted.drained.remove(endpoint)
        };
        if is_news {
            self.refresh(&wanted);
        }
        true
    }

    /// Names of the endpoints that an operator drained.
    pub fn drained(&self) -> BTreeSet<String> {
        self.lock().drained.clone()
    }

    /// Whether there is an endpoint of this name, even one without an address.
    pub fn has_endpoint(&self, name: &str) -> bool {
        self.lock().configured.contains_key(name)
    }

    /// DNS names of endpoints.
    pub fn names(&self) -> BTreeSet<String> {
        let wanted = self.lock();
        let names = wanted.configured.values().filter_map(|it| match &it.address {
            EndpointAddress::Name(name) => Some(name.clone()),
            EndpointAddress::Ip(_) => None,
        });
        names.collect()
    }

    /// Takes the verdict of active checks about an endpoint: one address of it, or all.
    /// Endpoints are held for healthy until told otherwise.
    pub fn set_health(&self, name: &str, address: Option<SocketAddr>, is_up: bool) {
        let present = self.present.load();
        let named = present.all.iter().filter(|it| &*it.name == name);
        let those = named.filter(|it| address.is_none_or(|address| it.address == address));
        those.for_each(|it| it.state.set_up(is_up));
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.settings.name
    }

    /// What the choice for a client and its request depends on. Requests of the proxy's own have no
    /// client.
    pub fn key(&self, client: Option<IpAddr>, request: Option<&Request>) -> PickKey {
        let hash_of =
            |bytes: &[u8]| mix(Fnv::new().with(&self.seed.to_be_bytes()).with(bytes).finish());
        let hash = match &self.balance {
            Balance::Maglev(HashKey::Source) => client.map(|it| match it.to_canonical() {
                IpAddr::V4(address) => hash_of(&address.octets()),
                IpAddr::V6(address) => hash_of(&address.octets()),
            }),
            Balance::Maglev(HashKey::Header(name)) => {
                request.and_then(|it| it.field(name.as_str())).map(hash_of)
            }
            Balance::Maglev(HashKey::Cookie(name)) => {
                request.and_then(|it| it.cookie(name)).map(hash_of)
            }
            _ => None,
        };
        PickKey { hash, pinned: None }
    }

    /// Chooses an endpoint, none of `exclude`. One that active checks hold for dead is never
    /// chosen: without a living one it is [`Reason::NoEndpoint`]. One that is left out for its
    /// failures is chosen only if no other lives.
    pub fn pick(&self, key: &PickKey, exclude: &[SocketAddr]) -> Result<Lease, Reason> {
        self.pick_at(Instant::now(), key, exclude)
    }

    /// As [`Upstream::pick`], for who knows the time.
    pub(super) fn pick_at(
        &self,
        now: Instant,
        key: &PickKey,
        exclude: &[SocketAddr],
    ) -> Result<Lease, Reason> {
        let present = self.present.load();
        let mut wanted = Wanted::sound(exclude, ns_of(now));
        if let Some(endpoint) = key.pinned.and_then(|id| present.find(id))
            && wanted.admits(endpoint)
        {
            return Lease::begin(endpoint);
        }
        let Present { takers, balancer, .. } = &**present;
        let turn = &self.shared.turn;
        let sound = balancer.choose(takers, &wanted, key.hash, turn);
        wanted.ejected_too = true;
        let chosen = sound.or_else(|| balancer.choose(takers, &wanted, key.hash, turn));
        let Some(endpoint) = chosen else {
            self.shared.without_endpoint.add(u64::from(exclude.is_empty()));
            return Err(Reason::NoEndpoint);
        };
        Lease::begin(endpoint)
    }

    /// The endpoint that [`Upstream::pick`] would choose now, without counting anything. Where
    /// chance has a part in the choice, this is another draw.
    pub fn preview(&self, key: &PickKey) -> Option<(Arc<str>, SocketAddr)> {
        let present = self.present.load();
        let Present { takers, balancer, .. } = &**present;
        let turn = AtomicU32::new(self.shared.turn.load(Relaxed));
        let mut wanted = Wanted::sound(&[], now_ns());
        let sound = balancer.choose(takers, &wanted, key.hash, &turn);
        wanted.ejected_too = true;
        let chosen = sound.or_else(|| balancer.choose(takers, &wanted, key.hash, &turn))?;
        Some((Arc::clone(&chosen.name), chosen.address))
    }

    /// How it balances.
    pub fn balance(&self) -> &Balance {
        &self.balance
    }

    /// What was counted, and how its endpoints are.
    pub fn snapshot(&self) -> UpstreamStatistics {
        let now = now_ns();
        let all = &self.present.load().all;
        UpstreamStatistics {
            name: self.settings.name.to_string(),
            under_way: self.shared.under_way.load(Relaxed),
            pending: self.shared.pending.load(Relaxed),
            refused_count: self.shared.refused.count(),
            without_endpoint_count: self.shared.without_endpoint.count(),
            endpoints: all.iter().map(|it| EndpointStatistics::of(it, now)).collect(),
        }
    }

    /// Whether an endpoint of this id is there and lives.
    pub(super) fn holds(&self, id: u128) -> bool {
        let present = self.present.load();
        present.find(id).is_some_and(|it| Wanted::sound(&[], now_ns()).admits(it))
    }

    /// Whether one that may be chosen is there beside these.
    pub(super) fn has_other_than(&self, tried: &[SocketAddr]) -> bool {
        let mut wanted = Wanted::sound(tried, now_ns());
        wanted.ejected_too = true;
        self.present.load().takers.endpoints.iter().any(|it| wanted.admits(it))
    }

    /// What is under way.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// How endpoints are spoken to.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn lock(&self) -> MutexGuard<'_, Endpoints> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh(&self, wanted: &Endpoints) {
        let source = Source { settings: &self.settings, shared: &self.shared, seed: self.seed };
        let present = source.present(wanted, &self.present.load().all, &self.balance);
        self.present.store(Arc::new(present));
    }
}

fn without_endpoints(model: &lb_model::Upstream) -> lb_model::Upstream {
    lb_model::Upstream {
        endpoints: BTreeMap::new(),
        protocol: model.protocol,
        tls: model.tls.clone(),
        balance: model.balance.clone(),
        health: model.health.clone(),
        outlier: model.outlier.clone(),
        limits: model.limits,
        slow_start: model.slow_start,
        connect_timeout: model.connect_timeout,
        idle_timeout: model.idle_timeout,
        sends_proxy_protocol: model.sends_proxy_protocol,
    }
}

impl Present {
    fn find(&self, id: u128) -> Option<&Arc<Endpoint>> {
        self.all.get(*self.by_id.get(&id)? as usize)
    }
}

/// What endpoints are made with.
struct Source<'a> {
    settings: &'a Arc<Settings>,
    shared: &'a Arc<Shared>,
    seed: u64,
}

impl Source<'_> {
    fn present(&self, wanted: &Endpoints, known: &[Arc<Endpoint>], balance: &Balance) -> Present {
        let mut all = Vec::new();
        for (name, model) in &wanted.configured {
            let (addresses, host_name) = match &model.address {
                EndpointAddress::Ip(address) => (std::slice::from_ref(address), None),
                EndpointAddress::Name(name) => {
                    let addresses = wanted.answers.get(name).map_or(&[][..], Vec::as_slice);
                    (addresses, Some(Arc::from(name.as_str())))
                }
            };
            for address in addresses {
                let address = SocketAddr::new(*address, model.port);
                let mut endpoint = self.endpoint(name, model, address, host_name.clone(), known);
                endpoint.drain |= wanted.drained.contains(name);
                all.push(Arc::new(endpoint));
            }
        }
        let member =
            |it: &Arc<Endpoint>| Member { state: Arc::clone(&it.state), takes_new: it.takes_new() };
        self.shared.roster.store(Arc::new(all.iter().map(member).collect()));
        let takers = Takers::of(&all);
        let by_id = all.iter().map(|it| it.id).zip(0..).collect();
        Present { by_id, balancer: Balancer::new(balance, &takers, self.seed), takers, all }
    }

    fn endpoint(
        &self,
        name: &str,
        model: &lb_model::Endpoint,
        address: SocketAddr,
        host_name: Option<Arc<str>>,
        known: &[Arc<Endpoint>],
    ) -> Endpoint {
        let same = known
            .binary_search_by(|it| (&*it.name, it.address).cmp(&(name, address)))
            .ok()
            .and_then(|it| known.get(it));
        let state = match same {
            Some(same) => Arc::clone(&same.state),
            None => Arc::new(State::new(!known.is_empty())),
        };
        let pool_key = PoolKey::new(address, self.settings, host_name.as_ref());
        Endpoint {
            name: same.map_or_else(|| name.into(), |it| Arc::clone(&it.name)),
            address,
            weight: model.weight,
            drain: model.drain,
            id: persistence::id_of(self.seed, name, address),
            pool_key: Arc::new(pool_key),
            host_name,
            state,
            settings: Arc::clone(self.settings),
            shared: Arc::clone(self.shared),
        }
    }
}
