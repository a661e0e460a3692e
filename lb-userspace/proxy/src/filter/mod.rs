//! What is done with requests and responses, one file a filter.

mod access;
mod answer;
mod ask;
mod backend;
mod basic_auth;
mod body_limit;
mod buckets;
mod compression;
mod cors;
mod error;
mod error_page;
mod external_auth;
#[cfg(test)]
mod fixture;
mod forwarded;
mod gzip;
mod header_edit;
mod identity;
mod login;
mod mirror;
mod path;
mod prefixes;
mod rate_limit;
mod rewrite;
mod slow_password;
mod template;
#[cfg(test)]
mod tests;
mod vary;

pub use ask::Ask;
pub use backend::BackendFilters;
pub use error::FilterError;
pub use forwarded::{Sender, TrustedPeers, extend};
pub use identity::identify;

use crate::{
    exchange::Exchange,
    http::{Body, Method, Reason, Request, Response},
};
use access::Access;
use answer::Answer;
use basic_auth::BasicAuth;
use compression::Compression;
use cors::{Allowed, Cors};
use error_page::ErrorPages;
use external_auth::ExternalAuth;
use header_edit::{HeaderEdit, Part};
use mirror::Mirrors;
use rate_limit::RateLimits;
use rewrite::Rewrite;
use std::time::Instant;

/// The filters of a rule, compiled. Requests run down the fields, responses up.
#[derive(Default)]
pub struct Filters {
    access: Option<Access>,
    rate_limits: RateLimits,
    cors: Option<Cors>,
    basic_auth: Option<BasicAuth>,
    auth: Option<ExternalAuth>,
    body_bytes_max: Option<u64>,
    request_headers: HeaderEdit,
    rewrite: Rewrite,
    mirrors: Mirrors,
    compression: Option<Compression>,
    error_pages: ErrorPages,
    response_headers: HeaderEdit,
    answer: Option<Answer>,
}

/// What filters are compiled in.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The same rule's filters in the configuration before: rate limits keep their levels.
    pub previous: Option<&'a Filters>,
    /// Bytes of a request body where the rule says nothing: the listener's. `None` = no limit.
    pub body_bytes_max: Option<u64>,
    /// When new rates begin to count.
    pub now: Instant,
}

/// What a response's filters need to know of the request, which is gone by then.
#[derive(Debug, Default)]
pub struct Facts {
    is_head: bool,
    accepts_gzip: bool,
    cors: Allowed,
}

impl Filters {
    /// Compiles the filters of a rule.
    pub fn compile(wanted: &lb_model::Filters, context: Context<'_>) -> Result<Self, FilterError> {
        let previous = context.previous;
        // A request that is answered here is not seen by backends, nor by those that get copies.
        let mirrors = if wanted.answer.is_some() { &[] } else { wanted.mirrors.as_slice() };
        let rewrite =
            if wanted.answer.is_some() { &lb_model::Rewrite::default() } else { &wanted.rewrite };
        Ok(Self {
            access: wanted.access.as_ref().map(Access::compile),
            rate_limits: RateLimits::compile(
                &wanted.rate_limits,
                previous.map(|it| &it.rate_limits),
                context.now,
            )?,
            cors: wanted.cors.as_ref().map(Cors::compile).transpose()?,
            basic_auth: wanted.basic_auth.as_ref().map(BasicAuth::compile).transpose()?,
            auth: wanted.auth.as_ref().map(ExternalAuth::compile).transpose()?,
            body_bytes_max: match wanted.body_bytes_max {
                None => context.body_bytes_max,
                Some(0) => None,
                Some(bytes) => Some(bytes),
            },
            request_headers: HeaderEdit::compile("request headers", &wanted.request_headers)?,
            rewrite: Rewrite::compile(rewrite)?,
            mirrors: Mirrors::compile(mirrors, previous.map(|it| &it.mirrors))?,
            compression: wanted.compression.as_ref().map(Compression::compile).transpose()?,
            error_pages: ErrorPages::compile(&wanted.error_pages)?,
            response_headers: HeaderEdit::compile("response headers", &wanted.response_headers)?,
            answer: wanted.answer.as_ref().map(Answer::compile).transpose()?,
        })
    }

