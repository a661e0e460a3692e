//! Who the client is and what it asked for, behind other proxies: `X-Forwarded-*`.

use super::prefixes::Prefixes;
use crate::{
    connection::Connection,
    http::{Fields, Known, Request, Scheme},
};
use ipnet::IpNet;
use smallvec::SmallVec;
use std::{
    fmt::Write,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

/// Peers whose word is believed.
#[derive(Debug, Default)]
pub struct TrustedPeers(Prefixes<()>);

impl TrustedPeers {
    /// The peers of these prefixes.
    pub fn new(prefixes: &[IpNet]) -> Self {
        let mut all = Prefixes::default();
        for prefix in prefixes {
            all.insert(*prefix, ());
        }
        Self(all)
    }

    /// Whether an address is one of them.
    pub fn hold(&self, address: IpAddr) -> bool {
        self.0.longest(address).is_some()
    }
}

/// Who a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The client; its port is 0 if only its address was told.
    pub client: SocketAddr,
    /// Whether the peer that sent the request is trusted.
    pub is_trusted: bool,
}

/// Finds out who the client is and says it to the backend, with the scheme, host and port that
/// the client asked for, in `X-Forwarded-For`, `-Proto`, `-Host`, `-Port` and `X-Real-IP`. What a
/// trusted peer said is kept and extended; what others said is replaced, and their `Forwarded`
/// (RFC 7239) removed.
pub fn extend(request: &mut Request, connection: &Connection, trusted: &TrustedPeers) -> Sender {
    let peer = connection.client.ip().to_canonical();
    let own_port = connection.local.port();
    let is_trusted = trusted.hold(peer);
    let mut client = SocketAddr::new(peer, connection.client.port());
    let mut chain = Text::default();
    if is_trusted {
        if let Some(told) = told_client(&request.fields, trusted) {
            client = told;
        }
        for entry in request.fields.all(Known::XForwardedFor).filter(|it| !it.is_empty()) {
            chain.0.extend_from_slice(entry);
            chain.0.extend_from_slice(b", ");
        }
        keep_told(request, own_port);
    } else {
        forget_told(&mut request.fields);
        let authority = request.authority_place();
        request.fields.append(Known::XForwardedProto, request.scheme.name().as_bytes());
        request.fields.append_stored(Known::XForwardedHost, authority);
        let mut port = itoa::Buffer::new();
        request.fields.append(Known::XForwardedPort, port.format(own_port).as_bytes());
    }
    let before = chain.0.len();
    chain.put(peer);
    if !is_trusted {
        // There are none of these any more.
        request.fields.append(Known::XForwardedFor, &chain.0);
        request.fields.append(Known::XRealIp, &chain.0);
        return Sender { client, is_trusted };
    }
    request.fields.set(Known::XForwardedFor, &chain.0);
    if client.ip() == peer {
        request.fields.set(Known::XRealIp, chain.0.get(before..).unwrap_or_default());
    } else {
        let mut real = Text::default();
        real.put(client.ip());
        request.fields.set(Known::XRealIp, &real.0);
    }
    Sender { client, is_trusted }
}

/// The scheme that the client used, after [`extend`].
pub(super) fn facing(request: &Request) -> Scheme {
    told_scheme(&request.fields).unwrap_or(request.scheme)
}

/// The port that the client connected to, after [`extend`].
pub(super) fn facing_port(request: &Request, connection: &Connection) -> u16 {
    told_port(&request.fields).unwrap_or_else(|| connection.local.port())
}

/// The client that trusted peers tell of: read from the right, the first address that is not
/// theirs; if all are, the leftmost. What is left of something that is no address is not believed.
fn told_client(fields: &Fields, trusted: &TrustedPeers) -> Option<SocketAddr> {
    let values: SmallVec<[&[u8]; 4]> = fields.all(Known::XForwardedFor).collect();
    let entries = values.iter().rev().flat_map(|it| it.rsplit(|byte| *byte == b','));
    let mut client = None;
    for entry in entries.map(<[u8]>::trim_ascii).filter(|it| !it.is_empty()) {
        let Some(address) = address_of(entry) else { break };
        client = Some(address);
        if !trusted.hold(address.ip()) {
            break;
        }
    }
    client
}

