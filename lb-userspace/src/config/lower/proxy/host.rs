//! Host names.

use super::Context;
use crate::{
    config::{located::Located, lower::scalar},
    model::HostPattern,
};
use std::collections::BTreeSet;

impl Context<'_> {
    /// `shop.example`, `*.shop.example` or `*`.
    pub(super) fn host_pattern(&mut self, text: &Located<String>) -> Option<HostPattern> {
        match text.value.parse() {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let error: crate::model::HostSyntaxError = error;
                let message = format!("`{}` is not a host name", error.text);
                self.report.error(text.at, message, error.why);
                None
            }
        }
    }

    /// One host name, in lower case.
    pub(super) fn host_name(&mut self, text: &Located<String>) -> Option<String> {
        match self.host_pattern(text)? {
            HostPattern::Exact(name) => Some(name),
            HostPattern::Suffix(_) | HostPattern::Any => {
                let message = format!("`{}` is not one host", text.value);
                self.report.error(text.at, message, "write a name without `*`");
                None
            }
        }
    }

    /// Host patterns, each once.
    pub(super) fn hosts(&mut self, list: &[Located<String>]) -> BTreeSet<HostPattern> {
        let mut hosts = BTreeSet::new();
        let mut places = std::collections::HashMap::new();
        for text in list {
            let Some(host) = self.host_pattern(text) else { continue };
            if let Some(other) = places.insert(host.clone(), text.at) {
                let message = format!("host `{host}` is listed twice");
                self.report.error(text.at, message, scalar::other_at(other));
            }
            hosts.insert(host);
        }
        hosts
    }
}
