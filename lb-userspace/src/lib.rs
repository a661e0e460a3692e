//! The daemon `lbd` and its tool `lbctl`.
//!
//! A configuration change travels `config` (source) -> [`model`] (desired) -> [`reconcile`] (plan)
//! -> `dataplane` (apply) -> `admin` (report). `model` and `reconcile` do no IO and read no clock.

pub mod admin;
pub mod config;
pub mod ctl;
pub mod dataplane;
pub mod health;
pub mod model;
pub mod observe;
pub mod reconcile;
pub mod runtime;
