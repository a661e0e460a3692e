//! Attacks on a running lbd over TCP. Whatever the attackers do, a client that behaves is served every
//! time, lbd's memory grows by no more than a fixed amount, and the attackers are cut off.

#![allow(clippy::unwrap_used, reason = "a failing step fails the test")]

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lb_tests::{
    http::{
        client::{Said, exchange, responses},
        origin::Origin,
    },
    http2::{
        frames::{CANCEL, CONTINUATION, END_STREAM, HEADERS, frame, headers, reset},
        hpack::{GET, block},
        probe::{Event, Probe},
    },
    ours::Ours,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

/// What lbd may grow by under any attack: what Envoy's edge guide plans for such a listener.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// What the listener allows: short, so that the tests are, but not so short that a client that behaves
/// is too slow on a busy machine.
const HTTP: &str = "header_timeout: 4s, body_timeout: 4s, keep_alive_timeout: 4s";
/// An attacker is cut off by then, on a busy machine, too.
const CUT_LIMIT: Duration = Duration::from_mins(1);
const GOOD: [u8; 4] = [127, 0, 0, 1];

/// Runs `attack` against lbd; it returns how many attackers there were and how many were cut off.
fn under<F: Future<Output = (usize, usize)>>(attack: impl FnOnce(SocketAddr) -> F) {
    let origin = Origin::start().unwrap();
    let ours = Ours::start(&[origin.port], HTTP).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let is_over = Arc::new(AtomicBool::new(false));
        assert!(is_served(ours.address, 0).await, "even before the attack");
        let before = ours.rss_bytes().unwrap();
        let good = tokio::spawn(good_client(ours.address, Arc::clone(&is_over)));
        let (attackers, cut) = attack(ours.address).await;
        is_over.store(true, Ordering::Relaxed);
        let (served, asked) = good.await.unwrap();
        let growth = ours.rss_bytes().unwrap().saturating_sub(before);
        assert_eq!(served, asked, "a client that behaved was not served; {}", ours.output());
        assert_eq!(cut, attackers, "attackers were not cut off");
        assert!(growth <= GROWTH_BYTES_MAX, "grew by {growth} bytes");
    });
}

/// Asks again and again, on a new connection each time: how often it was served, and how often it
/// asked.
async fn good_client(to: SocketAddr, is_over: Arc<AtomicBool>) -> (u32, u32) {
    let (mut served, mut asked) = (0, 0);
    while asked < 3 || !is_over.load(Ordering::Relaxed) {
        asked += 1;
        served += u32::from(is_served(to, asked).await);
    }
    (served, asked)
}

async fn is_served(to: SocketAddr, number: u32) -> bool {
    let request = format!("GET /good/{number} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let bytes = request.as_bytes();
    let said = Said { bytes, end_after: CUT_LIMIT, patience: Duration::ZERO };
    let answer = exchange(GOOD, to, said).await.unwrap();
    let expected = format!("seen GET /good/{number} with 0 bytes\n");
    let responses = responses(&answer.bytes).complete;
    matches!(&*responses, [it] if it.status == 200 && it.body == expected.as_bytes())
}

/// Runs `attack` on so many connections at once; how many there were and how many were cut off.
async fn many<F: Future<Output = bool> + Send + 'static>(
    count: usize,
    to: SocketAddr,
    attack: impl Fn(TcpStream) -> F,
) -> (usize, usize) {
    let mut attackers = Vec::with_capacity(count);
    for number in 0..count {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 2, (number % 200) as u8 + 1], 0).into()).unwrap();
        attackers.push(tokio::spawn(attack(socket.connect(to).await.unwrap())));
    }
    let mut cut = 0;
    for attacker in attackers {
        cut += usize::from(attacker.await.unwrap());
    }
    (count, cut)
}

