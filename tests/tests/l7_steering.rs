//! Proxied VIPs beside forwarded ones, with lbd run from its file. The proxy's sockets are the
//! test's. Needs root.

#![allow(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use std::{
    io::ErrorKind,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd as _,
    time::Duration,
};

use lb_tests::{
    client::Protocol,
    lab::Family,
    services::{Mode, unprobed_configuration},
    site::Site,
    wait::eventually,
};
use lb_userspace::{
    admin::resource::{ChangeResource, List, TraceResource},
    dataplane::{Dataplane, Sockets},
};

/// The listener's port, on the addresses of the NAT service.
const PORT: u16 = 443;
/// How long a client waits.
const PATIENCE: Duration = Duration::from_secs(30);

fn target(family: Family) -> SocketAddr {
    SocketAddr::new(Mode::Nat.vip(family), PORT)
}

/// The configuration of all modes, and a listener.
fn configuration(services: &str) -> String {
    let [four, six] = Family::BOTH.map(target);
    format!(
        "{services}listeners:\n  - {{ name: shop, protocol: tcp, vips: [\"{four}/tcp\", \"{six}/tcp\"] }}\n"
    )
}

fn connect(site: &Site, to: SocketAddr) -> std::io::Result<TcpStream> {
    site.lab.client().enter(|| TcpStream::connect_timeout(&to, PATIENCE)).unwrap()
}

/// Listening sockets on the router, in the place of the proxy's.
fn proxy(site: &Site) -> [TcpListener; 2] {
    let open = || {
        let [four, six] = ["127.0.0.1", "::1"]
            .map(|address| TcpListener::bind((address.parse::<IpAddr>().unwrap(), 0)).unwrap());
        let sockets =
            Sockets { tcp4: Some(four.as_fd()), tcp6: Some(six.as_fd()), ..Sockets::default() };
        Dataplane::open_pinned(site.daemon.instance()).unwrap().steer(&sockets).unwrap();
        [four, six]
    };
    site.lab.router().enter(open).unwrap()
}

#[test]
fn a_listener_takes_a_port_of_an_address_whose_other_ports_are_forwarded() {
    let mut site =
        Site::start(|backends| configuration(&unprobed_configuration(backends))).unwrap();
    let listeners = proxy(&site);
    assert_served(&site, &listeners);

    // Killing lbd changes nothing for sockets that live on.
    let vips = site.vips().unwrap();
    site.daemon.kill().unwrap();
    assert_served(&site, &listeners);

    // Without its sockets, clients are refused; forwarding goes on.
    drop(listeners);
    for family in Family::BOTH {
        let refused = connect(&site, target(family)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{family}");
    }
    assert_forwarded(&site);

    // The next lbd adopts what runs and brings sockets of its own.
    site.daemon.run().unwrap();
    assert_eq!(site.vips().unwrap().len(), vips.len());
    for family in Family::BOTH {
        connect(&site, target(family)).unwrap();
    }
    assert_served(&site, &proxy(&site));
}

#[test]
fn tools_tell_what_is_given_to_the_proxy() {
    let site = Site::start(unprobed_configuration).unwrap();
    let text = configuration(&unprobed_configuration(site.lab.backends()));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &text).unwrap();
    let changes: List<ChangeResource> = site.daemon.diff(file.path()).unwrap();
    let modes: Vec<_> =
        changes.items.iter().map(|it| (it.action.as_str(), it.mode_after.as_deref())).collect();
    assert_eq!(modes, [("add", Some("proxy")); 2]);

    site.daemon.write(&text).unwrap();
    let proxied = || {
        let vips = site.vips().ok()?;
        let proxied = vips.into_iter().filter(|vip| vip.mode == "proxy");
        Some(proxied.collect::<Vec<_>>()).filter(|vips| vips.len() == 2)
    };
    let vips = eventually(PATIENCE, "the listener's VIPs", proxied).unwrap();
    assert!(vips.iter().all(|vip| vip.service == "shop" && vip.packets == 0), "{vips:?}");
    let status = site.daemon.lbctl(&["status"]).unwrap();
    assert!(status.status.success(), "a VIP without backends is as it should be: {status:?}");

    let _listeners = proxy(&site);
    for family in Family::BOTH {
        connect(&site, target(family)).unwrap();
        let client = SocketAddr::new(site.sources(target(family))[0], 5_000).to_string();
        let words = ["trace", "tcp", &client, &target(family).to_string()];
        let trace: TraceResource = site.daemon.ask(&words).unwrap();
        let told = (trace.verdict.as_str(), trace.decision.as_str(), trace.outcome.as_deref());
        assert_eq!(told, ("pass", "proxy", Some("pass_to_proxy")));
        let told = String::from_utf8(site.daemon.lbctl(&words).unwrap().stdout).unwrap();
        assert!(told.contains("gives it to the proxy's listening socket"), "{told}");
    }
    assert!(site.vips().unwrap().iter().filter(|vip| vip.mode == "proxy").all(|it| it.packets > 0));
    let counters = site.counters().unwrap();
    assert_eq!(counters.get("steered"), Some(&2));

    // Gone from the file, gone from the kernel.
    site.daemon.write(&unprobed_configuration(site.lab.backends())).unwrap();
    let is_gone = || proxied().is_none().then_some(());
    eventually(PATIENCE, "no VIP is proxied", is_gone).unwrap();
    let router = site.lab.router();
    let no_routes = || {
        let shown = router.run(&["ip", "route", "show", "table", "local", "proto", "76"]).ok()?;
        shown.stdout.is_empty().then_some(())
    };
    eventually(PATIENCE, "no local route", no_routes).unwrap();
    assert_forwarded(&site);
}

/// A connection to the listener in each family arrives, and the service's do too.
fn assert_served(site: &Site, listeners: &[TcpListener; 2]) {
    for (family, listener) in Family::BOTH.into_iter().zip(listeners) {
        let to = target(family);
        let client = connect(site, to).unwrap();
        let (served, peer) = listener.accept().unwrap();
        assert_eq!(served.local_addr().unwrap(), to);
        assert_eq!(peer, client.local_addr().unwrap());
    }
    assert_forwarded(site);
}

/// Every service is balanced as ever.
fn assert_forwarded(site: &Site) {
    for mode in Mode::ALL {
        for family in Family::BOTH {
            let tally = site.talk(Protocol::Tcp, mode.target(family, Protocol::Tcp), 20).unwrap();
            assert_eq!(tally.failures, [], "{mode} {family}");
        }
    }
}
