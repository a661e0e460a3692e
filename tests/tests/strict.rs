//! Every probe of HTTP/1 and every case of HTTP/2, over TCP against a running lbd.

#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

use lb_tests::strict;

#[test]
fn ours_does_exactly_what_the_tables_say() {
    let report = strict::ours().unwrap();
    assert!(report.h1.len() >= 200, "only {} probes", report.h1.len());
    assert_eq!(report.h2.len(), 147);
    assert!(report.is_ours_right(), "{}", report.failures());
}
