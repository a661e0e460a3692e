//! Another service is asked whether a request may pass.

use super::{
    Ask, FilterError,
    header_edit::Name,
    login::{Login, url},
};
use crate::http::{Body, FieldName, Fields, Known, Method, Reason, Request, Response};
use futures_util::FutureExt;
use lb_model::ExternalAuth as Wanted;
use std::time::Duration;

/// Asks whether requests may pass.
#[derive(Debug)]
pub(super) struct ExternalAuth {
    upstream: Box<str>,
    host: Option<Box<[u8]>>,
    path_prefix: Box<[u8]>,
    appends_path: bool,
    method: Option<Method>,
    request_headers: Box<[Name]>,
    upstream_headers: Box<[Name]>,
    copies_all: bool,
    client_headers: Box<[Name]>,
    timeout: Duration,
    status_on_error: u16,
    login: Option<Login>,
}

impl ExternalAuth {
    pub(super) fn compile(wanted: &Wanted) -> Result<Self, FilterError> {
        let wrong =
            |text: &str, why| FilterError::new(FILTER, text.escape_debug().to_string(), why);
        let prefix = &wanted.path_prefix;
        let is_path = prefix.is_empty() || prefix.starts_with('/');
        if !is_path || !prefix.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(wrong(prefix, "a path begins with `/` and is percent-encoded"));
        }
        let host = wanted.host.as_deref();
        if let Some(host) = host.filter(|it| !super::rewrite::is_authority(it)) {
            return Err(wrong(host, "no host"));
        }
        let method = wanted.method.as_deref();
        let method =
            method.map(|it| Method::parse(it.as_bytes()).ok_or_else(|| wrong(it, "no method")));
        if !(400..=599).contains(&wanted.status_on_error) {
            let why = "an error has a status of 400 to 599";
            return Err(wrong(&wanted.status_on_error.to_string(), why));
        }
        let copied = wanted.upstream_headers.iter().map(String::as_str).filter(|it| *it != ALL);
        let client_headers = wanted.client_headers.iter().map(String::as_str);
        Ok(Self {
            upstream: wanted.upstream.as_str().into(),
            host: host.map(|it| it.as_bytes().into()),
            path_prefix: prefix.as_bytes().into(),
            appends_path: wanted.appends_path,
            method: method.transpose()?,
            request_headers: names(wanted.request_headers.iter().map(String::as_str))?,
            upstream_headers: names(copied)?,
            copies_all: wanted.upstream_headers.contains(ALL),
            client_headers: names(client_headers.chain(ALWAYS_TO_CLIENT))?,
            timeout: wanted.timeout,
            status_on_error: wanted.status_on_error,
            login: wanted.login.as_deref().map(Login::compile).transpose()?,
        })
    }

    /// Asks. `Some` is what the client gets instead.
    pub(super) async fn refuse(&self, request: &mut Request, ask: &impl Ask) -> Option<Response> {
        let question = self.question(request);
        match ask.ask(&self.upstream, question, Some(self.timeout)).await {
            Ok(mut answer) if (200..300).contains(&answer.status) => {
                forget(&mut answer.body);
                self.let_pass(&answer.fields, request);
                None
            }
            Ok(answer) if matches!(answer.status, 401 | 403) => Some(self.refusal(answer, request)),
            Ok(_) | Err(_) => Some(Response::refusal_as(Reason::AuthFailed, self.status_on_error)),
        }
    }

    /// The subrequest: never with a body.
    fn question(&self, request: &Request) -> Request {
        let mut question = Request::default();
        // The client's `CONNECT` would ask for a tunnel to the service.
        let own = if request.method == Method::Connect { &Method::Get } else { &request.method };
        question.method = self.method.as_ref().unwrap_or(own).clone();
        question.scheme = request.scheme;
        question.set_authority(self.host.as_deref().unwrap_or_else(|| request.authority()));
        let asked = if self.appends_path { request.target() } else { b"" };
        let target = [&*self.path_prefix, asked].concat();
        question.set_target(&target);
        for name in &self.request_headers {
            for value in request.fields.all(name) {
                question.fields.append(name, value);
            }
        }
        for name in FORWARDED {
            if let Some(value) = request.field(name) {
                question.fields.set(name, value);
            }
        }
        let method = request.method.as_str().as_bytes();
        question.fields.set("x-original-method", method);
        question.fields.set("x-original-url", &url(request));
        question
    }

    fn let_pass(&self, answer: &Fields, request: &mut Request) {
        for name in &self.upstream_headers {
            // Also if the answer has none: the client's word must not pass for the service's.
            request.fields.remove(name);
            for value in answer.all(name) {
                request.fields.append(name, value);
            }
        }
        if self.copies_all {
            let all = || answer.iter().filter(|(name, _)| is_copied(*name));
            for (name, _) in all() {
                request.fields.remove(name);
            }
            for (name, value) in all() {
                request.fields.append(name, value);
            }
        }
    }

    fn refusal(&self, mut answer: Response, request: &Request) -> Response {
        let login = self.login.as_ref().filter(|_| answer.status == 401);
        let location = login.and_then(|login| login.fill(request));
        let mut response = if let Some(location) = &location {
            forget(&mut answer.body);
            let mut response = Response::new(302);
            response.fields.set(Known::Location, location);
            response
        } else {
            let mut response = Response::new(answer.status);
            for name in BODY {
                if let Some(value) = answer.fields.first(name) {
                    response.fields.set(name, value);
                }
            }
            if request.method != Method::Head {
                response.body = answer.body;
            }
            response
        };
        for name in &self.client_headers {
            if location.is_some() && name.text() == Known::Location.text().as_bytes() {
                continue;
            }
            for value in answer.fields.all(name) {
                response.fields.append(name, value);
            }
        }
        response.reason = Some(Reason::AuthRefused);
        response
    }
}

