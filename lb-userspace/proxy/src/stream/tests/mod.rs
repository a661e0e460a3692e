//! Sessions over loopback.

mod fixture;
mod proxy_protocol;
mod relay;
mod tcp;
mod udp;
