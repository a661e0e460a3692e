//! The table of cases, run against our server.

use crate::{
    harness::{Site, serve, test},
    http2::{
        cases::{Case, all},
        probe::{Outcome, Report, run},
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
        let mut closed = Vec::new();
        for case in &cases {
            let report = against_ours(case).await;
            if report.outcome == Outcome::Failed {
                failures.push(format!("{} {}: {report:?}", case.section, case.name));
            } else if report.outcome == Outcome::Closed {
                // Allowed where a certain error is asked for, but there is a right word for all.
                closed.push(format!("{} {}: {:?}", case.section, case.name, report.seen));
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
        assert!(closed.is_empty(), "{}", closed.join("\n"));
    });
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
