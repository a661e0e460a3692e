//! The PROXY protocol.

use super::fixture::LONG;
use crate::{
    connection::{ClientCertificate, TlsSession},
    stream::proxy_protocol::{ProxyProtocolError, Sides, parse, read, write},
};
use lb_model::ProxyProtocol;
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn sides(client: &str, local: &str) -> Sides {
    Sides { client: client.parse().unwrap(), local: local.parse().unwrap() }
}

#[test]
fn text_headers_are_read() {
    let read = |text: &str| parse(text.as_bytes()).unwrap().unwrap();
    let text = "PROXY TCP4 192.0.2.1 198.51.100.1 1234 443\r\n";
    let expected = sides("192.0.2.1:1234", "198.51.100.1:443");
    assert_eq!(read(text), (text.len(), Some(expected)));
    assert_eq!(read(&format!("{text}GET / HTTP/1.1\r\n")).0, text.len());
    let text = "PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n";
    assert_eq!(read(text).1, Some(sides("[2001:db8::1]:0", "[2001:db8::2]:65535")));
    assert_eq!(read("PROXY UNKNOWN\r\n").1, None);
    assert_eq!(read("PROXY UNKNOWN ffff:f 1 2 x\r\n").1, None);
}

#[test]
fn what_is_no_header_is_refused_as_soon_as_it_is_seen() {
    let wrong = |bytes: &[u8]| parse(bytes).unwrap_err();
    assert_eq!(wrong(b"G"), ProxyProtocolError::Missing);
    assert_eq!(wrong(b"PROXX"), ProxyProtocolError::Missing);
    assert_eq!(wrong(b"\r\n\r\n\0\r\nQUIX"), ProxyProtocolError::Missing);
    for line in [
        "TCP4 192.0.2.1 198.51.100.1 1234",
        "TCP4 192.0.2.1 198.51.100.1 1234 443 ",
        "TCP4 192.0.2.1  198.51.100.1 1234 443",
        "TCP4 2001:db8::1 198.51.100.1 1234 443",
        "TCP4 192.0.2.01 198.51.100.1 1234 443",
        "TCP4 192.0.2.1 198.51.100.1 01234 443",
        "TCP4 192.0.2.1 198.51.100.1 +1 443",
        "TCP4 192.0.2.1 198.51.100.1 65536 443",
        "TCP5 192.0.2.1 198.51.100.1 1 443",
        "tcp4 192.0.2.1 198.51.100.1 1 443",
    ] {
        let text = format!("PROXY {line}\r\n");
        assert_eq!(wrong(text.as_bytes()), ProxyProtocolError::Malformed, "{line}");
    }
    assert_eq!(wrong(b"PROXY UNKNOWN\n"), ProxyProtocolError::Malformed);
    let endless = [b"PROXY UNKNOWN ", &[b'x'; 200][..]].concat();
    assert_eq!(wrong(&endless), ProxyProtocolError::TooLarge);
}

fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    bytes.extend([command, family]);
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn binary_headers_are_read() {
    let addresses = [192, 0, 2, 1, 198, 51, 100, 1, 4, 210, 1, 187];
    let expected = Some(sides("192.0.2.1:1234", "198.51.100.1:443"));
    assert_eq!(parse(&binary(0x21, 0x11, &addresses)), Ok(Some((28, expected))));
    let with_tlv = [&addresses[..], &[4, 0, 3, 0, 0, 0]].concat();
    assert_eq!(parse(&binary(0x21, 0x12, &with_tlv)), Ok(Some((34, expected))));
    // Said to come from the sender itself, or of no address of the Internet.
    assert_eq!(parse(&binary(0x20, 0x11, &addresses)), Ok(Some((28, None))));
    assert_eq!(parse(&binary(0x20, 0x00, &[])), Ok(Some((16, None))));
    assert_eq!(parse(&binary(0x21, 0x00, &[1, 2])), Ok(Some((18, None))));
    assert_eq!(parse(&binary(0x21, 0x31, &[0; 216])), Ok(Some((232, None))));

    let malformed = Err(ProxyProtocolError::Malformed);
    assert_eq!(parse(&binary(0x21, 0x11, &addresses[..11])), malformed);
    assert_eq!(parse(&binary(0x21, 0x21, &addresses)), malformed);
    assert_eq!(parse(&binary(0x22, 0x11, &addresses)), malformed);
    assert_eq!(parse(&binary(0x11, 0x11, &addresses)), malformed);
    assert_eq!(parse(&binary(0x21, 0x13, &addresses)), malformed);
    let large = binary(0x21, 0x11, &[0; 5_000]);
    assert_eq!(parse(&large[..16]), Err(ProxyProtocolError::TooLarge));
}

