//! The proxy behind VIPs, with lbd run from its file and the real curl as the client. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail the test; JSON is looked into by name"
)]

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use lb_tests::{
    authority::Authority,
    client::Protocol,
    curl::{Answer, Curl},
    lab::{Family, Host},
    origin::{Origin, WEBSOCKET_ACCEPT, WEBSOCKET_KEY, read_websocket_frame, websocket_frame},
    services::{Mode, unprobed_configuration},
    site::Site,
    tls_client::{TlsConnection, served_certificate},
    wait::eventually,
};
use serde_json::Value;

/// The origins' port: another one than the forwarded servers'.
const ORIGIN_PORT: u16 = 8080;
/// How long anything may take.
const LIMIT: Duration = Duration::from_mins(1);

/// The VIP of the listeners alone; the HTTPS one is also on the VIP of a forwarded service.
fn vip(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([192, 0, 2, 50]),
        Family::V6 => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x50]),
    }
}

/// A site with an origin on each backend, and the proxy in front of them.
struct Gateway {
    site: Site,
    origins: Vec<Origin>,
    authority: Authority,
}

impl Gateway {
    fn start() -> Self {
        let site = Site::start(unprobed_configuration).unwrap();
        let origins: Vec<_> = site
            .lab
            .backends()
            .iter()
            .map(|host| Origin::start(host, ORIGIN_PORT, None).unwrap())
            .collect();
        let gateway = Self { site, origins, authority: Authority::new().unwrap() };
        gateway.site.daemon.write_beside("tls/ca.pem", &gateway.authority.pem()).unwrap();
        gateway.renew("shop", &["shop.example", "*.shop.example"]);
        gateway.renew("other", &["other.example"]);
        gateway.site.daemon.write(&configuration(gateway.site.lab.backends())).unwrap();
        // Each address has its turn when the configuration changes.
        for family in Family::BOTH {
            gateway.wait_for(vip(family), "http://shop.example/", 301);
            for to in [vip(family), Mode::Nat.vip(family)] {
                gateway.wait_for(to, "https://empty.shop.example/", 503);
            }
        }
        gateway
    }

    /// Waits until a URL is answered with this status at that address.
    fn wait_for(&self, to: IpAddr, url: &str, status: u16) {
        let is_up = || {
            let answer = self.curl_to(to).get(url, &[]);
            answer.is_ok_and(|it| it.status == status).then_some(())
        };
        let up = eventually(LIMIT, url, is_up);
        assert!(up.is_ok(), "{to}: {}", self.site.daemon.lines().join("\n"));
    }

    /// Puts a new certificate in the place of the old one.
    fn renew(&self, name: &str, names: &[&str]) -> String {
        let issued = self.authority.issue(names).unwrap();
        let daemon = &self.site.daemon;
        daemon.write_beside(&format!("tls/{name}.pem"), &issued.chain).unwrap();
        daemon.write_beside(&format!("tls/{name}.key"), &issued.key).unwrap();
        issued.chain
    }

    fn curl(&self, family: Family) -> Curl {
        self.curl_to(vip(family))
    }

    fn curl_to(&self, to: IpAddr) -> Curl {
        let authority = self.site.daemon.file().with_file_name("tls").join("ca.pem");
        Curl::new(self.site.lab.client(), to).trusting(authority)
    }

    fn get(&self, family: Family, url: &str, options: &[&str]) -> Answer {
        self.curl(family).get(url, options).unwrap()
    }

    fn backend(&self, index: usize) -> &str {
        self.site.lab.backends()[index].name()
    }

    /// A TLS connection of the test's own.
    fn connect(&self, family: Family, name: &str) -> TlsConnection {
        let to = SocketAddr::new(vip(family), 443);
        TlsConnection::open(self.site.lab.client(), to, name, &self.authority).unwrap()
    }
}

