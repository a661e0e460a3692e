//! Proxied VIPs, from the wire to a listening socket: real packets over a veth pair.

use crate::{
    host::{Host, eventually, run},
    sockets::{BEYOND, Beyond, answer, group, receive, udp},
};
use lb_userspace::{
    dataplane::{Dataplane, Sockets, TracePacket, detach},
    model::{Desired, HostPattern, HttpOptions, Listener, ListenerProtocol, Protocol, Vip},
    reconcile::{Image, Observed, apply, compile, diff},
};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    os::fd::AsFd,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Ports of every address that is proxied.
const PORTS: std::ops::Range<u16> = 1_000..1_020;
/// A port of those addresses that is not.
const CLOSED: u16 = 999;

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

fn v6(last: u8) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).into()
}

fn vips(addresses: &[IpAddr], protocol: Protocol) -> BTreeSet<Vip> {
    let of = |address: &IpAddr| {
        let address = *address;
        PORTS.map(move |port| Vip { address, port, protocol })
    };
    addresses.iter().flat_map(of).collect()
}

fn listener(protocol: ListenerProtocol, vips: BTreeSet<Vip>) -> Listener {
    Listener {
        vips,
        binds: BTreeSet::new(),
        protocol,
        host: HostPattern::Any,
        tls: None,
        takes_proxy_protocol: false,
        sources: Vec::new(),
        connections_max: 100,
        http: HttpOptions::default(),
        idle_timeout: Duration::from_mins(1),
    }
}

/// One listener for TCP and one for UDP, on all ports of these addresses.
fn desired(host: &Host, addresses: &[IpAddr]) -> Desired {
    let mut desired = Desired { settings: host.settings.clone(), ..Desired::default() };
    let (tcp, udp) = (ListenerProtocol::Tcp, ListenerProtocol::Udp);
    desired.proxy.listeners = [
        ("streams".to_owned(), listener(tcp, vips(addresses, Protocol::Tcp))),
        ("datagrams".to_owned(), listener(udp, vips(addresses, Protocol::Udp))),
    ]
    .into();
    desired
}

fn change(dataplane: &mut Dataplane, desired: &Desired) -> Image {
    let running = dataplane.tables().unwrap().image();
    let observed = Observed { now_ms: 1_700_000_000_000, ..Observed::default() };
    let next = compile(desired, &observed, &running).unwrap().image;
    apply(&diff(&running, &next), dataplane).unwrap();
    next
}

/// A router with the data plane on its interface, and these addresses proxied.
fn router(addresses: &[IpAddr]) -> (Host, Dataplane, Beyond) {
    let host = Host::new().with_veth();
    host.beyond("route add 192.0.2.0/24 via 10.9.0.1");
    host.beyond("route add 2001:db8::/64 via fd09::1");
    let mut dataplane = host.open();
    change(&mut dataplane, &desired(&host, addresses));
    dataplane.attach(&["inner".to_owned()]).unwrap();
    let beyond = Beyond::of(&host);
    (host, dataplane, beyond)
}

/// A listening socket, bound to where no client ever connects.
fn bound(any: &str) -> TcpListener {
    TcpListener::bind((any.parse::<IpAddr>().unwrap(), 0)).unwrap()
}

fn steered(dataplane: &Dataplane, name: &str) -> u64 {
    let stats = dataplane.stats().unwrap();
    stats.steering.iter().find(|stats| stats.outcome == name).unwrap().lookups
}

