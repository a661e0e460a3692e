//! What the API answers with: stable JSON, built purely from an image, counters and health.
//!
//! Every answer is a [`List`] or an object with `apiVersion` and `kind`. Fields are only ever
//! added; `null` means "not known here", for example health while the daemon is down.

mod backend;
mod change;
mod flow;
mod generation;
mod list;
mod program;
mod stat;
mod trace;
mod vip;

pub use backend::{BackendHealth, BackendNextHop, BackendResource, address, backends};
pub use change::{BackendChange, ChangeResource, changes};
pub use flow::{FlowFilter, FlowKind, FlowResource};
pub use generation::{ConfigurationStatus, GenerationResource, InterfaceResource};
pub use list::{API_VERSION, Kind, List};
pub use program::ProgramResource;
pub use stat::{StatKind, StatResource, stats};
pub use trace::{TraceRequest, TraceResource};
pub use vip::{VipResource, vips};
