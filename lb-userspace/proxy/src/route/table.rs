//! The table of a listener's rules.

use super::{
    Mismatch, PatternError,
    condition::Asked,
    place::{Entry, Places},
};
use crate::{host::HostMap, http::Request};
use lb_model::{HostPattern, PathMatch, RequestMatch, Route};
use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

/// Which rule a request takes, with the `T` of that rule.
#[derive(Clone, Debug)]
pub struct Table<T> {
    hosts: HostMap<Arc<Places<T>>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { hosts: HostMap::default() }
    }
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
                .flat_map(|it| it.entries())
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
    hosts: HostMap<Arc<Places<T>>>,
    /// Hosts whose rules are not in order.
    unsorted: BTreeSet<HostPattern>,
}

impl<T: Clone> TableBuilder<T> {
    /// For a listener that serves `listener`.
    pub fn new(listener: HostPattern) -> Self {
        Self::from_table(listener, &Table::default())
    }

    /// To change a table that was built for the same hosts.
    pub fn from_table(listener: HostPattern, table: &Table<T>) -> Self {
        Self { listener, hosts: table.hosts.clone(), unsorted: BTreeSet::new() }
    }

    /// Adds a route; `value` gives the `T` of each of its rules, `None` to leave it out. False if
    /// none of its hosts is served by the listener: then it is not attached.
    pub fn add(
        &mut self,
        name: &Arc<str>,
        route: &Route,
        value: impl Fn(usize) -> Option<T>,
    ) -> Result<bool, RouteError> {
        let hosts = self.hosts_of(route);
        let everything = [RequestMatch::default()];
        for (index, rule) in route.rules.iter().enumerate() {
            let Some(value) = value(index) else { continue };
            let matches = if rule.matches.is_empty() { &everything } else { &rule.matches[..] };
            for (place, wanted) in matches.iter().enumerate() {
                let source = Source { age: route.age, route: Arc::clone(name), rule: index, place };
                for host in &hosts {
                    let places = Arc::make_mut(self.hosts.entry(host));
                    let added = places.add(source.clone(), wanted, value.clone());
                    let route = Arc::clone(name);
                    added.map_err(|error| RouteError { route, rule: index, error })?;
                    self.unsorted.insert(host.clone());
                }
            }
        }
        Ok(!hosts.is_empty())
    }

    /// Takes out a route that was added as `route`. False if none of its hosts is served by the
    /// listener.
    pub fn remove(&mut self, name: &str, route: &Route) -> bool {
        let hosts = self.hosts_of(route);
        for host in &hosts {
            let Some(places) = self.hosts.get_mut(host) else { continue };
            let places = Arc::make_mut(places);
            places.remove(name);
            if places.is_empty() {
                self.hosts.remove(host);
            }
        }
        !hosts.is_empty()
    }

    /// The table.
    pub fn build(mut self) -> Table<T> {
        for host in &self.unsorted {
            if let Some(places) = self.hosts.get_mut(host) {
                Arc::make_mut(places).sort();
            }
        }
        Table { hosts: self.hosts }
    }

    /// Hosts of a route, as far as the listener serves them.
    fn hosts_of(&self, route: &Route) -> Vec<HostPattern> {
        let any = [HostPattern::Any];
        let wanted: Vec<_> = if route.hosts.is_empty() {
            any.iter().collect()
        } else {
            route.hosts.iter().collect()
        };
        wanted.iter().filter_map(|it| it.narrower(&self.listener)).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
