//! YAML to the schema's types, and the parser's errors in the words of this program.

use super::{
    diagnostic::{Position, Report},
    load::CONFIG_BYTES_MAX,
};
use serde::de::DeserializeOwned;
use serde_saphyr::{
    DefaultMessageFormatter, Error, MessageFormatter, Options, budget::BudgetBreach,
};

/// Words of HAProxy, nginx, Envoy, IPVS, keepalived and Kubernetes, and what they are called here.
const ELSEWHERE: [(&str, &str); 50] = [
    ("acl", "rules"),
    ("backend_refs", "backends"),
    ("bind", "vips"),
    ("bind", "binds"),
    ("ca", "authorities"),
    ("cafile", "authorities"),
    ("cert", "chain"),
    ("cert", "certificates"),
    ("check", "health"),
    ("cluster", "upstreams"),
    ("clusters", "upstreams"),
    ("cookie", "persistence"),
    ("dr", "l2dsr"),
    ("droute", "l2dsr"),
    ("endpoints", "backends"),
    ("ext_authz", "auth"),
    ("forwarding", "mode"),
    ("frontend", "services"),
    ("frontends", "services"),
    ("gatewaying", "l2dsr"),
    ("healthcheck", "health"),
    ("hash", "maglev"),
    ("hostnames", "hosts"),
    ("ip", "address"),
    ("ipip", "tunnel"),
    ("least_conn", "least_request"),
    ("leastconn", "least_request"),
    ("listen", "vips"),
    ("location", "rules"),
    ("locations", "rules"),
    ("masq", "nat"),
    ("parent_refs", "listeners"),
    ("persistence", "affinity"),
    ("proxy_pass", "backends"),
    ("real_servers", "backends"),
    ("reals", "backends"),
    ("return", "answer"),
    ("rr", "round_robin"),
    ("scheduler", "affinity"),
    ("scheduler", "balance"),
    ("server", "backends"),
    ("server", "endpoints"),
    ("servers", "backends"),
    ("servers", "endpoints"),
    ("sni", "server_name"),
    ("ssl", "tls"),
    ("sticky", "persistence"),
    ("virtual_hosts", "routes"),
    ("vip", "vips"),
    ("virtual_servers", "services"),
];

/// Parses a text. The first thing the parser stumbles over is reported.
pub(super) fn parse<T: DeserializeOwned>(text: &str, report: &mut Report) -> Option<T> {
    match serde_saphyr::from_str_with_options(text, options()) {
        Ok(value) => Some(value),
        Err(error) => {
            explain(&error, report);
            None
        }
    }
}

/// Room for every backend and route that there may be, and no more than that for anybody else.
fn options() -> Options {
    let bytes = CONFIG_BYTES_MAX as usize;
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 8_000_000,
            max_nodes: 4_000_000,
            max_depth: 32,
            max_documents: 1,
            max_total_scalar_bytes: bytes,
            max_recorded_anchor_bytes: bytes,
            max_total_comment_bytes: bytes,
        },
        with_snippet: false,
        strict_booleans: true,
        emit_comments: false,
        reject_unsupported_tags: true,
        reject_tagged_field_names: true,
    }
}

fn explain(error: &Error, report: &mut Report) {
    let mut error = error.without_snippet();
    let mut at = error.location().map_or_else(Position::default, Position::from);
    while let Error::AliasError { error: inner, .. } = error {
        error = inner.without_snippet();
        at = error.location().map_or(at, Position::from);
    }
    let (message, hint) = words(error);
    report.error(at, message, hint);
}

