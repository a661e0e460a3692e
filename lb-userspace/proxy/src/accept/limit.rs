//! How many connections may be open at once.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

/// A number of connections that must not be exceeded, over all workers.
#[derive(Debug, Default)]
pub struct ConnectionLimit {
    max: AtomicU32,
    open: AtomicU32,
    refused: AtomicU64,
}

/// One connection that counts until it is dropped.
#[derive(Debug)]
pub struct Counted(Arc<ConnectionLimit>);

impl ConnectionLimit {
    /// At most `max` at once.
    pub fn new(max: u32) -> Arc<Self> {
        Arc::new(Self { max: max.into(), open: 0.into(), refused: 0.into() })
    }

    /// Counts one more, unless the limit is reached: then it is counted as refused.
    pub fn take(self: &Arc<Self>) -> Option<Counted> {
        // Relaxed: nothing else is read or written on the strength of these numbers.
        if self.open.fetch_add(1, Ordering::Relaxed) < self.max.load(Ordering::Relaxed) {
            return Some(Counted(Arc::clone(self)));
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
        self.refused.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// Another limit; connections beyond it stay.
    pub fn set_max(&self, max: u32) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// Connections that are open.
    pub fn open(&self) -> u32 {
        self.open.load(Ordering::Relaxed)
    }

    /// Connections that were refused.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_connection_is_gone() {
        let limit = ConnectionLimit::new(2);
        let one = limit.take().unwrap();
        let _two = limit.take().unwrap();
        assert!(limit.take().is_none());
        assert_eq!((limit.open(), limit.refused()), (2, 1));
        drop(one);
        assert!(limit.take().is_some());
        limit.set_max(0);
        assert!(limit.take().is_none());
    }
}
