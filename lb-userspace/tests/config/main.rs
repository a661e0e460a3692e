//! Files: what is taken and what it asks for, what is refused and with which words.

mod corpus;
mod docs;
mod examples;
mod file;
mod round_trip;
mod round_trip_proxy;
mod support;
