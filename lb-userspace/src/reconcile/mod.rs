//! From `Desired` to map contents, and the ordered steps between two of them. Pure: no IO, no
//! clock; equal inputs give equal results on every router.

mod image;
mod observed;
mod plan;

pub use image::{BackendImage, Image, RingImage, VipImage};
pub use observed::{Observed, Reach};
pub use plan::{Op, Plan};
