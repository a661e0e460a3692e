//! Kubernetes objects lowered to what the load balancer runs, and its truth written back.
//!
//! The way of a change: an API server's `watch` fills [`Objects`], those of all clusters are the
//! [`World`], which is lowered (pure) to [`Lowered`]; when that runs, `status` writes it back.

pub mod api;
mod lower;
mod lowered;
mod manifest;
mod migrate;
mod objects;
mod options;
mod range;
mod world;

pub use lower::lower;
pub use lowered::{Condition, ListenerReport, Lowered, Notice, ParentReport, Status};
pub use manifest::ManifestError;
pub use migrate::{Coverage, Migrated, migrate};
pub use objects::{ObjectId, ObjectKey, ObjectKind, Objects, Store};
pub use options::{
    AddressRequest, ClusterOptions, Discovery, DiscoveryRule, GATEWAY_CONTROLLER,
    INGRESS_CONTROLLER, LOAD_BALANCER_CLASS, Options, PREFIX, Pool,
};
pub use range::{AddressRange, RangeError};
pub use world::{Cluster, World};
