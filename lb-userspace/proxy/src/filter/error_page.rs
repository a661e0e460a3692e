//! Pages for error statuses.

use super::{FilterError, template::is_field_value};
use crate::http::{Body, Known, Reason, Response};
use bytes::Bytes;
use lb_model::ErrorPage as Wanted;
use std::collections::BTreeSet;

/// Pages; the first whose statuses hold a response's stands for it.
#[derive(Debug, Default)]
pub(super) struct ErrorPages(Box<[ErrorPage]>);

#[derive(Debug)]
struct ErrorPage {
    statuses: BTreeSet<u16>,
    content_type: Box<str>,
    body: Bytes,
    replaces_backend: bool,
}

impl ErrorPages {
    pub(super) fn compile(pages: &[Wanted]) -> Result<Self, FilterError> {
        let compiled = pages.iter().map(|page| {
            let wrong = |text: String, why| Err(FilterError::new("error page", text, why));
            if !is_field_value(page.content_type.as_bytes()) {
                return wrong(page.content_type.escape_debug().to_string(), "no media type");
            }
            if let Some(status) = page.statuses.iter().find(|it| !(400..=599).contains(*it)) {
                return wrong(status.to_string(), "an error has a status of 400 to 599");
            }
            Ok(ErrorPage {
                statuses: page.statuses.clone(),
                content_type: page.content_type.as_str().into(),
                body: page.body.clone().into(),
                replaces_backend: page.replaces_backend,
            })
        });
        Ok(Self(compiled.collect::<Result<_, _>>()?))
    }

    /// Puts a page in the place of an error's body.
    pub(super) fn edit(&self, response: &mut Response) {
        let is_from_backend = match response.reason {
            // What a rule answers is what it is meant to be.
            Some(Reason::FixedAnswer | Reason::Redirected | Reason::Preflight) => return,
            reason => reason.is_none(),
        };
        let page = self.0.iter().find(|page| {
            page.statuses.contains(&response.status) && (page.replaces_backend || !is_from_backend)
        });
        let Some(page) = page else { return };
        // What described the body that was there does not describe this one.
        for name in [Known::ContentEncoding, Known::Etag, Known::LastModified] {
            response.fields.remove(name);
        }
        for name in ["content-language", "content-range", "accept-ranges", "content-md5"] {
            response.fields.remove(name);
        }
        response.fields.set(Known::ContentType, page.content_type.as_bytes());
        response.body = Body::from(page.body.clone());
        response.length_told = None;
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::collected, *};

    async fn body(status: u16, reason: Option<Reason>, replaces_backend: bool) -> Vec<u8> {
        let page = |statuses: &[u16], body: &str| Wanted {
            statuses: statuses.iter().copied().collect(),
            content_type: "text/html".into(),
            body: body.into(),
            replaces_backend,
        };
        let pages = ErrorPages::compile(&[page(&[404, 503], "sorry"), page(&[503], "never")]);
        let mut response = Response::new(status).with_text("raw");
        response.fields.append(Known::ContentEncoding, b"gzip");
        response.reason = reason;
        pages.unwrap().edit(&mut response);
        let is_page = response.fields.first(Known::ContentType) == Some(&b"text/html"[..]);
        assert_eq!(!is_page, response.fields.contains(Known::ContentEncoding));
        collected(response.body).await.0
    }

    #[tokio::test]
    async fn pages_stand_for_errors_found_here_and_if_wanted_for_those_of_backends() {
        for (status, reason, replaces_backend, expected) in [
            (503, Some(Reason::NoEndpoint), false, "sorry"),
            (502, Some(Reason::UpstreamReset), false, "raw\n"),
            (503, None, false, "raw\n"),
            (404, None, true, "sorry"),
            (503, Some(Reason::FixedAnswer), true, "raw\n"),
            (200, None, true, "raw\n"),
        ] {
            let got = body(status, reason, replaces_backend).await;
            assert_eq!(got, expected.as_bytes(), "{status} {reason:?} {replaces_backend}");
        }
    }

    #[test]
    fn pages_for_what_is_no_error_are_refused() {
        for (status, content_type) in [(200, "text/html"), (404, "a\r\nb")] {
            let wanted = Wanted {
                statuses: [status].into(),
                content_type: content_type.into(),
                body: vec![],
                replaces_backend: false,
            };
            assert!(ErrorPages::compile(&[wanted]).is_err());
        }
    }
}
