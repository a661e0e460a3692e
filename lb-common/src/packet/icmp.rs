//! ICMP (RFC 792) and ICMPv6 (RFC 4443): numbers only; what to do with them is in `path::icmp`.

/// Protocol number of ICMP.
pub const ICMP: u8 = 1;
/// Protocol number of ICMPv6.
pub const ICMPV6: u8 = 58;
/// Bytes of the header in front of a quoted packet or an echo payload.
pub const HEADER_BYTES: usize = 8;

/// What an ICMP message is to the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An echo request.
    EchoRequest,
    /// An error that quotes the packet it is about.
    Error,
    /// Anything else.
    Other,
}

/// ICMP echo request and reply types.
pub const ECHO_REQUEST: u8 = 8;
/// ICMP echo reply.
pub const ECHO_REPLY: u8 = 0;
/// ICMPv6 echo request.
pub const ECHO_REQUEST_V6: u8 = 128;
/// ICMPv6 echo reply.
pub const ECHO_REPLY_V6: u8 = 129;

/// Classifies an ICMP type.
#[inline(always)]
pub const fn kind(is_ipv4: bool, message_type: u8) -> Kind {
    match (is_ipv4, message_type) {
        (true, ECHO_REQUEST) | (false, ECHO_REQUEST_V6) => Kind::EchoRequest,
        // ICMP: destination unreachable, source quench, time exceeded, parameter problem. ICMPv6:
        // destination unreachable, packet too big, time exceeded, parameter problem.
        (true, 3 | 4 | 11 | 12) | (false, 1..=4) => Kind::Error,
        _ => Kind::Other,
    }
}
