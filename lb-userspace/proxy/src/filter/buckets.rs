//! Token buckets that all workers share, without a lock to take from one that is there.

use foldhash::quality::RandomState;
use std::{
    hash::{BuildHasher, Hash},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Buckets of one limit at most; a new key takes the place of the bucket that lacks the fewest
/// tokens among [`WAYS`]. A full bucket is as good as none, so that nothing is lost unless this
/// many keys are busy at once.
pub(super) const BUCKETS_MAX: usize = 16_384;

/// Places that a key may be at: two cache lines.
const WAYS: usize = 8;

/// Locks for taking keys in; a place belongs to one of them.
const LOCKS: usize = 32;

/// Units of a token: fractions of it are counted.
const TOKEN: u64 = 1 << 16;

/// How many units were filled in since the limit began. It goes on across changes of the rate, so
/// that buckets, which are kept in units, keep their level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    base: Instant,
    base_units: u64,
    requests: u32,
    interval_ns: u64,
}

/// A bucket: the units at which it is full again. Wraps around; only differences count.
#[derive(Debug, Default)]
pub(super) struct Bucket(AtomicU64);

/// Buckets by key.
#[derive(Default)]
pub(super) struct Buckets {
    sets: OnceLock<Box<[Set]>>,
    locks: [Lock; LOCKS],
    hasher: RandomState,
}

#[derive(Default)]
#[repr(align(64))]
struct Lock(Mutex<()>);

#[derive(Default)]
#[repr(align(64))]
struct Set {
    tags: [AtomicU64; WAYS],
    buckets: [Bucket; WAYS],
}

impl Clock {
    /// A clock of `requests` tokens per `interval`, both more than 0, that begins at `now`.
    pub(super) fn new(requests: u32, interval: Duration, now: Instant) -> Self {
        let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        Self { base: now, base_units: 0, requests, interval_ns }
    }

    /// This clock with another rate from `now` on.
    pub(super) fn with_rate_of(self, other: Self, now: Instant) -> Self {
        if (self.requests, self.interval_ns) == (other.requests, other.interval_ns) {
            return self;
        }
        Self { base: now, base_units: self.units(now), ..other }
    }

    fn units(&self, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.base).as_nanos();
        let passed = u128::from(u64::try_from(passed).unwrap_or(u64::MAX));
        let units = passed * u128::from(self.requests) * u128::from(TOKEN);
        self.base_units.wrapping_add((units / u128::from(self.interval_ns)) as u64)
    }

    fn time_for(&self, units: u64) -> Duration {
        let rate = (u128::from(self.requests) * u128::from(TOKEN)).max(1);
        let ns = (u128::from(units) * u128::from(self.interval_ns)).div_ceil(rate);
        Duration::from_nanos(u64::try_from(ns).unwrap_or(u64::MAX))
    }
}

impl Bucket {
    /// Takes a token at `now`. If there is none: how long until there is.
    pub(super) fn take(&self, clock: &Clock, burst: u32, now: Instant) -> Result<(), Duration> {
        let now = clock.units(now);
        let size = u64::from(burst) * TOKEN;
        let taken = self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            let lacking = lacking(full_at, now).min(size) + TOKEN;
            (lacking <= size).then(|| now.wrapping_add(lacking))
        });
        taken.map(drop).map_err(|full_at| {
            let lacking = lacking(full_at, now).min(size) + TOKEN;
            clock.time_for(lacking.saturating_sub(size))
        })
    }
}

/// Units that a bucket lacks.
fn lacking(full_at: u64, now: u64) -> u64 {
    u64::try_from(full_at.wrapping_sub(now).cast_signed()).unwrap_or_default()
}

impl Buckets {
    /// Takes a token from the bucket of a key, as [`Bucket::take`] does.
    pub(super) fn take(
        &self,
        key: impl Hash,
        clock: &Clock,
        burst: u32,
        now: Instant,
    ) -> Result<(), Duration> {
        let sets = self.sets.get_or_init(|| {
            std::iter::repeat_with(Set::default).take(BUCKETS_MAX / WAYS).collect()
        });
        // 0 is the tag of places that nobody has.
        let hash = self.hasher.hash_one(key);
        let (tag, place) = (hash.max(1), hash as usize % (BUCKETS_MAX / WAYS));
        let Some(set) = sets.get(place) else { return Ok(()) };
        let bucket = set.find(tag).or_else(|| {
            let lock = self.locks.get(place % LOCKS)?;
            let _guard = lock.0.lock().unwrap_or_else(PoisonError::into_inner);
            set.find(tag).or_else(|| set.take_in(tag, clock.units(now)))
        });
        bucket.map_or(Ok(()), |bucket| bucket.take(clock, burst, now))
    }
}

