//! Names of things, and references to them.

use super::Context;
use crate::{
    config::{
        diagnostic::{Position, Report},
        located::Located,
        lower::scalar,
        schema,
    },
    model::HostPattern,
};
use std::collections::{BTreeSet, HashMap, HashSet};

/// References to unknown names for which a similar one is looked for: each look walks all names.
const SUGGESTIONS_MAX: u32 = 100;

/// Everything that the file gives a name, whether or not the rest of it is good.
pub(super) struct Names {
    pub(super) listeners: HashMap<String, ListenerFacts>,
    upstreams: HashSet<String>,
    certificates: HashSet<String>,
    suggestions_left: u32,
}

/// What routes must know of a listener.
#[derive(Clone)]
pub(super) struct ListenerFacts {
    pub(super) protocol: schema::ListenerProtocol,
    pub(super) host: HostPattern,
}

/// What a reference refers to.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Listener,
    Upstream,
    Certificate,
}

impl Names {
    pub(super) fn declared(file: &schema::File) -> Self {
        let listeners = super::list(file.listeners.as_ref()).iter().map(|listener| {
            let host = listener.host.as_ref().and_then(|host| host.value.parse().ok());
            let (protocol, host) = (listener.protocol.value, host.unwrap_or_default());
            let facts = ListenerFacts { protocol, host };
            (listener.name.value.clone(), facts)
        });
        let upstreams = super::list(file.upstreams.as_ref()).iter();
        let certificates = super::list(file.certificates.as_ref()).iter();
        Self {
            listeners: listeners.collect(),
            upstreams: upstreams.map(|upstream| upstream.name.value.clone()).collect(),
            certificates: certificates.map(|certificate| certificate.name.value.clone()).collect(),
            suggestions_left: SUGGESTIONS_MAX,
        }
    }

    fn has(&self, kind: Kind, name: &str) -> bool {
        match kind {
            Kind::Listener => self.listeners.contains_key(name),
            Kind::Upstream => self.upstreams.contains(name),
            Kind::Certificate => self.certificates.contains(name),
        }
    }

    fn nearest(&mut self, kind: Kind, name: &str) -> Option<&str> {
        self.suggestions_left = self.suggestions_left.checked_sub(1)?;
        match kind {
            Kind::Listener => nearest(name, self.listeners.keys()),
            Kind::Upstream => nearest(name, self.upstreams.iter()),
            Kind::Certificate => nearest(name, self.certificates.iter()),
        }
    }
}

impl Context<'_> {
    /// Whether `name` refers to something; reported if not.
    pub(super) fn refers(&mut self, kind: Kind, name: &Located<String>) -> bool {
        if self.names.has(kind, &name.value) {
            return true;
        }
        let (what, section) = match kind {
            Kind::Listener => ("listener", "listeners"),
            Kind::Upstream => ("upstream", "upstreams"),
            Kind::Certificate => ("certificate", "certificates"),
        };
        let hint = self.names.nearest(kind, &name.value).map_or_else(
            || format!("names of {section} are those of the section `{section}`"),
            |near| format!("did you mean `{near}`?"),
        );
        self.report.error(name.at, format!("there is no {what} `{}`", name.value), hint);
        false
    }

    /// The referred names, each once.
    pub(super) fn references(
        &mut self,
        kind: Kind,
        list: &[Located<String>],
    ) -> Vec<Located<String>> {
        let mut seen = HashMap::new();
        let mut good = Vec::new();
        for name in list {
            if let Some(other) = seen.insert(&name.value, name.at) {
                let message = format!("`{}` is listed twice", name.value);
                self.report.error(name.at, message, scalar::other_at(other));
            } else if self.refers(kind, name) {
                good.push(name.clone());
            }
        }
        good
    }
}

/// The names of one kind of thing, to find a second one of the same.
#[derive(Default)]
pub(super) struct Taken(HashMap<String, Position>);

impl Taken {
    /// The name, if it is one and nothing else has it.
    pub(super) fn take(
        &mut self,
        what: &str,
        name: &Located<String>,
        report: &mut Report,
    ) -> Option<String> {
        let valid = scalar::name(name, report)?;
        self.insert(what, &valid, name.at, report).then_some(valid)
    }

    /// Whether nothing else has what need not be a name.
    pub(super) fn insert(
        &mut self,
        what: &str,
        name: &str,
        at: Position,
        report: &mut Report,
    ) -> bool {
        let Some(other) = self.0.insert(name.to_owned(), at) else { return true };
        let message = format!("a second {what} with the name `{name}`");
        report.error(at, message, scalar::other_at(other));
        false
    }
}

/// The text of `known` that `word` may be a slip of.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    known
        .map(|name| (strsim::damerau_levenshtein(word, name), name.as_str()))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| name)
}

/// Values of located texts.
pub(super) fn values(list: Vec<Located<String>>) -> BTreeSet<String> {
    list.into_iter().map(|text| text.value).collect()
}
