//! Host names as listeners and routes match them.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Which host names are meant. Texts are lower-case ASCII without a trailing dot or a port.
///
/// Ordered from the most specific to the least: exact names, then suffixes, then any. Among
/// suffixes the one with more characters is the more specific (Gateway API, `HTTPRoute.hostnames`);
/// that is for the user of the order to see to.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum HostPattern {
    /// One name: `shop.example`.
    Exact(String),
    /// Every name below, over one or more labels: `*.example` is kept as `.example`. The domain
    /// itself does not match.
    Suffix(String),
    /// Every name, and none.
    #[default]
    Any,
}

impl HostPattern {
    /// Whether `host` (lower case, no port) is meant.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
            Self::Any => true,
        }
    }

    /// Whether some host is meant by both.
    pub fn intersects(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Exact(name), pattern) | (pattern, Self::Exact(name)) => pattern.matches(name),
            (Self::Suffix(one), Self::Suffix(other)) => {
                one.ends_with(other.as_str()) || other.ends_with(one.as_str())
            }
        }
    }

    /// The narrower of two patterns, which means the hosts that both mean; `None` if there are
    /// none.
    pub fn narrower<'a>(&'a self, other: &'a Self) -> Option<&'a Self> {
        let length = |pattern: &Self| match pattern {
            Self::Exact(_) => usize::MAX,
            Self::Suffix(suffix) => suffix.len(),
            Self::Any => 0,
        };
        let narrower = if length(self) >= length(other) { self } else { other };
        self.intersects(other).then_some(narrower)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Suffix(suffix) => write!(f, "*{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

/// A text that is not a host pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a host name: {why}")]
pub struct HostSyntaxError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Bytes of a host name, at most (RFC 1035, section 2.3.4, without the root's dot).
const HOST_BYTES_MAX: usize = 253;

/// Bytes of a label, at most (RFC 1035, section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// Reads `*`, `*.example` and `shop.example`; upper case becomes lower case.
impl FromStr for HostPattern {
    type Err = HostSyntaxError;

    fn from_str(text: &str) -> Result<Self, HostSyntaxError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let wrong = |why| HostSyntaxError { text: text.to_owned(), why };
        let name = text.strip_prefix("*.").unwrap_or(text);
        check(name).map_err(wrong)?;
        let name = name.to_ascii_lowercase();
        Ok(if text.starts_with("*.") {
            Self::Suffix(format!(".{name}"))
        } else {
            Self::Exact(name)
        })
    }
}

impl TryFrom<String> for HostPattern {
    type Error = HostSyntaxError;

    fn try_from(text: String) -> Result<Self, HostSyntaxError> {
        text.parse()
    }
}

fn check(name: &str) -> Result<(), &'static str> {
    if name.is_empty() || name.len() > HOST_BYTES_MAX {
        return Err("1 to 253 characters");
    }
    if name.contains('*') {
        return Err("`*` stands for whole labels and only at the beginning: `*.example`");
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > LABEL_BYTES_MAX {
            return Err("labels between dots have 1 to 63 characters");
        }
        if !label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
            return Err("labels are letters, digits, `-` and `_`; there is no port");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> HostPattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_wildcard_means_all_names_below_but_not_the_domain() {
        assert!(pattern("*.shop.example").matches("a.shop.example"));
        assert!(pattern("*.shop.example").matches("a.b.shop.example"));
        assert!(!pattern("*.shop.example").matches("shop.example"));
        assert!(!pattern("*.shop.example").matches("workshop.example"));
        assert!(pattern("Shop.Example").matches("shop.example"));
    }

    #[test]
    fn patterns_intersect_when_a_host_is_meant_by_both() {
        assert!(pattern("*.example").intersects(&pattern("*.shop.example")));
        assert!(pattern("*.example").intersects(&pattern("shop.example")));
        assert!(!pattern("*.example").intersects(&pattern("example")));
        assert!(!pattern("a.example").intersects(&pattern("b.example")));
        assert!(pattern("*").intersects(&pattern("b.example")));
    }

    #[test]
    fn what_is_displayed_is_read_back() {
        for text in ["*", "*.example", "shop.example", "xn--bcher-kva.example", "a_b"] {
            assert_eq!(pattern(text).to_string(), text);
        }
    }

    #[test]
    fn what_no_client_can_ask_for_is_refused() {
        for text in ["", "*.", "a..b", "a.", ".a", "a:80", "a*.b", "*a.b", "a.*.b", "a b", "[::1]"]
        {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
    }
}
