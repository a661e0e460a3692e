//! Edits of header fields.

use super::{Context, field};
use crate::{
    config::{
        diagnostic::{Position, Report},
        located::Located,
        lower::scalar,
        schema,
    },
    model::HeaderEdit,
};
use lb_common::limits;
use std::collections::HashMap;

/// Which message is edited.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// Fields that frame a message or belong to one connection (RFC 9110, section 7.6.1): whoever
/// edits them lets sender and receiver disagree on where a message ends.
const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

pub(super) fn edit(
    file: Option<&schema::HeaderEdit>,
    side: Side,
    cx: &mut Context<'_>,
) -> HeaderEdit {
    let Some(file) = file else { return HeaderEdit::default() };
    let mut set = Vec::new();
    let mut places = HashMap::new();
    for (name, value) in schema::Entries::of(file.set.as_ref()) {
        let name = editable(name, side, &mut places, cx.report);
        let value = filled(&value.value, value.at, cx.report);
        set.extend(name.zip(value));
    }
    let mut add = Vec::new();
    places.clear();
    for (name, values) in schema::Entries::of(file.add.as_ref()) {
        let name = editable(name, side, &mut places, cx.report);
        for value in &values.value.0 {
            let value = filled(value, values.at, cx.report);
            add.extend(name.clone().zip(value));
        }
    }
    places.clear();
    let remove = super::list(file.remove.as_ref());
    let remove: Vec<String> =
        remove.iter().filter_map(|name| editable(name, side, &mut places, cx.report)).collect();
    for (count, at) in [
        (set.len(), first_at(file.set.as_ref())),
        (add.len(), first_at(file.add.as_ref())),
        (remove.len(), super::list(file.remove.as_ref()).first().map(|name| name.at)),
    ] {
        if count > limits::HEADER_EDITS_MAX {
            cx.too_many("fields", count, limits::HEADER_EDITS_MAX, at.unwrap_or_default());
        }
    }
    HeaderEdit { set, add, remove }
}

fn first_at<V>(entries: Option<&schema::Entries<V>>) -> Option<Position> {
    schema::Entries::of(entries).first().map(|(name, _)| name.at)
}

/// The name of a field that may be edited, once.
fn editable(
    text: &Located<String>,
    side: Side,
    places: &mut HashMap<String, Position>,
    report: &mut Report,
) -> Option<String> {
    let name = field::name(text, report)?;
    if let Some(other) = places.insert(name.clone(), text.at) {
        let hint = format!("{}; the case of letters means nothing", scalar::other_at(other));
        report.error(text.at, format!("field `{name}` is listed twice"), hint);
        return None;
    }
    let hint = if FRAMING.contains(&name.as_str()) {
        "it tells where a message ends, or belongs to one connection: the proxy writes it"
    } else if name == "host" && side == Side::Request {
        "use `rewrite: { host: ... }`"
    } else {
        return Some(name);
    };
    report.error(text.at, format!("field `{name}` cannot be edited"), hint);
    None
}

/// A value whose placeholders are known.
fn filled(text: &str, at: Position, report: &mut Report) -> Option<String> {
    let value = field::value(text, at, report)?;
    field::placeholders(text, &field::EDIT_PLACEHOLDERS, at, report).then_some(value)
}
