//! What the API answers with: stable JSON, built purely from an image, counters and health.
//!
//! Every answer is a [`List`] or an object with `apiVersion` and `kind`. Fields are only ever
//! added; `null` means "not known here", for example health while the daemon is down.

mod backend;
mod certificate;
mod change;
mod cluster;
mod flow;
mod generation;
mod list;
mod listener;
mod program;
mod route;
mod stat;
mod trace;
mod upstream;
mod vip;
mod why;

pub use backend::{BackendHealth, BackendNextHop, BackendResource, address, backends};
pub use certificate::{CertificateResource, certificates};
pub use change::{BackendChange, ChangeResource, changes};
pub use cluster::degraded;
pub use flow::{FlowFilter, FlowKind, FlowResource};
pub use generation::{ConfigurationStatus, GenerationResource, InterfaceResource};
pub use list::{API_VERSION, Kind, List};
pub use listener::{ListenerResource, listeners};
pub use program::ProgramResource;
pub use route::{
    RouteBackendResource, RouteObject, RouteRequests, RouteResource, routes, with_objects,
};
pub use stat::{StatKind, StatResource, stats};
pub use trace::{TraceRequest, TraceResource};
pub use upstream::{EndpointResource, UpstreamResource, upstreams};
pub use vip::{VipResource, vips};
pub use why::{WhyBackend, WhyListener, WhyObject, WhyRequest, WhyResource, WhyRule, WhyTls};

pub(super) use listener::protocol_name;
pub(super) use route::{describe, object_name};
pub(super) use upstream::{balance_name, endpoint};
