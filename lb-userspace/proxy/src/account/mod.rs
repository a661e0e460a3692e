//! What happened: statistics and the access log.

mod histogram;
mod json;
mod log;
mod record;
mod shard;
mod short;
mod stats;
mod timestamp;

pub use histogram::{BUCKETS_S, Histogram, HistogramSum};
pub use log::{AccessLogger, BATCH_AGE, LogWriter};
pub use record::Record;
pub use shard::{Counter, Shards};
pub use short::Short;
pub use stats::{ListenerStats, ListenerSum, RuleStats, RuleSum};
