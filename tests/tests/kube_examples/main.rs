//! The examples for Kubernetes: their manifests and configurations as they are, real API servers' part
//! by the stand-in, requests from a client to the addresses that are told. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail the test; JSON is looked into by name"
)]

mod bed;
mod capabilities;
mod chart;
mod external_services;
mod gateway_api_app;
mod installing;
mod rights;
mod router;
mod streams;
