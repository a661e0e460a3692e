//! `get flows`.

use super::Kind;
use serde::{Deserialize, Serialize};

/// One tracked or translated flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlowResource {
    /// Which table it was found in.
    pub table: FlowKind,
    /// `tcp`, `udp` or a protocol number.
    pub protocol: String,
    /// Client address and port (port 0: every flow of the client, source affinity).
    pub client: String,
    /// VIP address and port.
    pub vip: String,
    /// Service of the backend; `null` = the backend is gone.
    pub service: Option<String>,
    /// Backend; `null` = gone: the flow's next packet is decided anew.
    pub backend: Option<String>,
    /// Translated source, with NAT.
    pub translated: Option<String>,
    /// Time since the last packet, milliseconds.
    pub idle_ms: u64,
    /// Whether a FIN or RST was seen.
    pub closing: bool,
}

/// Where a flow is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowKind {
    /// Stored by its opening packet, in a moved slot.
    Opened,
    /// Stored by a later packet, in a moved slot.
    Missed,
    /// Translated.
    Nat,
}

impl FlowKind {
    /// Its name in tables and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Missed => "missed",
            Self::Nat => "nat",
        }
    }
}

impl Kind for FlowResource {
    const LIST: &'static str = "FlowList";
}

/// Which flows are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowFilter {
    /// Only flows to this VIP: `192.0.2.10:80/tcp`, or its beginning.
    pub vip: Option<String>,
    /// Only flows of this backend: `SERVICE/BACKEND`.
    pub backend: Option<String>,
    /// At most so many, in the tables' own order.
    pub limit: usize,
}

impl FlowFilter {
    /// As the query of a URL.
    pub fn to_query(&self) -> String {
        let mut query = format!("limit={}", self.limit);
        for (name, value) in [("vip", &self.vip), ("backend", &self.backend)] {
            if let Some(value) = value {
                query.extend(["&", name, "=", &escape(value)]);
            }
        }
        query
    }

    /// Whether a flow is wanted.
    pub fn admits(&self, flow: &FlowResource) -> bool {
        let vip = format!("{}/{}", flow.vip, flow.protocol);
        let backend = match (&flow.service, &flow.backend) {
            (Some(service), Some(backend)) => format!("{service}/{backend}"),
            _ => String::new(),
        };
        self.vip.as_ref().is_none_or(|wanted| vip.starts_with(wanted.as_str()))
            && self.backend.as_ref().is_none_or(|wanted| backend == *wanted)
    }
}

/// Percent-encoding of everything but unreserved characters (RFC 3986 section 2.3).
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.extend(["%", &format!("{byte:02X}")]);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_survive_a_url() {
        let filter =
            FlowFilter { vip: Some("[2001:db8::1]:80/tcp".into()), backend: None, limit: 3 };
        assert_eq!(filter.to_query(), "limit=3&vip=%5B2001%3Adb8%3A%3A1%5D%3A80%2Ftcp");
    }

    #[test]
    fn filters_admit_by_vip_and_backend() {
        let flow = FlowResource {
            table: FlowKind::Opened,
            protocol: "tcp".into(),
            client: "198.51.100.7:40000".into(),
            vip: "192.0.2.10:80".into(),
            service: Some("web".into()),
            backend: Some("a".into()),
            translated: None,
            idle_ms: 0,
            closing: false,
        };
        let admits = |vip: Option<&str>, backend: Option<&str>| {
            let own = |text: &str| text.to_owned();
            FlowFilter { vip: vip.map(own), backend: backend.map(own), limit: 1 }.admits(&flow)
        };
        assert!(admits(None, None));
        assert!(admits(Some("192.0.2.10:80/tcp"), Some("web/a")));
        assert!(admits(Some("192.0.2.10"), None));
        assert!(!admits(Some("192.0.2.11"), None));
        assert!(!admits(None, Some("web/b")));
    }
}
