//! Sockets, connection limits, the PROXY protocol, workers.
