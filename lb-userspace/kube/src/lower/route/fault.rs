//! What is wrong with a route.

use super::super::upstream::BackendProblem;

/// Why a rule cannot be served as it is written: the route itself must be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Reason of `Accepted`, if every rule is at fault.
    pub(super) reason: &'static str,
    /// For people.
    pub(super) message: String,
}

impl Fault {
    /// A value that is not known, or not supported.
    pub(super) fn value(message: impl Into<String>) -> Self {
        Self { reason: "UnsupportedValue", message: message.into() }
    }

    /// Filters that cannot be used together.
    pub(super) fn filters(message: impl Into<String>) -> Self {
        Self { reason: "IncompatibleFilters", message: message.into() }
    }
}

/// A reference that leads nowhere: what it should lead to must be changed, or a grant be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unresolved {
    /// Reason of `ResolvedRefs`.
    pub(super) reason: &'static str,
    /// For people.
    pub(super) message: String,
}

impl From<BackendProblem> for Unresolved {
    fn from(problem: BackendProblem) -> Self {
        Self { reason: problem.reason(), message: problem.to_string() }
    }
}

/// Why a rule answers with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The rule is at fault.
    Fault(Fault),
    /// It refers to something that it cannot do without.
    Unresolved(Unresolved),
    /// As `Unresolved`, noted already.
    Noted,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What was found wrong with a route.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Rules of the route.
    pub(super) rule_count: usize,
    /// Rules at fault, by place.
    pub(super) faults: Vec<(usize, Fault)>,
    /// References that lead nowhere.
    pub(super) unresolved: Vec<Unresolved>,
}

impl Findings {
    /// Why the whole route is refused: every rule is at fault.
    pub(super) fn refusal(&self) -> Option<&Fault> {
        let (_, first) = self.faults.first()?;
        (self.faults.len() == self.rule_count).then_some(first)
    }
}
