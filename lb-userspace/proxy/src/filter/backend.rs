//! What is done for one backend of a rule, beyond the rule's filters.

use super::{
    FilterError,
    header_edit::{HeaderEdit, Part},
    rewrite::Rewrite,
};
use crate::{
    exchange::Exchange,
    http::{Reason, Request, Response},
};

/// Header edits and rewrites of one backend.
#[derive(Debug, Default)]
pub struct BackendFilters {
    request_headers: HeaderEdit,
    rewrite: Rewrite,
    response_headers: HeaderEdit,
}

impl BackendFilters {
    /// Takes from `filters` what counts for a backend.
    pub fn compile(filters: &lb_model::Filters) -> Result<Self, FilterError> {
        Ok(Self {
            request_headers: HeaderEdit::compile("request headers", &filters.request_headers)?,
            rewrite: Rewrite::compile(&filters.rewrite)?,
            response_headers: HeaderEdit::compile("response headers", &filters.response_headers)?,
        })
    }

    /// Whether nothing is done to requests, so that a try needs no copy of its own.
    pub fn leave_requests(&self) -> bool {
        self.request_headers.is_empty() && self.rewrite.is_empty()
    }

    /// Whether nothing is done to responses.
    pub fn leave_responses(&self) -> bool {
        self.response_headers.is_empty()
    }

    /// Whether the endpoint's host takes the place of the request's.
    pub fn endpoint_host(&self) -> bool {
        self.rewrite.to_endpoint()
    }

    /// Changes the request of one try, after [`super::Filters::endpoint`]. Not twice on the same:
    /// fields would be added twice.
    pub fn request(
        &self,
        exchange: &Exchange,
        request: &mut Request,
        upstream_host: &str,
    ) -> Result<(), Reason> {
        self.request_headers.apply(exchange, Part::All(Some(upstream_host)), &mut request.fields);
        if !self.rewrite.is_empty() {
            let rewritten = self.rewrite.apply(request, exchange.prefix_bytes);
            rewritten.map_err(|_| Reason::TargetTooLong)?;
            self.rewrite.apply_late(request, upstream_host);
        }
        Ok(())
    }

    /// Changes the response of the backend, before [`super::Filters::response`].
    pub fn response(&self, exchange: &Exchange, response: &mut Response) {
        self.response_headers.apply(exchange, Part::All(None), &mut response.fields);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixture::{exchange, request},
        *,
    };
    use lb_model::{Filters, HostRewrite, PathRewrite};

    #[test]
    fn headers_and_rewrites_of_a_backend_are_made() {
        let mut filters = Filters::default();
        filters.request_headers.set = vec![("x-backend".into(), "{upstream_host}".into())];
        filters.response_headers.add = vec![("x-from".into(), "{host}".into())];
        filters.rewrite.host = Some(HostRewrite::Endpoint);
        filters.rewrite.path = Some(PathRewrite::Prefix("/b".into()));
        let filters = BackendFilters::compile(&filters).unwrap();
        assert!(filters.endpoint_host() && !filters.leave_requests());
        let (mut exchange, mut request) = (exchange(), request());
        exchange.prefix_bytes = 1;
        filters.request(&exchange, &mut request, "pod-1.example").unwrap();
        assert_eq!(request.field("x-backend"), Some(&b"pod-1.example"[..]));
        assert_eq!(
            (request.authority(), request.target()),
            (&b"pod-1.example"[..], &b"/b/a?b=c"[..])
        );
        let mut response = Response::new(200);
        filters.response(&exchange, &mut response);
        assert_eq!(response.fields.first("x-from"), Some(&b"shop.example:8080"[..]));
        assert!(BackendFilters::default().leave_requests());
    }
}
