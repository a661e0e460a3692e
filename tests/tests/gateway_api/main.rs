//! Every feature of the Gateway API that is served, as tests: named after the feature, grouped by
//! profile. docs/GATEWAY-API.md is made from their names.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

mod filter;
mod gateway;
mod http;
mod stream;
