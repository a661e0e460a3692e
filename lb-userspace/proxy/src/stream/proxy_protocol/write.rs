//! Writing the header.

use super::{V2_PROXY, V2_SIGNATURE, V2_TCP4, V2_TCP6};
use crate::connection::TlsSession;
use lb_model::ProxyProtocol;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Section 2.2: types of TLVs.
const TLV_ALPN: u8 = 0x01;
const TLV_AUTHORITY: u8 = 0x02;
const TLV_SSL: u8 = 0x20;
const TLV_SSL_VERSION: u8 = 0x21;
const TLV_SSL_CIPHER: u8 = 0x23;
/// Section 2.2.6: bits of what the client did.
const CLIENT_SSL: u8 = 0x01;
const CLIENT_CERT_CONN: u8 = 0x02;
const CLIENT_CERT_SESS: u8 = 0x04;

/// The header that tells an endpoint who the client is and where it connected. Version 2 also
/// tells what TLS agreed on; version 1 has no words for it.
pub fn write(
    version: ProxyProtocol,
    client: SocketAddr,
    local: SocketAddr,
    tls: Option<&TlsSession>,
) -> Vec<u8> {
    let (client_ip, local_ip) = same_family(client.ip(), local.ip());
    match version {
        ProxyProtocol::V1 => {
            let family = if client_ip.is_ipv4() { "TCP4" } else { "TCP6" };
            let (client_port, local_port) = (client.port(), local.port());
            format!("PROXY {family} {client_ip} {local_ip} {client_port} {local_port}\r\n")
                .into_bytes()
        }
        ProxyProtocol::V2 => {
            let mut body = Vec::with_capacity(128);
            for ip in [client_ip, local_ip] {
                match ip {
                    IpAddr::V4(ip) => body.extend(ip.octets()),
                    IpAddr::V6(ip) => body.extend(ip.octets()),
                }
            }
            body.extend(client.port().to_be_bytes());
            body.extend(local.port().to_be_bytes());
            if let Some(tls) = tls {
                write_tls(&mut body, tls);
            }
            let family = if client_ip.is_ipv4() { V2_TCP4 } else { V2_TCP6 };
            let mut header = V2_SIGNATURE.to_vec();
            header.extend([V2_PROXY, family]);
            // Names have limits far below.
            header.extend((body.len() as u16).to_be_bytes());
            header.extend(body);
            header
        }
    }
}

/// Both addresses in the family that can say both. Those of IPv4 that a socket of IPv6 gave are
/// what they mean.
fn same_family(one: IpAddr, other: IpAddr) -> (IpAddr, IpAddr) {
    let mapped = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    match (one.to_canonical(), other.to_canonical()) {
        (one @ IpAddr::V4(_), other @ IpAddr::V4(_)) => (one, other),
        (one, other) => (mapped(one).into(), Ipv6Addr::into(mapped(other))),
    }
}

fn write_tls(body: &mut Vec<u8>, tls: &TlsSession) {
    if tls.is_http2 {
        write_tlv(body, TLV_ALPN, b"h2");
    }
    if let Some(name) = &tls.server_name {
        write_tlv(body, TLV_AUTHORITY, name.as_bytes());
    }
    let certificate = tls.client_certificate.as_ref();
    let shown = match certificate {
        Some(_) if tls.is_resumed => CLIENT_CERT_SESS,
        Some(_) => CLIENT_CERT_CONN | CLIENT_CERT_SESS,
        None => 0,
    };
    // Zero only if a certificate was shown and is valid.
    let verify = u32::from(!certificate.is_some_and(|it| it.is_valid));
    let mut ssl = vec![CLIENT_SSL | shown];
    ssl.extend(verify.to_be_bytes());
    write_tlv(&mut ssl, TLV_SSL_VERSION, tls.version.as_bytes());
    write_tlv(&mut ssl, TLV_SSL_CIPHER, tls.cipher_suite.as_bytes());
    write_tlv(body, TLV_SSL, &ssl);
}

fn write_tlv(body: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let value = value.get(..usize::from(u8::MAX)).unwrap_or(value);
    body.push(kind);
    body.extend((value.len() as u16).to_be_bytes());
    body.extend(value);
}
