//! Handshakes over loopback.

mod clients;
mod endpoint;
mod fixture;
mod hello;
mod listener;
mod resumption;
