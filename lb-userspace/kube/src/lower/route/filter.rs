//! Filters of routes and of their backends.

use super::{
    backend::Context,
    fault::{Failure, Fault, Unresolved},
    header, url,
};
use crate::api::{BackendRef, CorsFilter, ExternalAuthFilter, RequestMirrorFilter, RouteFilter};
use lb_model::{Answer, Cors, ExternalAuth, Filters, Mirror, RequestMatch, UpstreamProtocol};
use std::{collections::BTreeSet, time::Duration};

/// Seconds that a preflight's answer is remembered (Gateway API, `HTTPCORSFilter.maxAge`).
const MAX_AGE_DEFAULT: u32 = 5;

/// How long another service may take to say whether a request may pass, and the status if it
/// cannot: as in the file.
const AUTH_TIMEOUT: Duration = Duration::from_secs(1);
const AUTH_STATUS_ON_ERROR: u16 = 503;

/// Field that another service always gets (Gateway API, `HTTPAuthConfig.allowedHeaders`), beside
/// those that requests cannot do without.
const AUTH_HEADER: &str = "authorization";

/// All fields of its answer are copied, if it does not say which (Gateway API,
/// `HTTPAuthConfig.allowedResponseHeaders`).
const ALL: &str = "*";

/// What filters ask for, before anything that they refer to is looked for.
#[derive(Debug, Default)]
pub(super) struct Asked<'a> {
    filters: Filters,
    mirrors: Vec<(&'a BackendRef, (u32, u32))>,
    auth: Option<&'a ExternalAuthFilter>,
}

/// Reads filters of a rule that has `matches`.
pub(super) fn lower<'a>(
    wanted: &'a [RouteFilter],
    matches: &[RequestMatch],
) -> Result<Asked<'a>, Failure> {
    let mut asked = Asked::default();
    let mut seen = BTreeSet::new();
    for filter in wanted {
        let kind = filter.r#type.as_str();
        if !seen.insert(kind) && !matches!(kind, "RequestMirror" | "ExtensionRef") {
            return Err(Fault::filters(format!("two filters of type {kind}")).into());
        }
        asked.add(filter, matches)?;
    }
    if seen.contains("URLRewrite") && seen.contains("RequestRedirect") {
        return Err(Fault::filters("URLRewrite and RequestRedirect exclude each other").into());
    }
    Ok(asked)
}

impl<'a> Asked<'a> {
    fn add(&mut self, filter: &'a RouteFilter, matches: &[RequestMatch]) -> Result<(), Failure> {
        let kind = filter.r#type.as_str();
        let missing = || Fault::value(format!("a filter of type {kind} says nothing"));
        match kind {
            "RequestHeaderModifier" => {
                let it = filter.request_header_modifier.as_ref().ok_or_else(missing)?;
                self.filters.request_headers = header::edit(it)?;
            }
            "ResponseHeaderModifier" => {
                let it = filter.response_header_modifier.as_ref().ok_or_else(missing)?;
                self.filters.response_headers = header::edit(it)?;
            }
            "RequestMirror" => {
                let it = filter.request_mirror.as_ref().ok_or_else(missing)?;
                self.mirrors.push((&it.backend_ref, share(it)?));
            }
            "RequestRedirect" => {
                let it = filter.request_redirect.as_ref().ok_or_else(missing)?;
                self.filters.answer = Some(Answer::Redirect(url::redirect(it, matches)?));
            }
            "URLRewrite" => {
                let it = filter.url_rewrite.as_ref().ok_or_else(missing)?;
                self.filters.rewrite = url::rewrite(it, matches)?;
            }
            "CORS" => {
                self.filters.cors = Some(cors(filter.cors.as_ref().ok_or_else(missing)?)?);
            }
            "ExternalAuth" => {
                let it = filter.external_auth.as_ref().ok_or_else(missing)?;
                self.filters.auth = Some(auth(it)?);
                self.auth = Some(it);
            }
            "ExtensionRef" => {
                let it = filter.extension_ref.as_ref().ok_or_else(missing)?;
                let message = format!("filters of kind {} are not known", it.kind);
                return Err(Failure::Unresolved(Unresolved { reason: "InvalidKind", message }));
            }
            other => {
                return Err(Fault::value(format!("filters of type {other} are not known")).into());
            }
        }
        Ok(())
    }

    /// Whether they can be run for one of several backends.
    pub(super) fn suits_one_of_several(&self) -> Result<(), Fault> {
        let it = &self.filters;
        if it.answer.is_none() && it.cors.is_none() && it.auth.is_none() && self.mirrors.is_empty()
        {
            return Ok(());
        }
        Err(Fault::value("one of several backends can have header and URLRewrite filters only"))
    }

