//! A VIP: the address, port and protocol that clients talk to.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// Transport protocol of a VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// IP protocol number (IANA protocol-numbers).
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    /// The protocol with this IP protocol number, if it is one of ours.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            132 => Some(Self::Sctp),
            _ => None,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// What clients address. Displays as `192.0.2.10:80/tcp`, `[2001:db8::10]:53/udp`; port 0 means
/// all ports and displays as `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Vip {
    /// Address; never IPv4-mapped IPv6.
    pub address: IpAddr,
    /// Port; 0 = every port without a VIP of its own.
    pub port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
}

impl fmt::Display for Vip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}:")?,
            IpAddr::V6(address) => write!(f, "[{address}]:")?,
        }
        if self.port == 0 {
            f.write_str("*")?;
        } else {
            write!(f, "{}", self.port)?;
        }
        write!(f, "/{}", self.protocol)
    }
}

/// A text that is not a VIP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct VipSyntaxError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// Reads what [`Vip`] displays: `ADDRESS:PORT/PROTOCOL`. Syntax only: whether a packet can have
/// the address as its destination is the caller's to judge.
impl FromStr for Vip {
    type Err = VipSyntaxError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (endpoint, protocol) = text.rsplit_once('/').ok_or_else(|| {
            let with_port = if has_port(text) { text } else { "ADDRESS:PORT" };
            wrong(
                format!("VIP `{text}` has no protocol"),
                format!("write `{with_port}/tcp` or `{with_port}/udp`"),
            )
        })?;
        let protocol = protocol_of(protocol)?;
        let (address, port) = split_endpoint(endpoint, protocol)?;
        Ok(Self { address, port: port_of(port)?, protocol })
    }
}

fn wrong(message: String, hint: impl Into<String>) -> VipSyntaxError {
    VipSyntaxError { message, hint: hint.into() }
}

/// Whether a text without its protocol has a port.
fn has_port(text: &str) -> bool {
    text.contains("]:") || text.matches(':').count() == 1
}

fn protocol_of(text: &str) -> Result<Protocol, VipSyntaxError> {
    match text {
        "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "sctp" => Ok(Protocol::Sctp),
        other => {
            let lower = other.to_lowercase();
            let hint = match lower.as_str() {
                "tcp" | "udp" | "sctp" => format!("write it in lower case: `{lower}`"),
                _ => "protocols are `tcp`, `udp` and `sctp`".to_owned(),
            };
            Err(wrong(format!("unknown protocol `{other}`"), hint))
        }
    }
}

fn split_endpoint(endpoint: &str, protocol: Protocol) -> Result<(IpAddr, &str), VipSyntaxError> {
    if let Some(rest) = endpoint.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return Err(wrong(
                format!("`{endpoint}` has no closing bracket"),
                format!("write `[ADDRESS]:PORT/{protocol}`"),
            ));
        };
        let port = port.strip_prefix(':').ok_or_else(|| no_port(endpoint, protocol))?;
        if address.parse::<Ipv4Addr>().is_ok() {
            let hint = format!("only IPv6 addresses do: `{address}:{port}/{protocol}`");
            return Err(wrong("an IPv4 address takes no brackets".to_owned(), hint));
        }
        let address: Ipv6Addr = address.parse().map_err(|_| no_address(address, "IPv6"))?;
        return Ok((address.into(), port));
    }
    let (address, port) = endpoint.rsplit_once(':').ok_or_else(|| no_port(endpoint, protocol))?;
    if address.contains(':') {
        let hint = if address.parse::<Ipv6Addr>().is_ok() {
            format!("write `[{address}]:{port}/{protocol}`, or `[{endpoint}]:PORT/{protocol}`")
        } else {
            format!("write `[ADDRESS]:PORT/{protocol}`")
        };
        return Err(wrong("an IPv6 address with a port needs brackets".to_owned(), hint));
    }
    let address: Ipv4Addr = address.parse().map_err(|_| no_address(address, "IPv4"))?;
    Ok((address.into(), port))
}

fn no_port(endpoint: &str, protocol: Protocol) -> VipSyntaxError {
    wrong(
        format!("VIP `{endpoint}/{protocol}` has no port"),
        format!("write `{endpoint}:80/{protocol}`, or `{endpoint}:*/{protocol}` for all ports"),
    )
}

fn no_address(text: &str, family: &str) -> VipSyntaxError {
    let hint = if text.contains('/') {
        "a VIP is one address, not a prefix"
    } else if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        "four numbers from 0 to 255 without leading zeros, like 192.0.2.10"
    } else {
        "names are not resolved: write the address itself"
    };
    wrong(format!("`{text}` is not an {family} address"), hint)
}

fn port_of(text: &str) -> Result<u16, VipSyntaxError> {
    if text == "*" {
        return Ok(0);
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(0) => Err(wrong("0 is not a port".to_owned(), "for all ports write `*`")),
        Ok(port) if digits => Ok(port),
        _ => Err(wrong(
            format!("`{text}` is not a port"),
            if digits { "ports are 1 to 65535" } else { "write a number, or `*` for all ports" },
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_displayed_is_read_back(
            address in any::<IpAddr>(),
            port in any::<u16>(),
            protocol in prop::sample::select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Sctp]),
        ) {
            let vip = Vip { address, port, protocol };
            prop_assert_eq!(vip.to_string().parse::<Vip>(), Ok(vip));
        }

        #[test]
        fn any_text_is_read_or_refused(text in r"[\[\]0-9a-f:.*/tcpuds +]{0,40}|\PC{0,20}") {
            if let Ok(vip) = text.parse::<Vip>() {
                prop_assert_eq!(vip.to_string().parse::<Vip>(), Ok(vip));
            }
        }
    }
}
