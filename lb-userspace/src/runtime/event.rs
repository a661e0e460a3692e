//! What the daemon's loop is told.

use super::Offer;
use crate::{
    admin::Command, health::Transition, model::Desired, proxy::snapshot::Problem, reconcile::Reach,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// The source was read: a configuration with the way to its backends, or why it is none.
    Configuration {
        /// What asked for it, for the log.
        cause: &'static str,
        /// What was read.
        result: Result<Configuration, String>,
    },
    /// How backend addresses are reached now.
    Reach(BTreeMap<IpAddr, Reach>),
    /// An interface came, went or changed.
    Links,
    /// A health verdict about a backend changed.
    Health(Transition),
    /// A health verdict about an endpoint of an upstream changed.
    EndpointHealth(Transition),
    /// An operator asks.
    Command(Command),
    /// A sweep ended; see [`Fact::Swept`](crate::reconcile::Fact::Swept).
    Swept {
        /// Generation in force when it began.
        generation: u64,
        /// Slots that tracked flows still hold, by VIP index.
        held_slots: BTreeMap<u32, BTreeSet<u32>>,
    },
    /// A transition window is over, or something failed before is due again.
    Due,
    /// A reload began.
    Reloading,
    /// A successor wants to take over.
    HandOver(Offer),
    /// Exit, leaving the data plane as it is.
    Stop,
}

impl Event {
    /// Whether it says everything by itself, so that nothing is gained by waiting for more.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self, Self::Configuration { .. })
    }
}

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// All sources together.
    pub desired: Desired,
    /// The clusters' part in it, as [`Outcome`](crate::kube::Outcome) tells it; 0 = they have none yet.
    pub number: u64,
    /// What sources ask for and do not get, while the rest works.
    pub left_out: Vec<Problem>,
}

impl From<Desired> for Configuration {
    fn from(desired: Desired) -> Self {
        Self { desired, ..Self::default() }
    }
}
