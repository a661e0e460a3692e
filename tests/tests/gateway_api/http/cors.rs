//! Requests of pages from elsewhere.

use super::super::scene::{get, routed, rule};
use lb_tests::conformance::{
    Answer, Ask, Case,
    Feature::{HTTPRoute, HTTPRouteCORS},
};

pub(crate) const CASES: &[Case] =
    &[Case::upstream("HTTPRouteCORS", "http_route_cors", &[HTTPRoute, HTTPRouteCORS])];

fn cors(path: &str, cors: &str) -> String {
    rule(path, &format!("filters: [{{type: CORS, cors: {cors}}}]"), "web")
}

/// The values of a field that is a list, sorted.
fn list(answer: &Answer, name: &str) -> Vec<String> {
    let values = answer.headers(name).join(",");
    let mut values: Vec<_> = values
        .split(',')
        .map(|it| it.trim().to_ascii_lowercase())
        .filter(|it| !it.is_empty())
        .collect();
    values.sort();
    values
}

#[test]
fn http_route_cors() {
    let rules = [
        cors(
            "/exact",
            "{allowOrigins: ['https://www.foo.com', 'https://*.bar.com'], allowMethods: [GET, OPTIONS], \
             allowHeaders: [x-header-1, x-header-2], exposeHeaders: [x-header-3, x-header-4], \
             allowCredentials: true, maxAge: 3600}",
        ),
        cors("/any", "{allowOrigins: ['*'], allowMethods: [PUT], allowCredentials: false}"),
        cors(
            "/wild",
            "{allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], allowCredentials: true}",
        ),
    ];
    let (space, address) = routed("cors", &["web"], &rules.concat());
    let ask = |path: &str, origin: &str| get(address, "any.example", path).header("Origin", origin);
    let preflight = |path: &str, origin: &str, method: &str, headers: &str| -> Ask {
        let ask =
            ask(path, origin).method("OPTIONS").header("Access-Control-Request-Method", method);
        ask.header("Access-Control-Request-Headers", headers)
    };
    for origin in ["https://www.foo.com", "https://www.bar.com", "https://a.b.bar.com"] {
        let asked = preflight("/exact", origin, "GET", "x-header-1");
        let answer = space.ask(&asked, "the preflight is answered", |it| {
            it.header("access-control-allow-origin") == Some(origin)
        });
        assert!([200, 204].contains(&answer.status), "{answer:?}");
        assert!(answer.echoed.is_none(), "a backend was asked: {answer:?}");
        assert_eq!(list(&answer, "access-control-allow-methods"), ["get", "options"]);
        assert_eq!(list(&answer, "access-control-allow-headers"), ["x-header-1", "x-header-2"]);
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
        assert_eq!(answer.header("access-control-max-age"), Some("3600"));
        let answer = space.reaches(&ask("/exact", origin), "web");
        assert_eq!(answer.headers("access-control-allow-origin"), [origin]);
        assert_eq!(list(&answer, "access-control-expose-headers"), ["x-header-3", "x-header-4"]);
        assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    }
    for origin in ["https://evil.example", "http://www.foo.com", "https://bar.com"] {
        let refused = preflight("/exact", origin, "GET", "x-header-1").once(space.suite()).unwrap();
        assert_eq!(refused.header("access-control-allow-origin"), None, "{origin}");
        let answer = ask("/exact", origin).once(space.suite()).unwrap();
        assert_eq!(answer.header("access-control-allow-origin"), None, "{origin}");
    }
    let origin = "https://anything.example";
    let answer = preflight("/any", origin, "PUT", "").once(space.suite()).unwrap();
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    // With credentials a star is no answer: what was asked for is repeated.
    let answer = preflight("/wild", origin, "DELETE", "x-odd").once(space.suite()).unwrap();
    assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
    assert!(
        list(&answer, "access-control-allow-methods").contains(&"delete".to_owned()),
        "{answer:?}"
    );
    assert!(
        list(&answer, "access-control-allow-headers").contains(&"x-odd".to_owned()),
        "{answer:?}"
    );
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
}
