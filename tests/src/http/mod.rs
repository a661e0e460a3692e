//! What HTTP servers and proxies are asked, as data: the same tables run against ours in memory and
//! against any other over TCP.

pub mod probes;
