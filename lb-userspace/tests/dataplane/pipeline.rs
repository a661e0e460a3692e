//! Desired to Image to Plan to the kernel and back, over restarts.

use crate::host::Host;
use lb_common::abi::Mode;
use lb_userspace::{
    dataplane::Dataplane,
    model::{
        Affinity, Backend, Desired, ForwardingMode, Protocol, Service, Settings, UdpPolicy, Vip,
    },
    reconcile::{Image, Observed, apply, compile, diff},
};
use std::{collections::BTreeSet, time::Duration};

fn backend(last: u8) -> Backend {
    Backend {
        ipv4: Some([10, 9, 0, last].into()),
        ipv6: Some(format!("fd09::{last:x}").parse().unwrap()),
        port: None,
        weight: u16::from(last),
        drain: false,
    }
}

fn service(vips: &[(&str, u16, Protocol)], mode: ForwardingMode, backends: &[u8]) -> Service {
    let vip = |&(address, port, protocol): &(&str, u16, Protocol)| Vip {
        address: address.parse().unwrap(),
        port,
        protocol,
    };
    Service {
        vips: vips.iter().map(vip).collect::<BTreeSet<_>>(),
        sources: ["198.51.100.0/24", "2001:db8:1::/48"].map(|it| it.parse().unwrap()).into(),
        mode,
        affinity: Affinity::Source,
        udp: UdpPolicy::Stick,
        idle_timeout: Duration::from_mins(5),
        ring_slots: 1_009,
        backends: backends.iter().map(|last| (format!("b{last}"), backend(*last))).collect(),
        health: None,
    }
}

fn desired(settings: &Settings, web: &[u8]) -> Desired {
    let web_vips = [("192.0.2.10", 80, Protocol::Tcp), ("2001:db8::10", 80, Protocol::Tcp)];
    let dns_vips = [("192.0.2.10", 0, Protocol::Udp)];
    Desired {
        interfaces: Vec::new(),
        settings: settings.clone(),
        services: [
            ("web".to_owned(), service(&web_vips, ForwardingMode::Tunnel, web)),
            ("dns".to_owned(), service(&dns_vips, ForwardingMode::L2dsr, &[2, 3])),
        ]
        .into(),
        ..Desired::default()
    }
}

fn change(dataplane: &mut Dataplane, desired: &Desired, now_ms: u64) -> Image {
    let running = dataplane.tables().unwrap().image();
    let observed = Observed { now_ms, ..Observed::default() };
    let next = compile(desired, &observed, &running).unwrap().image;
    apply(&diff(&running, &next), dataplane).unwrap();
    next
}

#[test]
fn the_running_image_survives_changes_and_restarts() {
    let host = Host::new();
    let mut now_ms = 1_700_000_000_000;
    for web in [&[1, 2, 3][..], &[1, 3], &[1, 3, 4, 5], &[5], &[]] {
        now_ms += 1_000;
        let desired = desired(&host.settings, web);
        let mut dataplane = host.open();
        let next = change(&mut dataplane, &desired, now_ms);
        assert_eq!(dataplane.tables().unwrap().image(), next);
        drop(dataplane);

        let dataplane = host.open();
        let tables = dataplane.tables().unwrap();
        assert_eq!(tables.image(), next);
        assert!(tables.leftovers().is_empty());
        assert!(next.vips.values().any(|vip| vip.entry.mode == Mode::Tunnel as u8));
    }
}
