use super::*;
use crate::{health::test_service::tcp_check, model::HealthCheck};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
};

/// Far beyond what any step takes: a test that reaches it has failed.
const LIMIT: Duration = Duration::from_secs(30);

fn check(probe: Probe) -> HealthCheck {
    let interval = Duration::from_millis(5);
    HealthCheck { probe, interval, timeout: LIMIT, rise: 2, fall: 2 }
}

fn key() -> Key {
    ("web".to_owned(), "a".to_owned())
}

fn one(address: SocketAddr, check: HealthCheck) -> BTreeMap<Key, Target> {
    [(key(), Target { addresses: [address].into(), check })].into()
}

async fn next(transitions: &mut mpsc::UnboundedReceiver<Transition>) -> Transition {
    time::timeout(LIMIT, transitions.recv()).await.unwrap().unwrap()
}

/// An address where nothing listens, and that nobody else is given as long as the tests run.
fn closed() -> SocketAddr {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    Box::leak(Box::new(socket)).local_addr().unwrap()
}

/// Answers every request with `status`.
async fn http(status: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            // The request is small and comes in one piece; what it says does not matter.
            let _bytes = stream.read(&mut request).await.ok();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
            stream.write_all(answer.as_bytes()).await.ok();
        }
    });
    address
}

fn get() -> Probe {
    Probe::Http { port: None, path: "/health".to_owned(), host: None, expect: (200, 299) }
}

#[tokio::test]
async fn a_refused_connection_takes_a_backend_down() {
    let (sender, mut transitions) = mpsc::unbounded_channel();
    let mut checkers = Checkers::new(1, sender);
    let check = check(Probe::Tcp { port: None });
    checkers.reconcile(&one(closed(), check), &BTreeSet::new());
    let transition = next(&mut transitions).await;
    assert!(!transition.is_up);
    assert!(transition.reason.contains("connection refused"), "{}", transition.reason);
    let record = checkers.board().records()[&key()].clone();
    assert!(!record.is_up && record.probed_ms.is_some() && record.last_error.is_some());
}

#[tokio::test]
async fn an_accepted_connection_takes_a_backend_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (sender, mut transitions) = mpsc::unbounded_channel();
    let mut checkers = Checkers::new(1, sender);
    let check = check(Probe::Tcp { port: None });
    checkers.reconcile(&one(listener.local_addr().unwrap(), check), &[key()].into());
    assert!(next(&mut transitions).await.is_up);
}

#[tokio::test]
async fn the_status_decides() {
    let (sender, mut transitions) = mpsc::unbounded_channel();
    let mut checkers = Checkers::new(1, sender);
    checkers.reconcile(&one(http("503 Busy").await, check(get())), &BTreeSet::new());
    let transition = next(&mut transitions).await;
    assert!(!transition.is_up);
    assert!(transition.reason.contains("status 503, expected 200-299"), "{}", transition.reason);
    // Another target for the same backend goes on from the verdict.
    checkers.reconcile(&one(http("204 No Content").await, check(get())), &BTreeSet::new());
    assert!(next(&mut transitions).await.is_up);
}

#[tokio::test]
async fn silence_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (sender, mut transitions) = mpsc::unbounded_channel();
    let mut checkers = Checkers::new(1, sender);
    let check = HealthCheck { timeout: Duration::from_millis(20), ..check(get()) };
    checkers.reconcile(&one(listener.local_addr().unwrap(), check), &BTreeSet::new());
    let transition = next(&mut transitions).await;
    assert!(transition.reason.contains("no answer within 20ms"), "{}", transition.reason);
}

#[tokio::test]
async fn an_unchanged_target_keeps_its_checker_and_a_removed_one_is_forgotten() {
    let (sender, _transitions) = mpsc::unbounded_channel();
    let mut checkers = Checkers::new(1, sender);
    let targets = one(closed(), tcp_check(None));
    checkers.reconcile(&targets, &BTreeSet::new());
    let before = checkers.running[&key()].task.id();
    checkers.reconcile(&targets, &[key()].into());
    assert_eq!(checkers.running[&key()].task.id(), before);
    checkers.reconcile(&BTreeMap::new(), &BTreeSet::new());
    assert!(checkers.board().records().is_empty());
}