#[test]
fn tls_is_told_by_version_2() {
    let session = TlsSession {
        version: "TLSv1.3",
        cipher_suite: "TLS_AES_128_GCM_SHA256",
        server_name: Some("a.example".into()),
        is_http2: true,
        client_certificate: Some(ClientCertificate { fingerprint: "00".into(), is_valid: true }),
        ..TlsSession::default()
    };
    let (client, local) = ("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap());
    let bytes = write(ProxyProtocol::V2, client, local, Some(&session));
    let (length, header) = parse(&bytes).unwrap().unwrap();
    assert_eq!((length, header), (bytes.len(), Some(Sides { client, local })));
    // ALPN, authority, and SSL: shown in this connection, verified, version, cipher.
    let tlvs = [
        &b"\x01\0\x02h2\x02\0\x09a.example\x20\0\x28\x07\0\0\0\0"[..],
        b"\x21\0\x07TLSv1.3\x23\0\x16TLS_AES_128_GCM_SHA256",
    ];
    assert_eq!(&bytes[28..], tlvs.concat());
}

#[tokio::test]
async fn the_stream_goes_on_after_the_header() {
    let (mut near, far) = tokio::io::duplex(5);
    let text = b"PROXY TCP4 192.0.2.1 198.51.100.1 1234 443\r\nrest";
    let writing = async move {
        near.write_all(text).await.unwrap();
        drop(near);
    };
    let reading = async {
        let (mut stream, header) = read(far, LONG).await.ok().unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        (header.unwrap().client.port(), rest)
    };
    let ((), (port, rest)) = tokio::join!(writing, reading);
    assert_eq!((port, &*rest), (1_234, &b"rest"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_header_is_not_waited_for_long() {
    let (mut near, far) = tokio::io::duplex(64);
    near.write_all(b"PROXY TCP4 ").await.unwrap();
    assert_eq!(read(far, LONG).await.err(), Some(ProxyProtocolError::Timeout));
    let (near, far) = tokio::io::duplex(64);
    drop(near);
    assert_eq!(read(far, LONG).await.err(), Some(ProxyProtocolError::Gone));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        client: (IpAddr, u16), local: (IpAddr, u16), is_text: bool, rest: Vec<u8>,
    ) {
        let version = if is_text { ProxyProtocol::V1 } else { ProxyProtocol::V2 };
        let (client, local) = (SocketAddr::from(client), SocketAddr::from(local));
        let header = write(version, client, local, None);
        for end in 0..header.len() {
            prop_assert_eq!(parse(&header[..end]), Ok(None));
        }
        let bytes = [&header[..], &rest].concat();
        let (length, read) = parse(&bytes).unwrap().unwrap();
        let read = read.unwrap();
        prop_assert_eq!(length, header.len());
        prop_assert_eq!(read.client.ip().to_canonical(), client.ip().to_canonical());
        prop_assert_eq!(read.local.ip().to_canonical(), local.ip().to_canonical());
        prop_assert_eq!((read.client.port(), read.local.port()), (client.port(), local.port()));
    }

    #[test]
    fn no_bytes_break_the_reader(bytes: Vec<u8>, command: u8, family: u8) {
        let framed = [b"PROXY ", &bytes[..], b"\r\n"].concat();
        for bytes in [bytes.clone(), binary(command, family, &bytes), framed] {
            if let Ok(Some((length, _))) = parse(&bytes) {
                prop_assert!(length <= bytes.len());
                prop_assert_eq!(parse(&bytes[..length - 1]), Ok(None));
            }
        }
    }
}
