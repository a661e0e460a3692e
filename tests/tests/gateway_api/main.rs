//! The tests of the Gateway API's conformance suite (v1.6.1) in our own words and manifests, each
//! named after the one that asks for the same, and cases of our own beside them. [`cases`] has
//! the list; docs/GATEWAY-API.md's tables and the conformance report are made from it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod backend_tls;
mod cases;
mod gateway;
mod grpc;
mod http;
mod report;
mod scene;
mod tcp;
mod tls;
mod udp;
