//! Names in certificates (RFC 5280, section 4.2.1.6; matching by RFC 9525).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName};

/// The names that a certificate is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// DNS names, lower case; may begin with `*.`.
    pub(super) dns: Vec<String>,
    /// URIs, as they are.
    pub(super) uris: Vec<String>,
    /// Addresses.
    pub(super) addresses: Vec<IpAddr>,
}

impl Names {
    /// The names of a certificate. Its common name counts only if it has no alternative names.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let mut names = Self::default();
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        for name in alternatives.iter().flat_map(|it| &it.value.general_names) {
            match name {
                GeneralName::DNSName(name) => names.dns.push(name.to_ascii_lowercase()),
                GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
                GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
                _ => {}
            }
        }
        if alternatives.is_none() {
            let common = certificate.subject().iter_common_name();
            names.dns.extend(common.filter_map(|it| it.as_str().ok()).map(str::to_ascii_lowercase));
        }
        names
    }

    /// All of them, for people.
    pub(super) fn list(&self) -> Vec<String> {
        let addresses = self.addresses.iter().map(ToString::to_string);
        self.dns.iter().cloned().chain(self.uris.iter().cloned()).chain(addresses).collect()
    }
}

/// Whether `pattern`, which may begin with `*.`, is for `name`: the asterisk stands for exactly one
/// label (RFC 9525, section 6.3). Both are lower case.
pub(super) fn is_for(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix('*') {
        None => pattern == name,
        Some(tail) => pattern == name || (tail.len() > 1 && tail_of(name) == Some(tail)),
    }
}

/// `.example` of `a.example`: what a wildcard for this name ends with.
pub(super) fn tail_of(name: &str) -> Option<&str> {
    name.find('.').filter(|place| *place > 0).and_then(|place| name.get(place..))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| Ipv6Addr::from(sixteen).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_stands_for_one_label() {
        assert!(is_for("*.example", "a.example"));
        assert!(!is_for("*.example", "a.b.example"));
        assert!(!is_for("*.example", "example"));
        assert!(!is_for("*.example", ".example"));
        assert!(!is_for("*", "a") && !is_for("*.", "a."));
        assert!(is_for("*.example", "*.example") && is_for("a.example", "a.example"));
    }
}
