//! Logs.

mod logs;
mod rate;

pub use logs::{LogFormat, Verbosity, start};
pub use rate::RateLimit;