#[test]
fn tcp_connections_to_many_vips_arrive_on_one_socket_with_their_addresses() {
    let addresses: Vec<IpAddr> = (1..=25).flat_map(|last| [v4(last), v6(last)]).collect();
    let (_host, mut dataplane, beyond) = router(&addresses);
    let (four, six) = (bound("127.0.0.1"), bound("::1"));
    let sockets =
        Sockets { tcp4: Some(four.as_fd()), tcp6: Some(six.as_fd()), ..Sockets::default() };
    dataplane.steer(&sockets).unwrap();
    assert!(dataplane.is_steering().unwrap());

    let vips: Vec<Vip> = vips(&addresses, Protocol::Tcp).into_iter().step_by(13).collect();
    for vip in &vips {
        let to = SocketAddr::new(vip.address, vip.port);
        let mut client = beyond.connect(to).unwrap();
        let socket = if vip.address.is_ipv4() { &four } else { &six };
        let (mut served, peer) = socket.accept().unwrap();
        assert_eq!(served.local_addr().unwrap(), to);
        assert_eq!(peer, client.local_addr().unwrap());
        assert_eq!(
            peer.ip(),
            BEYOND[usize::from(vip.address.is_ipv6())].parse::<IpAddr>().unwrap()
        );
        client.write_all(b"ping").unwrap();
        let mut bytes = [0; 4];
        served.read_exact(&mut bytes).unwrap();
        served.write_all(b"pong").unwrap();
        client.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"pong");
    }
    assert_eq!(steered(&dataplane, "steered"), vips.len() as u64);
    let stats = dataplane.stats().unwrap();
    let first = stats.vips.iter().find(|stats| stats.vip == vips[0].to_string()).unwrap();
    assert!(first.proxied.packets >= 3 && first.proxied.bytes > 3 * 54, "{:?}", first.proxied);
    assert_eq!(first.service, "streams");
    let quiet = stats.vips.iter().filter(|stats| stats.proxied.packets == 0).count();
    assert_eq!(quiet, stats.vips.len() - vips.len(), "nothing is counted for other VIPs");
    // The last packets of a connection may come between the looks at two maps.
    eventually("what passed is what came for VIPs", || {
        let stats = dataplane.stats().unwrap();
        let passed = stats.outcomes.iter().find(|it| it.outcome == "pass_to_proxy").unwrap();
        let proxied: u64 = stats.vips.iter().map(|stats| stats.proxied.packets).sum();
        (passed.packets == proxied).then_some(())
    });

    let status = dataplane.status().unwrap();
    assert_eq!(status.steering.unwrap().name, "lb_steer");
    for address in [v4(1), v6(1)] {
        let packet = TracePacket {
            protocol: Protocol::Tcp,
            source: SocketAddr::new(BEYOND[usize::from(address.is_ipv6())].parse().unwrap(), 5),
            destination: SocketAddr::new(address, 1_000),
            is_opening: true,
        };
        let trace = dataplane.trace(&packet, Some("inner")).unwrap();
        let told = (trace.verdict, trace.decision, trace.outcome);
        assert_eq!(told, ("pass", "proxy", Some("pass_to_proxy")));
        assert_eq!(trace.service.as_deref(), Some("streams"));
    }

    for address in [v4(1), v6(1)] {
        let refused = beyond.connect(SocketAddr::new(address, CLOSED)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{address}");
    }
    assert_eq!(steered(&dataplane, "steer_not_proxied"), 2);
}

