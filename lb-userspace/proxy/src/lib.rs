//! The L7 proxy. A request travels through the folders in this order:
//! [`accept`] (socket, PROXY protocol, worker) -> [`secure`] (TLS) -> [`http`] (HTTP/1.1, HTTP/2)
//! -> [`route`] (which rule) -> [`filter`] (what is done) -> [`send`] (which endpoint, over which
//! connection) -> [`account`] (log, metrics). Connections that are not HTTP go from [`accept`] or
//! [`secure`] to [`stream`].
//!
//! Each worker is one thread with a runtime of its own; nothing that belongs to a connection ever
//! leaves its worker, so `Rc` and `RefCell` serve where other proxies lock.

pub mod accept;
pub mod account;
#[cfg(test)]
mod closed;
pub mod connection;
pub mod drain;
pub mod exchange;
pub mod filter;
pub mod handle;
pub mod host;
pub mod http;
pub mod io;
pub mod route;
pub mod secure;
pub mod send;
pub mod snapshot;
pub mod stream;
mod turn;
pub mod worker;
