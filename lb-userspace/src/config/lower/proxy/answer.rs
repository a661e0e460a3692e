//! Answers without a backend, and pages for errors.

use super::{Context, field, path};
use crate::{
    config::{
        diagnostic::Position,
        located::Located,
        lower::scalar,
        schema::{self, TextOrNumber},
    },
    model::{Answer, ErrorPage, PathRewrite, Redirect},
};
use std::collections::BTreeSet;

/// Statuses that move a client elsewhere (RFC 9110, section 15.4).
const REDIRECTS: [i64; 5] = [301, 302, 303, 307, 308];
const REDIRECT_DEFAULT: u16 = 302;

const PAGE_TYPE_DEFAULT: &str = "text/html; charset=utf-8";
const ANSWER_TYPE_DEFAULT: &str = "text/plain; charset=utf-8";

/// Bytes of a body that the configuration file itself holds.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// Statuses that have no body (RFC 9110, section 6.4.1).
const BODILESS: [u16; 3] = [204, 205, 304];

pub(super) fn redirect(file: &Located<schema::Redirect>, cx: &mut Context<'_>) -> Answer {
    let redirect = &file.value;
    let (scheme, port) = (redirect.scheme, redirect.port.as_ref());
    if scheme.is_none() && redirect.host.is_none() && port.is_none() && redirect.path.is_none() {
        let hint = "say what changes: `scheme`, `host`, `port` or `path`";
        cx.report.error(file.at, "a redirect to the same place", hint);
    }
    let status = redirect.status.as_ref().and_then(|status| {
        if !REDIRECTS.contains(&status.value) {
            let message = format!("{} is not a status of a redirect", status.value);
            cx.report.error(status.at, message, "one of 301, 302, 303, 307 and 308");
            return None;
        }
        u16::try_from(status.value).ok()
    });
    Answer::Redirect(Redirect {
        scheme: scheme.map(|scheme| match scheme {
            schema::Scheme::Http => "http".to_owned(),
            schema::Scheme::Https => "https".to_owned(),
        }),
        host: redirect.host.as_ref().and_then(|host| cx.host_name(host)),
        port: port.and_then(|port| scalar::port(port, cx.report)),
        path: redirect.path.as_ref().and_then(|path| rewrite_path(path, cx)),
        status: status.unwrap_or(REDIRECT_DEFAULT),
    })
}

pub(super) fn fixed(file: &Located<schema::Fixed>, cx: &mut Context<'_>) -> Answer {
    let fixed = &file.value;
    let status = scalar::number("status of an answer", &fixed.status, 200..=599, cx.report);
    let status: u16 = status.unwrap_or(200);
    let body = body(fixed.file.as_ref(), fixed.text.as_ref(), cx).unwrap_or_default();
    if BODILESS.contains(&status) && !body.is_empty() {
        let at = fixed.text.as_ref().or(fixed.file.as_ref()).map_or(file.at, |it| it.at);
        let hint = "remove the body, or use another status";
        cx.report.error(at, format!("a response with status {status} has no body"), hint);
    }
    let content_type = media_type(fixed.content_type.as_ref(), ANSWER_TYPE_DEFAULT, cx);
    Answer::Fixed { status, content_type, body }
}

pub(super) fn error_page(file: &Located<schema::ErrorPage>, cx: &mut Context<'_>) -> ErrorPage {
    let page = &file.value;
    if page.statuses.value.is_empty() {
        let hint = "list codes or ranges, like `statuses: [404, 500-599]`";
        cx.report.error(page.statuses.at, "a page for no status", hint);
    }
    if page.file.is_none() && page.text.is_none() {
        let hint = "add `file: PATH` or `text: BODY`";
        cx.report.error(file.at, "a page without a body", hint);
    }
    ErrorPage {
        statuses: statuses(&page.statuses.value, (400, 599), cx),
        content_type: media_type(page.content_type.as_ref(), PAGE_TYPE_DEFAULT, cx),
        body: body(page.file.as_ref(), page.text.as_ref(), cx).unwrap_or_default(),
        replaces_backend: page.replaces_backend.unwrap_or_default(),
    }
}

