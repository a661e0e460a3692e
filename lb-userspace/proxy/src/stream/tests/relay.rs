//! Bytes both ways.

use super::fixture::*;
use crate::{
    io::Io,
    stream::{End, Limits, relay},
};
use std::{io::ErrorKind, time::Duration};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

/// A side in memory, and its other end.
fn side() -> (DuplexStream, Io) {
    let (near, far) = duplex(64);
    (near, Io::Memory(far))
}

#[tokio::test]
async fn much_goes_both_ways_at_once_and_each_side_ends_when_it_likes() {
    let ((client, a), (b, endpoint)) = (pair().await, pair().await);
    let (_start, drain) = no_drain();
    let (mut client_read, mut client_write) = client.into_split();
    let (mut endpoint_read, mut endpoint_write) = endpoint.into_split();
    let upload: Vec<u8> = (0..3_000_000_u32).map(|it| it as u8).collect();
    let download: Vec<u8> = (0..2_000_000_u32).map(|it| (it / 7) as u8).collect();
    let talk = async {
        let client = async {
            client_write.write_all(&upload).await.unwrap();
            client_write.shutdown().await.unwrap();
        };
        let endpoint = async {
            let mut got = Vec::new();
            endpoint_read.read_to_end(&mut got).await.unwrap();
            // The client is done, and is still answered.
            endpoint_write.write_all(&download).await.unwrap();
            endpoint_write.shutdown().await.unwrap();
            got
        };
        let answer = async {
            let mut got = Vec::new();
            client_read.read_to_end(&mut got).await.unwrap();
            got
        };
        tokio::join!(client, endpoint, answer)
    };
    let (relayed, ((), up, down)) = tokio::join!(relay(a.into(), b.into(), limits(), drain), talk);
    assert!(up == upload && down == download);
    assert_eq!((relayed.sent_bytes, relayed.received_bytes), (3_000_000, 2_000_000));
    assert_eq!(relayed.end, End::Closed);
}

#[tokio::test]
async fn a_reset_is_passed_on_in_both_directions() {
    for is_client in [true, false] {
        let ((client, a), (b, endpoint)) = (pair().await, pair().await);
        let (_start, drain) = no_drain();
        let (gone, mut stays) = if is_client { (client, endpoint) } else { (endpoint, client) };
        gone.set_zero_linger().unwrap();
        drop(gone);
        let relaying = relay(a.into(), b.into(), limits(), drain);
        let (relayed, read) = tokio::join!(relaying, async { stays.read(&mut [0; 8]).await });
        assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let expected = if is_client { End::ClientReset } else { End::EndpointReset };
        assert_eq!(relayed.end, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_lives_as_long_as_either_side_sends() {
    let ((mut client, a), (mut endpoint, b)) = (side(), side());
    let (_start, drain) = no_drain();
    let limits = Limits { idle_timeout: Duration::from_secs(10), drain_timeout: LONG };
    let begin = tokio::time::Instant::now();
    let talk = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(7)).await;
            endpoint.write_all(b"x").await.unwrap();
            client.read_exact(&mut [0]).await.unwrap();
        }
    };
    let (relayed, ()) = tokio::join!(relay(a, b, limits, drain), talk);
    assert_eq!((relayed.end, relayed.received_bytes), (End::Idle, 3));
    assert_eq!(begin.elapsed().as_secs(), 3 * 7 + 10);
}

#[tokio::test(start_paused = true)]
async fn draining_gives_a_session_its_time() {
    let ((_client, a), (_endpoint, b)) = (side(), side());
    let (start, drain) = no_drain();
    let limits = Limits { idle_timeout: LONG, drain_timeout: Duration::from_secs(5) };
    let begin = tokio::time::Instant::now();
    let starting = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        start.start();
    };
    let (relayed, ()) = tokio::join!(relay(a, b, limits, drain), starting);
    assert_eq!(relayed.end, End::Drained);
    assert_eq!(begin.elapsed().as_secs(), 2 + 5);
}

#[tokio::test(start_paused = true)]
async fn a_side_that_does_not_read_holds_the_other_up() {
    let ((mut client, a), (endpoint, b)) = (side(), side());
    let (_start, drain) = no_drain();
    let limits = Limits { idle_timeout: Duration::from_secs(10), drain_timeout: LONG };
    let writing = async {
        let mut written = 0_u64;
        while client.write_all(&[0; 1_024]).await.is_ok() && written < 1 << 20 {
            written += 1_024;
        }
        written
    };
    let (relayed, written) = tokio::join!(relay(a, b, limits, drain), writing);
    assert_eq!(relayed.end, End::Idle);
    // What the pipes hold and one read.
    assert!(relayed.sent_bytes <= 2_048 && written <= 4_096, "{relayed:?} {written}");
    drop(endpoint);
}
