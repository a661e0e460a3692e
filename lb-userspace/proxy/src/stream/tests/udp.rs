//! UDP sessions.

use super::fixture::*;
use crate::stream::{UdpListener, UdpRoute, UdpStatistics};
use std::{
    future::Future,
    net::{SocketAddr, UdpSocket as StdSocket},
    time::Duration,
};
use tokio::net::UdpSocket;

/// An endpoint that answers with its name and what it got, until nobody waits for it any more.
async fn echo(name: &str) -> (SocketAddr, impl Future<Output = ()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let name = name.to_owned();
    let run = async move {
        let mut buffer = vec![0; 65_535];
        while let Ok((count, from)) = socket.recv_from(&mut buffer).await {
            let answer = [name.as_bytes(), &buffer[..count]].concat();
            socket.send_to(&answer, from).await.unwrap();
        }
    };
    (address, run)
}

/// Serves `pick` on `bind` while `clients` talk to it.
async fn while_serving<T>(
    bind: &str,
    sessions_max: usize,
    idle_timeout: Duration,
    pick: &Fixed,
    clients: impl AsyncFnOnce(SocketAddr, &UdpListener) -> T,
) -> (T, UdpStatistics) {
    let socket = StdSocket::bind(bind).unwrap();
    let address = socket.local_addr().unwrap();
    let listener = UdpListener::new(socket, sessions_max).unwrap();
    let route = |local: SocketAddr, _| {
        assert_eq!(local.port(), address.port());
        Some(UdpRoute { pick: pick.clone(), idle_timeout })
    };
    let result = tokio::select! {
        result = listener.serve(route, std::future::pending()) => panic!("{result:?}"),
        result = clients(address, &listener) => result,
    };
    (result, listener.statistics())
}

