//! What came of lowering, written back: statuses and Events.
//!
//! Only the leader writes ([`Writer`]), only what differs, and only once that runs which the
//! status is about.

mod event;
mod infrastructure;
mod ledger;
mod merge;
mod outcome;
mod patch;
mod queue;
mod said;
mod send;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use writer::write_hint;
pub use writer::{Counts, Writer};
