//! Nothing is lost while lbd changes what it serves, or ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail the test"
)]

mod drain;
mod hand_over;
mod origin;
mod overload;
mod sessions;
mod site;
mod steered;
mod successor;

use std::{
    fmt::Write as _, io::ErrorKind, net::SocketAddr, sync::atomic::Ordering::Relaxed,
    time::Duration,
};

use lb_tests::{
    load::{self, Load, Way},
    scale,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use site::{FILE, LIMIT, Site, hang_up, terminate};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// All that lose nothing if connections are ended as they should be.
const WAYS: [Way; 4] = [Way::KeepAlive, Way::Connections, Way::Http2, Way::Slow];
/// How often each thing is done, at full length and usually.
const RELOADS: (usize, usize) = (1_000, 200);
const SWAPS: (usize, usize) = (200, 40);
const CHURNS: (usize, usize) = (300, 100);
/// Between two changes of the endpoints.
const CHURN_INTERVAL: Duration = Duration::from_millis(20);

fn rounds((full, usual): (usize, usize)) -> usize {
    scale::rounds(full, usual)
}

/// Routes to one upstream, in another form for each number.
fn routes(number: usize, upstreams: [SocketAddr; 2]) -> String {
    let to = if number.is_multiple_of(2) { "left" } else { "right" };
    let slow = format!("      - {{ match: [/slow], backends: [{to}] }}\n");
    let edited = format!(
        "      - {{ match: [{{ path: / }}], backends: [{to}], filters: {{ request_headers: {{ set: {{ X-Number: \"{number}\" }} }}, response_headers: {{ set: {{ X-Number: \"{number}\" }} }} }} }}\n"
    );
    let rules = if number.is_multiple_of(3) { edited + &slow } else { slow + &edited };
    let [left, right] = upstreams;
    format!(
        "upstreams:
  - {{ name: left, endpoints: [\"{left}\"] }}
  - {{ name: right, endpoints: [\"{right}\"] }}
routes:
  - name: all
    listeners: [web]
    hosts: [swap.example]
    rules:
{rules}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_lose_nothing() {
    let site = Site::new();
    let upstreams = [origin::start().await, origin::start().await];
    site.configure("0", &routes(0, upstreams));
    let mut lbd = site.start(FILE, "0").await;
    let load = Load::start(site.web.address(), &WAYS);
    for number in 1..=rounds(RELOADS) {
        let mark = number.to_string();
        site.configure(&mark, &routes(number, upstreams));
        hang_up(&lbd);
        site.in_force(&mark).await;
    }
    let tally = load.tally.clone();
    load.assert_nothing_failed().await;
    // Connections outlive reloads: the others are of those that make one for each request.
    assert!(tally.connections.load(Relaxed) < tally.answers.load(Relaxed));
    assert!(lbd.is_running(), "{}", lbd.lines().join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificate_swaps_lose_no_handshake() {
    let site = Site::new();
    let upstream = origin::start().await;
    let certificates: Vec<_> =
        (0..4).map(|_| generate_simple_self_signed(["swap.example".to_owned()]).unwrap()).collect();
    let write = |number: usize| {
        let CertifiedKey { cert, signing_key } = &certificates[number % certificates.len()];
        // Both in one file: there is no moment at which one does not belong to the other.
        site.write("swap.pem", &(cert.pem() + &signing_key.serialize_pem()));
        let secure = site.secure.address();
        let rest = format!(
            "  - {{ name: secure, binds: [\"{secure}\"], protocol: https, tls: {{ certificates: [swap] }} }}
certificates:
  - {{ name: swap, chain: swap.pem, key: swap.pem }}
upstreams:
  - {{ name: left, endpoints: [\"{upstream}\"] }}
routes:
  - {{ name: all, listeners: [secure], rules: [{{ backends: [left] }}] }}
"
        );
        site.configure(&number.to_string(), rest.trim_end());
    };
    write(0);
    let lbd = site.start(FILE, "0").await;
    // Listeners are opened one after another.
    let open = async {
        while TcpStream::connect(site.secure.address()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LIMIT, open).await.unwrap();
    let roots: Vec<_> = certificates.iter().map(|it| it.cert.der().clone()).collect();
    let load = Load::start_secure(site.secure.address(), &roots);
    for number in 1..=rounds(SWAPS) {
        write(number);
        hang_up(&lbd);
        site.in_force(&number.to_string()).await;
    }
    load.assert_nothing_failed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_come_and_go_lose_nothing() {
    let site = Site::new();
    let mut origins = Vec::new();
    for _ in 0..4 {
        origins.push(origin::start().await);
    }
    let configuration = |number: usize| {
        let mut endpoints = String::new();
        for (index, origin) in origins.iter().enumerate() {
            match (index + number) % 4 {
                // Not there.
                0 => {}
                1 => {
                    let (address, port) = (origin.ip(), origin.port());
                    let endpoint = format!("address: {address}, port: {port}, drain: true");
                    write!(endpoints, "{{ {endpoint} }}, ").unwrap();
                }
                _ => write!(endpoints, "\"{origin}\", ").unwrap(),
            }
        }
        format!(
            "upstreams:
  - {{ name: all, endpoints: [{endpoints}] }}
routes:
  - {{ name: all, listeners: [web], hosts: [swap.example], rules: [{{ backends: [all] }}] }}"
        )
    };
    site.configure("0", &configuration(0));
    let lbd = site.start(FILE, "0").await;
    let load = Load::start(site.web.address(), &WAYS);
    let churns = rounds(CHURNS);
    let mut churn = tokio::time::interval(CHURN_INTERVAL);
    for number in 1..=churns {
        churn.tick().await;
        site.configure(&number.to_string(), &configuration(number));
        hang_up(&lbd);
    }
    site.in_force(&churns.to_string()).await;
    load.assert_nothing_failed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_waits_for_what_is_under_way() {
    let site = Site::new();
    let upstreams = [origin::start().await, origin::start().await];
    site.configure("0", &routes(0, upstreams));
    let mut lbd = site.start(FILE, "0").await;
    let address = site.web.address();
    let mut slow = TcpStream::connect(address).await.unwrap();
    let mut kept = TcpStream::connect(address).await.unwrap();
    let request = |path| format!("GET {path} HTTP/1.1\r\nHost: swap.example\r\n\r\n");
    slow.write_all(request("/slow").as_bytes()).await.unwrap();
    kept.write_all(request("/").as_bytes()).await.unwrap();
    assert!(!answer(&mut kept).await.contains("connection: close"));
    let (mut ways, connection) =
        h2::client::handshake(TcpStream::connect(address).await.unwrap()).await.unwrap();
    let farewell = tokio::spawn(connection);
    let ask = || http::Request::get("http://swap.example/slow").body(()).unwrap();
    let (stream, _) = ways.send_request(ask(), true).unwrap();
    // Its answer shows that the server has what was sent before.
    kept.write_all(request("/").as_bytes()).await.unwrap();
    answer(&mut kept).await;

    terminate(&lbd);
    // What is accepted is answered; what is not is refused, never cut off.
    let refused = async {
        loop {
            match TcpStream::connect(address).await {
                Ok(mut stream) => {
                    stream.write_all(request("/").as_bytes()).await.unwrap();
                    answer(&mut stream).await;
                }
                Err(error) => break error.kind(),
            }
        }
    };
    let refused = tokio::time::timeout(LIMIT, refused).await.unwrap();
    assert_eq!(refused, ErrorKind::ConnectionRefused);
    assert!(answer(&mut slow).await.contains("connection: close"));
    assert_eq!(stream.await.unwrap().status(), 200);
    let ended = farewell.await.unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    assert!(ways.ready().await.is_err(), "the server said goodbye");
    let status = lbd.wait(LIMIT).unwrap();
    assert!(status.success(), "{status}: {}", lbd.lines().join("\n"));
}

/// The response in lower case; it ends the connection or has the origin's body.
async fn answer(stream: &mut TcpStream) -> String {
    let mut received = Vec::new();
    while !received.ends_with(b"ok\n") {
        let count = stream.read_buf(&mut received).await.unwrap();
        assert_ne!(count, 0, "ended at {:?}", String::from_utf8_lossy(&received));
    }
    let text = String::from_utf8_lossy(&received).to_lowercase();
    assert!(text.starts_with("http/1.1 200 "), "{text}");
    text
}
