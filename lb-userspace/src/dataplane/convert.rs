//! Between the model's types and the bytes of map keys and values.

use crate::model::{Protocol, Vip};
use lb_common::abi::{VipKey4, VipKey6, Words, mapped};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Protocol of an IPv4 address marker: ICMP.
const MARKER4: u8 = 1;
/// Protocol of an IPv6 address marker: ICMPv6.
const MARKER6: u8 = 58;

/// Key of a VIP in the map of its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VipKey {
    V4(VipKey4),
    V6(VipKey6),
}

/// The key of a VIP.
pub(super) fn vip_key(vip: Vip) -> VipKey {
    key(vip.address, vip.port.to_be(), vip.protocol.number())
}

/// The key of an address marker.
pub(super) fn marker_key(address: IpAddr) -> VipKey {
    key(address, 0, if address.is_ipv4() { MARKER4 } else { MARKER6 })
}

/// The VIP with this key; `None` for markers.
pub(super) fn vip4(key: VipKey4) -> Option<Vip> {
    vip(IpAddr::V4(ipv4(key.address)), key.port, key.protocol)
}

/// The VIP with this key; `None` for markers.
pub(super) fn vip6(key: &VipKey6) -> Option<Vip> {
    vip(IpAddr::V6(ipv6(key.address)), key.port, key.protocol)
}

/// The VIP of an address, a port in network order and a protocol number.
pub(super) fn vip(address: IpAddr, port: u16, protocol: u8) -> Option<Vip> {
    let protocol = Protocol::from_number(protocol)?;
    Some(Vip { address, port: u16::from_be(port), protocol })
}

/// An address in the form that both families share.
pub(super) fn words(address: IpAddr) -> Words {
    match address {
        IpAddr::V4(address) => mapped(u32::from_ne_bytes(address.octets())),
        IpAddr::V6(address) => words6(address),
    }
}

/// The address in these words, IPv4 if mapped.
pub(super) fn address(words: Words) -> IpAddr {
    let address = ipv6(words);
    address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)
}

/// `text` in a zero-padded field, cut at a character if it is too long.
pub(super) fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    let text = text.get(..text.floor_char_boundary(N)).unwrap_or_default();
    for (byte, letter) in field.iter_mut().zip(text.bytes()) {
        *byte = letter;
    }
    field
}

/// The text of a zero-padded field.
pub(super) fn text(field: &[u8]) -> String {
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

fn key(address: IpAddr, port: u16, protocol: u8) -> VipKey {
    match address {
        IpAddr::V4(address) => VipKey::V4(VipKey4 {
            address: u32::from_ne_bytes(address.octets()),
            port,
            protocol,
            pad: 0,
        }),
        IpAddr::V6(address) => {
            VipKey::V6(VipKey6 { address: words6(address), port, protocol, pad: 0 })
        }
    }
}

fn ipv4(address: u32) -> Ipv4Addr {
    Ipv4Addr::from(address.to_ne_bytes())
}

/// The address in these words, always IPv6.
pub(super) fn ipv6(words: Words) -> Ipv6Addr {
    let [a, b, c, d] = words.map(|word| u128::from(u32::from_be(word)));
    Ipv6Addr::from_bits(a << 96 | b << 64 | c << 32 | d)
}

fn words6(address: Ipv6Addr) -> Words {
    let bits = address.to_bits();
    [bits >> 96, bits >> 64, bits >> 32, bits].map(|word| (word as u32).to_be())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_kept_as_on_the_wire() {
        let v4: IpAddr = "192.0.2.1".parse().unwrap();
        let v6: IpAddr = "2001:db8::1:2".parse().unwrap();
        assert_eq!(address(words(v4)), v4);
        assert_eq!(address(words(v6)), v6);
        let [first, .., last] = words(v6);
        assert_eq!(first.to_ne_bytes(), [0x20, 0x01, 0x0d, 0xb8]);
        assert_eq!(last.to_ne_bytes(), [0, 1, 0, 2]);
        assert_eq!(words(v4)[3].to_ne_bytes(), [192, 0, 2, 1]);
    }

    #[test]
    fn vips_survive_their_keys_and_markers_are_no_vips() {
        for text in ["192.0.2.1", "2001:db8::1"] {
            for (port, protocol) in [(80, Protocol::Tcp), (53, Protocol::Udp), (0, Protocol::Tcp)] {
                let vip = Vip { address: text.parse().unwrap(), port, protocol };
                let back = match vip_key(vip) {
                    VipKey::V4(key) => vip4(key),
                    VipKey::V6(key) => vip6(&key),
                };
                assert_eq!(back, Some(vip));
            }
            let marker = match marker_key(text.parse().unwrap()) {
                VipKey::V4(key) => vip4(key),
                VipKey::V6(key) => vip6(&key),
            };
            assert_eq!(marker, None);
        }
    }

    #[test]
    fn long_names_are_cut_at_a_character() {
        assert_eq!(text(&padded::<4>("abé")), "abé");
        assert_eq!(text(&padded::<3>("abé")), "ab");
        assert_eq!(text(&padded::<8>("abc")), "abc");
    }
}
