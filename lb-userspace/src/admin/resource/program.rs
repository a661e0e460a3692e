//! `get programs`.

use super::Kind;
use serde::{Deserialize, Serialize};

/// One loaded program on one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramResource {
    /// Program name.
    pub name: String,
    /// Kernel id.
    pub id: u32,
    /// Hash of its instructions.
    pub tag: String,
    /// Loaded parts of the packet path.
    pub features: Vec<String>,
    /// Interface it is attached to; `null` = none.
    pub interface: Option<String>,
    /// `native` or `generic`; `null` = not attached, or not known.
    pub attach_mode: Option<String>,
    /// Size of the machine code, bytes; 0 = interpreted.
    pub jit_bytes: u32,
    /// Instructions that the verifier went through; `null` = the kernel does not tell.
    pub verified_instructions: Option<u32>,
    /// Runs, counted while `kernel.bpf_stats_enabled` is on.
    pub run_count: u64,
    /// Time spent in them, nanoseconds, likewise.
    pub run_time_ns: u64,
}

impl Kind for ProgramResource {
    const LIST: &'static str = "ProgramList";
}
