//! HTTPRoute.

pub(crate) mod backend;
pub(crate) mod cors;
pub(crate) mod filter;
pub(crate) mod guard;
pub(crate) mod host;
pub(crate) mod matching;
pub(crate) mod mirror;
pub(crate) mod parent;
pub(crate) mod reference;
pub(crate) mod retry;
