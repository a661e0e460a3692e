//! What is spoken to a backend: `appProtocol` of its port.

use super::BackendProblem;
use lb_model::UpstreamProtocol;

/// What is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spoken {
    /// The protocol.
    pub(super) protocol: UpstreamProtocol,
    /// Over TLS, even if no policy says how.
    pub(super) is_tls: bool,
}

impl Spoken {
    /// What it adds to the name of an upstream.
    pub(super) const fn suffix(self) -> &'static str {
        match self.protocol {
            UpstreamProtocol::Auto => "",
            UpstreamProtocol::Http1 => " +h1",
            UpstreamProtocol::Http2 => " +h2",
        }
    }
}

/// What `appProtocol` asks for; `wanted` is what the route implies. Values with the prefix
/// `kubernetes.io/` are those of KEP-3726, those without a prefix are names of IANA services, which
/// are hints. Of others it is not known how they are spoken: the Gateway API calls such a backend
/// invalid.
pub(super) fn spoken(
    app_protocol: Option<&str>,
    wanted: UpstreamProtocol,
) -> Result<Spoken, BackendProblem> {
    let Some(text) = app_protocol.filter(|it| !it.is_empty()) else {
        return Ok(Spoken { protocol: wanted, is_tls: false });
    };
    let lower = text.to_ascii_lowercase();
    let is_http2_needed = wanted == UpstreamProtocol::Http2;
    let spoken = |protocol, is_tls| Ok(Spoken { protocol, is_tls });
    match lower.as_str() {
        "kubernetes.io/h2c" | "h2c" | "http2" | "grpc" => spoken(UpstreamProtocol::Http2, false),
        "grpcs" | "h2" => spoken(UpstreamProtocol::Http2, true),
        "kubernetes.io/ws" | "kubernetes.io/wss" | "ws" | "wss" if is_http2_needed => {
            Err(BackendProblem::Protocol(text.to_owned()))
        }
        "kubernetes.io/ws" | "ws" => spoken(UpstreamProtocol::Http1, false),
        "kubernetes.io/wss" | "wss" => spoken(UpstreamProtocol::Http1, true),
        "https" => spoken(wanted, true),
        _ if lower.contains('/') => Err(BackendProblem::Protocol(text.to_owned())),
        _ => spoken(wanted, false),
    }
}
