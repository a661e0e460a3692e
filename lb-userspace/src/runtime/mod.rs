//! Life of the process.
