//! Fields set, added and removed.

use super::{
    FilterError,
    template::{Buffer, Template},
};
use crate::{
    exchange::Exchange,
    http::{FieldName, Fields, Known, Method},
};

/// Edits in their order: set, add, remove.
#[derive(Debug, Default)]
pub(super) struct HeaderEdit(Box<[Edit]>);

/// A name that was checked and numbered once.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    text: Box<[u8]>,
    known: Known,
}

#[derive(Debug)]
struct Edit {
    name: Name,
    action: Action,
}

#[derive(Debug)]
enum Action {
    Set(Template),
    Add(Template),
    Remove,
}

/// Which edits are made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    /// All.
    All(Option<&'a str>),
    /// Those that can be made before the endpoint is known.
    Early,
    /// Those that need the endpoint's host.
    Late(&'a str),
}

impl HeaderEdit {
    pub(super) fn compile(
        filter: &'static str,
        edit: &lb_model::HeaderEdit,
    ) -> Result<Self, FilterError> {
        let mut edits = Vec::new();
        for (name, value) in &edit.set {
            let action = Action::Set(Template::compile(filter, value)?);
            edits.push(Edit { name: Name::compile(filter, name)?, action });
        }
        for (name, value) in &edit.add {
            let action = Action::Add(Template::compile(filter, value)?);
            edits.push(Edit { name: Name::compile(filter, name)?, action });
        }
        for name in &edit.remove {
            edits.push(Edit { name: Name::compile(filter, name)?, action: Action::Remove });
        }
        Ok(Self(edits.into()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there are [`Part::Late`] ones.
    pub(super) fn needs_upstream_host(&self) -> bool {
        self.0.iter().any(Edit::needs_upstream_host)
    }

    /// Makes edits. One whose value turns out to be no field value is left out.
    pub(super) fn apply(&self, exchange: &Exchange, part: Part<'_>, fields: &mut Fields) {
        for edit in &self.0 {
            let upstream_host = match part {
                Part::All(host) => host,
                Part::Early if edit.needs_upstream_host() => continue,
                Part::Early => None,
                Part::Late(_) if !edit.needs_upstream_host() => continue,
                Part::Late(host) => Some(host),
            };
            edit.apply(exchange, upstream_host, fields);
        }
    }
}

impl Edit {
    fn needs_upstream_host(&self) -> bool {
        match &self.action {
            Action::Set(value) | Action::Add(value) => value.needs_upstream_host(),
            Action::Remove => false,
        }
    }

    fn apply(&self, exchange: &Exchange, upstream_host: Option<&str>, fields: &mut Fields) {
        let mut buffer = Buffer::default();
        match &self.action {
            Action::Set(value) => {
                if let Some(value) = value.fill(exchange, upstream_host, &mut buffer) {
                    fields.set(&self.name, value);
                }
            }
            Action::Add(value) => {
                if let Some(value) = value.fill(exchange, upstream_host, &mut buffer) {
                    fields.append(&self.name, value);
                }
            }
            Action::Remove => _ = fields.remove(&self.name),
        }
    }
}

impl Name {
    /// Checks and numbers a name.
    pub(super) fn compile(filter: &'static str, name: &str) -> Result<Self, FilterError> {
        let wrong = |why| Err(FilterError::new(filter, name.escape_debug().to_string(), why));
        if Method::parse(name.as_bytes()).is_none() {
            return wrong("no field name");
        }
        let known = Known::of(name.as_bytes());
        if known == Known::Host {
            return wrong("`Host` is changed by a rewrite");
        }
        if IS_FRAMING.contains(&known) {
            return wrong("belongs to the connection or tells where a message ends");
        }
        Ok(Self { text: name.to_ascii_lowercase().as_bytes().into(), known })
    }

    /// The name's bytes, lower case.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }
}

/// Fields that whoever writes a message writes (RFC 9110, section 7.6.1, and those that are not
/// in [`Fields`] for other reasons).
const IS_FRAMING: [Known; 10] = [
    Known::Connection,
    Known::ContentLength,
    Known::Expect,
    Known::Http2Settings,
    Known::KeepAlive,
    Known::ProxyConnection,
    Known::Te,
    Known::Trailer,
    Known::TransferEncoding,
    Known::Upgrade,
];

impl<'a> From<&'a Name> for FieldName<'a> {
    fn from(name: &'a Name) -> Self {
        Self::with_number(&name.text, name.known)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixture::{exchange, listed},
        *,
    };

    fn edit(set: &[(&str, &str)], add: &[(&str, &str)], remove: &[&str]) -> lb_model::HeaderEdit {
        let pairs = |all: &[(&str, &str)]| {
            all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let remove = remove.iter().map(|it| (*it).to_owned()).collect();
        lb_model::HeaderEdit { set: pairs(set), add: pairs(add), remove }
    }

    #[test]
    fn fields_are_set_then_added_then_removed() {
        // The examples of the Gateway API's HTTPHeaderFilter.
        for (edit, before, after) in [
            (
                edit(&[("my-header", "bar")], &[], &[]),
                &[("My-Header", "foo")][..],
                &["My-Header=bar"][..],
            ),
            (edit(&[("my-header", "bar")], &[], &[]), &[], &["my-header=bar"]),
            (
                edit(&[], &[("my-header", "bar,baz")], &[]),
                &[("my-header", "foo")],
                &["my-header=foo", "my-header=bar,baz"],
            ),
            (
                edit(&[], &[], &["my-header1", "my-header3"]),
                &[("My-Header1", "foo"), ("my-header2", "bar"), ("my-header3", "baz")],
                &["my-header2=bar"],
            ),
            (
                edit(&[("a", "1")], &[("a", "2"), ("b", "{client_address}")], &["c"]),
                &[("A", "x"), ("a", "y"), ("C", "z")],
                &["A=1", "a=2", "b=192.0.2.1"],
            ),
        ] {
            let mut fields: Fields = before.iter().copied().collect();
            let compiled = HeaderEdit::compile("test", &edit).unwrap();
            compiled.apply(&exchange(), Part::All(None), &mut fields);
            assert_eq!(listed(&fields), after);
        }
    }

    #[test]
    fn what_needs_the_endpoint_is_done_when_it_is_known() {
        let edit = edit(&[("a", "1"), ("b", "{upstream_host}")], &[], &[]);
        let edit = HeaderEdit::compile("test", &edit).unwrap();
        assert!(edit.needs_upstream_host());
        let mut fields = Fields::new();
        edit.apply(&exchange(), Part::Early, &mut fields);
        assert_eq!(listed(&fields), ["a=1"]);
        edit.apply(&exchange(), Part::Late("pod.example"), &mut fields);
        assert_eq!(listed(&fields), ["a=1", "b=pod.example"]);
    }

    #[test]
    fn names_that_are_none_or_frame_messages_are_refused() {
        for name in ["", "a b", "a:", "a\r\nb", "Host", "content-length", "Transfer-Encoding", "te"]
        {
            assert!(
                HeaderEdit::compile("test", &edit(&[(name, "1")], &[], &[])).is_err(),
                "{name}"
            );
            assert!(HeaderEdit::compile("test", &edit(&[], &[], &[name])).is_err(), "{name}");
        }
        assert!(HeaderEdit::compile("test", &edit(&[], &[("a", "b\r\nc: d")], &[])).is_err());
    }
}