impl Set {
    fn find(&self, tag: u64) -> Option<&Bucket> {
        let mut all = self.tags.iter().zip(&self.buckets);
        all.find(|(it, _)| it.load(Ordering::Acquire) == tag).map(|(_, bucket)| bucket)
    }

    /// A full bucket for a tag that is not there. Under the set's lock.
    fn take_in(&self, tag: u64, now: u64) -> Option<&Bucket> {
        let all = self.tags.iter().zip(&self.buckets);
        let (old, bucket) =
            all.min_by_key(|(_, bucket)| lacking(bucket.0.load(Ordering::Relaxed), now))?;
        bucket.0.store(now, Ordering::Relaxed);
        old.store(tag, Ordering::Release);
        Some(bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_the_rate() {
        let begin = Instant::now();
        let clock = Clock::new(10, Duration::from_secs(1), begin);
        let bucket = Bucket::default();
        let take = |ms| bucket.take(&clock, 3, begin + Duration::from_millis(ms));
        assert_eq!([take(0), take(0), take(0)], [Ok(()); 3]);
        let wait = take(0).unwrap_err();
        assert!(Duration::from_millis(99) < wait && wait <= Duration::from_millis(100), "{wait:?}");
        assert!(take(90).is_err());
        assert_eq!([take(101), take(5_000), take(5_000), take(5_000)], [Ok(()); 4]);
        assert!(take(5_000).is_err());
    }

    #[test]
    fn another_rate_keeps_the_level() {
        let begin = Instant::now();
        let clock = Clock::new(1, Duration::from_hours(1), begin);
        let bucket = Bucket::default();
        let at = |seconds| begin + Duration::from_secs(seconds);
        for _ in 0..4 {
            bucket.take(&clock, 10, at(60)).unwrap();
        }
        // Six are left; the new rate does not fill in for the time before it.
        let clock = clock.with_rate_of(Clock::new(1_000, Duration::from_secs(1), at(120)), at(120));
        for _ in 0..6 {
            bucket.take(&clock, 10, at(120)).unwrap();
        }
        assert!(bucket.take(&clock, 10, at(120)).is_err());
        bucket.take(&clock, 10, at(121)).unwrap();
    }

    #[test]
    fn keys_have_buckets_of_their_own_and_many_keys_do_not_grow_it() {
        let begin = Instant::now();
        let clock = Clock::new(1, Duration::from_secs(1), begin);
        let buckets = Buckets::default();
        for key in 0..4 {
            assert_eq!(buckets.take(key, &clock, 1, begin), Ok(()), "{key}");
            assert!(buckets.take(key, &clock, 1, begin).is_err(), "{key}");
        }
        let later = begin + Duration::from_secs(10);
        // Keys that are not busy give their places away first.
        assert_eq!(buckets.take(0, &clock, 2, later), Ok(()));
        assert_eq!(buckets.take(0, &clock, 2, later), Ok(()));
        for key in 4..10 * BUCKETS_MAX {
            assert_eq!(buckets.take(key, &clock, 2, later), Ok(()));
        }
        assert!(buckets.take(0, &clock, 2, later).is_err());
    }

    #[test]
    fn workers_together_take_no_more_than_there_is() {
        let begin = Instant::now();
        let clock = Clock::new(1, Duration::from_hours(1), begin);
        let buckets = Buckets::default();
        let taken = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for key in (0..100).cycle().take(5_000) {
                        let is_ok = buckets.take(key, &clock, 7, begin).is_ok();
                        taken.fetch_add(is_ok.into(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), 700);
    }

    proptest! {
        #[test]
        fn never_more_passes_than_burst_and_rate(
            requests in 1_u32..10_000,
            interval_ms in 1_u64..100_000,
            burst in 1_u32..100,
            steps in proptest::collection::vec(0_u64..50_000_000, 1..300),
        ) {
            let begin = Instant::now();
            let clock = Clock::new(requests, Duration::from_millis(interval_ms), begin);
            let bucket = Bucket::default();
            let (mut passed, mut now) = (0_u128, begin);
            for step in steps {
                now += Duration::from_nanos(step);
                passed += u128::from(bucket.take(&clock, burst, now).is_ok());
                let ns = (now - begin).as_nanos();
                let filled = ns * u128::from(requests) / (u128::from(interval_ms) * 1_000_000);
                prop_assert!(passed <= u128::from(burst) + filled);
            }
        }

        #[test]
        fn waiting_as_long_as_told_is_enough(
            requests in 1_u32..10_000,
            interval_ms in 1_u64..100_000,
            burst in 1_u32..100,
        ) {
            let begin = Instant::now();
            let clock = Clock::new(requests, Duration::from_millis(interval_ms), begin);
            let bucket = Bucket::default();
            while bucket.take(&clock, burst, begin).is_ok() {}
            let wait = bucket.take(&clock, burst, begin).unwrap_err();
            prop_assert!(bucket.take(&clock, burst, begin + wait).is_ok());
        }
    }
}