    /// What [`Filters::response`] needs to know of a request, before [`Filters::request`].
    pub fn facts(&self, request: &Request) -> Facts {
        Facts {
            is_head: request.method == Method::Head,
            accepts_gzip: self.compression.as_ref().is_some_and(|it| it.is_accepted(request)),
            cors: self.cors.as_ref().map(|it| it.allowed(request)).unwrap_or_default(),
        }
    }

    /// Runs a request through the filters. It must have been through [`extend`] and [`identify`].
    /// `Err` is the answer, still to be run through [`Filters::response`].
    pub async fn request(
        &self,
        exchange: &mut Exchange,
        request: &mut Request,
        ask: &impl Ask,
    ) -> Result<(), Response> {
        if let Some(answer) = self.admit(exchange, request) {
            return Err(answer);
        }
        if let Some(auth) = &self.basic_auth
            && let Some(refusal) = auth.refuse(request).await
        {
            return Err(refusal);
        }
        if let Some(auth) = &self.auth {
            // Boxed, so that requests without it do not carry its state along.
            if let Some(answer) = Box::pin(auth.refuse(request, ask)).await {
                return Err(answer);
            }
        }
        self.prepare(exchange, request, ask).map_or(Ok(()), Err)
    }

    /// Changes the request of one try to what needs to know its endpoint. `upstream_host` is the
    /// endpoint's host name or address, with its port where that is not the scheme's. Not twice
    /// on the same request: fields would be added twice.
    pub fn endpoint(&self, exchange: &Exchange, request: &mut Request, upstream_host: &str) {
        self.rewrite.apply_late(request, upstream_host);
        self.request_headers.apply(exchange, Part::Late(upstream_host), &mut request.fields);
    }

    /// Whether the endpoint's host takes the place of the request's.
    pub fn endpoint_host(&self) -> bool {
        self.rewrite.to_endpoint()
    }

    /// Whether [`Filters::endpoint`] does anything.
    pub fn needs_endpoint(&self) -> bool {
        self.endpoint_host() || self.request_headers.needs_upstream_host()
    }

    /// Runs a response through the filters, whether a backend made it or the proxy did.
    pub fn response(&self, exchange: &Exchange, facts: &Facts, response: &mut Response) {
        self.response_headers.apply(exchange, Part::All(None), &mut response.fields);
        self.error_pages.edit(response);
        if facts.is_head
            && let Body::Bytes(bytes) = &response.body
        {
            response.length_told = Some(bytes.len() as u64);
            response.body = Body::Empty;
        }
        if let Some(compression) = &self.compression {
            compression.edit_response(facts.accepts_gzip, response);
        }
        if let Some(cors) = &self.cors {
            cors.edit(&facts.cors, response);
        }
    }

    /// Copies of requests that were not sent because the body was too large or broke.
    pub fn mirrors_dropped_count(&self) -> u64 {
        self.mirrors.dropped_count()
    }

    /// Whether the request may pass at all; else its answer.
    fn admit(&self, exchange: &Exchange, request: &Request) -> Option<Response> {
        let access = self.access.as_ref();
        access
            .and_then(|it| it.refuse(exchange.record.client.ip()))
            .or_else(|| self.rate_limits.refuse(exchange, request))
            .or_else(|| self.cors.as_ref()?.answer(request))
    }

    /// Makes the request what the backend is to see, or answers it.
    fn prepare(
        &self,
        exchange: &mut Exchange,
        request: &mut Request,
        ask: &impl Ask,
    ) -> Option<Response> {
        if let Some(bytes_max) = self.body_bytes_max
            && let Some(refusal) = body_limit::limit(request, bytes_max)
        {
            return Some(refusal);
        }
        self.request_headers.apply(exchange, Part::Early, &mut request.fields);
        if !self.rewrite.is_empty() {
            match self.rewrite.apply(request, exchange.prefix_bytes) {
                Ok(prefix_bytes) => exchange.prefix_bytes = prefix_bytes,
                Err(_) => return Some(Response::refusal(Reason::TargetTooLong)),
            }
        }
        self.mirrors.copy(request, ask);
        if let Some(compression) = &self.compression {
            compression.edit_request(request);
        }
        self.answer.as_ref().map(|it| it.answer(exchange, request))
    }
}

/// Whether what the client sends is no request body but what a tunnel carries.
fn is_tunnel(request: &Request) -> bool {
    request.upgrade.is_some() || request.method == Method::Connect
}
