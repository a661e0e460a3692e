//! docs/COUNTERS.md says what every counter means: it must name each one, in order, and no other.

#![expect(clippy::expect_used, clippy::panic, reason = "a test stops where it fails")]

use lb_common::{
    abi::VipEvents,
    decap::DecapOutcome,
    steer::SteerOutcome,
    verdict::{Decision, Event, Outcome},
};

const DOCUMENT: &str = include_str!("../../docs/COUNTERS.md");

/// The names in the first column of the table under a heading.
fn names(heading: &str) -> Vec<&'static str> {
    let section = DOCUMENT.split("\n## ").find(|section| section.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("COUNTERS.md has no section {heading}"));
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| row.split_once('`').expect("a name ends").0).collect()
}

#[test]
fn every_outcome_is_described() {
    let expected: Vec<_> = Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
    assert_eq!(names("Outcomes"), expected);
}

#[test]
fn every_decision_is_described() {
    let expected: Vec<_> =
        (0..=u8::MAX).filter_map(Decision::from_wire).map(Decision::name).collect();
    assert_eq!(names("Decisions"), expected);
}

#[test]
fn every_event_is_described() {
    // A new event does not compile here until it has a name.
    let counter = |event| match event {
        Event::TrackedHit => "tracked_hits",
        Event::MissPrevious => "misses_previous",
        Event::MissCurrent => "misses_current",
        Event::FlowOpened => "flows_opened",
        Event::IcmpRouted => "icmp_routed",
        Event::FragmentLearnt => "fragments_learnt",
        Event::SourceRefused => "sources_refused",
    };
    let events = [
        Event::TrackedHit,
        Event::MissPrevious,
        Event::MissCurrent,
        Event::FlowOpened,
        Event::IcmpRouted,
        Event::FragmentLearnt,
        Event::SourceRefused,
    ];
    assert_eq!(names("Events"), events.map(counter));
    let kept = format!("{:?}", VipEvents::default());
    for name in names("Events") {
        assert!(kept.contains(&format!("{name}: ")), "{name} is not a counter of a VIP");
    }
    for name in names("Proxied VIPs") {
        assert!(kept.contains(&format!("{name}: ")), "{name} is not a counter of a VIP");
    }
    let described = events.len() + names("Proxied VIPs").len();
    assert_eq!(kept.matches(": ").count(), described, "{kept}");
}

#[test]
fn every_look_up_of_a_socket_is_described() {
    assert_eq!(names("Steering"), SteerOutcome::ALL.map(SteerOutcome::name));
}

#[test]
fn every_end_of_a_tunnel_packet_is_described() {
    assert_eq!(names("At the tunnel's end"), DecapOutcome::ALL.map(DecapOutcome::name));
}
