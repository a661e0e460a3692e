//! Counters that belong to one worker each: counting costs a load and a store, reading adds up.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// A counter that one thread writes and any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`. Only one thread may do so; another's addition could be lost.
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// The count.
    pub fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A `T` per worker, made when that worker first needs it: most rules are used by few.
#[derive(Debug)]
pub struct Shards<T>(Box<[OnceLock<Box<Apart<T>>>]>);

/// On cache lines of its own: 128 bytes, as two are fetched at once (Intel optimization manual,
/// "spatial prefetcher").
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

impl<T: Default> Shards<T> {
    /// For so many workers.
    pub fn new(worker_count: usize) -> Self {
        Self((0..worker_count.max(1)).map(|_| OnceLock::new()).collect())
    }

    /// That of a worker; `None` if there is no such worker.
    pub fn of(&self, worker: usize) -> Option<&T> {
        self.0.get(worker).map(|shard| &shard.get_or_init(Box::default).0)
    }

    /// Those that were used.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(OnceLock::get).map(|shard| &shard.0)
    }
}
