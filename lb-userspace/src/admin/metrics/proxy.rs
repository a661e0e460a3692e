//! What the proxy counts.

use super::{families, text::Text};
use crate::proxy::{
    account::{BUCKETS_S, HistogramSum, RuleSum},
    http::Reason,
    send::{EndpointStatistics, UpstreamStatistics},
    snapshot::Snapshot,
};
use std::collections::BTreeMap;

/// Classes of statuses, in the order of [`RuleSum::classes`].
const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

pub(super) fn write(text: &mut Text, snapshot: &Snapshot) {
    listeners(text, snapshot);
    certificates(text, snapshot);
    rules(text, snapshot);
    upstreams(text, snapshot);
}

fn listeners(text: &mut Text, snapshot: &Snapshot) {
    let listeners = || snapshot.listeners.iter().map(|(name, it)| (&**name, it));
    text.family(&families::CONNECTIONS_OPEN);
    for (name, listener) in listeners() {
        text.sample(&[name], listener.limit.open());
    }
    text.family(&families::CONNECTIONS_REFUSED);
    for (name, listener) in listeners() {
        text.sample(&[name], listener.limit.refused());
    }
    let sums: Vec<_> = listeners().map(|(name, it)| (name, it.stats.sum())).collect();
    text.family(&families::CONNECTIONS);
    for (name, sum) in &sums {
        text.sample(&[name], sum.connections);
    }
    text.family(&families::HANDSHAKES);
    for (name, sum) in &sums {
        text.sample(&[name, "succeeded"], sum.handshakes);
        text.sample(&[name, "failed"], sum.handshakes_failed);
    }
    text.family(&families::REFUSALS);
    for (name, sum) in &sums {
        let reasons = Reason::ALL.iter().zip(&sum.refusals);
        for (reason, count) in reasons.filter(|(_, count)| **count > 0) {
            text.sample(&[name, reason.name()], count);
        }
    }
}

fn certificates(text: &mut Text, snapshot: &Snapshot) {
    let reports = snapshot.certificates();
    text.family(&families::EXPIRY);
    for report in reports.iter().filter(|it| it.not_after_s != 0) {
        text.sample(&[&report.name], report.not_after_s);
    }
    text.family(&families::USABLE);
    for report in &reports {
        text.sample(&[&report.name], u8::from(report.is_usable));
    }
}

/// Rules without a request yet are left out: there may be very many.
fn rules(text: &mut Text, snapshot: &Snapshot) {
    let sums = snapshot.rules.iter().map(|(name, it)| (&**name, it.stats.sum()));
    let sums: Vec<(&str, RuleSum)> = sums.filter(|(_, sum)| sum.requests() > 0).collect();
    text.family(&families::REQUESTS);
    for (name, sum) in &sums {
        for (class, count) in CLASSES.into_iter().zip(sum.classes) {
            text.sample(&[name, class], count);
        }
    }
    text.family(&families::DURATION);
    for (name, sum) in &sums {
        duration(text, name, &sum.duration);
    }
    text.family(&families::REQUEST_BYTES);
    for (name, sum) in &sums {
        text.sample(&[name], sum.request_bytes);
    }
    text.family(&families::RESPONSE_BYTES);
    for (name, sum) in &sums {
        text.sample(&[name], sum.response_bytes);
    }
}

fn duration(text: &mut Text, rule: &str, sum: &HistogramSum) {
    let cumulative = sum.buckets.iter().scan(0, |total, count| {
        *total += count;
        Some(*total)
    });
    text.histogram(&[rule], BUCKETS_S.into_iter().zip(cumulative), sum.sum_s, sum.count());
}

fn upstreams(text: &mut Text, snapshot: &Snapshot) {
    let all: Vec<_> = snapshot.upstreams.values().map(|it| it.snapshot()).collect();
    text.family(&families::UPSTREAM_REQUESTS);
    endpoints(text, &all, |it| it.requests_count, |one, other| one + other);
    text.family(&families::UPSTREAM_FAILURES);
    endpoints(text, &all, |it| it.failures_count, |one, other| one + other);
    text.family(&families::UPSTREAM_RETRIES);
    endpoints(text, &all, |it| it.retries_count, |one, other| one + other);
    text.family(&families::UPSTREAM_EJECTIONS);
    endpoints(text, &all, |it| it.ejections_count, |one, other| one + other);
    text.family(&families::UPSTREAM_UNDER_WAY);
    endpoints(text, &all, |it| it.under_way.into(), |one, other| one + other);
    text.family(&families::UPSTREAM_UP);
    endpoints(text, &all, |it| u64::from(it.is_up && !it.is_ejected), u64::max);
    text.family(&families::UPSTREAM_REFUSED);
    for upstream in &all {
        text.sample(&[&upstream.name], upstream.refused_count);
    }
    text.family(&families::UPSTREAM_WITHOUT);
    for upstream in &all {
        text.sample(&[&upstream.name], upstream.without_endpoint_count);
    }
}

/// One sample an endpoint: those of its addresses, which share its name, put together.
fn endpoints(
    text: &mut Text,
    upstreams: &[UpstreamStatistics],
    value: fn(&EndpointStatistics) -> u64,
    together: fn(u64, u64) -> u64,
) {
    for upstream in upstreams {
        let mut by_name: BTreeMap<&str, u64> = BTreeMap::new();
        for endpoint in &upstream.endpoints {
            let sum = by_name.entry(&endpoint.name).or_default();
            *sum = together(*sum, value(endpoint));
        }
        for (name, value) in by_name {
            text.sample(&[&upstream.name, name], value);
        }
    }
}