#[test]
fn one_socket_stands_for_the_group_of_all_workers() {
    let (_host, mut dataplane, beyond) = router(&[v4(1)]);
    let workers = group(3);
    dataplane.steer(&Sockets { tcp4: Some(workers[0].as_fd()), ..Sockets::default() }).unwrap();
    let clients: Vec<_> = PORTS
        .cycle()
        .take(60)
        .map(|port| beyond.connect(SocketAddr::new(v4(1), port)).unwrap())
        .collect();
    let accepted = |worker: &TcpListener| {
        worker.set_nonblocking(true).unwrap();
        worker.incoming().take_while(Result::is_ok).count()
    };
    // The packet that makes a connection ready to be accepted may come after its client knows.
    let mut counts = [0; 3];
    eventually("every connection is accepted", || {
        for (count, worker) in counts.iter_mut().zip(&workers) {
            *count += accepted(worker);
        }
        (counts.iter().sum::<usize>() >= clients.len()).then_some(())
    });
    assert_eq!(counts.iter().sum::<usize>(), clients.len());
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

#[test]
fn datagrams_arrive_on_one_socket_and_answers_come_from_the_vip() {
    let addresses: Vec<IpAddr> = (1..=3).flat_map(|last| [v4(last), v6(last)]).collect();
    let (_host, mut dataplane, beyond) = router(&addresses);
    let (four, six) = (udp("127.0.0.1:0"), udp("[::1]:0"));
    let sockets =
        Sockets { udp4: Some(four.as_fd()), udp6: Some(six.as_fd()), ..Sockets::default() };
    dataplane.steer(&sockets).unwrap();
    let vips: Vec<Vip> = vips(&addresses, Protocol::Udp).into_iter().step_by(7).collect();
    for vip in &vips {
        let to = SocketAddr::new(vip.address, vip.port);
        let client = beyond.udp(to).unwrap();
        // In one frame, and in fragments.
        for bytes in [100, 4_000] {
            client.send(&vec![7; bytes]).unwrap();
            let got = receive(if vip.address.is_ipv4() { &four } else { &six });
            assert_eq!((got.bytes, got.to, got.from), (bytes, to, client.local_addr().unwrap()));
        }
        let session = answer(to, client.local_addr().unwrap());
        session.send(b"answer").unwrap();
        let mut buffer = [0; 16];
        assert_eq!(client.recv(&mut buffer).unwrap(), 6);
        // From now on the connected socket takes what the client sends.
        client.send(b"more").unwrap();
        assert_eq!(session.recv(&mut buffer).unwrap(), 4);
    }
    assert_eq!(steered(&dataplane, "steered"), 2 * vips.len() as u64);
}

#[test]
fn a_killed_proxy_leaves_refusals_and_its_successor_takes_over() {
    let (host, mut dataplane, beyond) = router(&[v4(1), v6(1)]);
    let to = [SocketAddr::new(v4(1), 1_000), SocketAddr::new(v6(1), 1_000)];
    let mut proxy = start_proxy(&host);
    for to in to {
        let mut text = String::new();
        beyond.connect(to).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("served {to}"));
    }
    let links = || run(&format!("ls /sys/fs/bpf/lb/{}/steering", host.instance));
    let before = links();

    // `kill` is SIGKILL: nobody cleans up.
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    for to in to {
        let refused = beyond.connect(to).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{to}");
    }
    assert!(steered(&dataplane, "steer_no_socket") >= 2);

    let mut successor = start_proxy(&host);
    for to in to {
        beyond.connect(to).unwrap();
    }
    assert_eq!(links(), before, "the same link");
    // While one serves, another may take its place, before and after which all are served.
    let (four, six) = (bound("127.0.0.1"), bound("::1"));
    let sockets =
        Sockets { tcp4: Some(four.as_fd()), tcp6: Some(six.as_fd()), ..Sockets::default() };
    dataplane.steer(&sockets).unwrap();
    beyond.connect(to[0]).unwrap();
    assert_eq!(four.accept().unwrap().0.local_addr().unwrap(), to[0]);
    // Without sockets it is as without a proxy.
    dataplane.steer(&Sockets::default()).unwrap();
    assert_eq!(beyond.connect(to[1]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    successor.kill().unwrap();
    successor.wait().unwrap();
}

/// Starts [`proxy_of_another_process`] in this thread's network namespace, and waits until it
/// serves.
fn start_proxy(host: &Host) -> Child {
    let mut proxy = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "steering::proxy_of_another_process"])
        .env("STEERING_INSTANCE", &host.instance)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(proxy.stdout.as_mut().unwrap()).lines();
    let is_ready = lines.map_while(Result::ok).any(|line| line.ends_with("steering"));
    assert!(is_ready, "{:?}", proxy.wait());
    proxy
}

#[test]
#[ignore = "a process that another test starts"]
fn proxy_of_another_process() {
    let instance = std::env::var("STEERING_INSTANCE").unwrap();
    let (four, six) = (bound("0.0.0.0"), bound("::"));
    let sockets =
        Sockets { tcp4: Some(four.as_fd()), tcp6: Some(six.as_fd()), ..Sockets::default() };
    Dataplane::open_pinned(&instance).unwrap().steer(&sockets).unwrap();
    println!("steering");
    let serve = |listener: TcpListener| {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let to = connection.local_addr().unwrap();
            // The client may be gone.
            drop(write!(connection, "served {to}"));
        }
    };
    let other = std::thread::spawn(move || serve(six));
    serve(four);
    other.join().unwrap();
}

/// Addresses of the instance's local routes, or of those with another protocol number.
fn local_routes(protocol: u8) -> BTreeSet<String> {
    let list = |family: &str| run(&format!("ip {family} route show table local proto {protocol}"));
    let text = list("-4") + &list("-6");
    text.lines().map(|line| line.split_whitespace().nth(1).unwrap().to_owned()).collect()
}

