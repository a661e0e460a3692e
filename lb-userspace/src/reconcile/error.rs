//! Why a `Desired` cannot be compiled.

use crate::model::{Protocol, Vip};
use lb_common::limits;

/// One reason; a refused `Desired` comes with all of them, and what runs stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// More VIPs than [`limits::VIPS_MAX`].
    #[error("{count} VIPs are more than the limit of {}", limits::VIPS_MAX)]
    TooManyVips {
        /// VIPs desired.
        count: usize,
    },
    /// More backends, counted once per VIP, than [`limits::BACKENDS_MAX`].
    #[error(
        "{count} backends, counted once per VIP, are more than the limit of {}",
        limits::BACKENDS_MAX
    )]
    TooManyBackends {
        /// Backends desired.
        count: usize,
    },
    /// More source ranges, counted once per VIP, than [`limits::SOURCES_MAX`].
    #[error(
        "{count} source ranges, counted once per VIP, are more than the limit of {}",
        limits::SOURCES_MAX
    )]
    TooManySources {
        /// Ranges desired.
        count: usize,
    },
    /// All is within limits, but only once what it replaces is gone.
    #[error("no free {what} left while those being replaced still run; apply the removals first")]
    NoRoomForChange {
        /// `VIP index` or `backend index`.
        what: &'static str,
    },
    /// A VIP belongs to two services.
    #[error("VIP {vip} belongs to both {first:?} and {second:?}")]
    SharedVip {
        /// The VIP.
        vip: Vip,
        /// One owner.
        first: String,
        /// The other.
        second: String,
    },
    /// A VIP belongs to a service and to a listener.
    #[error(
        "VIP {vip} belongs to both service {service:?} and listener {listener:?}: its packets are either forwarded or given to the proxy"
    )]
    ForwardedAndProxied {
        /// The VIP.
        vip: Vip,
        /// Service.
        service: String,
        /// Listener.
        listener: String,
    },
    /// A listener's VIP without a port.
    #[error("listener {listener:?}: VIP {vip} has all ports; the proxy needs one")]
    ProxiedWithoutPort {
        /// The VIP.
        vip: Vip,
        /// Listener.
        listener: String,
    },
    /// A listener's VIP of another transport protocol than what the listener speaks.
    #[error("listener {listener:?}: VIP {vip} is not a {needed} VIP, which the listener needs")]
    ProxiedProtocol {
        /// The VIP.
        vip: Vip,
        /// Listener.
        listener: String,
        /// Protocol needed.
        needed: Protocol,
    },
    /// A service or backend name is empty or too long for the name table.
    #[error("the name {name:?} is empty or longer than {} bytes", limits::NAME_BYTES_MAX)]
    BadName {
        /// The name.
        name: String,
    },
    /// A ring size that Maglev cannot fill.
    #[error(
        "service {service:?}: {ring_slots} ring slots; use a prime up to {}",
        limits::RING_SLOTS_MAX
    )]
    BadRingSlots {
        /// Service.
        service: String,
        /// Its ring size.
        ring_slots: u32,
    },
    /// A ring cannot be resized under its flows: every slot would stand for other flows.
    #[error(
        "VIP {vip}: its ring of {running} slots cannot become one of {desired} while it runs; remove the VIP first"
    )]
    RingResized {
        /// The VIP.
        vip: Vip,
        /// Slots now.
        running: u32,
        /// Slots desired.
        desired: u32,
    },
    /// A backend without an address.
    #[error("backend {backend:?} of service {service:?} has no address")]
    NoAddress {
        /// Service.
        service: String,
        /// Backend.
        backend: String,
    },
    /// A port other than the VIP's, in a mode that does not translate.
    #[error(
        "VIP {vip}: backend {backend:?} listens on another port, which mode {mode} cannot reach; use nat or dnat"
    )]
    PortNeedsNat {
        /// The VIP.
        vip: Vip,
        /// Backend.
        backend: String,
        /// Mode chosen.
        mode: &'static str,
    },
    /// An address family other than the VIP's, in a mode that translates.
    #[error(
        "VIP {vip}: backend {backend:?} has no address of the VIP's family, which mode {mode} needs; use tunnel"
    )]
    FamilyNeedsTunnel {
        /// The VIP.
        vip: Vip,
        /// Backend.
        backend: String,
        /// Mode chosen.
        mode: &'static str,
    },
}
