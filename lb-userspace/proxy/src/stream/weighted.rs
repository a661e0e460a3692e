//! Several backends that share sessions by weight.

use super::Pick;
use crate::http::Reason;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// Backends that share sessions by weight ([`lb_model::StreamRoute::backends`]).
#[derive(Debug)]
pub struct Weighted<P> {
    backends: Vec<(u32, Option<P>)>,
    total: u64,
    turn: AtomicU32,
}

/// 2^32 divided by the golden ratio: multiples of it spread evenly over all numbers of 32 bits
/// (Knuth, TAOCP volume 3, section 6.4), so shares are met over few sessions already.
const GOLDEN: u32 = 0x9e37_79b9;

impl<P> Weighted<P> {
    /// Backends with their weights; `None` = one that is not there, whose share is refused.
    pub fn new(backends: impl IntoIterator<Item = (u32, Option<P>)>) -> Self {
        let backends: Vec<_> = backends.into_iter().collect();
        let total = backends.iter().map(|(weight, _)| u64::from(*weight)).sum();
        Self { backends, total, turn: AtomicU32::new(0) }
    }

    /// The backends with their weights; `None` = one that is not there.
    pub fn backends(&self) -> impl Iterator<Item = (u32, Option<&P>)> {
        self.backends.iter().map(|(weight, backend)| (*weight, backend.as_ref()))
    }

    /// Whose turn it is.
    fn next(&self) -> Option<&P> {
        let turn = self.turn.fetch_add(GOLDEN, Ordering::Relaxed);
        let mut place = (u64::from(turn) * self.total.min(u64::from(u32::MAX))) >> 32;
        for (weight, backend) in &self.backends {
            match place.checked_sub(u64::from(*weight)) {
                Some(rest) => place = rest,
                None => return backend.as_ref(),
            }
        }
        None
    }
}

impl<P: Pick> Pick for Arc<P> {
    type Lease = P::Lease;

    fn pick(&self, client: SocketAddr, exclude: &[SocketAddr]) -> Result<P::Lease, Reason> {
        (**self).pick(client, exclude)
    }
}

impl<P: Pick> Pick for Weighted<P> {
    type Lease = P::Lease;

    fn pick(&self, client: SocketAddr, exclude: &[SocketAddr]) -> Result<P::Lease, Reason> {
        self.next().ok_or(Reason::BackendMissing)?.pick(client, exclude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(weights: &[u32]) -> Vec<usize> {
        let numbered = weights.iter().enumerate().map(|(number, weight)| (*weight, Some(number)));
        let weighted = Weighted::new(numbered);
        let mut shares = vec![0; weights.len()];
        for _ in 0..1_000 {
            shares[*weighted.next().unwrap()] += 1;
        }
        shares
    }

    #[test]
    fn shares_are_as_the_weights_say() {
        for (weights, expected) in [
            (&[90, 10][..], &[900, 100][..]),
            (&[1, 0, 3], &[250, 0, 750]),
            (&[1_000_000, 1_000_000], &[500, 500]),
            (&[7], &[1_000]),
        ] {
            for (got, expected) in shares(weights).into_iter().zip(expected) {
                assert!(got.abs_diff(*expected) <= 5, "{weights:?}: {got}");
            }
        }
    }

    #[test]
    fn the_share_of_a_missing_backend_is_refused() {
        let weighted = Weighted::new([(1, Some("here")), (1, None)]);
        let served = (0..100).filter(|_| weighted.next().is_some()).count();
        assert!((48..=52).contains(&served), "{served}");
        assert_eq!(Weighted::<()>::new([]).next(), None);
        assert_eq!(Weighted::new([(0, Some(()))]).next(), None);
    }
}
