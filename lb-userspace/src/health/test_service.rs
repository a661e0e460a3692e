//! Services for tests.

use crate::model::{
    Affinity, Backend, ForwardingMode, HealthCheck, Probe, Protocol, Service, UdpPolicy, Vip,
};
use std::{net::SocketAddr, time::Duration};

/// A TCP service with these VIPs and backends.
pub(crate) fn service<const N: usize>(vips: &[&str], backends: [(&str, Backend); N]) -> Service {
    let vip = |text: &&str| {
        let socket: SocketAddr = text.parse().unwrap();
        Vip { address: socket.ip(), port: socket.port(), protocol: Protocol::Tcp }
    };
    Service {
        vips: vips.iter().map(vip).collect(),
        sources: [].into(),
        mode: ForwardingMode::Tunnel,
        affinity: Affinity::None,
        udp: UdpPolicy::Stick,
        idle_timeout: Duration::from_mins(1),
        ring_slots: 1_009,
        backends: backends.into_iter().map(|(name, b)| (name.to_owned(), b)).collect(),
        health: None,
    }
}

/// A backend of weight 1.
pub(crate) fn backend(ipv4: Option<&str>, ipv6: Option<&str>) -> Backend {
    Backend {
        ipv4: ipv4.map(|text| text.parse().unwrap()),
        ipv6: ipv6.map(|text| text.parse().unwrap()),
        port: None,
        weight: 1,
        drain: false,
    }
}

/// A connect check, every second.
pub(crate) fn tcp_check(port: Option<u16>) -> HealthCheck {
    HealthCheck {
        probe: Probe::Tcp { port },
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        rise: 2,
        fall: 3,
    }
}
