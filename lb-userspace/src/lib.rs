//! The daemon `lbd` and its tool `lbctl`.
//!
//! A configuration change travels `config` or [`kube`] (source) -> [`model`] (desired) -> [`reconcile`] (plan)
//! -> `dataplane` and [`proxy`] (apply) -> `admin` (report). `model` and `reconcile` do no IO and
//! read no clock.

pub mod admin;
pub mod config;
pub mod ctl;
pub mod dataplane;
pub mod health;
pub mod observe;
pub mod reconcile;
pub mod runtime;

pub use lb_kube as kube;
pub use lb_model as model;
pub use lb_proxy as proxy;

/// The eBPF object file (ELF, with BTF) of all kernel programs, aligned so that it can be parsed
/// in place.
pub static EBPF_OBJECT: &[u8] = aya::include_bytes_aligned!(env!("LB_EBPF_OBJECT"));

/// One line: what compiled and linked [`EBPF_OBJECT`], and why that was picked.
pub const EBPF_TOOLCHAIN: &str = env!("LB_EBPF_TOOLCHAIN");
