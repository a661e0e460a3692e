//! The request is answered here.

use super::{
    FilterError,
    forwarded::{facing, facing_port},
    path::NewPath,
    rewrite::is_authority,
    template::is_field_value,
};
use crate::{
    exchange::Exchange,
    http::{Known, Reason, Request, Response, Scheme},
};
use bytes::Bytes;
use lb_model::Answer as Wanted;

/// An answer without a backend.
#[derive(Debug)]
pub(super) enum Answer {
    Redirect(Redirect),
    Fixed { status: u16, content_type: Box<str>, body: Bytes },
}

/// Another place (Gateway API, `HTTPRequestRedirectFilter`).
#[derive(Debug)]
pub(super) struct Redirect {
    scheme: Option<Scheme>,
    host: Option<Box<[u8]>>,
    port: Option<u16>,
    path: Option<NewPath>,
    status: u16,
}

impl Answer {
    pub(super) fn compile(wanted: &Wanted) -> Result<Self, FilterError> {
        let wrong = |text: String, why| Err(FilterError::new("fixed answer", text, why));
        match wanted {
            Wanted::Redirect(redirect) => Ok(Self::Redirect(Redirect::compile(redirect)?)),
            Wanted::Fixed { status, .. } if !(200..=599).contains(status) => {
                wrong(status.to_string(), "a status is 200 to 599")
            }
            Wanted::Fixed { content_type, .. } if !is_field_value(content_type.as_bytes()) => {
                wrong(content_type.escape_debug().to_string(), "no media type")
            }
            Wanted::Fixed { status, content_type, body } => {
                // These have no body (RFC 9110, section 6.4.1 and 15.3.6).
                let body = if matches!(status, 204 | 205 | 304) { &[][..] } else { body };
                let (content_type, body) = (content_type.as_str().into(), body.to_vec().into());
                Ok(Self::Fixed { status: *status, content_type, body })
            }
        }
    }

    pub(super) fn answer(&self, exchange: &Exchange, request: &Request) -> Response {
        match self {
            Self::Redirect(redirect) => redirect.answer(exchange, request),
            Self::Fixed { status, content_type, body } => {
                let mut response = Response::new(*status);
                if !body.is_empty() {
                    response = response.with_body(content_type, body.clone());
                }
                response.reason = Some(Reason::FixedAnswer);
                response
            }
        }
    }
}

impl Redirect {
    fn compile(wanted: &lb_model::Redirect) -> Result<Self, FilterError> {
        let wrong =
            |text: &str, why| Err(FilterError::new(REDIRECT, text.escape_debug().to_string(), why));
        let scheme = match wanted.scheme.as_deref() {
            None => None,
            Some("http") => Some(Scheme::Http),
            Some("https") => Some(Scheme::Https),
            Some(scheme) => return wrong(scheme, "`http` or `https`"),
        };
        if let Some(host) = wanted.host.as_deref().filter(|it| !is_bare_host(it)) {
            return wrong(host, "no host, or one with a port");
        }
        if !matches!(wanted.status, 301 | 302 | 303 | 307 | 308) {
            return wrong(&wanted.status.to_string(), "301, 302, 303, 307 or 308");
        }
        let path = wanted.path.as_ref().map(|it| NewPath::compile(REDIRECT, it)).transpose()?;
        let host = wanted.host.as_deref().map(|it| it.as_bytes().into());
        Ok(Self { scheme, host, port: wanted.port, path, status: wanted.status })
    }

    fn answer(&self, exchange: &Exchange, request: &Request) -> Response {
        let path = match &self.path {
            // `OPTIONS *` is about no path.
            None if !request.path().starts_with(b"/") => b"/".to_vec(),
            None => request.path().to_vec(),
            Some(path) => match path.of(request.path(), exchange.prefix_bytes) {
                Ok(path) => path,
                Err(_) => return Response::refusal(Reason::TargetTooLong),
            },
        };
        let scheme = self.scheme.unwrap_or_else(|| facing(request));
        let mut place = Vec::with_capacity(path.len() + 64);
        place.extend_from_slice(scheme.name().as_bytes());
        place.extend_from_slice(b"://");
        place.extend_from_slice(self.host.as_deref().unwrap_or_else(|| request.host()));
        let port = self.port.unwrap_or_else(|| match self.scheme {
            Some(scheme) => scheme.port(),
            None => facing_port(request, &exchange.connection),
        });
        if port != scheme.port() {
            place.push(b':');
            place.extend_from_slice(itoa::Buffer::new().format(port).as_bytes());
        }
        place.extend_from_slice(&path);
        if let Some(query) = request.query() {
            place.push(b'?');
            place.extend_from_slice(query);
        }
        let mut response = Response::new(self.status);
        response.reason = Some(Reason::Redirected);
        response.fields.set(Known::Location, &place);
        response
    }
}

const REDIRECT: &str = "redirect";

