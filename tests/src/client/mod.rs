//! Real clients: connections and exchanges that are tallied, connections that stay open, and a
//! steady flow whose every lost message counts.
//!
//! All of them talk to [`crate::server`] and run inside the host they are given.

mod long_lived;
mod socket;
mod steady;
mod tally;
mod tcp;
mod udp;
mod workers;

pub use lb_userspace::model::Protocol;
pub use long_lived::{LongLived, Ping};
pub use socket::raise_open_file_limit;
pub use steady::{FlowReport, Steady, SteadyPlan, SteadyReport};
pub use tally::{Answer, Failure, Tally};
pub use tcp::{Close, TcpRun, tcp_connections};
pub use udp::{UdpRun, udp_exchanges};
