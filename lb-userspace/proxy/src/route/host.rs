//! Things by host: exact names, then suffixes, the longest first, then any.

use lb_model::HostPattern;
use std::collections::HashMap;

/// Things by host pattern.
#[derive(Clone, Debug)]
pub(crate) struct Hosts<T> {
    exact: HashMap<Box<[u8]>, T, foldhash::fast::RandomState>,
    suffixes: HashMap<Box<[u8]>, T, foldhash::fast::RandomState>,
    any: Option<T>,
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self { exact: HashMap::default(), suffixes: HashMap::default(), any: None }
    }
}

impl<T> Hosts<T> {
    /// The things of exactly this pattern, or new ones.
    pub(crate) fn entry(&mut self, pattern: &HostPattern) -> &mut T
    where
        T: Default,
    {
        match pattern {
            HostPattern::Exact(name) => self.exact.entry(name.as_bytes().into()).or_default(),
            HostPattern::Suffix(name) => self.suffixes.entry(name.as_bytes().into()).or_default(),
            HostPattern::Any => self.any.get_or_insert_default(),
        }
    }

    /// The things of all patterns that mean `host` (lower case), the most specific first.
    pub(crate) fn of<'a, 'h>(
        &'a self,
        host: &'h [u8],
    ) -> impl Iterator<Item = &'a T> + use<'a, 'h, T> {
        self.exact.get(host).into_iter().chain(self.suffixes_of(host)).chain(&self.any)
    }

    /// All things.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.exact.values_mut().chain(self.suffixes.values_mut()).chain(&mut self.any)
    }

    fn suffixes_of<'a, 'h>(
        &'a self,
        host: &'h [u8],
    ) -> impl Iterator<Item = &'a T> + use<'a, 'h, T> {
        // A host has at most 127 dots, and without suffixes none of them is looked at.
        let host = if self.suffixes.is_empty() { &[] } else { host };
        let dots = memchr::memchr_iter(b'.', host).filter(|dot| *dot > 0);
        dots.filter_map(move |dot| self.suffixes.get(host.get(dot..)?))
    }
}
