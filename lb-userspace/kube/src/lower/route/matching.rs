//! What a request must look like.

use super::{
    fault::Fault,
    header::{self, is_token},
    pattern::pattern,
};
use crate::api::{FieldMatchSpec, HttpMatch, HttpPathMatch};
use lb_model::{FieldMatch, PathMatch, RequestMatch, ValueMatch};

/// Bytes of a path (Gateway API, `HTTPPathMatch.value`).
const PATH_BYTES_MAX: usize = 1_024;

/// What a request must look like.
pub(super) fn request(wanted: &HttpMatch) -> Result<RequestMatch, Fault> {
    let method = wanted.method.as_deref();
    if let Some(method) = method.filter(|it| !is_token(it)) {
        return Err(Fault::value(format!("`{}` is no method", method.escape_debug())));
    }
    Ok(RequestMatch {
        path: wanted.path.as_ref().map_or_else(|| Ok(PathMatch::default()), path)?,
        method: method.map(str::to_owned),
        headers: fields(&wanted.headers, header::name)?,
        query: fields(&wanted.query_params, |name| Ok(name.to_owned()))?,
    })
}

/// Header fields that must be there; their names are not case-sensitive.
pub(super) fn headers(wanted: &[FieldMatchSpec]) -> Result<Vec<FieldMatch>, Fault> {
    fields(wanted, header::name)
}

fn path(wanted: &HttpPathMatch) -> Result<PathMatch, Fault> {
    let value = wanted.value.as_deref().unwrap_or("/");
    match wanted.r#type.as_deref().unwrap_or("PathPrefix") {
        "Exact" => plain(value).map(PathMatch::Exact),
        "PathPrefix" => plain(value).map(PathMatch::Prefix),
        "RegularExpression" => pattern(value.to_owned()).map(PathMatch::Regex),
        other => Err(Fault::value(format!("path matches of type {other} are not known"))),
    }
}

/// A path that requests can have once theirs is normalised: dot segments removed, unreserved
/// characters not escaped (RFC 3986, sections 6.2.2 and 6.2.3).
fn plain(path: &str) -> Result<String, Fault> {
    let wrong = |why: &str| Err(Fault::value(format!("path `{}` {why}", path.escape_debug())));
    if !path.starts_with('/') {
        return wrong("does not begin with `/`");
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(Fault::value(format!("a path is longer than {PATH_BYTES_MAX} bytes")));
    }
    if !path.bytes().all(|it| it.is_ascii_graphic() && !matches!(it, b'?' | b'#')) {
        return wrong("has a character that no path has");
    }
    if path.split('/').any(|it| matches!(it, "." | "..")) {
        return wrong("has a dot segment");
    }
    decoded(path).map_or_else(|| wrong("has a broken escape"), Ok)
}

/// Escapes of unreserved characters decoded.
fn decoded(path: &str) -> Option<String> {
    let mut parts = path.split('%');
    let mut plain = parts.next()?.to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        if !digits.bytes().all(|it| it.is_ascii_hexdigit()) {
            return None;
        }
        let byte = u8::from_str_radix(digits, 16).ok()?;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            plain.push(char::from(byte));
        } else {
            plain.push('%');
            plain += digits;
        }
        plain += rest;
    }
    Some(plain)
}

/// Of several with one name, the first counts.
fn fields(
    wanted: &[FieldMatchSpec],
    name_of: impl Fn(&str) -> Result<String, Fault>,
) -> Result<Vec<FieldMatch>, Fault> {
    let mut fields: Vec<FieldMatch> = Vec::new();
    for field in wanted {
        let name = name_of(&field.name)?;
        if fields.iter().any(|it| it.name == name) {
            continue;
        }
        let value = match field.r#type.as_deref().unwrap_or("Exact") {
            "Exact" => ValueMatch::Exact(field.value.clone()),
            "RegularExpression" => ValueMatch::Regex(pattern(field.value.clone())?),
            other => {
                return Err(Fault::value(format!("field matches of type {other} are not known")));
            }
        };
        fields.push(FieldMatch { name, value });
    }
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_kept_as_requests_have_them() {
        assert_eq!(plain("/a%2Db/%2f"), Ok("/a-b/%2f".to_owned()));
        for wrong in ["", "a", "/a b", "/a?b", "/a/../b", "/a%2", "/a%zz", "/\u{e4}"] {
            assert!(plain(wrong).is_err(), "{wrong}");
        }
    }
}
