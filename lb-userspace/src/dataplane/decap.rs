//! The backend's end of tunnels: `lb_decap` on an interface, with this host's addresses.

use super::{
    attach::{self, Attachment},
    convert::words,
    error::{DataplaneError, Result},
    load,
    pin::Pins,
    spec, verifier,
};
use crate::{EBPF_OBJECT, model::Settings};
use aya::{
    Ebpf, EbpfLoader,
    maps::{HashMap, MapData},
    programs::Xdp,
};
use lb_common::{abi::Words, limits::DECAP_LOCALS_MAX};
use nix::ifaddrs::getifaddrs;
use std::{collections::BTreeSet, io, time::Duration};
use tokio::signal::unix::{SignalKind, signal};

/// Name of the program.
const DECAP: &str = "lb_decap";
/// Name of the map of local addresses.
const LOCAL: &str = "lb_decap_local";
/// How often the host's addresses are read again.
const REFRESH: Duration = Duration::from_secs(2);

/// Attaches the program and keeps its addresses current until SIGTERM or SIGINT. The program stays
/// when this ends; `lbd detach` removes it.
///
/// # Errors
/// The object cannot be loaded, or the interface does not exist or refuses the program.
pub fn run(interface: &str, instance: &str) -> Result<()> {
    let pins = pins(instance)?;
    pins.create()?;
    let mut decap = Decap::load()?;
    decap.refresh()?;
    let Attachment { mode, .. } = attach::attach_only(&pins, decap.program()?, interface)?;
    tracing::info!(interface, ?mode, addresses = decap.known.len(), "decapsulating");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(DataplaneError::io("starting the runtime"))?;
    runtime.block_on(decap.keep_current())
}

/// Where the program is pinned: beside, not in, the data plane of the same name, which takes every
/// link among its own pins for one of its forwarding program.
pub(super) fn pins(instance: &str) -> Result<Pins> {
    Pins::new(&format!("{instance}-decap"))
}

/// The loaded program and what it was told.
struct Decap {
    object: Ebpf,
    local: HashMap<MapData, Words, u32>,
    known: BTreeSet<Words>,
}

impl Decap {
    fn load() -> Result<Self> {
        load::raise_memlock();
        let mut loader = EbpfLoader::new();
        // The balancer's own maps come with the object; nothing uses them here.
        for spec in spec::maps(&Settings::default()).iter().filter(|spec| !spec.is_agents) {
            loader.map_max_entries(spec.name, 1);
        }
        let mut object = loader.load(EBPF_OBJECT).map_err(DataplaneError::Object)?;
        let local = object.take_map(LOCAL).ok_or_else(|| missing(LOCAL))?;
        let local = HashMap::try_from(local).map_err(DataplaneError::map(LOCAL, "opening"))?;
        let mut decap = Self { object, local, known: BTreeSet::new() };
        let program = decap.program()?;
        verifier::load(DECAP, || program.load())?;
        Ok(decap)
    }

    fn program(&mut self) -> Result<&mut Xdp> {
        let program = self.object.program_mut(DECAP).ok_or_else(|| missing(DECAP))?;
        program.try_into().map_err(DataplaneError::program(DECAP, "opening"))
    }

    /// Tells the program this host's addresses.
    fn refresh(&mut self) -> Result<()> {
        let all = addresses()?;
        let current = served(&all);
        if current != self.known && current.len() < all.len() {
            let left_out = all.len() - current.len();
            tracing::warn!(
                left_out,
                limit = DECAP_LOCALS_MAX,
                "too many addresses: tunnels to the last are not ended"
            );
        }
        for gone in self.known.difference(&current) {
            self.local.remove(gone).map_err(DataplaneError::map(LOCAL, "removing"))?;
        }
        for new in current.difference(&self.known) {
            self.local.insert(new, 1, 0).map_err(DataplaneError::map(LOCAL, "writing"))?;
        }
        self.known = current;
        Ok(())
    }

    async fn keep_current(mut self) -> Result<()> {
        let watch = |kind| signal(kind).map_err(DataplaneError::io("watching signals"));
        let mut terminate = watch(SignalKind::terminate())?;
        let mut interrupt = watch(SignalKind::interrupt())?;
        let mut tick = tokio::time::interval(REFRESH);
        loop {
            tokio::select! {
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = tick.tick() => self.refresh()?,
            }
        }
    }
}

/// As many of the addresses as there is room for: the first.
fn served(all: &BTreeSet<Words>) -> BTreeSet<Words> {
    all.iter().take(DECAP_LOCALS_MAX as usize).copied().collect()
}

/// Addresses of this host that a balancer may send to: all but loopback ones.
fn addresses() -> Result<BTreeSet<Words>> {
    let interfaces = getifaddrs()
        .map_err(|errno| DataplaneError::io("reading addresses")(io::Error::from(errno)))?;
    let mut found = BTreeSet::new();
    for address in interfaces.filter_map(|interface| interface.address) {
        if let Some(ipv4) = address.as_sockaddr_in().map(nix::sys::socket::SockaddrIn::ip)
            && !ipv4.is_loopback()
        {
            found.insert(words(ipv4.into()));
        }
        if let Some(ipv6) = address.as_sockaddr_in6().map(nix::sys::socket::SockaddrIn6::ip)
            && !ipv6.is_loopback()
        {
            found.insert(words(ipv6.into()));
        }
    }
    Ok(found)
}

fn missing(what: &str) -> DataplaneError {
    DataplaneError::io(format!("the eBPF object has no {what}"))(io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn hosts(count: u32) -> BTreeSet<Words> {
        (1..=count).map(|host| words(Ipv4Addr::from(10 << 24 | host).into())).collect()
    }

    #[test]
    fn as_many_addresses_as_fit_are_served() {
        for count in [0, 1, DECAP_LOCALS_MAX] {
            assert_eq!(served(&hosts(count)), hosts(count));
        }
        let more = hosts(DECAP_LOCALS_MAX + 10);
        assert_eq!(served(&more).len(), DECAP_LOCALS_MAX as usize);
        assert!(served(&more).is_subset(&more));
    }
}