/// Whether lbd ends the connection, whatever it says before.
async fn is_cut(stream: &mut TcpStream) -> bool {
    let mut buffer = vec![0; 65_536];
    let end = async { while !matches!(stream.read(&mut buffer).await, Ok(0) | Err(_)) {} };
    timeout(CUT_LIMIT, end).await.is_ok()
}

/// Sends `piece` again and again; whether lbd ends the connection.
async fn is_cut_while_sending(stream: &mut TcpStream, piece: &[u8], pause: Duration) -> bool {
    let (mut reader, mut writer) = stream.split();
    let mut buffer = vec![0; 65_536];
    let send = async {
        while writer.write_all(piece).await.is_ok() {
            sleep(pause).await;
        }
    };
    let end = async { while !matches!(reader.read(&mut buffer).await, Ok(0) | Err(_)) {} };
    let either = async {
        tokio::select! {
            () = send => {}
            () = end => {}
        }
    };
    timeout(CUT_LIMIT, either).await.is_ok()
}

#[test]
fn slowloris() {
    under(|to| {
        many(500, to, |mut stream| async move {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").await.unwrap();
            is_cut_while_sending(&mut stream, b"a", Duration::from_millis(200)).await
        })
    });
}

#[test]
fn bodies_that_stop_coming() {
    under(|to| {
        many(300, to, |mut stream| async move {
            let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc";
            stream.write_all(head.as_bytes()).await.unwrap();
            is_cut(&mut stream).await
        })
    });
}

#[test]
fn responses_that_nobody_reads() {
    // The origin tells the target, so that responses are as long as requests.
    let request = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(16_000));
    under(|to| {
        many(8, to, move |mut stream| {
            let request = request.clone();
            // Nothing is read before lbd has given up: it must not wait, nor hold what was sent.
            async move {
                let send = async { while stream.write_all(request.as_bytes()).await.is_ok() {} };
                timeout(CUT_LIMIT, send).await.is_ok()
            }
        })
    });
}

#[test]
fn connections_that_say_nothing() {
    under(|to| many(4_000, to, |mut stream| async move { is_cut(&mut stream).await }));
}

#[test]
fn headers_without_end() {
    let piece = "X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(16);
    under(|to| {
        many(300, to, move |mut stream| {
            let piece = piece.clone();
            async move {
                stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
                is_cut_while_sending(&mut stream, piece.as_bytes(), Duration::ZERO).await
            }
        })
    });
}

#[test]
fn pipelines_of_thousands_of_requests() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1_000);
    let requests = get + "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    under(|to| {
        many(20, to, move |mut stream| {
            let requests = requests.clone();
            async move {
                // It is served, one request after the other, and then ended as it asked.
                let (mut reader, mut writer) = stream.split();
                let mut answers = Vec::new();
                let read = async { timeout(CUT_LIMIT * 3, reader.read_to_end(&mut answers)).await };
                let (sent, read) = tokio::join!(writer.write_all(requests.as_bytes()), read);
                sent.is_ok() && read.is_ok() && responses(&answers).complete.len() == 1_001
            }
        })
    });
}

#[test]
fn http2_streams_reset_at_once() {
    under(|to| {
        many(10, to, |stream| {
            flooded(stream, |round| {
                let stream = 2 * round + 1;
                [headers(END_STREAM, stream, &block(&GET)), reset(stream, CANCEL)].concat()
            })
        })
    });
}

#[test]
fn http2_headers_that_go_on_and_on() {
    under(|to| {
        many(10, to, |stream| {
            flooded(stream, |round| match round {
                0 => frame(HEADERS, END_STREAM, 1, &block(&GET)),
                _ => frame(CONTINUATION, 0, 1, &block(&[("x", "y")])),
            })
        })
    });
}

/// Whether lbd ends the connection before a flood does.
async fn flooded(stream: TcpStream, next: impl FnMut(u32) -> Vec<u8>) -> bool {
    let mut probe = Probe::new(stream);
    assert!(probe.handshake().await);
    let (_, seen) = probe.flood(100_000, next).await;
    seen.last() == Some(&Event::Closed)
}