    /// Looks for what they refer to. Copies are sent by `protocol`.
    pub(super) fn resolve(
        self,
        cx: &mut Context<'_, '_>,
        protocol: UpstreamProtocol,
    ) -> Result<Filters, Failure> {
        let mut filters = self.filters;
        for (backend, share) in self.mirrors {
            let upstream = cx.upstream(backend, protocol);
            filters.mirrors.push(Mirror { upstream, share });
        }
        if let (Some(wanted), Some(auth)) = (self.auth, &mut filters.auth) {
            // Without an answer nothing passes.
            let Some(upstream) = cx.upstream(&wanted.backend_ref, UpstreamProtocol::Auto) else {
                return Err(Failure::Noted);
            };
            auth.upstream = upstream;
        }
        Ok(filters)
    }
}

fn share(mirror: &RequestMirrorFilter) -> Result<(u32, u32), Fault> {
    let fraction = mirror.fraction.as_ref().map(|it| (it.numerator, it.denominator.unwrap_or(100)));
    let share = match (mirror.percent, fraction) {
        (None, None) => (100, 100),
        (Some(percent), None) => (percent, 100),
        (None, Some(fraction)) => fraction,
        (Some(_), Some(_)) => {
            return Err(Fault::value("a mirror has either a percent or a fraction"));
        }
    };
    if share.0 > share.1 || share.1 == 0 {
        return Err(Fault::value(format!("{} of {} is no share of requests", share.0, share.1)));
    }
    Ok(share)
}

fn cors(wanted: &CorsFilter) -> Result<Cors, Fault> {
    let mut origins = Vec::new();
    for origin in &wanted.allow_origins {
        origins.push(url::origin(origin)?);
    }
    let names = [&wanted.allow_methods, &wanted.allow_headers, &wanted.expose_headers];
    if let Some(name) = names.into_iter().flatten().find(|it| !header::is_token(it)) {
        return Err(Fault::value(format!("`{}` is no name", name.escape_debug())));
    }
    let allow_credentials = wanted.allow_credentials.unwrap_or_default();
    let mut expose_headers = wanted.expose_headers.clone();
    // With credentials `*` would be the name of a field (Fetch standard, 3.3.5).
    expose_headers.retain(|it| !allow_credentials || it != "*");
    let max_age = wanted.max_age.unwrap_or(MAX_AGE_DEFAULT);
    Ok(Cors {
        allow_origins: origins,
        allow_credentials,
        allow_methods: wanted.allow_methods.clone(),
        allow_headers: wanted.allow_headers.clone(),
        expose_headers,
        max_age: Some(Duration::from_secs(max_age.into())),
    })
}

/// The upstream is filled in later.
fn auth(wanted: &ExternalAuthFilter) -> Result<ExternalAuth, Fault> {
    if wanted.protocol != "HTTP" {
        return Err(Fault::value(format!(
            "external authorization over {} is not supported",
            wanted.protocol
        )));
    }
    if wanted.forward_body.as_ref().is_some_and(|it| it.max_size.unwrap_or_default() > 0) {
        return Err(Fault::value("external authorization does not get request bodies"));
    }
    let http = wanted.http.as_ref();
    let path_prefix = http.and_then(|it| it.path.clone()).unwrap_or_default();
    if !path_prefix.is_empty() {
        url::plain(&path_prefix)?;
    }
    let names = |all: &[String]| -> Result<BTreeSet<String>, Fault> {
        let all = all.iter().filter(|it| !it.eq_ignore_ascii_case("host"));
        all.map(|it| header::changeable(it)).collect()
    };
    let allowed = http.map(|it| names(&it.allowed_headers)).transpose()?;
    let mut request_headers = allowed.unwrap_or_default();
    request_headers.insert(AUTH_HEADER.to_owned());
    let copied = http.map(|it| names(&it.allowed_response_headers)).transpose()?;
    let copied = copied.filter(|it| !it.is_empty()).unwrap_or_else(|| [ALL.to_owned()].into());
    Ok(ExternalAuth {
        appends_path: true,
        upstream: String::new(),
        host: None,
        path_prefix: path_prefix.trim_end_matches('/').to_owned(),
        method: None,
        request_headers,
        upstream_headers: copied,
        client_headers: BTreeSet::new(),
        timeout: AUTH_TIMEOUT,
        status_on_error: AUTH_STATUS_ON_ERROR,
        login: None,
    })
}
