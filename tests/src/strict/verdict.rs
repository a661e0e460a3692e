//! What came of a probe, and whether that is right.

use serde::Serialize;

use crate::http::{
    client::Responses,
    origin::Seen,
    probes::{Class, Demand, Expected, Probe},
};

/// Target of the request behind a probe: is answered only if the connection takes another one.
pub(super) const LAST: &str = "/last";

/// What came of a probe.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Observation {
    /// Statuses of the final responses.
    pub statuses: Vec<u16>,
    /// Complete requests that the origin saw, but the one behind the probe.
    pub requests: usize,
    /// Whether the origin saw the request behind the probe.
    pub took_last: bool,
    /// Whether the connection was ended.
    pub is_ended: bool,
    /// What is wrong beyond what the probe asks about: bytes at the origin that are no request, an
    /// answer that is no response, the next client's request gone astray.
    pub harm: Option<String>,
}

/// Whether that is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As expected.
    Ok,
    /// Otherwise, but the standard allows it and nobody can be confused.
    Lenient,
    /// Neither.
    Fail,
}

/// How statuses are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statuses {
    /// The first one that the table has.
    First,
    /// Any that refuses.
    Any,
}

impl Observation {
    /// From an answer and what the origin saw meanwhile.
    pub fn new(responses: Responses, is_ended: bool, seen: Vec<Seen>) -> Self {
        let mut observation = Self {
            statuses: responses.complete.iter().map(|it| it.status).collect(),
            is_ended,
            harm: responses.rest,
            ..Self::default()
        };
        for seen in seen {
            match seen {
                Seen::Request(request) if request.target == LAST => observation.took_last = true,
                Seen::Request(_) => observation.requests += 1,
                Seen::Malformed(what) => observation.harm = Some(format!("origin saw {what}")),
            }
        }
        observation
    }

    /// The verdict on a probe.
    pub fn judge(&self, probe: &Probe, statuses: Statuses) -> Verdict {
        if self.harm.is_some() {
            return Verdict::Fail;
        }
        let is_open_allowed = probe.demand != Demand::MustClose || !self.took_last;
        if self.is_expected(probe, statuses) {
            Verdict::Ok
        } else if probe.demand != Demand::Must && self.is_consistent() && is_open_allowed {
            Verdict::Lenient
        } else {
            Verdict::Fail
        }
    }

    fn is_expected(&self, probe: &Probe, statuses: Statuses) -> bool {
        let are_served = |count: usize| {
            self.requests == count && self.statuses.iter().take(count).all(|it| is_ok(*it))
        };
        let (is_last, count) = (self.took_last, self.statuses.len());
        let refusal = |wanted: &[u16]| {
            let status = self.statuses.last().copied().unwrap_or_default();
            match statuses {
                Statuses::First => wanted.first() == Some(&status),
                Statuses::Any => is_refusal(status),
            }
        };
        match probe.expected {
            Expected::Served(wanted) => {
                are_served(wanted)
                    && is_last
                    && self.is_ended
                    && count == wanted + 1
                    && self.statuses.iter().all(|it| is_ok(*it))
            }
            Expected::ServedThenClosed(wanted) => {
                are_served(wanted) && !is_last && self.is_ended && count == wanted
            }
            Expected::Refused(wanted, allowed) => {
                let is_kept = is_last
                    && statuses == Statuses::Any
                    && probe.class == Class::Compliance
                    && count == wanted + 2
                    && self.statuses.get(wanted).is_some_and(|it| is_refusal(*it));
                let is_closed =
                    !is_last && self.is_ended && count == wanted + 1 && refusal(allowed);
                are_served(wanted) && (is_kept || is_closed)
            }
            Expected::Unfinished(_) => {
                are_served(0)
                    && !is_last
                    && self.is_ended
                    // The client told its end, so what the table says of waiting does not count.
                    && self.statuses.iter().all(|it| is_refusal(*it))
                    && count <= 1
            }
        }
    }

    /// Whether every request that the origin saw was answered to this client, and no other.
    fn is_consistent(&self) -> bool {
        let served = self.statuses.iter().filter(|it| is_ok(**it)).count();
        let all = self.statuses.iter().all(|it| is_ok(*it) || is_refusal(*it));
        all && served == self.requests + usize::from(self.took_last)
    }
}

/// The origin's answer: 200, and 418 to CONNECT.
fn is_ok(status: u16) -> bool {
    matches!(status, 200 | 418)
}

/// A refusal by the proxy itself; a status that tells of trouble behind it is none.
fn is_refusal(status: u16) -> bool {
    matches!(status, 400..=499 | 501 | 505) && !is_ok(status)
}
