//! Which endpoint gets a request, over which connection, and what happens when it fails.
//!
//! A [`Plan`] (the sending part of a rule) names [`Upstream`]s; an upstream gives a [`Lease`] on one
//! of its endpoints; the worker's [`Sender`] has a connection to that. What is known about endpoints
//! is shared by all workers and configurations, in atomics; connections belong to a worker.

mod attempt;
mod average;
mod balance;
mod clock;
mod dispatch;
mod endpoint;
mod error;
mod lease;
mod limits;
mod outlier;
mod persistence;
mod plan;
mod pool;
mod random;
mod replay;
mod resolve;
mod retry;
mod sender;
mod session;
mod settings;
mod statistics;
mod tail;
mod upstream;

pub use dispatch::{RETRY_AFTER, ask, dispatch};
pub use error::SendError;
pub use lease::Lease;
pub use plan::{Backend, BackendEdits, Plan};
pub use resolve::{Answer, Names, Resolve, SystemResolver};
pub use sender::Sender;
pub use statistics::{EndpointStatistics, UpstreamStatistics};
pub use upstream::{PickKey, Upstream};

#[cfg(test)]
mod tests;
