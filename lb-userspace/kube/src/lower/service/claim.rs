//! Who has which address and port: no two may have one.

use crate::lower::draft::Draft;
use lb_model::{Bind, Desired, Protocol, Vip};
use std::{collections::BTreeMap, net::SocketAddr};

/// VIPs of a data plane, and its backends and source ranges counted by VIP (`lb_common::limits`).
const VIPS_MAX: usize = 4_096;
const BACKENDS_MAX: usize = 65_536;
const SOURCES_MAX: usize = 65_536;

/// Addresses and ports by who has them.
pub(super) struct Claims {
    taken: BTreeMap<(SocketAddr, Protocol), String>,
    backend_count: usize,
    source_count: usize,
}

impl Claims {
    /// What the file and what was lowered so far have.
    pub(super) fn new(draft: &Draft<'_>) -> Self {
        let mut claims = Self { taken: BTreeMap::new(), backend_count: 0, source_count: 0 };
        claims.take_all("the file's ", &draft.world.file);
        claims.take_all("", &draft.desired);
        claims
    }

    fn take_all(&mut self, whose: &str, desired: &Desired) {
        for (name, service) in &desired.services {
            self.backend_count += service.vips.len() * service.backends.len();
            self.source_count += service.vips.len() * service.sources.len();
            for vip in &service.vips {
                self.taken.insert(of_vip(vip), format!("{whose}{name}"));
            }
        }
        for (name, listener) in &desired.proxy.listeners {
            for vip in &listener.vips {
                self.taken.insert(of_vip(vip), format!("{whose}listener {name}"));
            }
            let is_udp = listener.protocol == lb_model::ListenerProtocol::Udp;
            let protocol = if is_udp { Protocol::Udp } else { Protocol::Tcp };
            for Bind { address } in &listener.binds {
                self.taken.insert((*address, protocol), format!("{whose}listener {name}"));
            }
        }
    }

    /// Takes an address and port, unless another has it.
    ///
    /// # Errors
    /// Why not, for people.
    pub(super) fn take(
        &mut self,
        address: SocketAddr,
        protocol: Protocol,
        name: &str,
    ) -> Result<(), String> {
        if let Some(other) = self.taken.get(&(address, protocol)) {
            return Err(format!("{other} has {address}/{protocol}"));
        }
        if self.taken.len() >= VIPS_MAX {
            return Err(format!(
                "{VIPS_MAX} addresses and ports are in use, the most there may be"
            ));
        }
        self.taken.insert((address, protocol), name.to_owned());
        Ok(())
    }

    /// Counts backends of VIPs.
    ///
    /// # Errors
    /// They would be too many.
    pub(super) fn count_backends(&mut self, count: usize) -> Result<(), String> {
        let all = self.backend_count.saturating_add(count);
        if all > BACKENDS_MAX {
            return Err(format!("{all} backends are more than the limit of {BACKENDS_MAX}"));
        }
        self.backend_count = all;
        Ok(())
    }

    /// Counts source ranges of VIPs.
    ///
    /// # Errors
    /// They would be too many.
    pub(super) fn count_sources(&mut self, count: usize) -> Result<(), String> {
        let all = self.source_count.saturating_add(count);
        if all > SOURCES_MAX {
            return Err(format!("{all} source ranges are more than the limit of {SOURCES_MAX}"));
        }
        self.source_count = all;
        Ok(())
    }
}

const fn of_vip(vip: &Vip) -> (SocketAddr, Protocol) {
    (SocketAddr::new(vip.address, vip.port), vip.protocol)
}
