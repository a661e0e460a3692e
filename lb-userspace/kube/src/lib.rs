//! Kubernetes objects lowered to what the load balancer runs, and its truth written back.
//!
//! The way of a change: an API server's `watch` fills [`Objects`], those of all clusters are the
//! [`World`], which is lowered (pure) to [`Lowered`]; when that runs, `status` writes it back.

mod access;
mod agent;
pub mod api;
mod due;
mod kubeconfig;
mod lease;
mod lower;
mod lowered;
mod manifest;
mod migrate;
mod needs;
mod objects;
mod options;
mod range;
mod saved;
mod status;
mod watch;
mod world;

pub use access::{Access, reads};
pub use agent::{
    Agent, Channels, ClusterProblem, ClusterReport, ClusterState, EndpointCount,
    GatewayListenerReport, GatewayReport, Outcome, Output, RouteReport, ServiceReport, Told,
};
pub use kubeconfig::{Contexts, contexts};
pub use lease::{Candidate, LeaseProblem, elect};
pub use lower::{FEATURES, Lowering, lower};
pub use lowered::{
    Condition, Infrastructure, InfrastructureChange, ListenerReport, Lowered, Notice, ParentReport,
    Status,
};
pub use manifest::ManifestError;
pub use migrate::{Coverage, Migrated, migrate};
pub use objects::{ObjectId, ObjectKey, ObjectKind, Objects, Store};
pub use options::{
    AddressRequest, ClusterOptions, Discovery, DiscoveryRule, GATEWAY_CONTROLLER,
    INGRESS_CONTROLLER, LOAD_BALANCER_CLASS, Options, PREFIX, Pool,
};
pub use range::{AddressRange, RangeError};
pub use status::{Counts, Writer};
pub use watch::{Connector, Versions};
pub use world::{Cluster, World};
