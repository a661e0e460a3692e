//! The daemon's unix-socket API: the server, its client, and the resources both speak of.

mod client;
mod inspect;
mod interfaces;
mod maps;
mod metrics;
pub mod resource;
mod server;
mod socket;
mod view;
mod why;

pub use client::{Client, ClientError};
pub use inspect::{Inspect, NoMaps};
pub use interfaces::interface_names;
pub use resource::address;
pub use server::{Api, Command, Status, router};
pub use socket::bind;
pub use view::View;
pub use why::{name_objects, why};
