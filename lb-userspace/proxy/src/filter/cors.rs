//! Cross-origin requests (Fetch standard, "CORS protocol"; Gateway API, `HTTPCORSFilter`).

use super::{FilterError, template::is_field_value, vary::vary_by};
use crate::http::{Fields, Known, Method, Reason, Request, Response};
use lb_model::Cors as Wanted;

/// What scripts of other origins may do.
#[derive(Debug)]
pub(super) struct Cors {
    origins: Box<[Origin]>,
    allow_credentials: bool,
    methods: Names,
    headers: Names,
    expose: Box<[u8]>,
    max_age: Option<Box<[u8]>>,
}

#[derive(Debug)]
enum Origin {
    Any,
    Exact(Box<[u8]>),
    /// What stands before and after the `*`.
    Wildcard(Box<[u8]>, Box<[u8]>),
}

/// Names as a field lists them.
#[derive(Debug)]
enum Names {
    Any,
    These(Box<[u8]>),
}

/// What must be known of a request when its response is there.
#[derive(Debug, Default)]
pub(super) enum Allowed {
    /// Not cross-origin, or of an origin that may not.
    #[default]
    No,
    /// Whoever asks.
    Any,
    /// This origin.
    Origin(Box<[u8]>),
}

impl Cors {
    pub(super) fn compile(wanted: &Wanted) -> Result<Self, FilterError> {
        let origins = wanted.allow_origins.iter().map(|it| Origin::compile(it));
        let max_age = wanted.max_age.map(|it| it.as_secs().to_string().into_bytes().into());
        Ok(Self {
            origins: origins.collect::<Result<_, _>>()?,
            allow_credentials: wanted.allow_credentials,
            methods: Names::compile(&wanted.allow_methods)?,
            headers: Names::compile(&wanted.allow_headers)?,
            // `*` means all names only without credentials; with them a field of that name.
            expose: joined(&wanted.expose_headers)?,
            max_age,
        })
    }

    /// Whether the request's origin may ask.
    pub(super) fn allowed(&self, request: &Request) -> Allowed {
        let Some(origin) = request.field(Known::Origin) else { return Allowed::No };
        match self.origins.iter().find(|it| it.holds(origin)) {
            None => Allowed::No,
            // With credentials the answer must name the origin (Fetch standard, 3.3.5).
            Some(Origin::Any) if !self.allow_credentials => Allowed::Any,
            Some(_) => Allowed::Origin(origin.into()),
        }
    }

    /// The answer to a preflight, to be finished by [`Cors::edit`]; `None` for other requests.
    pub(super) fn answer(&self, request: &Request) -> Option<Response> {
        let wanted_method = request.field(Known::AccessControlRequestMethod)?;
        if request.method != Method::Options || !request.fields.contains(Known::Origin) {
            return None;
        }
        let mut response = Response::new(Reason::Preflight.status());
        response.reason = Some(Reason::Preflight);
        if matches!(self.allowed(request), Allowed::No) {
            return Some(response);
        }
        let fields = &mut response.fields;
        let wanted_headers = request.field(Known::AccessControlRequestHeaders);
        self.list(fields, Known::AccessControlAllowMethods, &self.methods, Some(wanted_method));
        self.list(fields, Known::AccessControlAllowHeaders, &self.headers, wanted_headers);
        if let Some(max_age) = &self.max_age {
            fields.set(Known::AccessControlMaxAge, max_age);
        }
        Some(response)
    }

    /// Puts the fields of every response in.
    pub(super) fn edit(&self, allowed: &Allowed, response: &mut Response) {
        let is_preflight = response.reason == Some(Reason::Preflight);
        let fields = &mut response.fields;
        let is_static = matches!(&*self.origins, [Origin::Any]) && !self.allow_credentials;
        if !is_static {
            // Also where there was no origin: a cache must not give that response to another.
            vary_by(fields, Known::Origin);
        }
        let origin = match allowed {
            Allowed::No => return,
            Allowed::Any => b"*",
            Allowed::Origin(origin) => &**origin,
        };
        fields.set(Known::AccessControlAllowOrigin, origin);
        if self.allow_credentials {
            fields.set(Known::AccessControlAllowCredentials, b"true");
        } else {
            fields.remove(Known::AccessControlAllowCredentials);
        }
        if !is_preflight && !self.expose.is_empty() {
            fields.set(Known::AccessControlExposeHeaders, &self.expose);
        }
    }

