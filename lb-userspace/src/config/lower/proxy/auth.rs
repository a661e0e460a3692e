//! Passwords, and another service that is asked.

use super::{
    Context, RELATIVE, field,
    names::{Kind, values},
};
use crate::{
    config::{located::Located, lower::scalar, schema},
    model::{BasicAuth, ExternalAuth, Secret},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

const REALM_DEFAULT: &str = "restricted";
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);

/// A service that cannot be asked is no reason to tell a client that it may not.
const STATUS_ON_ERROR_DEFAULT: u16 = 503;

/// What a client shows who it is with.
const REQUEST_HEADERS_DEFAULT: [&str; 2] = ["authorization", "cookie"];

/// Bytes of a digest by its prefix in a password file.
const DIGESTS: [(&str, usize); 2] = [("{SHA256}", 32), ("{SHA}", 20)];

pub(super) fn basic(file: &schema::BasicAuth, cx: &mut Context<'_>) -> BasicAuth {
    let realm = file.realm.as_ref().and_then(|text| {
        if text.value.contains(['"', '\\']) {
            cx.report.error(text.at, "a realm with quotes or backslashes", "write it without");
        }
        field::value(&text.value, text.at, cx.report)
    });
    BasicAuth {
        realm: realm.unwrap_or_else(|| REALM_DEFAULT.to_owned()),
        users: users(&file.users, cx),
    }
}

/// Users and what their passwords hash to. Never quotes what the file holds.
fn users(path: &Located<String>, cx: &mut Context<'_>) -> BTreeMap<String, Secret> {
    let mut users = BTreeMap::new();
    let Some(contents) = cx.contents(path) else { return users };
    for (number, line) in (1..).zip(contents.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let (why, hint) = match user(line) {
            Ok((name, hash)) => {
                if users.insert(name, hash).is_none() {
                    continue;
                }
                ("names a user that another line names", "remove one of the two")
            }
            Err(wrong) => wrong,
        };
        let message = format!("line {number} of `{}` {why}", path.value);
        cx.report.error(path.at, message, hint);
    }
    if users.is_empty() {
        let message = format!("`{}` has no users", path.value);
        cx.report.error(path.at, message, format!("nobody could ask; {RELATIVE}"));
    }
    users
}

fn user(line: &[u8]) -> Result<(String, Secret), (&'static str, &'static str)> {
    let text = str::from_utf8(line).map_err(|_| ("is not UTF-8", "save the file as UTF-8"))?;
    let (name, hash) = text
        .split_once(':')
        .filter(|(name, _)| !name.is_empty())
        .ok_or(("is not `USER:HASH`", "`htpasswd -s` writes such lines"))?;
    let digest =
        DIGESTS.iter().find_map(|(prefix, bytes)| Some((hash.strip_prefix(prefix)?, bytes)));
    let good = match digest {
        Some((encoded, bytes)) => {
            STANDARD.decode(encoded).is_ok_and(|digest| digest.len() == *bytes)
        }
        None => hash.strip_prefix("{PLAIN}").is_some_and(|text| !text.is_empty()),
    };
    if good {
        return Ok((name.to_owned(), Secret::new(hash.as_bytes())));
    }
    let hint = "{SHA256} or {SHA} and base64 of the digest, or {PLAIN} and text; formats that are \
                slow on purpose would stop the worker";
    Err(("has a hash of a format that is not taken", hint))
}

pub(super) fn external(file: &schema::ExternalAuth, cx: &mut Context<'_>) -> ExternalAuth {
    cx.refers(Kind::Upstream, &file.upstream);
    let host = file.host.as_ref().and_then(|host| cx.host_name(host));
    let request_headers = match file.request_headers.as_deref() {
        Some(list) => names(list, cx),
        None => REQUEST_HEADERS_DEFAULT.map(str::to_owned).into(),
    };
    ExternalAuth {
        upstream: file.upstream.value.clone(),
        host,
        appends_path: file.appends_path.unwrap_or(true),
        path_prefix: file.path_prefix.as_ref().map_or_else(String::new, |it| prefix(it, cx)),
        method: file.method.as_ref().and_then(|method| field::method(method, cx.report)),
        request_headers,
        upstream_headers: names(super::list(file.upstream_headers.as_ref()), cx),
        client_headers: names(super::list(file.client_headers.as_ref()), cx),
        timeout: cx.time("timeout", file.timeout.as_ref(), TIMEOUT_DEFAULT),
        status_on_error: scalar::count(
            "status of an error",
            file.status_on_error.as_ref(),
            400..=599,
            STATUS_ON_ERROR_DEFAULT,
            cx.report,
        ),
        login: file.login.as_ref().and_then(|login| self::login(login, cx)),
    }
}

fn names(list: &[Located<String>], cx: &mut Context<'_>) -> BTreeSet<String> {
    let names = list
        .iter()
        .filter_map(|text| Some(Located { value: field::name(text, cx.report)?, at: text.at }));
    values(names.collect())
}

/// Path, and maybe the begin of a query.
fn prefix(text: &Located<String>, cx: &mut Context<'_>) -> String {
    let value = &text.value;
    if !value.starts_with('/')
        || value.contains('#')
        || !value.bytes().all(|byte| byte.is_ascii_graphic())
    {
        let hint = "write a path, maybe with the begin of a query, from its `/`; the request's \
                    path and query follow as they are";
        cx.report.error(text.at, format!("`{value}` cannot begin a path"), hint);
    }
    value.clone()
}

fn login(text: &Located<String>, cx: &mut Context<'_>) -> Option<String> {
    let value = field::value(&text.value, text.at, cx.report)?;
    let known = &field::LOGIN_PLACEHOLDERS;
    if !field::placeholders(&value, known, text.at, cx.report) {
        return None;
    }
    let absolute =
        ["https://", "http://", "/", "{scheme}://"].iter().any(|it| value.starts_with(it));
    if !absolute || value.contains(' ') {
        let hint = "write a URL like `https://login.example/?next={url}`, or a path from its `/`";
        cx.report.error(text.at, format!("`{value}` is not where one can be sent"), hint);
        return None;
    }
    Some(value)
}
