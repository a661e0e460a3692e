//! Two hosts on one Gateway, on a machine of its own and behind a router.

use std::net::{IpAddr, Ipv4Addr};

use lb_tests::{
    authority::Authority,
    curl::Curl,
    kube::{ApiServer, Pod, PodState, router_lab},
    lab::{Host, Lab},
    lbd::Daemon,
    origin::{Origin, Request, Response, echo},
};

use super::bed;

const WEB: &str = "http://synchat.internal/";
const API: &str = "http://synchatapi.internal/messages";
/// What the page's script says of itself.
const ORIGIN: [&str; 2] = ["-H", "Origin: http://synchat.internal"];

/// The two applications, and the cluster that they are in.
struct App {
    server: ApiServer,
    kubeconfig: String,
    _web: Origin,
    api: Origin,
    lab: Lab,
}

impl App {
    fn start() -> Self {
        let lab = router_lab(4).unwrap();
        let (server, kubeconfig) = ApiServer::stand_in_at(lab.backend(4).unwrap(), None).unwrap();
        server.apply(&bed::example("gateway-api-app/manifests.yaml")).unwrap();
        let web = Origin::start(lab.backend(1).unwrap(), 8080, None).unwrap();
        let api = api(lab.backend(2).unwrap());
        server.set_pods("default/web-service", &[Pod::on(lab.backend(1).unwrap())]).unwrap();
        server.set_pods("default/api-service", &[Pod::on(lab.backend(2).unwrap())]).unwrap();
        Self { server, kubeconfig, _web: web, api, lab }
    }

    fn run(&self, file: &str) -> Daemon {
        let configuration = bed::example(&format!("gateway-api-app/{file}"));
        bed::run(&self.lab, &configuration, &[("kubeconfig", &self.kubeconfig)])
    }

    /// The address of the Gateway, once it and its routes are as they should be.
    fn address(&self) -> IpAddr {
        for route in ["web-httproute", "api-httproute"] {
            bed::await_route(&self.server, "HTTPRoute", route);
        }
        bed::address_of_gateway(&self.server, "app-gateway")
    }
}

/// The API, which lets the page's origin read its answers.
fn api(host: &Host) -> Origin {
    let name = host.name().to_owned();
    let answer = move |request: &Request| {
        let mut response = if request.method == "OPTIONS" {
            Response { status: 204, ..Response::default() }
        } else {
            echo(&name, request)
        };
        let origin = request.field("origin").unwrap_or("none").to_owned();
        response.fields.push(("Access-Control-Allow-Origin", origin));
        response
    };
    Origin::answering(host, 8080, None, answer).unwrap()
}

#[test]
fn on_one_machine_two_hosts_are_served_at_its_own_address() {
    let mut app = App::start();
    let daemon = app.run("lb.yaml");
    assert_eq!(app.address(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert!(daemon.native_interfaces().unwrap().is_empty(), "nothing is loaded");
    let curl = Curl::new(app.lab.router(), Ipv4Addr::LOCALHOST.into());
    let page = bed::asked(&daemon, &curl, WEB, |it| it.field("x-origin") == Some("b1"));
    assert_eq!((page.status, &page.json()["headers"]["host"]), (200, &"synchat.internal".into()));
    assert_eq!(curl.get("http://other.internal/", &[]).unwrap().status, 404);

    // What the browser asks before it lets the page speak to the API, and what the API says to it.
    let preflight = ["-X", "OPTIONS", "-H", "Access-Control-Request-Method: POST"];
    let answer = curl.get(API, &[&preflight[..], &ORIGIN].concat()).unwrap();
    let allowed = answer.field("access-control-allow-origin");
    assert_eq!((answer.status, allowed), (204, Some("http://synchat.internal")));
    let told = curl.get(API, &[&ORIGIN[..], &["--data", "hello"]].concat()).unwrap();
    assert_eq!((told.status, &told.json()["method"]), (200, &"POST".into()));
    assert_eq!(told.field("access-control-allow-origin"), Some("http://synchat.internal"));
    assert_eq!(told.field("x-origin"), Some("b2"));

    let why = daemon.lbctl(&["why", WEB]).unwrap();
    let why = String::from_utf8(why.stdout).unwrap();
    for hop in ["127.0.0.1", "default/app-gateway/http", "HTTPRoute/default/web-httproute"] {
        assert!(why.contains(hop), "no {hop} in\n{why}");
    }
    assert!(why.contains(&format!("{}:8080", app.lab.backend(1).unwrap().address_v4())), "{why}");
    replace_the_pod(&mut app, &daemon, &curl);
}

/// The API's pod is deleted, its successor takes over, and nothing is asked of the old one any more.
fn replace_the_pod(app: &mut App, daemon: &Daemon, curl: &Curl) {
    let [old, new] = [2, 3].map(|it| app.lab.backend(it).unwrap());
    let _successor = api(new);
    let pods = [Pod::on(old).state(PodState::Ending), Pod::on(new)];
    app.server.set_pods("default/api-service", &pods).unwrap();
    bed::asked(daemon, curl, API, |it| it.field("x-origin") == Some("b3"));
    app.api.stop();
    app.server.set_pods("default/api-service", &[Pod::on(new)]).unwrap();
    let counts = curl.count(API, 100, &[]).unwrap();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [("200 b3".to_owned(), 100)]);
}

#[test]
fn behind_a_router_both_hosts_have_tls_and_a_redirect() {
    let app = App::start();
    let daemon = app.run("router.yaml");
    assert_eq!(daemon.native_interfaces().unwrap(), ["wan", "lan"]);
    let vip = app.address();
    assert_eq!(vip, IpAddr::from([192, 0, 2, 10]));
    let curl = Curl::new(app.lab.client(), vip);
    bed::asked(&daemon, &curl, WEB, |it| it.field("x-origin") == Some("b1"));
    bed::asked(&daemon, &curl, API, |it| it.field("x-origin") == Some("b2"));

    let authority = Authority::new().unwrap();
    let issued = authority.issue(&["synchat.internal", "synchatapi.internal"]).unwrap();
    app.server.set_certificate("default/synchat-tls", &issued).unwrap();
    app.server.apply(&bed::example("gateway-api-app/https.yaml")).unwrap();
    bed::await_route(&app.server, "HTTPRoute", "redirect");
    assert_eq!(app.address(), vip, "the address stays");
    let curl = bed::trusting(&daemon, curl, &authority);
    for (name, port, pod) in [("synchat", 80, "b1"), ("synchatapi", 80, "b2")] {
        let plain = format!("http://{name}.internal:{port}/a?b=c");
        let sent = bed::asked(&daemon, &curl, &plain, |it| it.status == 301);
        let secure = format!("https://{name}.internal/a?b=c");
        assert_eq!(sent.field("location"), Some(secure.as_str()));
        for option in ["--http1.1", "--http2"] {
            let answer = curl.get(&secure, &[option]).unwrap();
            assert_eq!((answer.status, answer.field("x-origin")), (200, Some(pod)), "{option}");
            assert_eq!(answer.json()["headers"]["x-forwarded-proto"], "https");
        }
    }
    // No other host has a certificate.
    assert!(curl.get("https://other.internal/", &[]).is_err());
}
