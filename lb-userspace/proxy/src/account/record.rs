//! What is known about one exchange, for the access log and the metrics.

use super::{ListenerStats, RuleStats, Short};
use crate::http::{Method, Reason, Scheme, Version};
use std::{net::SocketAddr, sync::Arc, time::Instant};

/// One exchange. Filled along the way; written when the response is.
#[derive(Clone, Debug)]
pub struct Record {
    /// When the request's header was complete.
    pub started: Instant,
    /// Method.
    pub method: Method,
    /// Version it came in.
    pub version: Version,
    /// Scheme.
    pub scheme: Scheme,
    /// Host and port as the client wrote them.
    pub authority: Short,
    /// Path and query as the client wrote them.
    pub target: Short,
    /// The client: as the PROXY protocol or a trusted peer tells.
    pub client: SocketAddr,
    /// Name of the listener.
    pub listener: Option<Arc<str>>,
    /// Name of the route (and of the rule after a `/`, if it has one).
    pub route: Option<Arc<str>>,
    /// Name of the upstream that answered last.
    pub upstream: Option<Arc<str>>,
    /// Endpoint that was tried last.
    pub endpoint: Option<SocketAddr>,
    /// Tries sent to backends.
    pub tries: u32,
    /// When the last backend's response header was there.
    pub answered: Option<Instant>,
    /// Status of the response.
    pub status: u16,
    /// Why it was made here.
    pub reason: Option<Reason>,
    /// Request id.
    pub request_id: Option<Short>,
    /// Trace id (W3C Trace Context, section 3.2.2.3).
    pub trace_id: Option<Box<str>>,
    /// Fields of the request and response that the access log wants, name and value.
    pub fields: Vec<(Box<str>, Box<str>)>,
    /// What is counted for the listener.
    pub listener_stats: Option<Arc<ListenerStats>>,
    /// What is counted for the rule.
    pub rule_stats: Option<Arc<RuleStats>>,
}