#[test]
fn local_routes_follow_the_vips_and_no_other_is_touched() {
    let (host, mut dataplane, _beyond) = router(&[v4(1), v6(1), v4(2)]);
    run("ip route add local 192.0.2.2/32 dev lo table local proto 77");
    run("ip -6 route add local 2001:db8::9/128 dev lo table local proto 77");
    let all = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(ToOwned::to_owned);
    assert_eq!(local_routes(76), BTreeSet::from(all));

    // A restart continues from what is there.
    let image = dataplane.tables().unwrap().image();
    assert_eq!(image.locals, BTreeSet::from([v4(1), v4(2), v6(1)]));
    drop(dataplane);
    dataplane = host.open();
    assert!(dataplane.is_steering().unwrap());
    let next = change(&mut dataplane, &desired(&host, &[v6(1), v6(3)]));
    assert_eq!(dataplane.tables().unwrap().image(), next);
    assert_eq!(local_routes(76), ["2001:db8::1", "2001:db8::3"].map(ToOwned::to_owned).into());

    // Without a proxied VIP there is no program to ask.
    change(&mut dataplane, &desired(&host, &[]));
    assert_eq!(local_routes(76), BTreeSet::new());
    assert!(!dataplane.is_steering().unwrap());
    let others = ["192.0.2.2", "2001:db8::9"].map(ToOwned::to_owned);
    assert_eq!(local_routes(77), BTreeSet::from(others));
}

#[test]
fn two_instances_of_a_host_keep_their_own_routes() {
    let (first, mut dataplane, _beyond) = router(&[v4(1)]);
    let second = format!("{}-b", first.instance);
    let mut other = Dataplane::open(&lb_userspace::dataplane::OpenOptions {
        instance: &second,
        object: lb_userspace::EBPF_OBJECT,
        settings: first.settings.clone(),
    })
    .unwrap();
    change(&mut other, &desired(&first, &[v4(1), v4(2)]));
    change(&mut dataplane, &desired(&first, &[]));
    assert_eq!(local_routes(76), ["192.0.2.1", "192.0.2.2"].map(ToOwned::to_owned).into());
    drop(other);
    detach(&second).unwrap();
    assert_eq!(local_routes(76), BTreeSet::new());
}

#[test]
fn detaching_leaves_no_link_route_or_pin() {
    let (host, mut dataplane, beyond) = router(&[v4(1), v6(1)]);
    let four = bound("127.0.0.1");
    dataplane.steer(&Sockets { tcp4: Some(four.as_fd()), ..Sockets::default() }).unwrap();
    let to = SocketAddr::new(v4(1), 1_000);
    beyond.connect(to).unwrap();
    drop(dataplane);
    assert_eq!(detach(&host.instance).unwrap(), ["inner"]);
    assert!(!Path::new("/sys/fs/bpf/lb").join(&host.instance).exists());
    assert_eq!(local_routes(76), BTreeSet::new());
    // The address made local by others shows that no program answers for it any more.
    run("ip route add local 192.0.2.1/32 dev lo table local proto 77");
    eventually("the host's own look-up refuses", || {
        let outcome = beyond.connect(to);
        outcome.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused).then_some(())
    });
}

#[test]
fn a_link_of_a_namespace_that_is_gone_is_replaced() {
    let (host, mut dataplane, beyond) = router(&[v4(1)]);
    drop(beyond);
    assert!(dataplane.is_steering().unwrap());
    // A daemon in a container that was made anew finds the pins of the old one.
    #[expect(unsafe_code, reason = "another network namespace of the test's own")]
    // SAFETY: only this thread moves, and it shares no file table with code that minds.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.unwrap();
    run("ip link set lo up");
    assert!(!dataplane.is_steering().unwrap());
    drop(dataplane);
    dataplane = host.open();
    assert!(dataplane.is_steering().unwrap());
    // Its routes are gone with the namespace, too.
    change(&mut dataplane, &desired(&host, &[v4(1)]));
    assert_eq!(local_routes(76), BTreeSet::from(["192.0.2.1".to_owned()]));
}
