//! Filters of a rule, and of one of its backends.

use super::{
    Context, answer, auth, field,
    header::{self, Side},
    traffic,
};
use crate::{
    config::{
        diagnostic::Position,
        located::Located,
        lower::scalar::{self, Size},
        schema,
    },
    model::{Compression, Cors, Filters, HostRewrite, Rewrite},
};
use lb_common::limits;
use std::collections::BTreeSet;

const LEVEL_DEFAULT: u8 = 5;

/// Shorter bodies fit in a packet anyway.
const COMPRESSED_BYTES_MIN: u32 = 1_024;

/// Media types that are texts, whatever they are called.
const COMPRESSED_TYPES: [&str; 7] = [
    "application/javascript",
    "application/json",
    "application/wasm",
    "application/xml",
    "image/svg+xml",
    "text/*",
    "application/x-javascript",
];

/// Methods that need no preflight (Fetch standard, "CORS-safelisted method").
const CORS_METHODS: [&str; 3] = ["GET", "HEAD", "POST"];

/// `endpoint` in place of a host.
const ENDPOINT: &str = "endpoint";

pub(super) fn rule(file: &schema::Filters, cx: &mut Context<'_>) -> Filters {
    let rate_limits = few("rate limits", file.rate_limits.as_ref(), cx);
    let mirrors = few("mirrors", file.mirrors.as_ref(), cx);
    let error_pages = few("error pages", file.error_pages.as_ref(), cx);
    Filters {
        access: file.access.as_ref().map(|file| traffic::access(file, cx)),
        rate_limits: rate_limits.iter().filter_map(|it| traffic::rate_limit(it, cx)).collect(),
        cors: file.cors.as_ref().map(|file| cors(file, cx)),
        basic_auth: file.basic_auth.as_ref().map(|file| auth::basic(file, cx)),
        auth: file.auth.as_ref().map(|file| auth::external(file, cx)),
        body_bytes_max: file.body_bytes_max.as_ref().and_then(|it| {
            match scalar::size("size of a body", it, u64::MAX, cx.report)? {
                Size::Bytes(bytes) => Some(bytes),
                // As the model says it.
                Size::Unlimited => Some(0),
            }
        }),
        request_headers: header::edit(file.request_headers.as_ref(), Side::Request, cx),
        rewrite: file.rewrite.as_ref().map_or_else(Rewrite::default, |it| rewrite(it, cx)),
        mirrors: mirrors.iter().filter_map(|file| traffic::mirror(file, cx)).collect(),
        compression: file.compression.as_ref().map(|file| compression(file, cx)),
        error_pages: error_pages.iter().map(|file| answer::error_page(file, cx)).collect(),
        response_headers: header::edit(file.response_headers.as_ref(), Side::Response, cx),
        answer: None,
    }
}

pub(super) fn backend(file: &schema::BackendFilters, cx: &mut Context<'_>) -> Filters {
    Filters {
        request_headers: header::edit(file.request_headers.as_ref(), Side::Request, cx),
        rewrite: file.rewrite.as_ref().map_or_else(Rewrite::default, |it| rewrite(it, cx)),
        response_headers: header::edit(file.response_headers.as_ref(), Side::Response, cx),
        ..Filters::default()
    }
}

/// Where a path is rewritten by what stands for a prefix.
pub(super) fn replaces_prefix(path: Option<&Located<schema::PathRewrite>>) -> Option<Position> {
    path.and_then(|path| path.value.prefix.as_ref()).map(|prefix| prefix.at)
}

/// A list that is not too long.
fn few<'a, T>(what: &str, list: Option<&'a Located<Vec<T>>>, cx: &mut Context<'_>) -> &'a [T] {
    let Some(list) = list else { return &[] };
    if list.value.len() > limits::RULE_FILTERS_MAX {
        cx.too_many(what, list.value.len(), limits::RULE_FILTERS_MAX, list.at);
        return &[];
    }
    &list.value
}

fn rewrite(file: &schema::Rewrite, cx: &mut Context<'_>) -> Rewrite {
    let host = file.host.as_ref().and_then(|host| {
        let text = match &host.value {
            schema::TextOr::Text(text) if text == ENDPOINT => return Some(HostRewrite::Endpoint),
            schema::TextOr::Text(text) => Located { value: text.clone(), at: host.at },
            schema::TextOr::Full(full) => full.to.clone(),
        };
        cx.host_name(&text).map(HostRewrite::To)
    });
    let path = file.path.as_ref().and_then(|path| answer::rewrite_path(path, cx));
    Rewrite { host, path }
}

