//! Rules by path, under one host.

use super::{
    Pattern, PatternError,
    condition::{Asked, Condition, Mismatch},
    table::Source,
};
use lb_model::{PathMatch, RequestMatch};
use std::{cmp::Reverse, collections::HashMap, ops::ControlFlow, sync::Arc};

/// The rules of one host.
#[derive(Clone, Debug)]
pub(super) struct Places<T> {
    exact: Paths<T>,
    patterns: Vec<(Pattern, Entry<T>)>,
    prefixes: Paths<T>,
    /// By the second of two segments.
    methods: Paths<T>,
    /// Longest key of `prefixes`, bytes: a long path is not cut more often than keys can be.
    prefix_bytes_max: usize,
    /// Some prefixes take any case; all keys are looked up in lower case too.
    ignores_case: bool,
}

type Paths<T> = HashMap<Arc<[u8]>, Vec<Entry<T>>, foldhash::fast::RandomState>;

/// One match of a rule.
#[derive(Clone, Debug)]
pub(super) struct Entry<T> {
    pub(super) source: Source,
    pub(super) path: PathMatch,
    pub(super) value: T,
    condition: Condition,
    ignores_case: bool,
}

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self {
            exact: Paths::default(),
            patterns: Vec::new(),
            prefixes: Paths::default(),
            methods: Paths::default(),
            prefix_bytes_max: 0,
            ignores_case: false,
        }
    }
}

impl<T: Clone> Places<T> {
    pub(super) fn add(
        &mut self,
        source: Source,
        wanted: &RequestMatch,
        value: T,
    ) -> Result<(), PatternError> {
        let condition = Condition::compile(wanted)?;
        let ignores_case = matches!(wanted.path, PathMatch::PrefixIgnoreCase(_));
        let entry = Entry { source, path: wanted.path.clone(), value, condition, ignores_case };
        match &wanted.path {
            PathMatch::Exact(path) => self.exact.entry(path.as_bytes().into()).or_default(),
            PathMatch::Regex(text) => {
                self.patterns.push((Pattern::new(text)?, entry));
                return Ok(());
            }
            PathMatch::Prefix(path) => self.prefix(path.as_bytes()),
            PathMatch::Method(method) => self.methods.entry(method.as_bytes().into()).or_default(),
            PathMatch::PrefixIgnoreCase(path) => {
                self.ignores_case = true;
                self.prefix(&path.to_ascii_lowercase().into_bytes())
            }
        }
        .push(entry);
        Ok(())
    }

    /// Takes out the rules of a route.
    pub(super) fn remove(&mut self, route: &str) {
        let is_other = |it: &Entry<T>| *it.source.route != *route;
        for paths in [&mut self.exact, &mut self.prefixes, &mut self.methods] {
            paths.retain(|_, entries| {
                entries.retain(is_other);
                !entries.is_empty()
            });
        }
        self.patterns.retain(|(_, entry)| is_other(entry));
        let prefixes = || self.prefixes.values().flatten();
        self.ignores_case = prefixes().any(|it| it.ignores_case);
        self.prefix_bytes_max = self.prefixes.keys().map(|it| it.len()).max().unwrap_or(0);
    }

    fn prefix(&mut self, path: &[u8]) -> &mut Vec<Entry<T>> {
        let key = path.strip_suffix(b"/").unwrap_or(path);
        self.prefix_bytes_max = self.prefix_bytes_max.max(key.len());
        self.prefixes.entry(key.into()).or_default()
    }
}

impl<T> Places<T> {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.entries().next().is_none()
    }

    /// Puts the rules of each path in order.
    pub(super) fn sort(&mut self) {
        let order =
            |entry: &Entry<T>| (entry.ignores_case, entry.condition.rank(), entry.source.clone());
        let paths = self.exact.values_mut().chain(self.prefixes.values_mut());
        for entries in paths.chain(self.methods.values_mut()) {
            entries.sort_by_cached_key(order);
        }
        self.patterns
            .sort_by_cached_key(|(pattern, it)| (Reverse(pattern.text().len()), order(it)));
    }

    /// Shows `visit` the rules whose path matches, in order, with the bytes of a prefix that
    /// matched.
    pub(super) fn walk<'a, B>(
        &'a self,
        asked: &Asked<'_>,
        mut visit: impl FnMut(&'a Entry<T>, usize, Result<(), Mismatch>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let path = asked.request.path();
        for entry in self.exact.get(path).into_iter().flatten() {
            visit(entry, path.len(), entry.condition.check(asked))?;
        }
        for (pattern, entry) in &self.patterns {
            if pattern.matches(path) {
                visit(entry, path.len(), entry.condition.check(asked))?;
            }
        }
        let lower = self.ignores_case.then(|| path.to_ascii_lowercase());
        for end in cuts(path, self.prefix_bytes_max) {
            if end == 0 {
                let method = method_of(path).and_then(|it| self.methods.get(it));
                for entry in method.into_iter().flatten() {
                    visit(entry, path.len(), entry.condition.check(asked))?;
                }
            }
            let sensitive = self.prefixes.get(path.get(..end).unwrap_or_default());
            for entry in sensitive.into_iter().flatten().filter(|entry| !entry.ignores_case) {
                visit(entry, end, entry.condition.check(asked))?;
            }
            let insensitive = lower.as_ref().and_then(|it| self.prefixes.get(it.get(..end)?));
            for entry in insensitive.into_iter().flatten().filter(|entry| entry.ignores_case) {
                visit(entry, end, entry.condition.check(asked))?;
            }
        }
        ControlFlow::Continue(())
    }

    /// All rules, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry<T>> {
        let paths = self.exact.values().chain(self.prefixes.values());
        let paths = paths.chain(self.methods.values()).flatten();
        paths.chain(self.patterns.iter().map(|(_, entry)| entry))
    }
}

/// The second of two segments.
fn method_of(path: &[u8]) -> Option<&[u8]> {
    let service = path.strip_prefix(b"/")?;
    let slash = memchr::memchr(b'/', service)?;
    let method = service.get(slash + 1..)?;
    (slash > 0 && memchr::memchr(b'/', method).is_none()).then_some(method)
}

/// Lengths of the prefixes of `path` that end before a `/` or at its end, the longest first, down
/// to 0; only those of at most `bytes_max` bytes.
fn cuts(path: &[u8], bytes_max: usize) -> impl Iterator<Item = usize> {
    let whole = (path.len() <= bytes_max && !path.is_empty()).then_some(path.len());
    let window = path.get(..=bytes_max).unwrap_or(path);
    let slashes = memchr::memrchr_iter(b'/', window);
    let root = (path.first() != Some(&b'/')).then_some(0);
    whole.into_iter().chain(slashes).chain(root)
}

#[cfg(test)]
mod tests {
    use super::cuts;

    #[test]
    fn prefixes_are_tried_by_whole_segments() {
        let all = |path: &[u8], max| cuts(path, max).collect::<Vec<_>>();
        assert_eq!(all(b"/a/bc", 9), [5, 2, 0]);
        assert_eq!(all(b"/a/bc", 5), [5, 2, 0]);
        assert_eq!(all(b"/a/bc", 4), [2, 0]);
        assert_eq!(all(b"/a/bc", 1), [0]);
        assert_eq!(all(b"/a/", 9), [3, 2, 0]);
        assert_eq!(all(b"/", 9), [1, 0]);
        assert_eq!(all(b"*", 9), [1, 0]);
        assert_eq!(all(b"", 9), [0]);
    }
}
