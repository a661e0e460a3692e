//! Life of the process: its instance, lock and files, signals, service manager, and the loop that
//! feeds the driver.

mod clock;
mod clusters;
pub(crate) mod daemon;
mod drains;
mod engine;
mod event;
mod handoff;
mod instance;
mod lock;
mod notify;
mod packet_log;
mod routes;
mod serve;
mod source;
mod sweep;

pub use clock::wall_ms;
pub use daemon::{Daemon, Ended, Parts, interface};
pub use drains::{Drained, Drains};
pub use engine::attached;
pub use event::{Configuration, Event};
pub use handoff::Offer;
pub use instance::{Instance, InvalidName, RUN_DIRECTORY};
pub use lock::{Lock, LockError};
pub use notify::ServiceManager;
pub use routes::{Routes, backend_addresses};
pub use serve::{Start, run};
pub use source::File;