fn cors(file: &Located<schema::Cors>, cx: &mut Context<'_>) -> Cors {
    let cors = &file.value;
    if cors.allow_origins.value.is_empty() {
        let hint = "list them, or `\"*\"` for all";
        cx.report.error(cors.allow_origins.at, "no origin is allowed", hint);
    }
    let methods = cors.allow_methods.as_deref();
    let max_age = cors.max_age.as_ref();
    Cors {
        allow_origins: cors.allow_origins.value.iter().filter_map(|it| origin(it, cx)).collect(),
        allow_credentials: cors.allow_credentials.unwrap_or_default(),
        allow_methods: methods.map_or_else(
            || CORS_METHODS.map(str::to_owned).into(),
            |list| list.iter().filter_map(|it| any_or(it, cx, field::method)).collect(),
        ),
        allow_headers: fields(cors.allow_headers.as_ref(), cx),
        expose_headers: fields(cors.expose_headers.as_ref(), cx),
        max_age: max_age.and_then(|it| scalar::duration("time", it, super::TIMEOUT, cx.report)),
    }
}

fn fields(list: Option<&Vec<Located<String>>>, cx: &mut Context<'_>) -> Vec<String> {
    super::list(list).iter().filter_map(|it| any_or(it, cx, field::name)).collect()
}

/// `*`, or what `read` reads.
fn any_or(
    text: &Located<String>,
    cx: &mut Context<'_>,
    read: impl Fn(&Located<String>, &mut crate::config::diagnostic::Report) -> Option<String>,
) -> Option<String> {
    if text.value == "*" { Some("*".to_owned()) } else { read(text, cx.report) }
}

/// `*`, `https://shop.example:8443`, `https://*.example` or `https://*`.
fn origin(text: &Located<String>, cx: &mut Context<'_>) -> Option<String> {
    let value = &text.value;
    if value == "*" {
        return Some(value.clone());
    }
    let host_and_port = value.strip_prefix("https://").or_else(|| value.strip_prefix("http://"));
    let good = host_and_port.is_some_and(|rest| {
        let (host, port) = rest.split_once(':').map_or((rest, None), |(h, p)| (h, Some(p)));
        let port = port.is_none_or(|port| port.parse::<u16>().is_ok());
        port && host.parse::<crate::model::HostPattern>().is_ok()
    });
    if !good {
        let hint = "write a scheme and a host, without path: `https://shop.example`, \
                    `https://*.example`; or `\"*\"`";
        cx.report.error(text.at, format!("`{value}` is not an origin"), hint);
        return None;
    }
    Some(value.to_ascii_lowercase())
}

fn compression(file: &Located<schema::Compression>, cx: &mut Context<'_>) -> Compression {
    let it = &file.value;
    let (response, request) = (it.response.unwrap_or(true), it.request.unwrap_or_default());
    if !response && !request {
        let hint = "let `response` or `request` be true, or remove `compression`";
        cx.report.error(file.at, "a compression of nothing", hint);
    }
    let bytes_min = it.bytes_min.as_ref();
    let bytes_min =
        bytes_min.and_then(|it| scalar::size("size", it, u64::from(u32::MAX), cx.report));
    let bytes_min = match bytes_min {
        None => COMPRESSED_BYTES_MIN,
        Some(Size::Bytes(bytes)) => u32::try_from(bytes).unwrap_or(u32::MAX),
        Some(Size::Unlimited) => 0,
    };
    let types: BTreeSet<String> = match it.types.as_deref() {
        None => COMPRESSED_TYPES.map(str::to_owned).into(),
        Some(list) => list.iter().filter_map(|text| compressed_type(text, cx)).collect(),
    };
    if types.is_empty() {
        cx.report.error(file.at, "no media type is compressed", "leave `types` out for the usual");
    }
    Compression {
        response,
        request,
        level: scalar::count("level", it.level.as_ref(), 1..=9, LEVEL_DEFAULT, cx.report),
        types,
        bytes_min,
    }
}

fn compressed_type(text: &Located<String>, cx: &mut Context<'_>) -> Option<String> {
    if text.value.contains(';') {
        let hint = "types are compared without parameters";
        cx.report.error(text.at, format!("`{}` has parameters", text.value), hint);
        return None;
    }
    field::media_type(text, cx.report).map(|it| it.to_ascii_lowercase())
}
