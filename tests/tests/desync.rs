//! Mutated streams through a running lbd to real origins: nobody disagrees about where requests end.
//!
//! Installs nothing: origins that are not on the machine are left out and named.

#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

use lb_tests::desync::{Options, run};

const STREAMS: u64 = 50_000;

#[test]
fn ours_and_its_origins_agree_on_every_request() {
    let options = Options { streams_count: STREAMS, seed: 3, installs: false };
    let report = run(&options).unwrap();
    println!("{report}");
    assert_eq!(report.disagreements_count(), 0, "{report}");
    assert_eq!(report.streams_count(), STREAMS);
    // Or it would say nothing.
    assert!(report.requests_count() >= STREAMS / 4, "{report}");
}