fn configuration(backends: &[Host]) -> String {
    let forwarded = unprobed_configuration(backends);
    let [four, six] = Family::BOTH.map(vip);
    let [beside_four, beside_six] = Family::BOTH.map(|family| Mode::Nat.vip(family));
    let one = |index: usize| SocketAddr::new(backends[index].address(Family::V4), ORIGIN_PORT);
    let (first, second) = (one(0), one(1));
    let third = SocketAddr::new(backends[2].address(Family::V6), ORIGIN_PORT);
    format!(
        r#"{forwarded}
proxy: {{ access_log: {{}} }}
certificates:
  - {{ name: shop, chain: tls/shop.pem, key: tls/shop.key }}
  - {{ name: other, chain: tls/other.pem, key: tls/other.key }}
listeners:
  - {{ name: http, protocol: http, vips: ["{four}:80/tcp", "[{six}]:80/tcp"] }}
  - name: https
    protocol: https
    vips:
      - "{four}:443/tcp"
      - "[{six}]:443/tcp"
      - "{beside_four}:443/tcp"
      - "[{beside_six}]:443/tcp"
    tls: {{ certificates: [shop] }}
  - name: other
    protocol: https
    host: other.example
    vips: ["{four}:443/tcp", "[{six}]:443/tcp"]
    tls: {{ certificates: [other] }}
routes:
  - name: to-https
    listeners: [http]
    hosts: [shop.example, "*.shop.example"]
    rules: [{{ redirect: {{ scheme: https, status: 301 }} }}]
  - name: shop
    listeners: [https]
    hosts: [shop.example]
    rules:
      - filters:
          request_headers: {{ set: {{ X-Real-IP: "{{client_address}}" }}, remove: [X-Secret] }}
          response_headers: {{ set: {{ X-Frame-Options: DENY }}, remove: [Server] }}
        backends: [first]
      - {{ match: [/api], filters: {{ rewrite: {{ path: {{ prefix: /v2 }} }} }}, backends: [third] }}
  - name: more
    listeners: [https]
    hosts: ["*.shop.example"]
    rules: [{{ backends: [second] }}]
  - {{ name: other, listeners: [other], rules: [{{ backends: [second] }}] }}
  - {{ name: both, listeners: [https], hosts: [both.shop.example], rules: [{{ backends: [both] }}] }}
  - {{ name: empty, listeners: [https], hosts: [empty.shop.example], rules: [{{ backends: [empty] }}] }}
upstreams:
  - {{ name: first, endpoints: ["{first}"] }}
  - {{ name: second, endpoints: ["{second}"] }}
  - {{ name: third, endpoints: ["{third}"] }}
  - {{ name: both, endpoints: ["{first}", "{second}"], balance: round_robin }}
  - {{ name: empty, endpoints: [] }}
"#
    )
}

#[test]
fn requests_through_a_vip_are_routed_and_edited() {
    let gateway = Gateway::start();
    let client = |family| gateway.site.lab.client().address(family).to_string();
    for family in Family::BOTH {
        for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
            let what = format!("{family} HTTP/{version}");
            let forged = ["-H", "X-Secret: 1", "-H", "X-Forwarded-For: 203.0.113.9", option];
            let answer = gateway.get(family, "https://shop.example/a?b=c", &forged);
            assert_eq!((answer.status, answer.version.as_str()), (200, version), "{what}");
            assert_eq!(answer.field("x-frame-options"), Some("DENY"), "{what}");
            assert_eq!(answer.field("server"), None, "{what}");
            let told = answer.json();
            assert_eq!(told["origin"], gateway.backend(0), "{what}");
            assert_eq!((&told["method"], &told["path"]), (&"GET".into(), &"/a?b=c".into()));
            let headers = &told["headers"];
            assert_eq!(headers["host"], "shop.example", "{what}");
            assert_eq!(headers["x-real-ip"], client(family), "{what}");
            assert_eq!(headers["x-forwarded-for"], client(family), "{what}");
            assert_eq!(headers["x-forwarded-proto"], "https", "{what}");
            assert_eq!(headers["x-secret"], Value::Null, "{what}");

            let answer = gateway.get(family, "https://shop.example/api/items", &[option]).json();
            assert_eq!(
                (&answer["origin"], &answer["path"]),
                (&gateway.backend(2).into(), &"/v2/items".into())
            );
            let answer = gateway.get(family, "https://shop.example/apis", &[option]).json();
            assert_eq!(answer["origin"], gateway.backend(0), "a prefix is of whole segments");
            let answer = gateway.get(family, "https://a.shop.example/", &[option]).json();
            assert_eq!(answer["origin"], gateway.backend(1), "{what}");

            let body = "x".repeat(100_000);
            let answer =
                gateway.get(family, "https://shop.example/", &["--data-binary", &body, option]);
            let told = answer.json();
            assert_eq!((&told["method"], &told["body_bytes"]), (&"POST".into(), &100_000.into()));
            let answer = gateway.get(family, "https://shop.example/", &["--head", option]);
            assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{what}");
        }
    }
    assert_logged(&gateway);
}

/// The access log has a line for each family's requests, by their path and client.
fn assert_logged(gateway: &Gateway) {
    for family in Family::BOTH {
        let client = gateway.site.lab.client().address(family).to_string();
        let line = || {
            let lines = gateway.site.daemon.lines();
            let lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let mut asked = lines.filter(|line| line["client_address"] == client);
            asked.find(|line| line["path"] == "/api/items")
        };
        let line = eventually(LIMIT, "a line of the access log", line).unwrap();
        assert_eq!(line["status"], 200, "{line}");
        assert_eq!(line["listener"], "https", "{line}");
        assert_eq!(line["route"], "shop/1", "{line}");
        assert_eq!(line["upstream"], "third", "{line}");
        assert_eq!(line["method"], "GET", "{line}");
        assert_eq!(line["host"], "shop.example", "{line}");
    }
}

