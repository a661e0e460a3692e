//! Gateways, whatever their routes.

pub(crate) mod address;
pub(crate) mod certificate;
pub(crate) mod client;
pub(crate) mod listener;
pub(crate) mod listener_set;
pub(crate) mod listener_set_status;