    /// Lists names. With credentials `*` would be a name: then what was asked for is allowed.
    fn list(&self, fields: &mut Fields, field: Known, names: &Names, wanted: Option<&[u8]>) {
        match (names, wanted) {
            (Names::These(list), _) if list.is_empty() => {}
            (Names::These(list), _) => fields.set(field, list),
            (Names::Any, _) if !self.allow_credentials => fields.set(field, b"*"),
            (Names::Any, Some(wanted)) if is_field_value(wanted) => fields.set(field, wanted),
            (Names::Any, _) => {}
        }
    }
}

impl Origin {
    fn compile(text: &str) -> Result<Self, FilterError> {
        let wrong = |why| Err(FilterError::new(FILTER, text.escape_debug().to_string(), why));
        if text == "*" {
            return Ok(Self::Any);
        }
        let Some((scheme, authority)) = text.split_once("://") else {
            return wrong("an origin has a scheme and a host: `https://shop.example`");
        };
        let is_host = |it: &str| it.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
        if scheme.is_empty() || authority.is_empty() || !is_host(scheme) || !is_host(authority) {
            return wrong("an origin has a scheme and a host and nothing after it");
        }
        match authority.split_once('*') {
            None => Ok(Self::Exact(text.as_bytes().into())),
            Some(("", after)) if !after.contains('*') => {
                let before = format!("{scheme}://").into_bytes();
                Ok(Self::Wildcard(before.into(), after.as_bytes().into()))
            }
            Some(_) => wrong("`*` stands at the begin of the host"),
        }
    }

    /// Scheme and host are compared whatever their case.
    fn holds(&self, origin: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(text) => text.eq_ignore_ascii_case(origin),
            Self::Wildcard(before, after) => {
                let Some((head, rest)) = origin.split_at_checked(before.len()) else {
                    return false;
                };
                let tail = rest.len().checked_sub(after.len()).filter(|it| *it > 0);
                let tail = tail.and_then(|at| rest.get(at..));
                head.eq_ignore_ascii_case(before)
                    && tail.is_some_and(|it| it.eq_ignore_ascii_case(after))
            }
        }
    }
}

impl Names {
    fn compile(names: &[String]) -> Result<Self, FilterError> {
        let is_any = names.iter().any(|it| it == "*");
        Ok(if is_any { Self::Any } else { Self::These(joined(names)?) })
    }
}

const FILTER: &str = "cors";

