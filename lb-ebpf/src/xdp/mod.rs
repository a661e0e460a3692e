//! Program entry points.

mod decap;
mod forward;
mod pass;
mod stages;
