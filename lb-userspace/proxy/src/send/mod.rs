//! Which endpoint gets a request, over which connection, and what happens when it fails.

mod error;

pub use error::SendError;
