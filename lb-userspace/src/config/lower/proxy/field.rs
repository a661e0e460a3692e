//! Header fields: names, values, and what is filled into values.

use super::names;
use crate::config::{
    diagnostic::{Position, Report},
    located::Located,
};

/// Bytes of a field name.
const NAME_BYTES_MAX: usize = 256;

/// Bytes of a field value.
const VALUE_BYTES_MAX: usize = 8_192;

/// What values of edited fields may hold.
pub(super) const EDIT_PLACEHOLDERS: [&str; 6] =
    ["client_address", "client_port", "host", "scheme", "request_id", "upstream_host"];

/// What the place to log in may hold.
pub(super) const LOGIN_PLACEHOLDERS: [&str; 5] = ["scheme", "host", "path", "url", "host_raw"];

/// A field name, in lower case.
pub(super) fn name(text: &Located<String>, report: &mut Report) -> Option<String> {
    let value = &text.value;
    if !is_token(value) || value.len() > NAME_BYTES_MAX {
        report.error(
            text.at,
            format!("`{value}` cannot be the name of a header field"),
            "letters, digits and -_.!#$%&'*+^`|~ (RFC 9110, section 5.1)",
        );
        return None;
    }
    Some(value.to_ascii_lowercase())
}

/// A field value.
pub(super) fn value(text: &str, at: Position, report: &mut Report) -> Option<String> {
    let (message, hint) = if text.len() > VALUE_BYTES_MAX {
        let message = format!("a field value of {} bytes", text.len());
        (message, format!("at most {VALUE_BYTES_MAX} bytes"))
    } else if text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']) {
        let hint = "space around a value is no part of it (RFC 9110, section 5.5): remove it";
        ("a field value with space around it".to_owned(), hint.to_owned())
    } else if !text.bytes().all(|byte| byte == b'\t' || byte == b' ' || byte.is_ascii_graphic()) {
        let hint = "visible ASCII characters, spaces and tabs only";
        ("this cannot be the value of a header field".to_owned(), hint.to_owned())
    } else {
        return Some(text.to_owned());
    };
    report.error(at, message, hint);
    None
}

/// Whether every placeholder of a text, a lower-case word in braces, is one of `known`. Other
/// braces are text.
pub(super) fn placeholders(text: &str, known: &[&str], at: Position, report: &mut Report) -> bool {
    let mut good = true;
    for part in text.split('{').skip(1) {
        let Some((word, _)) = part.split_once('}') else { continue };
        let is_word = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if word.is_empty() || !is_word || known.contains(&word) {
            continue;
        }
        let known: Vec<String> = known.iter().map(|word| (*word).to_owned()).collect();
        let hint = names::nearest(word, known.iter()).map_or_else(
            || format!("what can be filled in: {{{}}}", known.join("}, {")),
            |near| format!("did you mean `{{{near}}}`?"),
        );
        report.error(at, format!("nothing is known to fill in for `{{{word}}}`"), hint);
        good = false;
    }
    good
}

/// A name in the sense of RFC 9110, section 5.6.2: of fields, methods and cookies.
pub(super) fn is_token(text: &str) -> bool {
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(sign)
}

/// A method, case-sensitive.
pub(super) fn method(text: &Located<String>, report: &mut Report) -> Option<String> {
    const METHODS: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    let value = &text.value;
    let upper = value.to_ascii_uppercase();
    let hint = if !is_token(value) || value.len() > 64 {
        "a method is a word like `GET`".to_owned()
    } else if *value != upper && METHODS.contains(&upper.as_str()) {
        format!("methods are case-sensitive: write `{upper}`")
    } else {
        return Some(value.clone());
    };
    report.error(text.at, format!("`{value}` is not a method"), hint);
    None
}

/// Name of a cookie.
pub(super) fn cookie(text: &Located<String>, report: &mut Report) -> Option<String> {
    if !is_token(&text.value) || text.value.len() > 128 {
        report.error(
            text.at,
            format!("`{}` cannot be the name of a cookie", text.value),
            "letters, digits and -_.!#$%&'*+^`|~ (RFC 6265, section 4.1.1)",
        );
        return None;
    }
    Some(text.value.clone())
}

/// A media type, maybe with parameters.
pub(super) fn media_type(text: &Located<String>, report: &mut Report) -> Option<String> {
    let good = text.value.split(';').next().and_then(|it| it.trim().split_once('/'));
    if !good.is_some_and(|(kind, sub)| is_token(kind) && is_token(sub)) {
        let message = format!("`{}` is not a media type", text.value);
        report.error(text.at, message, "write `TYPE/SUBTYPE`, like `text/html; charset=utf-8`");
        return None;
    }
    value(&text.value, text.at, report)
}
