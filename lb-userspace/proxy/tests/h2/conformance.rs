//! The table of cases, run against our server.

use crate::{
    harness::{Site, serve, test},
    http2::{
        cases::{Case, Expected, all},
        frames::{COMPRESSION_ERROR, FLOW_CONTROL_ERROR, PROTOCOL_ERROR, STREAM_CLOSED},
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
            if report.outcome == Outcome::Failed {
                failures.push(format!("{} {}: {report:?}", case.section, case.name));
            } else if let Some((expected, told)) = other_code(case, &report) {
                // Allowed, as the connection ends; the library has one word for all of these.
                let is_known = [COMPRESSION_ERROR, STREAM_CLOSED, FLOW_CONTROL_ERROR];
                assert_eq!(told, PROTOCOL_ERROR, "{}", case.name);
                assert!(expected.iter().any(|it| is_known.contains(it)), "{}", case.name);
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        assert!(exact_count >= 125, "only {exact_count} by the right code");
    });
}

/// The codes that a case asks for and another one that was told before the connection was closed.
fn other_code(case: &Case, report: &Report) -> Option<(Vec<u32>, u32)> {
    let (_, expected) = case.rounds.last()?;
    let (Expected::ConnectionError(codes) | Expected::StreamError(codes)) = expected else {
        return None;
    };
    let mut told = report.seen.iter().filter_map(|event| match event {
        Event::Frame(frame) => frame.code(),
        Event::Closed | Event::Nothing => None,
    });
    let other = told.find(|it| !codes.contains(it))?;
    (report.outcome == Outcome::Closed).then(|| (codes.clone(), other))
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
