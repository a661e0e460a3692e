//! Builds frames: `ip(CLIENT, VIP).tcp(40_000, 80).syn().payload(b"hello")`.

use std::net::IpAddr;

use super::stage::{CLIENT_MAC, ROUTER_MAC};

/// TCP flag bits (RFC 9293 section 3.1).
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// What follows the IP header and its options or extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Source port, destination port, flag bits.
    Tcp(u16, u16, u8),
    /// Source port, destination port, checksum: `None` computes it.
    Udp(u16, u16, Option<u16>),
    /// Source port, destination port, type of the first chunk, checksum: `None` computes it.
    Sctp(u16, u16, u8, Option<u32>),
    /// ICMP or ICMPv6, by the family of the packet: type, code, the second header word.
    Icmp(u8, u8, u32),
    /// The payload alone, under this protocol number.
    Raw(u8),
}

/// The outer header of a tunnelled packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Source. If `spread`, its low bits are whatever the program chose.
    pub source: IpAddr,
    /// Destination.
    pub destination: IpAddr,
    /// Whether the low 16 (IPv4) or 32 (IPv6) bits of the source carry a flow hash.
    pub spread: bool,
}

/// A frame under construction. Each method returns the changed frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub(super) macs: [[u8; 6]; 2],
    pub(super) tags: Vec<(u16, u16)>,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) traffic_class: u8,
    pub(super) hop_limit: u8,
    pub(super) flow_label: u32,
    pub(super) identification: u32,
    /// Offset in bytes and whether more fragments follow.
    pub(super) fragment: Option<(usize, bool)>,
    pub(super) dont_fragment: bool,
    pub(super) options: Vec<u8>,
    pub(super) extensions: Vec<(u8, Vec<u8>)>,
    pub(super) transport: Transport,
    pub(super) payload: Vec<u8>,
    pub(super) outer: Option<Outer>,
    pub(super) patches: Vec<(usize, Vec<u8>)>,
    pub(super) trailer: Vec<u8>,
    pub(super) cut: Option<usize>,
}

/// A packet between two addresses of one family, in a frame from the client to the router,
/// without transport.
pub fn ip(source: impl Into<IpAddr>, destination: impl Into<IpAddr>) -> Frame {
    Frame {
        macs: [CLIENT_MAC, ROUTER_MAC],
        tags: Vec::new(),
        source: source.into(),
        destination: destination.into(),
        traffic_class: 0,
        hop_limit: 63,
        flow_label: 0,
        identification: 0,
        fragment: None,
        dont_fragment: false,
        options: Vec::new(),
        extensions: Vec::new(),
        transport: Transport::Raw(59),
        payload: Vec::new(),
        outer: None,
        patches: Vec::new(),
        trailer: Vec::new(),
        cut: None,
    }
}

impl Frame {
    /// TCP with ACK set, as in the midst of a connection.
    pub fn tcp(mut self, source: u16, destination: u16) -> Self {
        self.transport = Transport::Tcp(source, destination, ACK);
        self
    }

    /// UDP.
    pub fn udp(mut self, source: u16, destination: u16) -> Self {
        self.transport = Transport::Udp(source, destination, None);
        self
    }

    /// SCTP with a chunk of this type (RFC 9260 section 3.2), which has the payload.
    pub fn sctp(mut self, source: u16, destination: u16, chunk: u8) -> Self {
        self.transport = Transport::Sctp(source, destination, chunk, None);
        self
    }

    /// A fixed SCTP checksum instead of the right one; 0 is "none".
    pub fn sctp_checksum(mut self, value: u32) -> Self {
        if let Transport::Sctp(.., checksum) = &mut self.transport {
            *checksum = Some(value);
        }
        self
    }

    /// ICMP or ICMPv6 with this type and code and the second header word (identifier and
    /// sequence number, MTU, or unused).
    pub fn icmp(mut self, kind: u8, code: u8, word: u32) -> Self {
        self.transport = Transport::Icmp(kind, code, word);
        self
    }

