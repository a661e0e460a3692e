//! What a path and a query ask for.

use std::time::Duration;

use super::failure::Failure;
use super::kinds::{Kind, Kinds};
use super::selector::Selector;
use super::write::Part;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `/healthz`, `/livez`, `/readyz`
    Health,
    /// `/version`
    Version,
    /// `/api`
    CoreVersions,
    /// `/apis`
    Groups,
    /// `/apis/GROUP`
    Group(String),
    /// `/api/v1`, `/apis/GROUP/VERSION`
    Resources { group: String, version: String },
    /// The objects of a kind, in one namespace or all
    Collection { kind: Kind, namespace: Option<String> },
    /// One object; `namespace` is empty where the kind has none
    Object { kind: Kind, namespace: String, name: String, part: Part },
}

/// The parts of a query that the server knows.
#[expect(clippy::struct_excessive_bools, reason = "parameters of a query")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) is_watch: bool,
    pub(super) revision: String,
    pub(super) sends_initial: bool,
    pub(super) wants_bookmarks: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) limit: Option<usize>,
    pub(super) next: Option<String>,
    pub(super) manager: Option<String>,
    pub(super) is_dry_run: bool,
    labels: String,
    fields: String,
}

impl Target {
    pub(super) fn parse(path: &str, kinds: &Kinds) -> Result<Self, Failure> {
        let parts: Vec<String> =
            path.split('/').filter(|part| !part.is_empty()).map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["healthz" | "livez" | "readyz", ..] => Ok(Self::Health),
            ["version"] => Ok(Self::Version),
            ["api"] => Ok(Self::CoreVersions),
            ["apis"] => Ok(Self::Groups),
            ["apis", group] => Ok(Self::Group((*group).to_owned())),
            ["api", version] => Ok(Self::resources("", version)),
            ["apis", group, version] => Ok(Self::resources(group, version)),
            ["api", version, rest @ ..] => Self::objects(kinds, "", version, rest),
            ["apis", group, version, rest @ ..] => Self::objects(kinds, group, version, rest),
            _ => Err(Failure::no_such_path()),
        }
    }

    fn resources(group: &str, version: &str) -> Self {
        Self::Resources { group: group.to_owned(), version: version.to_owned() }
    }

    fn objects(kinds: &Kinds, group: &str, version: &str, rest: &[&str]) -> Result<Self, Failure> {
        let (namespace, rest) = match rest {
            // A namespace's own parts, and not a kind in the namespace.
            ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            _ => (None, rest),
        };
        let (plural, rest) = rest.split_first().ok_or_else(Failure::no_such_path)?;
        let kind = kinds.find(group, version, plural).ok_or_else(Failure::no_such_path)?.clone();
        if !kind.is_namespaced && namespace.is_some() {
            return Err(Failure::no_such_path());
        }
        let (name, part) = match rest {
            [] => {
                let namespace = namespace.map(str::to_owned);
                return Ok(Self::Collection { kind, namespace });
            }
            [name] => (*name, Part::Main),
            [name, "status"] if kind.has_status => (*name, Part::Status),
            [name, "finalize"] if kind.plural == "namespaces" => (*name, Part::Main),
            _ => return Err(Failure::no_such_path()),
        };
        if kind.is_namespaced && namespace.is_none() {
            return Err(Failure::no_such_path());
        }
        let namespace = namespace.unwrap_or_default().to_owned();
        Ok(Self::Object { kind, namespace, name: name.to_owned(), part })
    }
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value);
            let is_true = value == "true" || value == "1";
            match name {
                "watch" => query.is_watch = is_true,
                "resourceVersion" => query.revision = value,
                "sendInitialEvents" => query.sends_initial = is_true,
                "allowWatchBookmarks" => query.wants_bookmarks = is_true,
                "timeoutSeconds" => query.timeout = value.parse().ok().map(Duration::from_secs),
                "limit" => query.limit = value.parse().ok().filter(|limit| *limit > 0),
                "continue" => query.next = Some(value).filter(|next| !next.is_empty()),
                "fieldManager" => query.manager = Some(value),
                "dryRun" => query.is_dry_run = value == "All",
                "labelSelector" => query.labels = value,
                "fieldSelector" => query.fields = value,
                _ => {}
            }
        }
        query
    }

    /// The one name that is selected, if it is one.
    pub(super) fn selected_name(&self) -> Option<&str> {
        let name = self.fields.split(',').find_map(|field| field.strip_prefix("metadata.name="))?;
        Some(name.trim_start_matches('='))
    }

    pub(super) fn selector(&self) -> Result<Selector, Failure> {
        Selector::parse(&self.labels, &self.fields)
    }
}

/// Percent-decoding (RFC 3986, section 2.1), and `+` as forms have it.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let escaped = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                digit(*high).zip(digit(*low)).map(|(high, low)| (high * 16 + low, after))
            }
            _ => None,
        };
        match escaped {
            Some((byte, after)) => {
                bytes.push(byte as u8);
                rest = after;
            }
            None => bytes.push(if first == b'+' { b' ' } else { first }),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(path: &str) -> Option<(String, String, String, Part)> {
        match Target::parse(path, &Kinds::builtin()) {
            Ok(Target::Object { kind, namespace, name, part }) => {
                Some((kind.kind, namespace, name, part))
            }
            _ => None,
        }
    }

    #[test]
    fn namespaces_are_objects_and_folders() {
        let expected = |kind: &str, namespace: &str, name: &str, part| {
            Some((kind.to_owned(), namespace.to_owned(), name.to_owned(), part))
        };
        assert_eq!(object("/api/v1/namespaces/a"), expected("Namespace", "", "a", Part::Main));
        assert_eq!(
            object("/api/v1/namespaces/a/status"),
            expected("Namespace", "", "a", Part::Status)
        );
        assert_eq!(
            object("/api/v1/namespaces/a/secrets/b%2Dc"),
            expected("Secret", "a", "b-c", Part::Main)
        );
        assert_eq!(object("/api/v1/secrets/b"), None);
        assert_eq!(object("/api/v1/namespaces/a/nodes/b"), None);
        assert_eq!(object("/api/v1/namespaces/a/configmaps/b/status"), None);
    }

    #[test]
    fn a_query_is_decoded() {
        let query = Query::parse("watch=1&labelSelector=a%3Db%2Cc&limit=0&resourceVersion=7&x");
        assert!(query.is_watch);
        assert_eq!(query.limit, None);
        assert_eq!(query.revision, "7");
        assert_eq!(query.selector().unwrap(), Selector::parse("a=b,c", "").unwrap());
    }
}
