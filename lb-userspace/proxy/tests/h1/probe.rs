//! The table of probes, run against our server.

use crate::{
    harness::{counting, local, serve},
    probes::{Expected, Probe, all},
};
use std::{cell::RefCell, collections::BTreeSet, rc::Rc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Sent behind a probe: is answered only if the connection takes another request.
const LAST: &str = "GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// What a connection answered and what the origin saw.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    statuses: Vec<u16>,
    seen: usize,
    took_last: bool,
}

#[tokio::test(start_paused = true)]
async fn every_probe_ends_as_it_has_to() {
    let probes = all();
    assert!(probes.len() >= 200, "{}", probes.len());
    let names: BTreeSet<_> = probes.iter().map(|it| it.name).collect();
    assert_eq!(names.len(), probes.len(), "names are not unique");
    let mut failures = Vec::new();
    for probe in &probes {
        let outcome = local(run(probe, usize::MAX)).await;
        if !is_right(probe, &outcome) {
            let Probe { name, class, expected, .. } = probe;
            failures.push(format!("{class:?} {name}: {expected:?}, but {outcome:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_probe_in_pieces_ends_as_in_one() {
    for probe in all().iter().filter(|it| it.bytes.len() < 400) {
        let whole = local(run(probe, usize::MAX)).await;
        for piece in [1, 2, 7] {
            let outcome = local(run(probe, piece)).await;
            assert_eq!(outcome, whole, "{} in pieces of {piece}", probe.name);
        }
    }
}

async fn run(probe: &Probe, piece: usize) -> Outcome {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let mut served = serve(&counting(Rc::clone(&seen)), lb_model::HttpOptions::default());
    let mut bytes = probe.bytes.clone();
    let is_finished = !matches!(probe.expected, Expected::Unfinished(_));
    if is_finished {
        bytes.extend_from_slice(LAST.as_bytes());
    }
    let (mut read, mut write) = tokio::io::split(&mut served.peer);
    let mut answer = Vec::new();
    let send = async {
        for piece in bytes.chunks(piece.min(bytes.len())) {
            if write.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    let ((), _) = tokio::join!(send, read.read_to_end(&mut answer));
    let mut seen: Vec<String> = seen.borrow().clone();
    let took_last = seen.last().is_some_and(|it| it == "/last");
    seen.retain(|it| it != "/last");
    Outcome { statuses: statuses(&answer), seen: seen.len(), took_last }
}

fn statuses(mut answer: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    while !answer.is_empty() {
        let text = String::from_utf8_lossy(answer).into_owned();
        let end = text.find("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}")) + 4;
        let head = &text[..end];
        let status = head[9..12].parse().unwrap();
        let length = head.split("\r\n").find_map(|it| it.strip_prefix("content-length: "));
        // The only probe with HEAD gets a length and no body.
        let length = length.map_or(0, |it| it.parse().unwrap());
        let has_body = answer.get(end).is_some_and(|it| *it != b'H');
        if status != 100 {
            statuses.push(status);
        }
        answer = &answer[end + if has_body { length } else { 0 }..];
    }
    statuses
}

fn is_right(probe: &Probe, outcome: &Outcome) -> bool {
    let ok = |count: usize| outcome.statuses.iter().take(count).all(|it| *it == 200);
    match probe.expected {
        Expected::Served(count) => {
            outcome.took_last
                && outcome.seen == count
                && outcome.statuses.len() == count + 1
                && ok(count + 1)
        }
        Expected::ServedThenClosed(count) => {
            !outcome.took_last
                && outcome.seen == count
                && outcome.statuses.len() == count
                && ok(count)
        }
        Expected::Refused(count, statuses) => {
            !outcome.took_last
                && outcome.seen == count
                && outcome.statuses.len() == count + 1
                && ok(count)
                && outcome.statuses[count] == statuses[0]
        }
        Expected::Unfinished(statuses) => outcome.seen == 0 && outcome.statuses == statuses[..1],
    }
}