/// Reads `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` and `[2001:db8::1]:80`.
fn address_of(entry: &[u8]) -> Option<SocketAddr> {
    let text = str::from_utf8(entry).ok()?;
    let text = text.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(text);
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let address = match bare {
        Some(bare) => SocketAddr::new(bare.parse::<Ipv6Addr>().ok()?.into(), 0),
        None => match text.parse::<IpAddr>() {
            Ok(address) => SocketAddr::new(address, 0),
            Err(_) => text.parse().ok()?,
        },
    };
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// Keeps what a trusted peer said if it makes sense, and says what it did not.
fn keep_told(request: &mut Request, own_port: u16) {
    let own_scheme = request.scheme;
    let scheme = told_scheme(&request.fields).unwrap_or(own_scheme);
    let port = told_port(&request.fields).unwrap_or_else(|| {
        // A peer that spoke TLS for us and says no port: the one that clients use for TLS.
        if scheme == own_scheme { own_port } else { scheme.port() }
    });
    request.fields.set(Known::XForwardedProto, scheme.name().as_bytes());
    request.fields.set(Known::XForwardedPort, itoa::Buffer::new().format(port).as_bytes());
    let host = request.field(Known::XForwardedHost).and_then(|it| str::from_utf8(it).ok());
    if !host.is_some_and(super::rewrite::is_authority) {
        let authority = SmallVec::<[u8; 64]>::from_slice(request.authority());
        request.fields.set(Known::XForwardedHost, &authority);
    }
}

fn forget_told(fields: &mut Fields) {
    let is_told = |name| {
        matches!(
            name,
            Known::Forwarded
                | Known::XForwardedFor
                | Known::XForwardedHost
                | Known::XForwardedPort
                | Known::XForwardedProto
                | Known::XRealIp
        )
    };
    if fields.iter().any(|(name, _)| is_told(name.known())) {
        fields.retain(|name, _| !is_told(name.known()));
    }
}

fn told_scheme(fields: &Fields) -> Option<Scheme> {
    let told = fields.first(Known::XForwardedProto)?;
    [Scheme::Http, Scheme::Https]
        .into_iter()
        .find(|it| told.eq_ignore_ascii_case(it.name().as_bytes()))
}

fn told_port(fields: &Fields) -> Option<u16> {
    let port = str::from_utf8(fields.first(Known::XForwardedPort)?).ok()?.parse().ok()?;
    (port > 0).then_some(port)
}

/// Addresses as text.
#[derive(Default)]
struct Text(SmallVec<[u8; 64]>);

impl Text {
    fn put(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => {
                for (index, octet) in address.octets().into_iter().enumerate() {
                    if index > 0 {
                        self.0.push(b'.');
                    }
                    // Digit by digit: half the cost of pieces of one to three bytes.
                    if octet >= 100 {
                        self.0.push(b'0' + octet / 100);
                    }
                    if octet >= 10 {
                        self.0.push(b'0' + octet / 10 % 10);
                    }
                    self.0.push(b'0' + octet % 10);
                }
            }
            // Writing to memory does not fail.
            IpAddr::V6(address) => _ = write!(self, "{address}"),
        }
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixture::{append, listed},
        *,
    };
    use crate::http::Method;

    /// The client found, and the forwarded fields then, for a request of `peer`.
    fn extended(peer: &str, fields: &[(&str, &str)]) -> (Sender, Vec<String>) {
        let trusted = ["10.0.0.0/8", "2001:db8::/32"].map(|it| it.parse().unwrap());
        let trusted = TrustedPeers::new(&trusted);
        let mut request = Request::new(Method::Get, "shop.example:8080", "/");
        append(&mut request.fields, fields);
        let client = peer.parse().unwrap();
        let local = "198.51.100.1:8080".parse().unwrap();
        let peer = "203.0.113.9:1".parse().unwrap();
        let connection = Connection { local, peer, client, tls: None };
        let sender = extend(&mut request, &connection, &trusted);
        let mut all: Vec<_> = listed(&request.fields).iter().map(|it| it.to_lowercase()).collect();
        all.sort();
        (sender, all)
    }

    #[test]
    fn what_untrusted_peers_say_is_replaced() {
        let lies = [
            ("X-Forwarded-For", "1.2.3.4"),
            ("x-forwarded-for", "10.0.0.1"),
            ("X-Real-IP", "1.2.3.4"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "evil.example"),
            ("X-Forwarded-Port", "443"),
            ("Forwarded", "for=1.2.3.4"),
        ];
        for lies in [&lies[..], &[]] {
            let (sender, fields) = extended("192.0.2.1:4000", lies);
            let client = "192.0.2.1:4000".parse().unwrap();
            assert_eq!(sender, Sender { client, is_trusted: false });
            assert_eq!(
                fields,
                [
                    "x-forwarded-for=192.0.2.1",
                    "x-forwarded-host=shop.example:8080",
                    "x-forwarded-port=8080",
                    "x-forwarded-proto=http",
                    "x-real-ip=192.0.2.1",
                ]
            );
        }
    }

    #[test]
    fn what_trusted_peers_say_is_kept_and_extended() {
        let told = [
            ("X-Forwarded-For", "198.51.100.7, 192.0.2.8"),
            ("X-Forwarded-For", "10.0.0.2"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "outer.example"),
            ("Forwarded", "for=192.0.2.8"),
        ];
        let (sender, fields) = extended("[::ffff:10.0.0.1]:4000", &told);
        assert_eq!(sender, Sender { client: "192.0.2.8:0".parse().unwrap(), is_trusted: true });
        assert_eq!(
            fields,
            [
                "forwarded=for=192.0.2.8",
                "x-forwarded-for=198.51.100.7, 192.0.2.8, 10.0.0.2, 10.0.0.1",
                "x-forwarded-host=outer.example",
                "x-forwarded-port=443",
                "x-forwarded-proto=https",
                "x-real-ip=192.0.2.8",
            ]
        );
    }

    #[test]
    fn the_client_is_the_rightmost_that_is_not_trusted() {
        for (told, client) in [
            ("", "10.0.0.1:4000"),
            ("192.0.2.8", "192.0.2.8:0"),
            ("192.0.2.8:81", "192.0.2.8:81"),
            ("1.1.1.1, 192.0.2.8,10.1.1.1 , 10.2.2.2", "192.0.2.8:0"),
            ("10.1.1.1, 10.2.2.2", "10.1.1.1:0"),
            ("192.0.2.8, unknown, 10.1.1.1", "10.1.1.1:0"),
            ("unknown", "10.0.0.1:4000"),
            ("[2001:db9::1]:443, 2001:db8::5", "[2001:db9::1]:443"),
            ("[2001:db9::1]", "[2001:db9::1]:0"),
            ("::ffff:192.0.2.8", "192.0.2.8:0"),
            ("192.0.2.8, ,", "192.0.2.8:0"),
        ] {
            let (sender, _) = extended("10.0.0.1:4000", &[("x-forwarded-for", told)]);
            assert_eq!(sender.client, client.parse().unwrap(), "{told}");
        }
    }

    #[test]
    fn nonsense_of_trusted_peers_is_replaced() {
        let told = [
            ("x-forwarded-proto", "gopher"),
            ("x-forwarded-host", "a b"),
            ("x-forwarded-port", "0"),
        ];
        let (_, fields) = extended("10.0.0.1:4000", &told);
        assert_eq!(
            fields,
            [
                "x-forwarded-for=10.0.0.1",
                "x-forwarded-host=shop.example:8080",
                "x-forwarded-port=8080",
                "x-forwarded-proto=http",
                "x-real-ip=10.0.0.1",
            ]
        );
    }
}