/// What to tell a person: message and hint. The parser's own words serve where they are plain.
fn words(error: &Error) -> (String, String) {
    let (message, hint): (String, &str) = match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            return (format!("unknown key `{field}`"), suggest(field, expected, "keys"));
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            return (format!("unknown value `{variant}`"), suggest(variant, expected, "values"));
        }
        Error::SerdeMissingField { field, .. } => (
            format!("missing key `{field}`"),
            "the mapping that this key belongs to must have it; check the indentation if it does",
        ),
        Error::DuplicateMappingKey { key, .. } => (
            key.as_ref().map_or_else(
                || "a key stands twice in this mapping".to_owned(),
                |key| format!("key `{key}` stands twice in this mapping"),
            ),
            "remove one of the two, or merge their values",
        ),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            (format!("expected {expected}, not {unexpected}"), "")
        }
        Error::InvalidScalar { ty, .. } if *ty == "i64" => {
            ("expected a whole number".to_owned(), "")
        }
        Error::InvalidScalar { ty, .. } => (format!("expected a {ty}"), ""),
        Error::InvalidBooleanStrict { .. } => {
            ("expected `true` or `false`".to_owned(), "write it in lower case, without quotes")
        }
        Error::NullIntoString { .. } => (
            "a value is missing here".to_owned(),
            "`~`, `null` and nothing at all are not texts; quote the value if it is meant as one",
        ),
        Error::Unexpected { expected, .. } => return expectation(expected),
        Error::Eof { .. } => (
            "the file ends too early, or says nothing".to_owned(),
            "a configuration needs at least `services` or `listeners`",
        ),
        Error::UnknownAnchor { .. } => (
            "this refers to an anchor that does not exist".to_owned(),
            "`*name` needs a `&name` before it; a text that starts with `*` must be quoted",
        ),
        Error::MergeValueNotMapOrSeqOfMaps { .. } => {
            ("`<<` can only merge a mapping, or a list of mappings".to_owned(), "")
        }
        Error::UnsupportedTag { tag, .. } | Error::TaggedStructFieldName { tag, .. } => (
            format!("tag `{tag}` means nothing here"),
            "a text that starts with `!` must be quoted",
        ),
        Error::Budget { breach, .. } => return budget(breach),
        other => (
            DefaultMessageFormatter.format_message(other).into_owned(),
            "the YAML reader stopped here; the cause may be just before: a bracket or quote that \
             is not closed, a tab, or indentation",
        ),
    };
    (message, hint.to_owned())
}

fn expectation(expected: &str) -> (String, String) {
    let (message, hint) = match expected {
        "mapping start" => ("expected a mapping", "write `key: value` lines, or `{ key: value }`"),
        "sequence start" => ("expected a list", "write `- item` lines, or `[item, item]`"),
        "string scalar" => (
            "expected a text",
            "a single value belongs here, such as a name, not a mapping or a list; a text that starts \
             with `[` or `{` must be quoted",
        ),
        other => return (format!("expected {other}"), String::new()),
    };
    (message.to_owned(), hint.to_owned())
}

fn budget(breach: &BudgetBreach) -> (String, String) {
    match breach {
        BudgetBreach::Documents { .. } => (
            "a second YAML document starts here".to_owned(),
            "one file holds one configuration: remove the `---`".to_owned(),
        ),
        other => (
            format!("the file is larger or more deeply nested than any configuration: {other:?}"),
            "a configuration of that size is outside the limits of the data plane".to_owned(),
        ),
    }
}

/// The nearest of `known`, or else all of them.
fn suggest(word: &str, known: &[&str], kind: &str) -> String {
    let lower = word.to_lowercase().replace('-', "_");
    let renamed = ELSEWHERE
        .iter()
        .find(|(theirs, ours)| *theirs == lower && known.contains(ours))
        .map(|(_, ours)| *ours);
    let near = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&lower, name), *name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min();
    // A slip of one letter is likelier than another program's word.
    let slip = near.filter(|(distance, _)| *distance <= 1).map(|(_, name)| name);
    slip.or(renamed).or_else(|| near.map(|(_, name)| name)).map_or_else(
        || format!("{kind} that are known here: `{}`", known.join("`, `")),
        |name| format!("did you mean `{name}`?"),
    )
}
