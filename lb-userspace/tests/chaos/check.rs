//! What must hold whatever happens.

use super::{
    certificate,
    engine::Maps,
    router::{merged, name, reach},
    server::Server,
    site::{
        GATEWAY_ADDRESS, INGRESS_ADDRESS, INGRESSES, Id, VERSIONS_MAX, of_certificate, of_endpoint,
        of_host, of_port, service_at,
    },
};
use lb_common::abi::SLOT_MOVED;
use lb_userspace::{
    kube::{Cluster, Objects, Options, World, lower},
    model::{Desired, EndpointAddress, HostPattern, Vip},
    reconcile::{Image, Observed, compile},
    runtime::backend_addresses,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

/// A part of what is programmed that comes from one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// A port of a service.
    Port(u8, u16),
    /// A port of the Gateway.
    Listener(u16),
    /// A port of the Ingresses.
    Ingress(u16),
    /// Of a slice, a route or an Ingress: the cluster, the object and its version there.
    Version(u8, Id, u16),
    /// Of the Secret of a cluster, and which certificate it is.
    Certificate(u8, u16),
}

/// What must hold.
pub(crate) struct Check {
    servers: Vec<Arc<Server>>,
    /// The newest version of each object that was programmed: none goes back.
    newest: BTreeMap<(u8, Id), u16>,
    /// What ran when all was well, and the revision of each cluster then: none of it goes unless
    /// what it comes from changed.
    settled: BTreeSet<Part>,
    revisions: Vec<u64>,
}

type Checked = Result<(), String>;

impl Check {
    pub(crate) fn new(servers: &[Arc<Server>]) -> Self {
        Self {
            servers: servers.to_vec(),
            newest: BTreeMap::new(),
            settled: BTreeSet::new(),
            revisions: Vec::new(),
        }
    }

    /// The router no longer knows what it has not read since.
    pub(crate) fn forgets(&mut self) {
        self.settled.clear();
        self.goes_back();
    }

    /// The router knows what it kept, which may be older than what it ran.
    pub(crate) fn goes_back(&mut self) {
        self.newest.clear();
    }

    /// All is well: this runs.
    pub(crate) fn settles(&mut self, desired: &Desired) -> Checked {
        self.settled = parts(desired)?;
        self.revisions = self.servers.iter().map(|it| it.lock().revision).collect();
        Ok(())
    }

    /// Everything that was written to the maps came from objects that were.
    pub(crate) fn maps(&self, maps: &Maps) -> Checked {
        let (vips, backends) = {
            let mut held = maps.lock();
            (std::mem::take(&mut held.vips), std::mem::take(&mut held.backends))
        };
        for vip in vips {
            self.existed(of_vip(vip)?)?;
        }
        for (service, backend) in backends {
            let address = backend.split_once('/').and_then(|it| it.1.split_once(':'));
            let address = address.and_then(|it| it.0.parse().ok());
            let address = address.ok_or_else(|| format!("backend {backend} of {service}"))?;
            self.existed(of_address(address))?;
        }
        Ok(())
    }

    /// Everything that is to run came from objects that were, nothing is older than before, and
    /// nothing is gone that nobody changed.
    pub(crate) fn desired(&mut self, desired: &Desired) -> Checked {
        let parts = parts(desired)?;
        for part in &parts {
            self.existed(*part)?;
            if let Part::Version(cluster, id, version) = *part {
                let newest = self.newest.entry((cluster, id)).or_default();
                if version < *newest {
                    return Err(format!("{part:?} is back, {newest} was there before"));
                }
                *newest = version;
            }
        }
        match self.settled.difference(&parts).find(|it| !self.may_go(**it)) {
            Some(lost) => Err(format!("{lost:?} is gone, and nothing was changed that it is from")),
            None => Ok(()),
        }
    }

    fn existed(&self, part: Part) -> Checked {
        let had = |cluster: u8, id, version| {
            let server = self.servers.iter().find(|it| it.cluster == cluster);
            server.is_some_and(|it| it.lock().had(id, version))
        };
        let existed = match part {
            Part::Port(service, 80) => {
                self.servers.iter().any(|it| it.lock().had(Id::Service(service), 1))
            }
            Part::Port(service, port) => {
                let (cluster, version) = of_port(port);
                had(cluster, Id::Service(service), version)
            }
            Part::Listener(port) => {
                let (cluster, version) = of_port(port);
                had(cluster, Id::Gateway, version)
            }
            Part::Ingress(_) => self.servers.iter().any(|it| it.lock().had(Id::IngressClass, 1)),
            Part::Version(cluster, id, version) => had(cluster, id, version),
            Part::Certificate(cluster, number) => (1..=VERSIONS_MAX)
                .filter(|version| version % certificate::COUNT == number)
                .any(|version| had(cluster, Id::Secret, version)),
        };
        if existed { Ok(()) } else { Err(format!("{part:?} never was")) }
    }

