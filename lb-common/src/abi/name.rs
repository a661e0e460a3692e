//! Names of what the maps hold, written by the agent only, so that the pinned maps alone tell the
//! whole truth when the daemon is down.

use super::pod;

/// Value of `lb_names`, keyed by backend index. Each name is zero-padded UTF-8.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameEntry {
    /// Service name.
    pub service: [u8; 64],
    /// Backend name.
    pub backend: [u8; 64],
    /// The id the names were given to.
    pub id: super::BackendId,
    /// Relative weight.
    pub weight: u32,
}

pod!(NameEntry);
const _: () = assert!(size_of::<NameEntry>() == 136);
