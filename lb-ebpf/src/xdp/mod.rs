//! Program entry points.

mod forward;
mod pass;
mod stages;
