//! The verbs of `lbd` and `lbctl`, one a file, and what they print with.

mod check;
mod clusters;
mod decap;
mod detach;
mod diff;
mod drain;
mod generation;
mod get;
mod hosts;
mod lbctl;
mod lbd;
mod metrics;
mod migrate;
mod objects;
mod output;
mod proxy;
mod proxy_rows;
mod rows;
mod run;
mod schema;
mod source;
mod table;
mod trace;
mod why;

pub use lbctl::main as lbctl;
pub use lbd::main as lbd;
