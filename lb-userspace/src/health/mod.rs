//! Active health checks: probers feed a pure rise-and-fall machine; only its verdicts leave.

mod checkers;
mod http;
mod jitter;
mod state;
mod target;
mod tcp;
#[cfg(test)]
pub(crate) mod test_service;

pub use checkers::{Checkers, HealthBoard, HealthRecord, Transition};
use jitter::Jitter;
pub use state::RiseFall;
pub use target::{Key, Target, endpoint_targets, targets};
