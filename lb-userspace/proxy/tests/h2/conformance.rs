//! The table of cases, run against our server.

use crate::{
    harness::{Site, serve, test},
    http2::{
        cases::{Case, Expected, all},
        probe::{Event, Outcome, Report, run},
    },
};
use lb_model::HttpOptions;
use lb_proxy::{drain::drain, io::Io};
use std::{collections::BTreeSet, rc::Rc};

#[test]
fn every_case_ends_as_it_has_to() {
    let cases = all();
    let names: BTreeSet<_> = cases.iter().map(|it| (it.section, it.name)).collect();
    assert_eq!(names.len(), cases.len(), "names are not unique");
    assert_eq!(cases.len(), 147);
    test(async move {
        let mut failures = Vec::new();
        let mut exact_count = 0;
        for case in &cases {
            let report = against_ours(case).await;
            exact_count += u32::from(report.outcome == Outcome::Exact);
            if report.outcome == Outcome::Failed || says_another_code(case, &report) {
                failures.push(format!("{} {}: {report:?}", case.section, case.name));
            }
        }
        assert!(failures.is_empty(), "{exact_count} exact, but\n{}", failures.join("\n"));
    });
}

/// A connection may just be closed (RFC 9113, section 5.4.1), but a code that is told has to be the
/// right one.
fn says_another_code(case: &Case, report: &Report) -> bool {
    let Some((_, expected)) = case.rounds.last() else { return false };
    let (Expected::ConnectionError(codes) | Expected::StreamError(codes)) = expected else {
        return false;
    };
    let told = report.seen.iter().filter_map(|event| match event {
        Event::Frame(frame) => frame.code(),
        Event::Closed | Event::Nothing => None,
    });
    report.outcome == Outcome::Closed && told.into_iter().any(|it| it != 0 && !codes.contains(&it))
}

async fn against_ours(case: &Case) -> Report {
    let (near, far) = tokio::io::duplex(1 << 20);
    let (_start, drained) = drain();
    let server = tokio::task::spawn_local(serve(
        Io::Memory(far),
        Rc::new(Site::default()),
        HttpOptions::default(),
        drained,
    ));
    let report = run(case, near).await;
    server.abort();
    report
}