const FILTER: &str = "external auth";

/// Stands for all fields that can be copied.
const ALL: &str = "*";

/// Fields of a refusing answer that the client always gets.
const ALWAYS_TO_CLIENT: [&str; 3] = ["www-authenticate", "location", "set-cookie"];

/// Fields that say who asked for what, as [`super::forwarded`] left them.
const FORWARDED: [Known; 5] = [
    Known::XForwardedFor,
    Known::XForwardedHost,
    Known::XForwardedPort,
    Known::XForwardedProto,
    Known::XRealIp,
];

/// Fields that say what a body is.
const BODY: [Known; 2] = [Known::ContentType, Known::ContentEncoding];

/// Frames of a body that nobody wants, read if they are there already, so that the connection
/// can be used again.
const FORGOTTEN_FRAMES_MAX: usize = 16;

fn names<'a>(all: impl Iterator<Item = &'a str>) -> Result<Box<[Name]>, FilterError> {
    let mut names = Vec::new();
    for name in all {
        let name = Name::compile(FILTER, name)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names.into())
}

/// Whether a field of an answer says something about the request rather than about the answer.
fn is_copied(name: FieldName<'_>) -> bool {
    let is_of_body = BODY.iter().any(|it| name.text().eq_ignore_ascii_case(it.text().as_bytes()));
    let text = str::from_utf8(name.text());
    !is_of_body && text.is_ok_and(|text| Name::compile(FILTER, text).is_ok())
}

