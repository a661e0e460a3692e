//! Conditions of statuses.

use crate::Condition;

/// What is wrong, as a condition tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Reason in CamelCase.
    pub(super) reason: &'static str,
    /// For people.
    pub(super) message: String,
}

impl Problem {
    pub(super) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl Condition {
    /// A condition that holds with `reason`, unless there is a problem.
    pub(super) fn unless(
        problem: Option<&Problem>,
        kind: &'static str,
        reason: &'static str,
        message: impl Into<String>,
        generation: i64,
    ) -> Self {
        match problem {
            None => Self { kind, holds: Some(true), reason, message: message.into(), generation },
            Some(problem) => Self {
                kind,
                holds: Some(false),
                reason: problem.reason,
                message: problem.message.clone(),
                generation,
            },
        }
    }
}
