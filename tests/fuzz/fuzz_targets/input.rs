//! What targets get whose input arrives over a connection: bytes, and in what pieces they come.

use libfuzzer_sys::arbitrary::{self, Arbitrary};

/// Which reader is meant, and what it reads.
#[derive(Arbitrary, Debug)]
pub struct Input<'a, K> {
    pub kind: K,
    pub pieces: Pieces,
    pub bytes: &'a [u8],
}

/// Sizes of the pieces that bytes arrive in, over and over; 0 counts as 1.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Pieces(pub [u8; 4]);

impl Pieces {
    /// The largest that there are.
    #[allow(dead_code, reason = "of targets that compare")]
    pub const LARGEST: Self = Self([u8::MAX; 4]);

    /// `bytes` in pieces; what arrived before is not in them.
    pub fn of(self, bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut rest = bytes;
        let mut sizes = self.0.into_iter().cycle();
        std::iter::from_fn(move || {
            let size = sizes.next().map_or(1, usize::from).clamp(1, rest.len().max(1));
            let (piece, after) = rest.split_at_checked(size)?;
            rest = after;
            Some(piece)
        })
    }
}
