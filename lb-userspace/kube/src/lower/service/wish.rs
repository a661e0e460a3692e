//! What a Service asks for beyond addresses and ports.

use super::{Ours, sources};
use crate::{
    Options,
    lower::{condition::Problem, upstream::Annotations},
};
use ipnet::IpNet;
use lb_model::{Affinity, ForwardingMode, HealthCheck, ProxyProtocol, UdpPolicy};
use std::time::Duration;

/// Limits of idle timeouts, as in the file.
const IDLE_MIN: Duration = Duration::from_secs(10);
const IDLE_MAX: Duration = Duration::from_hours(24);

/// What a Service asks for.
pub(super) struct Wishes {
    pub(super) mode: ForwardingMode,
    pub(super) affinity: Affinity,
    pub(super) udp: UdpPolicy,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) health: Option<HealthCheck>,
    pub(super) proxy_protocol: Option<ProxyProtocol>,
    /// Who may connect; empty = all.
    pub(super) sources: Vec<IpNet>,
    /// Only endpoints of this node.
    pub(super) node: Option<String>,
}

impl Wishes {
    /// Whether it asks for what only the proxy does, at whatever address.
    pub(super) const fn needs_proxy(&self) -> bool {
        self.proxy_protocol.is_some()
    }

    /// What the spec and annotations say.
    ///
    /// # Errors
    /// It must not be served, since it would be open to more than it says.
    pub(super) fn of(
        ours: &Ours<'_>,
        options: &Options,
        annotations: &mut Annotations<'_>,
    ) -> Result<Self, Problem> {
        let spec = ours.spec;
        let client = spec.session_affinity.as_deref() == Some("ClientIP");
        let affinity = annotations
            .parsed("scheduler", "source or none", |text| match text {
                "source" => Some(Affinity::Source),
                "none" => Some(Affinity::None),
                _ => None,
            })
            .unwrap_or(if client { Affinity::Source } else { Affinity::None });
        let mode = annotations.parsed("mode", "auto, nat, dnat, tunnel or l2dsr", |text| {
            Some(match text {
                "auto" => ForwardingMode::Auto,
                "nat" => ForwardingMode::Nat,
                "dnat" => ForwardingMode::Dnat,
                "tunnel" => ForwardingMode::Tunnel,
                "l2dsr" => ForwardingMode::L2dsr,
                _ => return None,
            })
        });
        let udp = annotations.parsed("udp", "stick or migrate", |text| match text {
            "stick" => Some(UdpPolicy::Stick),
            "migrate" => Some(UdpPolicy::Migrate),
            _ => None,
        });
        let idle = annotations.time("idle-timeout", IDLE_MIN..=IDLE_MAX);
        let config = spec.session_affinity_config.as_ref();
        let seconds = config.and_then(|it| it.client_ip.as_ref()?.timeout_seconds);
        let sticky = seconds.filter(|_| client).and_then(|it| u64::try_from(it).ok());
        let sticky = sticky.map(|it| Duration::from_secs(it).clamp(IDLE_MIN, IDLE_MAX));
        let is_local = spec.external_traffic_policy.as_deref() == Some("Local");
        Ok(Self {
            mode: mode.unwrap_or(options.mode),
            affinity,
            udp: udp.unwrap_or_default(),
            idle_timeout: idle.or(sticky),
            health: annotations.health(),
            proxy_protocol: annotations.proxy_protocol(),
            sources: sources::of(ours)?,
            node: options.node.clone().filter(|_| is_local),
        })
    }
}
