//! A request as the library gives it, checked, as the proxy knows it.

use super::map;
use crate::http::{
    FieldName, Fields, Known, Method, Reason, Request, Scheme, Version, guard, websocket,
};
use h2::ext::Protocol;
use http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts, uri::Uri};
use lb_model::HttpOptions;
use std::borrow::Cow;

/// A request without its body.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) request: Request,
    /// Bytes of the body, if it says so.
    pub(super) length: Option<u64>,
    /// The client waits for 100 before it sends the body.
    pub(super) expects_continue: bool,
    /// After the response's header both sides send what they like.
    pub(super) is_tunnel: bool,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no HTTP/2 request (RFC 9113, section 8.1.1): its stream is reset.
    Reset(Reason),
    /// It can be answered.
    Answer(Reason),
}

/// Checks and converts.
pub(super) fn convert(
    parts: &Parts,
    scheme: Scheme,
    options: &HttpOptions,
) -> Result<Received, Refusal> {
    let target_bytes = parts.uri.path_and_query().map_or(0, |it| it.as_str().len());
    let header_bytes = map::bytes(&parts.headers) + target_bytes;
    if header_bytes > options.header_bytes_max as usize
        || parts.headers.len() > usize::from(options.header_fields_max)
    {
        return Err(Refusal::Answer(Reason::HeaderTooLarge));
    }
    let mut request = Request::default();
    request.version = Version::Http2;
    request.scheme = scheme;
    // Authority and target live behind the fields.
    request.fields = Fields::over(Vec::with_capacity(header_bytes + 64));
    let protocol = parts.extensions.get::<Protocol>();
    request.method = method(parts, protocol.is_some())?;
    request.upgrade = protocol.map(|it| it.as_str().to_ascii_lowercase().into());
    append(&mut request.fields, &parts.headers)?;
    let length = guard::content_length(values(&parts.headers, header::CONTENT_LENGTH));
    let length = length.map_err(Refusal::Reset)?;
    let expects_continue = expects_continue(&parts.headers)?;
    if request.upgrade.as_deref() == Some("websocket")
        && !request.fields.contains(Known::SecWebSocketKey)
    {
        // Endpoints that speak HTTP/1.1 want one.
        request.fields.append(Known::SecWebSocketKey, websocket::key().as_bytes());
    }
    request.set_authority(&authority(parts)?);
    if request.method == Method::Connect {
        // There is a port, but no path (RFC 9113, section 8.5).
        let has_port =
            memchr::memrchr(b':', request.authority()) > memchr::memrchr(b']', request.authority());
        if !has_port {
            return Err(Refusal::Answer(Reason::Malformed));
        }
        request.set_target(b"/");
    } else {
        check_scheme(&parts.uri)?;
        let target = target(parts, &request.method)?;
        request.set_target(&target);
    }
    let is_tunnel = protocol.is_some() || request.method == Method::Connect;
    Ok(Received { request, length, expects_continue, is_tunnel })
}

fn method(parts: &Parts, is_extended: bool) -> Result<Method, Refusal> {
    if is_extended {
        return Ok(Method::Get);
    }
    let method = Method::parse(parts.method.as_str().as_bytes());
    method.ok_or(Refusal::Reset(Reason::Malformed))
}

/// Adds all fields that are no framing; cookies as one (RFC 9113, section 8.2.3).
fn append(fields: &mut Fields, headers: &HeaderMap) -> Result<(), Refusal> {
    let mut has_cookie = false;
    for (name, value) in headers {
        let field = FieldName::from(name.as_str());
        if field.known() == Known::Cookie {
            if !std::mem::replace(&mut has_cookie, true) {
                fields.append(field, &cookie(headers.get_all(header::COOKIE).iter())?);
            }
            continue;
        }
        guard::field_name(name.as_str().as_bytes()).map_err(Refusal::Reset)?;
        guard::field_value(value.as_bytes()).map_err(Refusal::Reset)?;
        if !map::is_framing(field.known()) {
            fields.append(field, value.as_bytes());
        }
    }
    Ok(())
}

fn cookie<'a>(mut crumbs: impl Iterator<Item = &'a HeaderValue>) -> Result<Cow<'a, [u8]>, Refusal> {
    let mut whole = Cow::Borrowed(crumbs.next().map_or(&b""[..], HeaderValue::as_bytes));
    for crumb in crumbs {
        let whole = whole.to_mut();
        whole.extend_from_slice(b"; ");
        whole.extend_from_slice(crumb.as_bytes());
    }
    guard::field_value(&whole).map_err(Refusal::Reset)?;
    Ok(whole)
}

/// `:authority`, or `Host` instead; if both are there they are equal (RFC 9113, section 8.3.1).
fn authority(parts: &Parts) -> Result<Cow<'_, [u8]>, Refusal> {
    let mut hosts = values(&parts.headers, header::HOST);
    let (host, another) = (hosts.next(), hosts.next());
    let authority = parts.uri.authority().map(|it| it.as_str().as_bytes());
    let authority = match (authority, host, another) {
        (Some(authority), None, None) => authority,
        (None, Some(host), None) => host,
        (Some(authority), Some(host), None) if authority.eq_ignore_ascii_case(host) => authority,
        _ => return Err(Refusal::Answer(Reason::HostInvalid)),
    };
    guard::authority(authority).map_err(Refusal::Answer)?;
    Ok(Cow::Borrowed(authority))
}

/// What the client calls the scheme is not believed, but it must be one that is served here.
fn check_scheme(uri: &Uri) -> Result<(), Refusal> {
    let is_served = matches!(uri.scheme_str(), None | Some("http" | "https"));
    is_served.then_some(()).ok_or(Refusal::Answer(Reason::Malformed))
}

fn target<'a>(parts: &'a Parts, method: &Method) -> Result<Cow<'a, [u8]>, Refusal> {
    let target = parts.uri.path_and_query().map_or("/", |it| it.as_str());
    if target == "*" && *method != Method::Options {
        return Err(Refusal::Answer(Reason::Malformed));
    }
    guard::target(target.as_bytes()).map_err(Refusal::Answer)
}

fn expects_continue(headers: &HeaderMap) -> Result<bool, Refusal> {
    let mut expects = false;
    for value in values(headers, header::EXPECT) {
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(Refusal::Answer(Reason::ExpectationUnknown));
        }
        expects = true;
    }
    Ok(expects)
}

fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes)
}