fn joined(names: &[String]) -> Result<Box<[u8]>, FilterError> {
    if let Some(wrong) = names.iter().find(|it| Method::parse(it.as_bytes()).is_none()) {
        return Err(FilterError::new(FILTER, wrong.escape_debug().to_string(), "no name"));
    }
    Ok(names.join(", ").into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixture::{append, listed},
        *,
    };
    use std::time::Duration;

    fn cors(origins: &[&str], credentials: bool, names: &[&str]) -> Cors {
        let owned = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        Cors::compile(&Wanted {
            allow_origins: owned(origins),
            allow_credentials: credentials,
            allow_methods: owned(names),
            allow_headers: owned(names),
            expose_headers: owned(&["x-one", "x-two"]),
            max_age: Some(Duration::from_mins(10)),
        })
        .unwrap()
    }

    fn request(method: Method, fields: &[(&str, &str)]) -> Request {
        let mut request = Request::new(method, "api.example", "/");
        append(&mut request.fields, fields);
        request
    }

    fn sorted(response: &Response) -> Vec<String> {
        let mut all = listed(&response.fields);
        all.sort();
        all
    }

    fn preflight(cors: &Cors, origin: &str) -> Vec<String> {
        let request = request(
            Method::Options,
            &[
                ("origin", origin),
                ("access-control-request-method", "PUT"),
                ("access-control-request-headers", "x-a, x-b"),
            ],
        );
        let mut response = cors.answer(&request).unwrap();
        cors.edit(&cors.allowed(&request), &mut response);
        assert_eq!((response.status, response.reason), (204, Some(Reason::Preflight)));
        sorted(&response)
    }

    fn actual(cors: &Cors, fields: &[(&str, &str)]) -> Vec<String> {
        let request = request(Method::Get, fields);
        assert!(cors.answer(&request).is_none());
        let mut response = Response::new(200);
        cors.edit(&cors.allowed(&request), &mut response);
        sorted(&response)
    }

    #[test]
    fn origins_match_by_text_and_wildcards() {
        for (pattern, origin, matches) in [
            ("*", "https://a.example", true),
            ("https://a.example", "https://A.example", true),
            ("https://a.example", "http://a.example", false),
            ("https://a.example", "https://a.example:8443", false),
            ("https://a.example:8443", "https://a.example:8443", true),
            ("https://*.example", "https://a.example", true),
            ("https://*.example", "https://a.b.example", true),
            ("https://*.example", "https://example", false),
            ("https://*.example", "https://.example", false),
            ("https://*.example", "https://a.example.evil", false),
            ("https://*.example", "http://a.example", false),
            ("https://*", "https://a", true),
            ("https://*", "http://a", false),
            ("https://*", "null", false),
        ] {
            let got = Origin::compile(pattern).unwrap().holds(origin.as_bytes());
            assert_eq!(got, matches, "{pattern} {origin}");
        }
        for wrong in
            ["a.example", "https://a.example/", "https://a*.example", "https://*.*", "://a", ""]
        {
            assert!(Origin::compile(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_preflight_is_answered_here() {
        let listing = cors(&["https://a.example"], false, &["GET", "x-a"]);
        assert_eq!(
            preflight(&listing, "https://a.example"),
            [
                "access-control-allow-headers=GET, x-a",
                "access-control-allow-methods=GET, x-a",
                "access-control-allow-origin=https://a.example",
                "access-control-max-age=600",
                "vary=origin",
            ]
        );
        assert_eq!(preflight(&listing, "https://evil.example"), ["vary=origin"]);
        let open = cors(&["*"], false, &["*"]);
        assert_eq!(
            preflight(&open, "https://a.example"),
            [
                "access-control-allow-headers=*",
                "access-control-allow-methods=*",
                "access-control-allow-origin=*",
                "access-control-max-age=600",
            ]
        );
    }

    #[test]
    fn with_credentials_nothing_is_answered_with_a_star() {
        let open = cors(&["*"], true, &["*"]);
        assert_eq!(
            preflight(&open, "https://a.example"),
            [
                "access-control-allow-credentials=true",
                "access-control-allow-headers=x-a, x-b",
                "access-control-allow-methods=PUT",
                "access-control-allow-origin=https://a.example",
                "access-control-max-age=600",
                "vary=origin",
            ]
        );
    }

    #[test]
    fn other_requests_pass_and_their_responses_say_who_may_read() {
        let cors = cors(&["https://*.example"], true, &["GET"]);
        assert_eq!(
            actual(&cors, &[("origin", "https://a.example")]),
            [
                "access-control-allow-credentials=true",
                "access-control-allow-origin=https://a.example",
                "access-control-expose-headers=x-one, x-two",
                "vary=origin",
            ]
        );
        assert_eq!(actual(&cors, &[("origin", "https://a.evil")]), ["vary=origin"]);
        assert_eq!(actual(&cors, &[]), ["vary=origin"]);
        let plain = request(Method::Options, &[("origin", "https://a.example")]);
        assert!(cors.answer(&plain).is_none(), "OPTIONS without a wanted method is no preflight");
    }
}
