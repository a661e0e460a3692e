//! What happened: metrics and the access log.

mod record;

pub use record::Record;
