//! Redirects, rewrites and origins: filters about parts of URLs.

use super::fault::Fault;
use crate::api::{PathModifier, RequestRedirectFilter, UrlRewriteFilter};
use lb_model::{HostPattern, HostRewrite, PathMatch, PathRewrite, Redirect, RequestMatch, Rewrite};

/// Status of redirects that name none, and all there are (Gateway API,
/// `HTTPRequestRedirectFilter.statusCode`).
const REDIRECT_DEFAULT: u16 = 302;
const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// Another place. `matches` are those of its rule.
pub(super) fn redirect(
    wanted: &RequestRedirectFilter,
    matches: &[RequestMatch],
) -> Result<Redirect, Fault> {
    let status = wanted.status_code.unwrap_or(REDIRECT_DEFAULT);
    if !REDIRECTS.contains(&status) {
        return Err(Fault::value(format!("redirects with status {status} are not known")));
    }
    if let Some(scheme) = wanted.scheme.as_deref().filter(|it| !matches!(*it, "http" | "https")) {
        return Err(Fault::value(format!("scheme `{}` is not known", scheme.escape_debug())));
    }
    Ok(Redirect {
        scheme: wanted.scheme.clone(),
        host: wanted.hostname.as_deref().map(host).transpose()?,
        port: wanted.port,
        path: wanted.path.as_ref().map(|it| path(it, matches)).transpose()?,
        status,
    })
}

/// Another host and path. `matches` are those of its rule.
pub(super) fn rewrite(
    wanted: &UrlRewriteFilter,
    matches: &[RequestMatch],
) -> Result<Rewrite, Fault> {
    let host = wanted.hostname.as_deref().map(host).transpose()?;
    Ok(Rewrite {
        host: host.map(HostRewrite::To),
        path: wanted.path.as_ref().map(|it| path(it, matches)).transpose()?,
    })
}

/// Scripts' origin as browsers send it: without the port that is its scheme's own.
pub(super) fn origin(text: &str) -> Result<String, Fault> {
    let wrong = || Fault::value(format!("`{}` is no origin", text.escape_debug()));
    if text == "*" {
        return Ok(text.to_owned());
    }
    let (scheme, authority) = text.split_once("://").ok_or_else(wrong)?;
    let own_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return Err(wrong()),
    };
    let authority = authority.strip_suffix(own_port).unwrap_or(authority);
    let name = authority.strip_prefix('*').unwrap_or(authority);
    let is_plain = name.bytes().all(|it| it.is_ascii_alphanumeric() || b"-._:[]".contains(&it));
    if authority.is_empty() || !is_plain {
        return Err(wrong());
    }
    Ok(format!("{scheme}://{authority}"))
}

/// A path that can be sent as it is.
pub(super) fn plain(path: &str) -> Result<String, Fault> {
    let is_sign = |it: u8| it.is_ascii_graphic() && !b"?#\"<>\\".contains(&it);
    let has_dots = path.split('/').any(|it| matches!(it, "." | ".."));
    if !path.starts_with('/') || has_dots || !path.bytes().all(is_sign) {
        return Err(Fault::value(format!("`{}` cannot be a path", path.escape_debug())));
    }
    Ok(path.to_owned())
}

fn host(text: &str) -> Result<String, Fault> {
    match text.parse() {
        Ok(HostPattern::Exact(name)) => Ok(name),
        _ => Err(Fault::value(format!("`{}` is no host name", text.escape_debug()))),
    }
}

/// A prefix takes the place of the one that matched, so all matches must have one.
fn path(wanted: &PathModifier, matches: &[RequestMatch]) -> Result<PathRewrite, Fault> {
    match wanted.r#type.as_str() {
        "ReplaceFullPath" => {
            let path = wanted.replace_full_path.as_deref().unwrap_or_default();
            plain(if path.is_empty() { "/" } else { path }).map(PathRewrite::Full)
        }
        "ReplacePrefixMatch" => {
            if !matches.iter().all(|it| matches!(it.path, PathMatch::Prefix(_))) {
                return Err(Fault::value("ReplacePrefixMatch needs matches of type PathPrefix"));
            }
            let path = wanted.replace_prefix_match.as_deref().unwrap_or_default();
            let path = if path.is_empty() { String::new() } else { plain(path)? };
            Ok(PathRewrite::Prefix(path))
        }
        other => Err(Fault::value(format!("path modifiers of type {other} are not known"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_no_port_that_goes_without_saying() {
        for (text, origin_text) in [
            ("*", "*"),
            ("https://a.example", "https://a.example"),
            ("https://a.example:443", "https://a.example"),
            ("http://a.example:443", "http://a.example:443"),
            ("http://*.a.example:80", "http://*.a.example"),
            ("https://*", "https://*"),
        ] {
            assert_eq!(origin(text), Ok(origin_text.to_owned()));
        }
        for wrong in ["", "a.example", "ftp://a", "https://", "https://a/b", "https://a*b"] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }
}
