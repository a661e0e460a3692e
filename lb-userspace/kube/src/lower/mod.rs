//! Lowering: objects of all clusters to what to run and what to say. Pure: no IO, no clock.
//!
//! The order is that of a packet: addresses, then where clients connect, then where they go.

mod address;
mod age;
mod certificate;
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

pub(crate) use index::{Grants, Referent, Referrer};
pub use ingress::Coverage;
pub(crate) use ingress::{Classes as IngressClasses, ingress_coverage};
pub(crate) use service::is_ours as is_service_ours;

pub use gateway::FEATURES;

use crate::{Lowered, World};
use draft::Draft;

/// What `world` asks for.
pub fn lower(world: &World) -> Lowered {
    let mut draft = Draft::new(world);
    address::lower(&mut draft);
    let mut gateways = gateway::lower(&mut draft);
    route::lower(&mut draft, &mut gateways);
    gateway::report(&mut draft, &gateways);
    service::lower(&mut draft);
    ingress::lower(&mut draft);
    discovery::lower(&mut draft);
    policy::report(&mut draft);
    draft.finish()
}
