//! Values by host name: exact before the longest suffix before any.

use foldhash::HashMap;
use lb_model::HostPattern;
use std::sync::Arc;

/// Values by host name. How long a look-up takes depends on the labels of the name, never on the
/// number of values. A clone shares the names.
#[derive(Clone, Debug)]
pub struct HostMap<T> {
    exact: HashMap<Arc<[u8]>, Option<T>>,
    suffixes: HashMap<Arc<[u8]>, Option<T>>,
    any: Option<T>,
}

impl<T> Default for HostMap<T> {
    fn default() -> Self {
        Self { exact: HashMap::default(), suffixes: HashMap::default(), any: None }
    }
}

impl<T> HostMap<T> {
    /// Puts a value; of two with the same pattern the first stays. Whether it was put.
    pub fn insert(&mut self, pattern: &HostPattern, value: T) -> bool {
        let place = self.place(pattern);
        let is_free = place.is_none();
        place.get_or_insert(value);
        is_free
    }

    /// The value of exactly this pattern, or a new one.
    pub fn entry(&mut self, pattern: &HostPattern) -> &mut T
    where
        T: Default,
    {
        self.place(pattern).get_or_insert_default()
    }

    /// The value of exactly this pattern, to be changed.
    pub fn get_mut(&mut self, pattern: &HostPattern) -> Option<&mut T> {
        let place = match pattern {
            HostPattern::Exact(name) => self.exact.get_mut(name.as_bytes())?,
            HostPattern::Suffix(name) => self.suffixes.get_mut(name.as_bytes())?,
            HostPattern::Any => &mut self.any,
        };
        place.as_mut()
    }

    /// Takes out the value of exactly this pattern.
    pub fn remove(&mut self, pattern: &HostPattern) {
        match pattern {
            HostPattern::Exact(name) => drop(self.exact.remove(name.as_bytes())),
            HostPattern::Suffix(name) => drop(self.suffixes.remove(name.as_bytes())),
            HostPattern::Any => self.any = None,
        }
    }

    /// The value whose pattern fits `host` (lower case, no port, no dot at the end) best.
    pub fn find(&self, host: &[u8]) -> Option<&T> {
        self.all(host).next()
    }

    /// The values of all patterns that mean `host`, the most specific first.
    pub fn all<'a, 'h>(&'a self, host: &'h [u8]) -> impl Iterator<Item = &'a T> + use<'a, 'h, T> {
        let exact = self.exact.get(host).and_then(Option::as_ref);
        exact.into_iter().chain(self.by_suffix(host)).chain(&self.any)
    }

    /// The value for those who name no host.
    pub fn any(&self) -> Option<&T> {
        self.any.as_ref()
    }

    /// All values.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let named = self.exact.values_mut().chain(self.suffixes.values_mut());
        named.chain([&mut self.any]).filter_map(Option::as_mut)
    }

    fn place(&mut self, pattern: &HostPattern) -> &mut Option<T> {
        match pattern {
            HostPattern::Exact(name) => self.exact.entry(name.as_bytes().into()).or_default(),
            HostPattern::Suffix(name) => self.suffixes.entry(name.as_bytes().into()).or_default(),
            HostPattern::Any => &mut self.any,
        }
    }

    fn by_suffix<'a, 'h>(&'a self, host: &'h [u8]) -> impl Iterator<Item = &'a T> + use<'a, 'h, T> {
        // A host has at most 127 dots, and without suffixes none of them is looked at.
        let host = if self.suffixes.is_empty() { &[] } else { host };
        let dots = memchr::memchr_iter(b'.', host).filter(|dot| *dot > 0);
        dots.filter_map(move |dot| self.suffixes.get(host.get(dot..)?)?.as_ref())
    }
}

/// A host as it is compared: lower case, without a dot at the end.
pub(crate) fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_wins_over_the_longest_suffix_over_any() {
        let mut map = HostMap::default();
        for pattern in ["*", "*.example", "*.shop.example", "a.shop.example"] {
            assert!(map.insert(&pattern.parse().unwrap(), pattern));
        }
        assert!(!map.insert(&"*.example".parse().unwrap(), "again"));
        let found = |host: &str| map.find(str::as_bytes(host)).copied();
        assert_eq!(found("a.shop.example"), Some("a.shop.example"));
        assert_eq!(found("x.b.shop.example"), Some("*.shop.example"));
        assert_eq!(found("shop.example"), Some("*.example"));
        assert_eq!(found("example"), Some("*"));
        assert_eq!(found(".example"), Some("*"), "an empty label is none");
    }
}