/// A clock that is paused goes on when all wait: so here somebody does not.
async fn while_time_stands<T>(wait: impl Future<Output = T>) -> T {
    let busy = async {
        loop {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        result = wait => result,
        never = busy => never,
    }
}

async fn ask(socket: &UdpSocket, bytes: &[u8]) -> Vec<u8> {
    socket.send(bytes).await.unwrap();
    let mut buffer = vec![0; 65_535];
    let count = socket.recv(&mut buffer).await.unwrap();
    buffer[..count].to_vec()
}

/// A socket that takes nothing but what comes from `address`.
async fn client(address: SocketAddr) -> UdpSocket {
    let any = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(any).await.unwrap();
    socket.connect(address).await.unwrap();
    socket
}

#[tokio::test]
async fn answers_come_from_the_address_that_was_asked() {
    let (endpoint, run) = echo("one ").await;
    let pick = Fixed::new(&[endpoint], None);
    let clients = async |address: SocketAddr, _: &UdpListener| {
        for local in ["127.0.0.1", "127.0.0.2", "127.0.0.3"] {
            let to = SocketAddr::new(local.parse().unwrap(), address.port());
            let client = client(to).await;
            assert_eq!(ask(&client, b"a").await, b"one a");
            assert_eq!(ask(&client, b"").await, b"one ");
            assert_eq!(ask(&client, &[7; 9_000]).await.len(), 9_004);
        }
    };
    let serving = while_serving("0.0.0.0:0", 10, LONG, &pick, clients);
    let ((), statistics) = tokio::select! {
        result = serving => result,
        () = run => unreachable!(),
    };
    assert_eq!((statistics.sessions, statistics.sent, statistics.received), (3, 9, 9));
    assert_eq!((statistics.lost, statistics.refused, statistics.evicted), (0, 0, 0));
}

#[tokio::test]
async fn ipv6_is_served_alike() {
    let (endpoint, run) = echo("six ").await;
    let pick = Fixed::new(&[endpoint], None);
    let clients = async |address: SocketAddr, _: &UdpListener| {
        let to = SocketAddr::new("::1".parse().unwrap(), address.port());
        ask(&client(to).await, b"a").await
    };
    let serving = while_serving("[::]:0", 10, LONG, &pick, clients);
    tokio::select! {
        (answer, _) = serving => assert_eq!(answer, b"six a"),
        () = run => unreachable!(),
    }
}

#[tokio::test]
async fn with_too_many_sessions_the_one_idle_for_the_longest_goes() {
    let (endpoint, run) = echo("").await;
    let pick = Fixed::new(&[endpoint], None);
    let clients = async |address: SocketAddr, listener: &UdpListener| {
        let (a, b, c) = (client(address).await, client(address).await, client(address).await);
        for client in [&a, &b, &a, &c] {
            ask(client, b"x").await;
        }
        assert_eq!((listener.statistics().sessions, listener.statistics().evicted), (3, 1));
        // The one that was asked last before is still there, the other one begins anew.
        ask(&a, b"x").await;
        assert_eq!(listener.statistics().sessions, 3);
        ask(&b, b"x").await;
        assert_eq!(listener.statistics().sessions, 4);
    };
    let serving = while_serving("127.0.0.1:0", 2, LONG, &pick, clients);
    tokio::select! {
        _ = serving => {}
        () = run => unreachable!(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_ends_when_it_was_idle_for_long_enough() {
    let (endpoint, run) = echo("").await;
    let pick = Fixed::new(&[endpoint], None);
    let clients = async |address: SocketAddr, listener: &UdpListener| {
        let client = client(address).await;
        let pauses = [(11, 1), (11, 2), (6, 3), (6, 3), (6, 3), (11, 3), (1, 4)];
        for (count, (pause_s, sessions)) in (1..).zip(pauses) {
            client.send(b"x").await.unwrap();
            // The clock stands still until it was there and back.
            while listener.statistics().received < count {
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_secs(pause_s)).await;
            assert_eq!(listener.statistics().sessions, sessions);
        }
    };
    let serving = while_serving("127.0.0.1:0", 2, Duration::from_secs(10), &pick, clients);
    tokio::select! {
        _ = serving => {}
        () = run => unreachable!(),
    }
}

#[tokio::test]
async fn an_endpoint_that_refuses_is_told_of_and_asked_no_more() {
    // Held, so that nobody else is given it; connected to itself, it takes from nobody else.
    let held = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dead = held.local_addr().unwrap();
    held.connect(dead).await.unwrap();
    let pick = Fixed::new(&[dead], None);
    let clients = async |address: SocketAddr, listener: &UdpListener| {
        let client = client(address).await;
        while listener.statistics().sessions < 2 {
            client.send(b"x").await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    while_serving("127.0.0.1:0", 2, LONG, &pick, clients).await;
    assert_eq!(pick.told.borrow().first(), Some(&(dead, false)));
}

#[tokio::test(start_paused = true)]
async fn sessions_are_answered_after_the_socket_is_left_to_others() {
    let socket = StdSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let successor = socket.try_clone().unwrap();
    let listener = UdpListener::new(socket, 10).unwrap();
    let endpoint = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let pick = Fixed::new(&[endpoint.local_addr().unwrap()], None);
    let left = tokio::sync::Notify::new();
    let idle_timeout = Duration::from_secs(10);
    let route = |_, _| Some(UdpRoute { pick: pick.clone(), idle_timeout });
    let client = client(address).await;
    let mut buffer = [0; 8];
    let talk = async {
        client.send(b"one").await.unwrap();
        let (_, session) = while_time_stands(endpoint.recv_from(&mut buffer)).await.unwrap();
        left.notify_one();
        tokio::task::yield_now().await;
        client.send(b"two").await.unwrap();
        endpoint.send_to(b"late", session).await.unwrap();
        assert_eq!(while_time_stands(client.recv(&mut buffer)).await.unwrap(), 4);
    };
    // It returns when the session was idle for long enough.
    let (served, ()) = tokio::join!(listener.serve(route, left.notified()), talk);
    served.unwrap();
    assert_eq!(listener.statistics().sent, 1);
    assert_eq!(successor.recv(&mut buffer).unwrap(), 3);
}
