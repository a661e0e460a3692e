//! Values by host name: exact before the longest suffix before any.

use foldhash::HashMap;
use lb_model::HostPattern;

/// Values by host name. How long a look-up takes depends on the labels of the name, never on the
/// number of values.
#[derive(Clone, Debug)]
pub struct HostMap<T> {
    exact: HashMap<Box<str>, T>,
    suffixes: HashMap<Box<str>, T>,
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
        let (map, name) = match pattern {
            HostPattern::Any => {
                let is_free = self.any.is_none();
                self.any.get_or_insert(value);
                return is_free;
            }
            HostPattern::Exact(name) => (&mut self.exact, name),
            HostPattern::Suffix(suffix) => (&mut self.suffixes, suffix),
        };
        let is_free = !map.contains_key(name.as_str());
        map.entry(name.as_str().into()).or_insert(value);
        is_free
    }

    /// The value whose pattern fits `host` (lower case, no port, no dot at the end) best.
    pub fn find(&self, host: &str) -> Option<&T> {
        self.exact.get(host).or_else(|| self.by_suffix(host)).or(self.any.as_ref())
    }

    /// The value for those who name no host.
    pub fn any(&self) -> Option<&T> {
        self.any.as_ref()
    }

    fn by_suffix(&self, host: &str) -> Option<&T> {
        if self.suffixes.is_empty() {
            return None;
        }
        let dots = host.bytes().enumerate().filter(|(place, byte)| *place > 0 && *byte == b'.');
        dots.filter_map(|(place, _)| host.get(place..)).find_map(|tail| self.suffixes.get(tail))
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
        let found = |host| map.find(host).copied();
        assert_eq!(found("a.shop.example"), Some("a.shop.example"));
        assert_eq!(found("x.b.shop.example"), Some("*.shop.example"));
        assert_eq!(found("shop.example"), Some("*.example"));
        assert_eq!(found("example"), Some("*"));
        assert_eq!(found(".example"), Some("*"), "an empty label is none");
    }
}
