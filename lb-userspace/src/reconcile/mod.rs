//! From `Desired` to map contents, and the ordered steps between two of them. Pure: no IO, no
//! clock; equal inputs give equal results on every router.

mod image;
mod observed;
mod plan;
mod store;
mod tables;

pub use image::{BackendImage, Image, RingImage, VipImage};
pub use observed::{Observed, Reach};
pub use plan::{Op, Plan};
pub use store::{ApplyError, MapStore, VipInfo, apply};
pub use tables::{BackendRow, Tables};
