//! Clusters at their worst: watches that end in the middle of an event, lists that expire, API
//! servers that hang, fail and go away, a data plane that fails between two steps, a router that
//! dies there; some keep their state. Whatever happens, what is programmed came from objects that
//! were, nothing goes because it cannot be read, and in the end it is what a clean start on the last
//! objects gives.
//!
//! Everything of the product is the real one, from the requests to API servers to the plan that is
//! applied; only API servers, maps and time are made up. A schedule is its seed: a failure prints
//! it, and `LB_CHAOS_SEED=N` runs that one again. `LB_TEST_FULL=1` runs ten times as many.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test stops where it fails")]

mod answer;
mod certificate;
mod check;
mod engine;
mod faults;
mod router;
mod schedule;
mod server;
mod site;
mod stream;
mod written;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

/// Schedules of a run, and of a full one.
const SCHEDULES: u64 = 10_000;
const SCHEDULES_FULL: u64 = 100_000;

#[test]
fn every_schedule_ends_as_a_clean_start_and_programs_nothing_that_never_was() {
    if let Some(seed) = variable("LB_CHAOS_SEED") {
        if let Err(error) = schedule::run(seed) {
            panic!("{error}");
        }
        return;
    }
    let is_full = std::env::var_os("LB_TEST_FULL").is_some();
    let default = if is_full { SCHEDULES_FULL } else { SCHEDULES };
    let count = variable("LB_CHAOS_COUNT").unwrap_or(default);
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<String> = thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|_| scope.spawn(|| run_until(&next, count))).collect();
        runs.into_iter().filter_map(|it| it.join().expect("no schedule panics").err()).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn run_until(next: &AtomicU64, count: u64) -> Result<(), String> {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= count {
            return Ok(());
        }
        if let Err(error) = schedule::run(seed) {
            next.store(count, Ordering::Relaxed);
            return Err(format!("LB_CHAOS_SEED={seed}: {error}"));
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}
