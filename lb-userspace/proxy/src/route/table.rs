//! The table of a listener's rules.

use super::{
    Mismatch, PatternError,
    condition::Asked,
    place::{Entry, Places},
};
use crate::{host::HostMap, http::Request};
use lb_model::{HostPattern, PathMatch, RequestMatch, Route};
use std::{ops::ControlFlow, sync::Arc};

/// Which rule a request takes, with the `T` of that rule.
#[derive(Clone, Debug)]
pub struct Table<T> {
    hosts: HostMap<Places<T>>,
}

/// Where a rule comes from. Ordered as rules come first among equals.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Age of the route.
    pub age: u64,
    /// Name of the route.
    pub route: Arc<str>,
    /// Place of the rule in its route.
    pub rule: usize,
    /// Place of the match in its rule.
    pub place: usize,
}

/// A rule that was found.
#[derive(Debug)]
pub struct Found<'a, T> {
    /// The rule.
    pub value: &'a T,
    /// Bytes of the path that its prefix matched; all of it if it was no prefix.
    pub prefix_bytes: usize,
}

/// A rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Considered {
    /// Where it comes from.
    pub source: Source,
    /// The path it asks for.
    pub path: PathMatch,
    /// Why it is not taken; `None` = it is.
    pub mismatch: Option<Mismatch>,
}

/// A rule that cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("route {route}, rule {rule}: {error}")]
pub struct RouteError {
    /// Name of the route.
    pub route: Arc<str>,
    /// Place of the rule.
    pub rule: usize,
    /// What is wrong.
    pub error: PatternError,
}

impl<T> Table<T> {
    /// The rule that `request` takes.
    pub fn find(&self, request: &Request) -> Option<Found<'_, T>> {
        let asked = Asked::new(request);
        let found = self.walk(&asked, |entry, prefix_bytes, checked| match checked {
            Ok(()) => ControlFlow::Break(Found { value: &entry.value, prefix_bytes }),
            Err(_) => ControlFlow::Continue(()),
        });
        found.break_value()
    }

    /// The rules that are considered for `request`, in order, up to the one that is taken; if none
    /// is, also those of its host whose path does not match.
    pub fn explain(&self, request: &Request) -> Vec<Considered> {
        let asked = Asked::new(request);
        let mut considered = Vec::new();
        let found = self.walk(&asked, |entry, _, checked| {
            considered.push(entry.considered(checked.clone().err()));
            if checked.is_ok() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if found.is_continue() {
            let mut others: Vec<_> = self
                .hosts
                .all(request.host())
                .flat_map(Places::entries)
                .map(|entry| entry.considered(Some(Mismatch::Path)))
                .filter(|other| !considered.iter().any(|it| it.source == other.source))
                .collect();
            others.sort_by(|one, other| one.source.cmp(&other.source));
            considered.extend(others);
        }
        considered
    }

    fn walk<'a, B>(
        &'a self,
        asked: &Asked<'_>,
        mut visit: impl FnMut(&'a Entry<T>, usize, Result<(), Mismatch>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        for places in self.hosts.all(asked.request.host()) {
            places.walk(asked, &mut visit)?;
        }
        ControlFlow::Continue(())
    }
}

impl<T> Entry<T> {
    fn considered(&self, mismatch: Option<Mismatch>) -> Considered {
        Considered { source: self.source.clone(), path: self.path.clone(), mismatch }
    }
}

/// Collects the rules of a listener.
#[derive(Debug)]
pub struct TableBuilder<T> {
    listener: HostPattern,
    hosts: HostMap<Places<T>>,
}

impl<T: Clone> TableBuilder<T> {
    /// For a listener that serves `listener`.
    pub fn new(listener: HostPattern) -> Self {
        Self { listener, hosts: HostMap::default() }
    }

    /// Adds a route; `value` gives the `T` of each of its rules, `None` to leave it out. False if
    /// none of its hosts is served by the listener: then it is not attached.
    pub fn add(
        &mut self,
        name: &Arc<str>,
        route: &Route,
        value: impl Fn(usize) -> Option<T>,
    ) -> Result<bool, RouteError> {
        let any = [HostPattern::Any];
        let wanted: Vec<_> = if route.hosts.is_empty() {
            any.iter().collect()
        } else {
            route.hosts.iter().collect()
        };
        let hosts: Vec<_> = wanted.iter().filter_map(|it| it.narrower(&self.listener)).collect();
        let everything = [RequestMatch::default()];
        for (index, rule) in route.rules.iter().enumerate() {
            let Some(value) = value(index) else { continue };
            let matches = if rule.matches.is_empty() { &everything } else { &rule.matches[..] };
            for (place, wanted) in matches.iter().enumerate() {
                let source = Source { age: route.age, route: Arc::clone(name), rule: index, place };
                for host in &hosts {
                    let places = self.hosts.entry(host);
                    let added = places.add(source.clone(), wanted, value.clone());
                    let route = Arc::clone(name);
                    added.map_err(|error| RouteError { route, rule: index, error })?;
                }
            }
        }
        Ok(!hosts.is_empty())
    }

    /// The table.
    pub fn build(mut self) -> Table<T> {
        self.hosts.values_mut().for_each(Places::sort);
        Table { hosts: self.hosts }
    }
}

#[cfg(test)]
mod tests;
