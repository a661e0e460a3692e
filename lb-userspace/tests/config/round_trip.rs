//! Whatever can be desired can be written as a file, and is read back as it was.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use ipnet::IpNet;
use lb_common::limits;
use lb_userspace::{
    config,
    model::{
        Affinity, Backend, Desired, ForwardingMode, HealthCheck, Probe, Protocol, Service,
        Settings, TunnelSource, UdpPolicy, Vip,
    },
};
use proptest::{collection, option, prelude::*, sample::select};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

proptest! {
    #[test]
    fn what_is_desired_can_be_written_and_read(desired in desired()) {
        let text = serde_json::to_string_pretty(&written(&desired)).unwrap();
        match config::parse("generated", &text) {
            Ok(read) => prop_assert_eq!(read, desired),
            Err(error) => prop_assert!(false, "{}\n{}", error, text),
        }
    }
}

/// A file that asks for it, as JSON, which is YAML.
fn written(desired: &Desired) -> Value {
    let settings = &desired.settings;
    json!({
        "interfaces": desired.interfaces,
        "settings": {
            "seed": settings.seed,
            "flows_max": settings.flows_max,
            "nat_ports": format!("{}-{}", settings.nat_ports.0, settings.nat_ports.1),
            "nat_source": settings.nat_source,
            "tunnel_source": settings.tunnel_source,
            "packet_log": settings.packet_log,
        },
        "services": desired.services.iter().map(written_service).collect::<Vec<_>>(),
    })
}

fn written_service((name, service): (&String, &Service)) -> Value {
    json!({
        "name": name,
        "vips": service.vips.iter().map(Vip::to_string).collect::<Vec<_>>(),
        "sources": (!service.sources.is_empty()).then_some(&service.sources),
        "mode": service.mode,
        "affinity": service.affinity,
        "udp": service.udp,
        "idle_timeout": format!("{}s", service.idle_timeout.as_secs()),
        "ring_slots": service.ring_slots,
        "backends": service.backends.iter().map(written_backend).collect::<Vec<_>>(),
        "health": service.health.as_ref().map(written_health),
    })
}

fn written_backend((name, backend): (&String, &Backend)) -> Value {
    let addresses = [backend.ipv4.map(IpAddr::V4), backend.ipv6.map(IpAddr::V6)];
    json!({
        "name": name,
        "addresses": addresses.into_iter().flatten().collect::<Vec<_>>(),
        "port": backend.port,
        "weight": backend.weight,
        "drain": backend.drain,
    })
}

fn written_health(health: &HealthCheck) -> Value {
    let (tcp, http) = match &health.probe {
        Probe::Tcp { port } => (json!({ "port": port }), Value::Null),
        Probe::Http { port, path, host, expect: (first, last) } => {
            let expect = format!("{first}-{last}");
            (Value::Null, json!({ "port": port, "path": path, "host": host, "expect": expect }))
        }
    };
    json!({
        "tcp": tcp,
        "http": http,
        "interval": format!("{}ms", health.interval.as_millis()),
        "timeout": format!("{}ms", health.timeout.as_millis()),
        "rise": health.rise,
        "fall": health.fall,
    })
}

fn desired() -> impl Strategy<Value = Desired> {
    let interfaces = collection::btree_set("[a-z]{1,8}[0-9]{1,3}(\\.[0-9]{1,3})?", 1..4);
    let services = collection::btree_map(name(), service(), 0..4);
    (interfaces, settings(), services).prop_map(|(interfaces, settings, services)| Desired {
        interfaces: interfaces.into_iter().collect(),
        settings,
        services: apart(services).into(),
        ..Desired::default()
    })
}

/// Gives each service addresses of its own.
fn apart(mut services: BTreeMap<String, Service>) -> BTreeMap<String, Service> {
    for (index, service) in (0..).zip(services.values_mut()) {
        let ipv6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(index));
        let own = |mut vip: Vip| {
            vip.address = match vip.address {
                IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, index).into(),
                IpAddr::V6(_) => ipv6.into(),
            };
            vip
        };
        service.vips = std::mem::take(&mut service.vips).into_iter().map(own).collect();
    }
    services
}

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
}