#[test]
fn requests_that_go_nowhere_are_told_so() {
    let gateway = Gateway::start();
    for family in Family::BOTH {
        let answer = gateway.get(family, "http://a.shop.example/x/y?z=1", &[]);
        assert_eq!(answer.status, 301);
        assert_eq!(answer.field("location"), Some("https://a.shop.example/x/y?z=1"));
        assert_eq!(gateway.get(family, "http://unknown.example/", &[]).status, 404);
        assert_eq!(gateway.get(family, "https://empty.shop.example/", &[]).status, 503);
        for option in ["--http1.1", "--http2"] {
            let unknown = ["-H", "Host: other.example", option];
            let answer = gateway.get(family, "https://shop.example/", &unknown);
            assert_eq!(answer.status, 421, "{family} {option}");
            let right = ["--head", option];
            assert_eq!(gateway.get(family, "https://other.example/", &right).status, 200);
        }
        let stranger = gateway.curl(family).get("https://unknown.example/", &["--insecure"]);
        assert_eq!(stranger.unwrap().status, 404, "{family}");
    }
    let mut arrived = gateway.origins.iter().flat_map(Origin::requests);
    assert!(arrived.all(|request| request.field("host") == Some("other.example")));
}

#[test]
fn a_killed_backend_is_avoided() {
    let mut gateway = Gateway::start();
    let url = "https://both.shop.example/";
    let asked = |gateway: &Gateway| {
        let answers = (0..20).map(|_| gateway.get(Family::V4, url, &[]));
        answers.map(|it| (it.status, it.json()["origin"].clone())).collect::<Vec<_>>()
    };
    let (first, second) = (Value::from(gateway.backend(0)), Value::from(gateway.backend(1)));
    let before = asked(&gateway);
    assert!(before.iter().all(|(status, _)| *status == 200), "{before:?}");
    for origin in [&first, &second] {
        assert_eq!(before.iter().filter(|(_, it)| it == origin).count(), 10, "{before:?}");
    }
    gateway.origins[0].stop();
    let after = asked(&gateway);
    assert!(after.iter().all(|it| *it == (200, second.clone())), "{after:?}");
    gateway.origins[0] = Origin::start(&gateway.site.lab.backends()[0], ORIGIN_PORT, None).unwrap();
    let is_back = || asked(&gateway).contains(&(200, first.clone())).then_some(());
    eventually(LIMIT, "the backend is used again", is_back).unwrap();
}

#[test]
fn a_certificate_is_swapped_under_running_connections() {
    let gateway = Gateway::start();
    let mut kept = Family::BOTH.map(|family| gateway.connect(family, "shop.example"));
    let mut tunnel = open_websocket(&gateway, "a.shop.example");
    for stream in &mut kept {
        ask(stream, "/before");
    }
    echo(&mut tunnel, "before");

    let chain = gateway.renew("shop", &["shop.example", "*.shop.example"]);
    let is_served = || {
        let to = SocketAddr::new(vip(Family::V4), 443);
        let said = served_certificate(gateway.site.lab.client(), to, "shop.example").unwrap();
        said.contains(chain.trim()).then_some(())
    };
    eventually(LIMIT, "the new certificate", is_served).unwrap();
    for stream in &mut kept {
        ask(stream, "/after");
    }
    echo(&mut tunnel, "after");
    assert_eq!(gateway.get(Family::V6, "https://shop.example/new", &[]).status, 200);
    let paths: Vec<_> = gateway.origins[0].requests().into_iter().map(|it| it.path).collect();
    assert_eq!(paths, ["/before", "/before", "/after", "/after", "/new"]);
}

fn open_websocket(gateway: &Gateway, host: &str) -> TlsConnection {
    let mut connection = gateway.connect(Family::V4, host);
    let fields = format!(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {WEBSOCKET_KEY}\r\n"
    );
    let head = connection.ask("/chat", &fields).unwrap();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains(&WEBSOCKET_ACCEPT.to_ascii_lowercase()), "{head}");
    connection
}

fn echo(tunnel: &mut TlsConnection, text: &str) {
    tunnel.stream().write_all(&websocket_frame(text, Some([1, 2, 3, 4]))).unwrap();
    assert_eq!(read_websocket_frame(tunnel.stream()).unwrap(), text);
}

/// A request on a connection that stays.
fn ask(connection: &mut TlsConnection, path: &str) {
    let told: Value = serde_json::from_str(&connection.get(path).unwrap()).unwrap();
    assert_eq!(told["path"], path);
}

#[test]
fn one_address_has_a_forwarded_port_and_a_proxied_one() {
    let gateway = Gateway::start();
    for family in Family::BOTH {
        let beside = gateway.curl_to(Mode::Nat.vip(family));
        assert_eq!(beside.get("https://shop.example/", &[]).unwrap().status, 200, "{family}");
        for mode in Mode::ALL {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let target = mode.target(family, protocol);
                let tally = gateway.site.talk(protocol, target, 50).unwrap();
                assert_eq!(tally.failures, [], "{mode} {family} {protocol}");
            }
        }
        assert_eq!(beside.get("https://shop.example/", &[]).unwrap().status, 200, "{family}");
    }
}
