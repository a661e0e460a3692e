//! What is loaded, written by the agent only.

use super::pod;

/// Version of the layout of all maps. Raise it with every change of a key or value: pinned maps of
/// another version are refused instead of misread.
pub const LAYOUT_VERSION: u32 = 4;

/// The one value of `lb_info`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LoadInfo {
    /// [`LAYOUT_VERSION`] of the agent that created the maps; 0 = not written yet.
    pub layout_version: u32,
    /// [`super::Features`] of the loaded program.
    pub features: u32,
    /// Applied configuration changes.
    pub generation: u64,
    /// Flow-hash seed of the loaded program.
    pub seed: u64,
    /// Cookie that marks a trace request for the loaded program.
    pub trace_cookie: u64,
    /// Hash of the object file the loaded program came from.
    pub object_hash: u64,
    /// When the agent started, milliseconds since the Unix epoch.
    pub agent_started_ms: u64,
    /// Process id of the agent that last opened the maps.
    pub agent_pid: u32,
    /// Capacity of each flow table.
    pub flows_max: u32,
    /// Full NAT's port range of the loaded program, as in [`super::GLOBAL_NAT_PORTS`].
    pub nat_ports: u32,
    /// [`super::Features`] that the applied configuration needs: a part of `features`.
    pub needed_features: u32,
}

pod!(LoadInfo);
const _: () = assert!(size_of::<LoadInfo>() == 64);