fn forget(body: &mut Body) {
    for _ in 0..FORGOTTEN_FRAMES_MAX {
        if !matches!(body.frame().now_or_never(), Some(Some(Ok(_)))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixture::{FakeAsk, append, collected, pieces, request},
        *,
    };

    fn wanted() -> Wanted {
        let set = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
        Wanted {
            upstream: "auth".into(),
            host: None,
            path_prefix: "/verify?permission=dev&url=".into(),
            appends_path: true,
            method: None,
            request_headers: set(&["cookie", "x-internal-authorization"]),
            upstream_headers: set(&["x-user"]),
            client_headers: set(&["x-why"]),
            timeout: Duration::from_millis(250),
            status_on_error: 503,
            login: None,
        }
    }

    fn answer(status: u16, fields: &[(&str, &str)]) -> Response {
        let mut response = Response::new(status);
        append(&mut response.fields, fields);
        response
    }

    async fn refusal(
        wanted: &Wanted,
        request: &mut Request,
        answer: Result<Response, Reason>,
    ) -> (Option<Response>, FakeAsk) {
        let fake = FakeAsk::answering(answer);
        let auth = ExternalAuth::compile(wanted).unwrap();
        (auth.refuse(request, &fake).await, fake)
    }

    fn text(request: &Request, name: &str) -> String {
        let all: Vec<_> =
            request.fields.all(name).map(|it| String::from_utf8_lossy(it).into_owned()).collect();
        all.join("|")
    }

    #[tokio::test]
    async fn the_question_has_the_path_the_method_and_the_listed_fields() {
        let mut asking = request();
        asking.method = Method::Patch;
        asking.body = pieces(&[b"body"]);
        for (name, value) in [
            ("cookie", "a=1"),
            ("Cookie", "b=2"),
            ("authorization", "Basic x"),
            ("X-Internal-Authorization", "token"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "https"),
            ("x-user", "root"),
        ] {
            asking.fields.append(name, value.as_bytes());
        }
        let (refused, fake) =
            refusal(&wanted(), &mut asking, Ok(answer(200, &[("x-user", "alice")]))).await;
        assert!(refused.is_none());
        let (upstream, question, timeout) = fake.0.borrow_mut().questions.remove(0);
        assert_eq!((upstream.as_str(), timeout), ("auth", Some(Duration::from_millis(250))));
        assert_eq!(question.method, Method::Patch);
        assert_eq!(question.authority(), b"shop.example:8080");
        assert_eq!(question.target(), b"/verify?permission=dev&url=/a?b=c");
        assert!(question.body.is_empty() && question.upgrade.is_none());
        assert_eq!(text(&question, "cookie"), "a=1|b=2");
        assert_eq!(text(&question, "x-internal-authorization"), "token");
        assert_eq!(text(&question, "authorization"), "");
        assert_eq!(text(&question, "x-forwarded-for"), "192.0.2.1");
        assert_eq!(text(&question, "x-original-method"), "PATCH");
        assert_eq!(text(&question, "x-original-url"), "https://shop.example:8080/a?b=c");
        assert_eq!(text(&asking, "x-user"), "alice", "the service's word replaces the client's");
        assert_eq!(collected(asking.body).await.0, b"body");
    }

    #[tokio::test]
    async fn all_fields_of_the_answer_can_be_copied() {
        let wanted = Wanted { upstream_headers: ["*".to_owned()].into(), ..wanted() };
        let mut asking = request();
        for (name, value) in [("X-User", "root"), ("content-type", "a/b"), ("x-own", "1")] {
            asking.fields.append(name, value.as_bytes());
        }
        let fields = [
            ("x-user", "alice"),
            ("x-user", "bob"),
            ("content-type", "text/html"),
            ("content-length", "0"),
            ("connection", "close"),
        ];
        let (refused, _) = refusal(&wanted, &mut asking, Ok(answer(200, &fields))).await;
        assert!(refused.is_none());
        assert_eq!(text(&asking, "x-user"), "alice|bob");
        assert_eq!(text(&asking, "content-type"), "a/b");
        assert_eq!(text(&asking, "x-own"), "1");
        assert!(!asking.fields.contains("content-length") && !asking.fields.contains("connection"));
    }

    #[tokio::test]
    async fn host_and_method_of_the_question_can_be_others() {
        let wanted = Wanted {
            host: Some("auth.example".into()),
            method: Some("GET".into()),
            path_prefix: "/check".into(),
            ..wanted()
        };
        let mut asking = request();
        asking.method = Method::Post;
        asking.fields.append("x-user", b"root");
        let (refused, fake) = refusal(&wanted, &mut asking, Ok(answer(204, &[]))).await;
        assert!(refused.is_none());
        let asked = &fake.0.borrow().questions[0].1;
        assert_eq!((&asked.method, asked.authority()), (&Method::Get, &b"auth.example"[..]));
        assert_eq!(asked.target(), b"/check/a?b=c");
        assert_eq!(text(&asking, "x-user"), "", "removed though the answer has none");
    }

    #[tokio::test]
    async fn refusals_go_to_the_client_with_body_and_listed_fields() {
        for status in [401, 403] {
            let fields = [
                ("www-authenticate", "Bearer"),
                ("set-cookie", "a=1"),
                ("set-cookie", "b=2"),
                ("content-type", "text/html"),
                ("x-why", "because"),
                ("x-secret", "no"),
            ];
            let mut answer = answer(status, &fields);
            answer.body = pieces(&[b"go ", b"away"]);
            let (refused, _) = refusal(&wanted(), &mut request(), Ok(answer)).await;
            let refused = refused.unwrap();
            assert_eq!((refused.status, refused.reason), (status, Some(Reason::AuthRefused)));
            assert_eq!(refused.fields.first("www-authenticate"), Some(&b"Bearer"[..]));
            assert_eq!(refused.fields.all("set-cookie").count(), 2);
            assert_eq!(refused.fields.first("x-why"), Some(&b"because"[..]));
            assert_eq!(refused.fields.first("content-type"), Some(&b"text/html"[..]));
            assert!(!refused.fields.contains("x-secret"));
            assert_eq!(collected(refused.body).await.0, b"go away");
        }
    }

    #[tokio::test]
    async fn a_service_that_fails_gives_the_status_on_error() {
        for failed in [
            Err(Reason::UpstreamTimeout),
            Err(Reason::NoEndpoint),
            Ok(answer(500, &[])),
            Ok(answer(400, &[])),
            Ok(answer(302, &[])),
        ] {
            let (refused, _) = refusal(&wanted(), &mut request(), failed).await;
            let refused = refused.unwrap();
            assert_eq!((refused.status, refused.reason), (503, Some(Reason::AuthFailed)));
        }
    }

    #[tokio::test]
    async fn who_is_not_logged_in_is_sent_to_log_in() {
        let login =
            "https://auth.example/login?s={scheme}&h={host}&p={path}&next={url}&r={host_raw}";
        let wanted = Wanted { login: Some(login.into()), ..wanted() };
        let fields = [("location", "/elsewhere"), ("set-cookie", "a=1")];
        let (refused, _) = refusal(&wanted, &mut request(), Ok(answer(401, &fields))).await;
        let refused = refused.unwrap();
        assert_eq!((refused.status, refused.reason), (302, Some(Reason::AuthRefused)));
        let places: Vec<_> = refused.fields.all("location").collect();
        let expected = "https://auth.example/login?s=http&h=shop.example%3A8080&p=%2Fa%3Fb%3Dc\
             &next=http%3A%2F%2Fshop.example%3A8080%2Fa%3Fb%3Dc&r=shop.example:8080";
        assert_eq!(places, [expected.as_bytes()]);
        assert!(refused.fields.contains("set-cookie"));
        let (refused, _) = refusal(&wanted, &mut request(), Ok(answer(403, &[]))).await;
        assert_eq!(refused.unwrap().status, 403, "someone who is logged in is not sent there");
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        for wrong in [
            Wanted { path_prefix: "verify".into(), ..wanted() },
            Wanted { path_prefix: "/a b".into(), ..wanted() },
            Wanted { host: Some("a/b".into()), ..wanted() },
            Wanted { method: Some("a b".into()), ..wanted() },
            Wanted { status_on_error: 200, ..wanted() },
            Wanted { login: Some("https://a/{user}".into()), ..wanted() },
            Wanted { login: Some("https://a/{url".into()), ..wanted() },
            Wanted { upstream_headers: ["host".to_owned()].into(), ..wanted() },
        ] {
            assert!(ExternalAuth::compile(&wrong).is_err(), "{wrong:?}");
        }
    }
}
