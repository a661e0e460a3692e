//! Greetings.

use super::fixture::{Authority, TIMEOUT, client, client_with};
use crate::{
    io::Prefixed,
    secure::{Hello, SecureError, client_hello, parse_hello},
};
use proptest::prelude::*;
use rustls::{ClientConnection, version};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The first bytes of a real client.
fn greeting(name: &str) -> Vec<u8> {
    let mut config = client(&Authority::new());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let name = name.to_owned().try_into().unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

/// The same in records of at most `size` bytes.
fn fragmented(greeting: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for chunk in greeting[5..].chunks(size) {
        bytes.extend([22, 3, 1]);
        bytes.extend((chunk.len() as u16).to_be_bytes());
        bytes.extend(chunk);
    }
    bytes
}

fn expected(name: &str) -> Hello {
    let alpn = [&b"h2"[..], b"http/1.1"].into_iter().map(Into::into).collect();
    Hello { server_name: Some(name.into()), alpn }
}

/// A greeting of these extensions, with values that mean nothing (RFC 8701) around.
fn made(extensions: &[(u16, &[u8])]) -> Vec<u8> {
    let mut all = vec![0x0a, 0x0a, 0, 0];
    for (kind, content) in extensions {
        all.extend(kind.to_be_bytes());
        all.extend((content.len() as u16).to_be_bytes());
        all.extend(*content);
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 4, 0x1a, 0x1a, 0x13, 0x01, 1, 0]);
    body.extend((all.len() as u16).to_be_bytes());
    body.extend(all);
    let mut message = vec![0, 0, 0, 0, 0, 1, 0];
    message.extend((body.len() as u16).to_be_bytes());
    message.extend(body);
    fragmented(&message, 1 << 14)
}

#[test]
fn a_real_greeting_is_read_and_its_beginnings_are_waited_for() {
    let bytes = greeting("Shop.Example");
    assert_eq!(parse_hello(&bytes), Ok(Some(expected("shop.example"))));
    for end in 0..bytes.len() {
        assert_eq!(parse_hello(&bytes[..end]), Ok(None), "{end}");
    }
    assert_eq!(parse_hello(&fragmented(&bytes, 1)), Ok(Some(expected("shop.example"))));
    let old = client_with(&Authority::new(), &[&version::TLS12], None);
    let name = "127.0.0.1".try_into().unwrap();
    let mut connection = ClientConnection::new(Arc::new(old), name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    assert_eq!(parse_hello(&bytes), Ok(Some(Hello::default())));
}

#[test]
fn what_is_wrong_is_refused_as_soon_as_it_is_seen() {
    let wrong = |bytes: &[u8]| parse_hello(bytes).unwrap_err();
    assert_eq!(wrong(b"G"), SecureError::NotTls);
    assert_eq!(wrong(&[22, 2]), SecureError::NotTls);
    assert_eq!(wrong(&[21, 3, 3, 0, 2, 2, 40]), SecureError::NotTls);
    assert_eq!(wrong(&[22, 3, 1, 0, 0]), SecureError::Protocol);
    assert_eq!(wrong(&[22, 3, 1, 0xff, 0xff]), SecureError::TooLarge);
    assert_eq!(wrong(&[22, 3, 1, 0, 1, 2]), SecureError::NotTls);
    assert_eq!(wrong(&[22, 3, 1, 0, 4, 1, 1, 0, 0]), SecureError::TooLarge);
    let name = |name: &[u8]| {
        let length = name.len() as u8;
        [&[0, length + 3, 0, 0, length][..], name].concat()
    };
    let good = name(b"a.example.");
    assert_eq!(
        parse_hello(&made(&[(0, &good)])).unwrap().unwrap().server_name.as_deref(),
        Some("a.example")
    );
    assert_eq!(wrong(&made(&[(0, &good), (0, &good)])), SecureError::Protocol);
    assert_eq!(wrong(&made(&[(0, &name(b""))])), SecureError::Protocol);
    assert_eq!(wrong(&made(&[(0, &name(b"a\0b"))])), SecureError::Protocol);
    assert_eq!(wrong(&made(&[(0, &[0, 9, 0])])), SecureError::Protocol);
}

#[tokio::test]
async fn the_stream_gives_the_greeting_once_more() {
    let bytes = fragmented(&greeting("a.example"), 100);
    let (mut near, far) = tokio::io::duplex(64);
    let sent = bytes.clone();
    let writing = async move {
        near.write_all(&sent).await.unwrap();
        near.write_all(b"rest").await.unwrap();
    };
    let reading = async {
        let (mut stream, hello) = client_hello(Prefixed::new(far), TIMEOUT).await.ok().unwrap();
        assert_eq!(hello, expected("a.example"));
        let mut again = Vec::new();
        stream.read_to_end(&mut again).await.unwrap();
        again
    };
    let ((), again) = tokio::join!(writing, reading);
    assert_eq!(again, [&bytes[..], b"rest"].concat());
}

#[tokio::test(start_paused = true)]
async fn a_greeting_that_does_not_end_is_not_waited_for() {
    let (mut near, far) = tokio::io::duplex(64);
    near.write_all(&greeting("a.example")[..40]).await.unwrap();
    let result = client_hello(Prefixed::new(far), TIMEOUT).await;
    assert_eq!(result.err(), Some(SecureError::Timeout));
    drop(near);
}

proptest! {
    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(parse_hello(&bytes));
        let framed = [&[22, 3, 1, 1, 0, 1, 0, 0, 250][..], &bytes].concat();
        drop(parse_hello(&framed));
    }

    #[test]
    fn a_changed_greeting_is_read_the_same_however_it_comes(
        place in 0_usize..300, byte in any::<u8>(), size in 1_usize..400,
    ) {
        let mut bytes = made(&[(0, &[0, 6, 0, 0, 3, b'a', b'.', b'b']), (16, &[0, 3, 2, b'h', b'2'])]);
        let place = 5 + place % (bytes.len() - 5);
        bytes[place] = byte;
        prop_assert_eq!(parse_hello(&bytes), parse_hello(&fragmented(&bytes, size)));
    }
}
