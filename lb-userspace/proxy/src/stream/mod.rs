//! TCP, UDP and TLS passed through: sessions that are not HTTP.

mod connect;
mod endpoint;
pub mod proxy_protocol;
mod relay;
mod sni;
mod tcp;
#[cfg(test)]
mod tests;
mod udp;
mod weighted;

pub use endpoint::{Lease, Outgoing, Pick};
pub use relay::{End, Limits, Relayed, relay};
pub use sni::{SniError, SniRoutes, pass_through};
pub use tcp::{Session, serve_tcp};
pub use udp::{UdpListener, UdpRoute, UdpStatistics};
pub use weighted::Weighted;
