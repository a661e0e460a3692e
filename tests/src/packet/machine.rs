//! What runs rows: the kernel, or the same path in memory.

use anyhow::Result;

use super::{delta::Counters, kernel::Ran, state::State, stored::Stored};

/// A packet path with its maps.
pub trait Machine {
    /// Makes the maps hold `state` and nothing else. Counters go on counting.
    fn set(&mut self, state: &State) -> Result<()>;
    /// Every entry of the flow, NAT and fragment tables.
    fn stored(&mut self) -> Result<Vec<Stored>>;
    /// Every counter that is not zero.
    fn counters(&mut self) -> Result<Counters>;
    /// Bytes of the shortest frame that it runs.
    fn shortest_bytes(&self) -> usize;
    /// Runs one frame that arrives at `ifindex`.
    fn run(&mut self, frame: &[u8], ifindex: u32) -> Result<Ran>;
    /// Runs one frame as a trace, if the machine can: nothing may change.
    fn trace(&mut self, frame: &[u8], ifindex: u32) -> Result<Option<Ran>>;
}