    /// Any other protocol.
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.transport = Transport::Raw(protocol);
        self
    }

    /// Sets these TCP flag bits instead.
    pub fn flags(mut self, flags: u8) -> Self {
        if let Transport::Tcp(_, _, bits) = &mut self.transport {
            *bits = flags;
        }
        self
    }

    /// A SYN: opens a connection.
    pub fn syn(self) -> Self {
        self.flags(SYN)
    }

    /// A SYN with ACK: answers one.
    pub fn syn_ack(self) -> Self {
        self.flags(SYN | ACK)
    }

    /// A FIN with ACK.
    pub fn fin(self) -> Self {
        self.flags(FIN | ACK)
    }

    /// A RST.
    pub fn rst(self) -> Self {
        self.flags(RST)
    }

    /// A fixed UDP checksum instead of the right one; 0 is "none".
    pub fn udp_checksum(mut self, value: u16) -> Self {
        if let Transport::Udp(_, _, checksum) = &mut self.transport {
            *checksum = Some(value);
        }
        self
    }

    /// What follows the transport header.
    pub fn payload(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.payload = payload.as_ref().to_vec();
        self
    }

    /// Source and destination MAC.
    pub fn macs(mut self, source: [u8; 6], destination: [u8; 6]) -> Self {
        self.macs = [source, destination];
        self
    }

    /// One more VLAN tag, inside those before: its EtherType and tag control information.
    pub fn tag(mut self, ethertype: u16, tci: u16) -> Self {
        self.tags.push((ethertype, tci));
        self
    }

    /// Other addresses: what NAT makes of the packet.
    pub fn between(mut self, source: impl Into<IpAddr>, destination: impl Into<IpAddr>) -> Self {
        (self.source, self.destination) = (source.into(), destination.into());
        self
    }

    /// IPv4 TOS or IPv6 traffic class.
    pub fn traffic_class(mut self, value: u8) -> Self {
        self.traffic_class = value;
        self
    }

    /// IPv4 time to live or IPv6 hop limit.
    pub fn hop_limit(mut self, value: u8) -> Self {
        self.hop_limit = value;
        self
    }

    /// IPv6 flow label.
    pub fn flow_label(mut self, value: u32) -> Self {
        self.flow_label = value;
        self
    }

    /// IPv4 don't-fragment bit.
    pub fn dont_fragment(mut self) -> Self {
        self.dont_fragment = true;
        self
    }

    /// IPv4 options: whole words.
    pub fn options(mut self, options: &[u8]) -> Self {
        self.options = options.to_vec();
        self
    }

    /// One more IPv6 extension header: its number, and its content after the first two bytes (6
    /// bytes, or 6 and a multiple of 8).
    pub fn extension(mut self, number: u8, content: &[u8]) -> Self {
        self.extensions.push((number, content.to_vec()));
        self
    }

    /// Cuts one fragment out of the datagram: the `length_bytes` of transport header and payload
    /// from `offset_bytes` on, a multiple of 8.
    pub fn fragment(
        mut self,
        identification: u32,
        offset_bytes: usize,
        length_bytes: usize,
    ) -> Self {
        let whole = self.segment();
        let end = (offset_bytes + length_bytes).min(whole.len());
        self.payload = whole[offset_bytes..end].to_vec();
        self.transport = Transport::Raw(self.protocol_number());
        self.identification = identification;
        self.fragment = Some((offset_bytes, end < whole.len()));
        self
    }

    /// Puts the packet into a tunnel.
    pub fn inside(mut self, outer: Outer) -> Self {
        self.outer = Some(outer);
        self
    }

    /// Overwrites finished bytes: offset from the start of the IP header. Checksums stay as
    /// computed before.
    pub fn patch(mut self, offset: usize, bytes: &[u8]) -> Self {
        self.patches.push((offset, bytes.to_vec()));
        self
    }

    /// Bytes after the IP packet, as Ethernet padding is.
    pub fn trailer(mut self, bytes: &[u8]) -> Self {
        self.trailer = bytes.to_vec();
        self
    }

    /// Only the first `length_bytes` of the finished frame.
    pub fn cut(mut self, length_bytes: usize) -> Self {
        self.cut = Some(length_bytes);
        self
    }

    /// Bytes in front of the IP header.
    pub fn link_bytes(&self) -> usize {
        14 + 4 * self.tags.len()
    }

    /// The tunnel header, if any.
    pub fn outer(&self) -> Option<&Outer> {
        self.outer.as_ref()
    }

    /// The same frame with the spread bits of the tunnel's source taken from `actual`, a frame
    /// that the program put out.
    #[must_use]
    pub fn with_spread_of(mut self, actual: &[u8]) -> Self {
        let link_bytes = self.link_bytes();
        if let Some(outer) = self.outer.as_mut().filter(|outer| outer.spread) {
            match &mut outer.source {
                IpAddr::V4(source) => {
                    if let Some(low) = actual.get(link_bytes + 14..link_bytes + 16) {
                        let [a, b, ..] = source.octets();
                        *source = [a, b, low[0], low[1]].into();
                    }
                }
                IpAddr::V6(source) => {
                    if let Some(low) = actual.get(link_bytes + 20..link_bytes + 24) {
                        let mut octets = source.octets();
                        octets[12..].copy_from_slice(low);
                        *source = octets.into();
                    }
                }
            }
        }
        self
    }
}
