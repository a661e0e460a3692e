//! From `Desired` to map contents, and the ordered steps between two of them. Pure: no IO, no
//! clock; equal inputs give equal results on every router.

mod allocate;
mod auto;
mod compile;
mod diff;
mod driver;
mod entry;
mod error;
mod image;
mod merge;
mod observed;
mod plan;
mod ring;
mod sources;
mod steer;
mod store;
mod summary;
mod tables;
mod validate;

pub use compile::{Compiled, Unusable, WINDOW_MARGIN_MS, compile};
pub use diff::diff;
pub use driver::{AttachState, Attached, Cycle, CycleError, Driver, Engine, Fact, down_in};
pub use error::CompileError;
pub use image::{BackendImage, Image, RingImage, VipImage};
pub use merge::{LeftOut, merge};
pub use observed::{Observed, Reach};
pub use plan::{Op, Plan};
pub use ring::{Step, advance, ring_hash};
pub use store::{ApplyError, MapStore, VipInfo, apply};
pub use summary::{BackendSummary, Change, Summary, VipSummary};
pub use tables::{BackendRow, Tables};