/// Codes and ranges of codes.
pub(super) fn statuses(
    list: &[Located<TextOrNumber>],
    (min, max): (u32, u32),
    cx: &mut Context<'_>,
) -> BTreeSet<u16> {
    let mut statuses = BTreeSet::new();
    for text in list {
        let value = text.value.to_string();
        let span = scalar::span(&value)
            .filter(|(first, last)| min <= *first && first <= last && *last <= max);
        if let Some((first, last)) = span {
            statuses.extend((first..=last).filter_map(|code| u16::try_from(code).ok()));
        } else {
            let message = format!("`{value}` is not a status, or a range of them");
            let hint = format!("write 503, or 500-599; codes here are {min} to {max}");
            cx.report.error(text.at, message, hint);
        }
    }
    statuses
}

fn media_type(text: Option<&Located<String>>, default: &str, cx: &mut Context<'_>) -> String {
    text.and_then(|text| field::media_type(text, cx.report)).unwrap_or_else(|| default.to_owned())
}

fn body(
    file: Option<&Located<String>>,
    text: Option<&Located<String>>,
    cx: &mut Context<'_>,
) -> Option<Vec<u8>> {
    if let (Some(_), Some(text)) = (file, text) {
        cx.report.error(text.at, "both `file` and `text`", "keep one of the two");
    }
    if let Some(text) = text {
        if text.value.len() > TEXT_BYTES_MAX {
            let message = format!("a text of {} bytes", text.value.len());
            let hint = format!("at most {} KiB here; use `file`", TEXT_BYTES_MAX >> 10);
            cx.report.error(text.at, message, hint);
        }
        return Some(text.value.clone().into_bytes());
    }
    Some(cx.contents(file?)?.to_vec())
}

/// One of `full`, `prefix` and `regex`.
pub(super) fn rewrite_path(
    file: &Located<schema::PathRewrite>,
    cx: &mut Context<'_>,
) -> Option<PathRewrite> {
    let rewrite = &file.value;
    if let (None, Some(replacement)) = (&rewrite.regex, &rewrite.replacement) {
        let hint = "add the `regex` whose match it replaces";
        cx.report.error(replacement.at, "`replacement` without `regex`", hint);
        return None;
    }
    match (&rewrite.full, &rewrite.prefix, &rewrite.regex) {
        (Some(full), None, None) => path::path(full, cx.report).map(PathRewrite::Full),
        (None, Some(prefix), None) => path::path(prefix, cx.report).map(PathRewrite::Prefix),
        (None, None, Some(regex)) => {
            let pattern = cx.regex(regex);
            let Some(replacement) = &rewrite.replacement else {
                let hint = "say what takes the place of the match; `\"\"` removes it";
                cx.report.error(regex.at, "`regex` without `replacement`", hint);
                return None;
            };
            let replacement = replacement_text(replacement, cx);
            Some(PathRewrite::Regex { pattern: pattern?, replacement: replacement? })
        }
        (full, prefix, regex) => {
            let second = regex.as_ref().or(prefix.as_ref()).or(full.as_ref());
            one_of(second.map_or(file.at, |it| it.at), "`full`, `prefix` and `regex`", cx);
            None
        }
    }
}

fn replacement_text(text: &Located<String>, cx: &mut Context<'_>) -> Option<String> {
    if text.value.bytes().all(|byte| byte.is_ascii_graphic()) && !text.value.contains(['?', '#']) {
        return Some(text.value.clone());
    }
    let hint = "visible ASCII without `?` and `#`; other characters are percent-encoded";
    cx.report.error(text.at, "this cannot be a part of a path", hint);
    None
}

/// There is none, or more than one, of what excludes each other.
pub(super) fn one_of(at: Position, choices: &str, cx: &mut Context<'_>) {
    cx.report.error(at, format!("exactly one of {choices} is needed"), "keep or add one");
}