fn is_bare_host(text: &str) -> bool {
    is_authority(text) && (text.ends_with(']') || !text.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixture::{collected, exchange, request},
        *,
    };
    use lb_model::PathRewrite;
    use std::{net::SocketAddr, rc::Rc};

    fn redirect() -> lb_model::Redirect {
        lb_model::Redirect { scheme: None, host: None, port: None, path: None, status: 302 }
    }

    fn place(redirect: lb_model::Redirect, url: &str, listener_port: u16, prefix: usize) -> String {
        let (scheme, rest) = url.split_once("://").unwrap();
        let slash = rest.find('/').unwrap();
        let (authority, target) = rest.split_at(slash);
        let mut request = request();
        request.set_authority(authority.as_bytes());
        request.set_target(target.as_bytes());
        request.scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
        let mut exchange = exchange();
        exchange.prefix_bytes = prefix;
        let local = SocketAddr::new([198, 51, 100, 1].into(), listener_port);
        Rc::get_mut(&mut exchange.connection).unwrap().local = local;
        let answer = Answer::compile(&Wanted::Redirect(redirect)).unwrap();
        let response = answer.answer(&exchange, &request);
        assert_eq!((response.status, response.reason), (302, Some(Reason::Redirected)));
        String::from_utf8(response.fields.first(Known::Location).unwrap().to_vec()).unwrap()
    }

    /// What the Gateway API says on scheme, port, host and path of a redirect, and its conformance
    /// tests `HTTPRouteRedirectPort`, `-Scheme`, `-HostAndStatus`, `-Path`, `-PortAndScheme`.
    #[test]
    fn redirects_lead_where_the_gateway_api_says() {
        let some = |text: &str| Some(text.to_owned());
        let (http, https) = (some("http"), some("https"));
        let none = redirect;
        for (redirect, url, listener_port, expected) in [
            (none(), "http://a/x", 80, "http://a/x"),
            (none(), "http://a/x", 8080, "http://a:8080/x"),
            (none(), "http://a:30080/x?y", 80, "http://a/x?y"),
            (none(), "https://a/x", 443, "https://a/x"),
            (none(), "https://a/x", 8443, "https://a:8443/x"),
            (
                lb_model::Redirect { scheme: https.clone(), ..none() },
                "http://a/x",
                80,
                "https://a/x",
            ),
            (
                lb_model::Redirect { scheme: https.clone(), ..none() },
                "http://a/x",
                8080,
                "https://a/x",
            ),
            (lb_model::Redirect { scheme: http, ..none() }, "https://a/x", 8443, "http://a/x"),
            (
                lb_model::Redirect { port: Some(8083), ..none() },
                "http://a/x",
                80,
                "http://a:8083/x",
            ),
            (lb_model::Redirect { port: Some(80), ..none() }, "http://a/x", 8080, "http://a/x"),
            (lb_model::Redirect { port: Some(443), ..none() }, "https://a/x", 8443, "https://a/x"),
            (lb_model::Redirect { port: Some(443), ..none() }, "http://a/x", 80, "http://a:443/x"),
            (
                lb_model::Redirect { scheme: https, port: Some(8443), ..none() },
                "http://a/x",
                80,
                "https://a:8443/x",
            ),
            (
                lb_model::Redirect { host: some("b.example"), ..none() },
                "http://a/x?q=1",
                80,
                "http://b.example/x?q=1",
            ),
            (
                lb_model::Redirect { path: Some(PathRewrite::Full("/full".into())), ..none() },
                "http://a/x/y?q",
                80,
                "http://a/full?q",
            ),
            (
                lb_model::Redirect { path: Some(PathRewrite::Prefix("/new".into())), ..none() },
                "http://a/x/y",
                80,
                "http://a/new/y",
            ),
        ] {
            let got = place(redirect.clone(), url, listener_port, 2);
            assert_eq!(got, expected, "{redirect:?} {url} {listener_port}");
        }
    }

    #[test]
    fn behind_a_trusted_proxy_the_clients_scheme_and_port_count() {
        let answer = Answer::compile(&Wanted::Redirect(redirect())).unwrap();
        let mut request = request();
        request.fields.append(Known::XForwardedProto, b"https");
        request.fields.append(Known::XForwardedPort, b"443");
        let response = answer.answer(&exchange(), &request);
        assert_eq!(
            response.fields.first(Known::Location),
            Some(&b"https://shop.example/a?b=c"[..])
        );
    }

    #[tokio::test]
    async fn a_fixed_answer_is_given_as_it_is() {
        for (status, body, expected) in [(200, "ok\n", "ok\n"), (503, "", ""), (204, "x", "")] {
            let content_type = "text/plain".to_owned();
            let wanted = Wanted::Fixed { status, content_type, body: body.into() };
            let response = Answer::compile(&wanted).unwrap().answer(&exchange(), &request());
            assert_eq!((response.status, response.reason), (status, Some(Reason::FixedAnswer)));
            assert_eq!(response.fields.contains(Known::ContentType), !expected.is_empty());
            assert_eq!(collected(response.body).await.0, expected.as_bytes());
        }
    }

    #[test]
    fn answers_that_cannot_be_given_are_refused() {
        let fixed = |status, content_type: &str| Wanted::Fixed {
            status,
            content_type: content_type.to_owned(),
            body: vec![],
        };
        for wrong in [
            fixed(101, "text/plain"),
            fixed(600, "text/plain"),
            fixed(200, "a\r\nb"),
            Wanted::Redirect(lb_model::Redirect { status: 200, ..redirect() }),
            Wanted::Redirect(lb_model::Redirect { scheme: Some("ftp".into()), ..redirect() }),
            Wanted::Redirect(lb_model::Redirect { host: Some("a:80".into()), ..redirect() }),
            Wanted::Redirect(lb_model::Redirect { host: Some("a/b".into()), ..redirect() }),
        ] {
            assert!(Answer::compile(&wrong).is_err(), "{wrong:?}");
        }
    }
}
