//! Sockets, connection limits, and the workers that accept.

mod limit;
mod socket;
mod worker;

pub use limit::{ConnectionLimit, Counted};
pub use socket::{Bound, SocketError, Transport};
pub use worker::{Accepted, Ending, Handler, Worker, Workers};
