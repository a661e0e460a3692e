//! Lowering: objects of all clusters to what to run and what to say. Pure: no IO, no clock.
//!
//! The order is that of a packet: addresses, then where clients connect, then where they go.

mod address;
mod again;
mod age;
mod certificate;
mod changed;
mod condition;
mod discovery;
mod draft;
mod gateway;
mod index;
mod ingress;
mod listener;
mod name;
mod policy;
mod route;
mod service;
mod upstream;
mod uses;

pub(crate) use index::{Grants, Referent, Referrer};
pub use ingress::Coverage;
pub(crate) use ingress::{Classes as IngressClasses, ingress_coverage};
pub(crate) use service::is_ours as is_service_ours;

pub use gateway::FEATURES;

pub use again::Lowering;
pub(crate) use changed::asks_the_same;

use crate::{Lowered, World};

/// What `world` asks for.
pub fn lower(world: &World) -> Lowered {
    Lowering::default().lower(world)
}
