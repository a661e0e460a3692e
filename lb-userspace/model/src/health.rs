//! Active health checks.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a service's backends are probed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: Probe,
    /// Time between probes of one backend; each is jittered by up to 10 %.
    pub interval: Duration,
    /// A probe that takes longer has failed. At most the interval.
    pub timeout: Duration,
    /// Successes in a row that take a backend back.
    pub rise: u8,
    /// Failures in a row that take a backend out.
    pub fall: u8,
}

/// What a probe asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Probe {
    /// A TCP connection is accepted.
    Tcp {
        /// Port; `None` = the backend's port, or the first VIP's.
        port: Option<u16>,
    },
    /// `GET path` is answered with a status in `expect`.
    Http {
        /// Port; `None` = the backend's port, or the first VIP's.
        port: Option<u16>,
        /// Path and query, starting with `/`.
        path: String,
        /// `Host` header; `None` = the backend's address.
        host: Option<String>,
        /// Inclusive range of healthy status codes.
        expect: (u16, u16),
    },
}