fn settings() -> impl Strategy<Value = Settings> {
    let nat_source =
        any::<u16>().prop_map(|n| IpAddr::from(Ipv4Addr::from_bits(0x0b00_0000 | u32::from(n))));
    let tunnel_source = any::<(u8, u16)>().prop_map(|(ipv4, ipv6)| TunnelSource {
        ipv4: Ipv4Addr::new(10, ipv4, 0, 0),
        ipv6: Ipv6Addr::new(0x2001, 0xdb8, 0, ipv6, 0, 0, 0, 0),
    });
    (
        any::<u64>(),
        1_024..=limits::FLOWS_MAX,
        (1_024..40_000_u16, 0..20_000_u16),
        option::of(nat_source),
        tunnel_source,
        any::<bool>(),
    )
        .prop_map(|(seed, flows_max, (first, more), nat_source, tunnel_source, packet_log)| {
            Settings {
                seed,
                flows_max,
                nat_ports: (first, first + more),
                nat_source: nat_source.into_iter().collect(),
                tunnel_source,
                packet_log,
            }
        })
}

fn service() -> impl Strategy<Value = Service> {
    (
        collection::btree_set(vip(), 1..4),
        select(vec![ForwardingMode::Auto, ForwardingMode::Tunnel]),
        select(vec![Affinity::None, Affinity::Source]),
        select(vec![UdpPolicy::Stick, UdpPolicy::Migrate]),
        10..=86_400_u64,
        select(vec![599, 4_099, 65_537_u32]),
        collection::btree_map(name(), (any::<bool>(), 1..=1_000_u16, any::<bool>()), 1..5),
        (option::of(health()), option::of(collection::btree_set(source(), 1..4))),
    )
        .prop_map(
            |(vips, mode, affinity, udp, idle_s, ring_slots, backends, (health, sources))| {
                Service {
                    // Each family has a range, whichever the VIPs have.
                    sources: sources.map(with_both_families).unwrap_or_default(),
                    vips,
                    mode,
                    affinity,
                    udp,
                    idle_timeout: Duration::from_secs(idle_s),
                    ring_slots,
                    backends: hosts(backends),
                    health,
                }
            },
        )
}

/// A host for each: the first has both families, any other one or the other.
fn hosts(backends: BTreeMap<String, (bool, u16, bool)>) -> BTreeMap<String, Backend> {
    let host = |(index, (name, (ipv4, weight, drain))): (u8, (String, (bool, u16, bool)))| {
        let ipv6 = Ipv6Addr::new(0xfd02, 0, 0, 0, 0, 0, 0, u16::from(index) + 1);
        let backend = Backend {
            ipv4: (ipv4 || index == 0).then(|| Ipv4Addr::new(10, 0, 0, index)),
            ipv6: (!ipv4 || index == 0).then_some(ipv6),
            port: None,
            weight,
            drain,
        };
        (name, backend)
    };
    (0..).zip(backends).map(host).collect()
}

fn source() -> impl Strategy<Value = IpNet> {
    let ipv4 = (any::<u32>(), 0..=32_u8)
        .prop_map(|(bits, length)| IpNet::new(Ipv4Addr::from_bits(bits).into(), length).unwrap());
    let ipv6 = (any::<u128>(), 0..=128_u8)
        .prop_map(|(bits, length)| IpNet::new(Ipv6Addr::from_bits(bits).into(), length).unwrap());
    prop_oneof![ipv4, ipv6].prop_map(|it| it.trunc())
}

fn with_both_families(mut sources: BTreeSet<IpNet>) -> BTreeSet<IpNet> {
    sources.extend(
        ["198.51.100.0/24".parse::<IpNet>(), "2001:db8:1::/48".parse()].map(Result::unwrap),
    );
    sources
}

fn vip() -> impl Strategy<Value = Vip> {
    (any::<bool>(), 1..=u16::MAX, any::<bool>()).prop_map(|(ipv4, port, tcp)| Vip {
        address: if ipv4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() },
        port,
        protocol: if tcp { Protocol::Tcp } else { Protocol::Udp },
    })
}

fn health() -> impl Strategy<Value = HealthCheck> {
    let port = || option::of(1..=u16::MAX);
    let host = option::of("[a-z.:0-9-]{1,20}");
    let http = (port(), "/[!$-~]{0,20}", host, 100..300_u16, 300..600_u16);
    let probe = prop_oneof![
        port().prop_map(|port| Probe::Tcp { port }),
        http.prop_map(|(port, path, host, first, last)| Probe::Http {
            port,
            path,
            host,
            expect: (first, last),
        }),
    ];
    (probe, 100..=3_600_000_u64, 0..=100_u64, 1..=10_u8, 1..=10_u8).prop_map(
        |(probe, interval_ms, percent, rise, fall)| HealthCheck {
            probe,
            interval: Duration::from_millis(interval_ms),
            timeout: Duration::from_millis((interval_ms * percent / 100).max(10)),
            rise,
            fall,
        },
    )
}