    /// Whether what a part comes from changed since all was well.
    fn may_go(&self, part: Part) -> bool {
        let from = match part {
            Part::Port(service, _) => vec![Id::Service(service)],
            Part::Listener(_) => vec![Id::Gateway, Id::Class],
            Part::Version(_, Id::Slice(service, number), _) => {
                vec![Id::Slice(service, number), Id::Service(service)]
            }
            // The port of TLS goes with the last certificate.
            Part::Ingress(_) | Part::Certificate(..) => {
                let ingresses = (0..INGRESSES).map(Id::Ingress);
                [Id::IngressClass, Id::Secret].into_iter().chain(ingresses).collect()
            }
            Part::Version(_, id @ Id::Ingress(_), _) => vec![id, Id::IngressClass],
            Part::Version(_, id, _) => vec![id, Id::Gateway, Id::Class],
        };
        let mut servers = self.servers.iter().zip(&self.revisions);
        servers.any(|(server, revision)| {
            let state = server.lock();
            from.iter().any(|id| state.changed_after(*id, *revision))
        })
    }
}

fn parts(desired: &Desired) -> Result<BTreeSet<Part>, String> {
    let mut parts = BTreeSet::new();
    for vip in desired.services.values().flat_map(|it| &it.vips) {
        parts.insert(of_vip(*vip)?);
    }
    for vip in desired.proxy.listeners.values().flat_map(|it| &it.vips) {
        parts.insert(of_vip(*vip)?);
    }
    for address in backend_addresses(desired) {
        parts.insert(of_address(ipv4(address)?));
    }
    for endpoint in desired.proxy.upstreams.values().flat_map(|it| it.endpoints.values()) {
        let EndpointAddress::Ip(address) = endpoint.address else {
            return Err(format!("{endpoint:?} has a name"));
        };
        parts.insert(of_address(ipv4(address)?));
    }
    for host in desired.proxy.routes.values().flat_map(|it| &it.hosts) {
        let HostPattern::Exact(name) = host else { return Err(format!("host {host:?}")) };
        let (id, cluster, version) = of_host(name).ok_or_else(|| format!("host {name}"))?;
        parts.insert(Part::Version(cluster, id, version));
    }
    for (name, it) in &desired.proxy.certificates {
        let part = of_certificate(name).zip(certificate::of_chain(&it.chain));
        let (cluster, number) = part.ok_or_else(|| format!("certificate {name}"))?;
        parts.insert(Part::Certificate(cluster, number));
    }
    Ok(parts)
}

fn of_vip(vip: Vip) -> Result<Part, String> {
    let address = ipv4(vip.address)?;
    match service_at(address) {
        Some(service) => Ok(Part::Port(service, vip.port)),
        None if address == GATEWAY_ADDRESS => Ok(Part::Listener(vip.port)),
        None if address == INGRESS_ADDRESS => Ok(Part::Ingress(vip.port)),
        None => Err(format!("VIP {vip}")),
    }
}

fn of_address(address: Ipv4Addr) -> Part {
    let (cluster, id, version) = of_endpoint(address);
    Part::Version(cluster, id, version)
}

fn ipv4(address: IpAddr) -> Result<Ipv4Addr, String> {
    match address {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(address) => Err(format!("{address} is of no object")),
    }
}

/// What a router runs that starts with the objects as they are now.
pub(crate) fn clean(servers: &[Arc<Server>], options: &Options) -> Result<Desired, String> {
    let mut world = World {
        options: Arc::new(options.clone()),
        file: Arc::new(super::router::file()),
        leads: true,
        now_seconds: 1_800_000_000,
        ..World::default()
    };
    for server in servers {
        let mut objects = Objects::default();
        for stored in server.lock().objects.values() {
            objects.insert(stored.value.clone()).map_err(|error| error.to_string())?;
        }
        world.clusters.push(Cluster { name: name(server), weight: 100, objects });
    }
    merged(&lower(&world).desired)
}

/// Compares what the maps hold with what they hold after a clean start.
pub(crate) fn same_image(maps: &Maps, desired: &Desired) -> Checked {
    let reach = backend_addresses(desired).into_iter().map(|it| (it, reach())).collect();
    let observed = Observed { reach, now_ms: 1, ..Observed::default() };
    let compiled = compile(desired, &observed, &Image::default());
    let wanted = compiled.map_err(|errors| format!("{errors:?}"))?.image;
    let held = maps.lock();
    if !held.tables.leftovers().is_empty() {
        return Err("something is left over in the maps".to_owned());
    }
    let (found, wanted) = (plain(&held.tables.image()), plain(&wanted));
    if found != wanted {
        return Err(format!("the maps hold\n{found:#?}\nand after a clean start\n{wanted:#?}"));
    }
    Ok(())
}

/// An image without what depends on how it came about: indexes, generations, memory of moves.
fn plain(image: &Image) -> BTreeMap<Vip, (String, u8, Vec<String>, Vec<String>)> {
    let vips = image.vips.iter().map(|(vip, it)| {
        let backends = it.backends.iter().map(|(name, backend)| {
            let entry = &backend.entry;
            let (state, weight) = (entry.state, backend.weight);
            format!("{name} {:?} {} state {state} weight {weight}", entry.address, entry.port)
        });
        let owner = |word: &u32| {
            let index = word & !SLOT_MOVED;
            let owner = it.backends.iter().find(|(_, it)| it.entry.id.index() == index);
            owner.map_or_else(|| format!("index {index}"), |(name, _)| name.clone())
        };
        // Nobody takes new flows: a ring that was there before keeps the old ones.
        let is_idle = it.ring.slots.iter().all(|word| word & !SLOT_MOVED == 0);
        let slots = it.ring.slots.iter().filter(|_| !is_idle).map(owner).collect();
        (*vip, (it.service.clone(), it.entry.flags, backends.collect(), slots))
    });
    vips.collect()
}
