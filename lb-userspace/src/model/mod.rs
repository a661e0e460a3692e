//! `Desired`: what the operator wants, whatever source said it. Plain, ordered, comparable,
//! serialisable; no IO, no clock.

mod backend;
mod health;
mod service;
mod settings;
mod vip;

pub use backend::Backend;
pub use health::{HealthCheck, Probe};
pub use service::{Affinity, ForwardingMode, Service, UdpPolicy};
pub use settings::{Settings, TunnelSource};
pub use vip::{Protocol, Vip, VipSyntaxError};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything one data plane should do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Interfaces that traffic for VIPs (and replies, with NAT) arrives on, in file order.
    pub interfaces: Vec<String>,
    /// What holds for the whole data plane.
    pub settings: Settings,
    /// Services by name.
    pub services: BTreeMap<String, Service>,
}
