//! What a request must look like.

use super::{Context, answer::one_of, field, path};
use crate::{
    config::{located::Located, schema},
    model::{FieldMatch, PathMatch, RequestMatch, ValueMatch},
};
use lb_common::limits;
use std::collections::HashSet;

/// A field or parameter that must be there, whatever its value.
const PRESENT: &str = "present";

pub(super) fn all(
    list: Option<&Located<Vec<Located<schema::TextOr<schema::RequestMatch>>>>>,
    cx: &mut Context<'_>,
) -> Vec<RequestMatch> {
    let Some(list) = list else { return Vec::new() };
    if list.value.is_empty() {
        let hint = "leave `match` out to match every request";
        cx.report.error(list.at, "nothing to match", hint);
    }
    if list.value.len() > limits::RULE_MATCHES_MAX {
        let count = list.value.len();
        cx.too_many("alternatives", count, limits::RULE_MATCHES_MAX, list.at);
    }
    list.value.iter().map(|file| one(file, cx)).collect()
}

fn one(file: &Located<schema::TextOr<schema::RequestMatch>>, cx: &mut Context<'_>) -> RequestMatch {
    let file = match &file.value {
        schema::TextOr::Text(prefix) => {
            let prefix = Located { value: prefix.clone(), at: file.at };
            let path = path::path(&prefix, cx.report).map(PathMatch::Prefix).unwrap_or_default();
            return RequestMatch { path, ..RequestMatch::default() };
        }
        schema::TextOr::Full(file) => file,
    };
    let method = file.method.as_ref();
    RequestMatch {
        path: file.path.as_ref().and_then(|it| path_match(it, cx)).unwrap_or_default(),
        method: method.and_then(|method| field::method(method, cx.report)),
        headers: fields(file.headers.as_ref(), true, cx),
        query: fields(file.query.as_ref(), false, cx),
    }
}

fn path_match(
    file: &Located<schema::TextOr<schema::PathMatch>>,
    cx: &mut Context<'_>,
) -> Option<PathMatch> {
    let it = match &file.value {
        schema::TextOr::Text(prefix) => {
            let prefix = Located { value: prefix.clone(), at: file.at };
            return path::path(&prefix, cx.report).map(PathMatch::Prefix);
        }
        schema::TextOr::Full(it) => it,
    };
    let ways = [&it.exact, &it.prefix, &it.prefix_ignore_case, &it.regex];
    let mut said = ways.into_iter().flatten();
    let (Some(_), None) = (said.next(), said.next()) else {
        one_of(file.at, "`exact`, `prefix`, `prefix_ignore_case` and `regex`", cx);
        return None;
    };
    if let Some(regex) = &it.regex {
        return cx.regex(regex).map(PathMatch::Regex);
    }
    let exact = it.exact.as_ref().map(|it| path::path(it, cx.report).map(PathMatch::Exact));
    let prefix = it.prefix.as_ref().map(|it| path::path(it, cx.report).map(PathMatch::Prefix));
    let folded = it.prefix_ignore_case.as_ref();
    let folded = folded.map(|it| path::path(it, cx.report).map(PathMatch::PrefixIgnoreCase));
    exact.or(prefix).or(folded).flatten()
}

fn fields(
    entries: Option<&schema::Entries<Located<schema::TextOr<schema::ValueMatch>>>>,
    of_header: bool,
    cx: &mut Context<'_>,
) -> Vec<FieldMatch> {
    let entries = schema::Entries::of(entries);
    if let Some((first, _)) = entries.get(limits::MATCH_FIELDS_MAX) {
        cx.too_many("fields", entries.len(), limits::MATCH_FIELDS_MAX, first.at);
    }
    let mut seen = HashSet::new();
    let mut fields = Vec::new();
    for (name, value) in entries {
        let value = value_match(value, cx);
        let lower = if of_header { field::name(name, cx.report) } else { Some(name.value.clone()) };
        let (Some(name_text), Some(value)) = (lower, value) else { continue };
        if name_text.is_empty() {
            cx.report.error(name.at, "a query parameter without a name", "write its name");
        }
        if !seen.insert(name_text.clone()) {
            let hint = "the case of letters means nothing: keep one of the two";
            cx.report.error(name.at, format!("field `{name_text}` is matched twice"), hint);
        }
        fields.push(FieldMatch { name: name_text, value });
    }
    fields
}

fn value_match(
    file: &Located<schema::TextOr<schema::ValueMatch>>,
    cx: &mut Context<'_>,
) -> Option<ValueMatch> {
    let it = match &file.value {
        schema::TextOr::Text(text) if text == PRESENT => return Some(ValueMatch::Present),
        schema::TextOr::Text(text) => return Some(ValueMatch::Exact(text.clone())),
        schema::TextOr::Full(it) => it,
    };
    match (&it.exact, &it.regex) {
        (Some(exact), None) => Some(ValueMatch::Exact(exact.value.clone())),
        (None, Some(regex)) => cx.regex(regex).map(ValueMatch::Regex),
        _ => {
            one_of(file.at, "`exact` and `regex`", cx);
            None
        }
    }
}
