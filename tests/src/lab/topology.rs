//! Which hosts, links, addresses and routes a lab has, and the commands that make them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result};

use super::host::vip_line;
use super::{Host, Netns, Options, ip_outside};

/// Bytes a packet may have on the client's side.
const MTU_CLIENT_BYTES: u32 = 1500;
/// Bytes a packet may have behind the router: a full client packet and a tunnel's header.
const MTU_BACKEND_BYTES: u32 = 1600;
/// Addresses of the client per family: 64 Ki ports each.
const CLIENT_ADDRESS_COUNT: u8 = 4;
/// Last part of the address of the first backend.
const BACKEND_FIRST: u8 = 11;

/// For every host: addresses usable at once, long queues, no reverse-path
/// filter, ICMP errors unlimited. `default` is what interfaces made later start with.
const SYSCTLS_ALL: [(&str, &str); 12] = [
    ("ipv4/tcp_tw_reuse", "1"),
    ("ipv4/tcp_max_tw_buckets", "262144"),
    ("ipv4/tcp_max_syn_backlog", "65535"),
    ("core/somaxconn", "65535"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv4/icmp_ratelimit", "0"),
    ("ipv6/icmp/ratelimit", "0"),
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
];

/// For hosts that forward; `bpf_fib_lookup` answers only where forwarding is on.
const SYSCTLS_ROUTER: [(&str, &str); 5] = [
    ("ipv4/ip_forward", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv6/conf/default/forwarding", "1"),
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
];

/// For the hosts at the ends: a wide range of ports (not on the router, which would share the
/// range with NAT), no segments sent again on mere suspicion (tail loss probes, which a busy machine
/// provokes all the time), and ARP that neither answers for a VIP on `lo` nor announces it.
const SYSCTLS_END: [(&str, &str); 6] = [
    ("ipv4/ip_local_port_range", "1024 65535"),
    ("ipv4/tcp_early_retrans", "0"),
    ("ipv4/conf/all/arp_ignore", "1"),
    ("ipv4/conf/default/arp_ignore", "1"),
    ("ipv4/conf/all/arp_announce", "2"),
    ("ipv4/conf/default/arp_announce", "2"),
];

/// The hosts of a lab, before and after they are made.
pub(super) struct Topology {
    pub(super) client: Host,
    pub(super) router: Host,
    pub(super) switch: Host,
    pub(super) gateway: Host,
    pub(super) far: Host,
    pub(super) backends: Vec<Host>,
}

/// One interface of a host: its name and the network it is on.
struct Port {
    interface: &'static str,
    net: u8,
    hosts: Vec<u8>,
}

impl Topology {
    /// The hosts and their addresses; makes nothing.
    pub(super) fn new(id: &str, options: &Options) -> Self {
        let host = |name: &str, ports: &[Port]| {
            let addresses = || ports.iter().flat_map(|p| p.hosts.iter().map(|h| (p.net, *h)));
            Host::new(
                name,
                Netns::new(format!("lb-{id}-{name}")),
                addresses().map(|(net, host)| address_v4(net, host)).collect(),
                addresses().map(|(net, host)| address_v6(net, host)).collect(),
            )
        };
        let backends = (0..options.backend_count).map(|index| {
            host(&format!("b{}", index + 1), &backend_ports(BACKEND_FIRST + index as u8))
        });
        Self {
            client: host("client", &client_ports()),
            router: host("router", &router_ports()),
            switch: host("switch", &[]),
            gateway: host("gateway", &gateway_ports()),
            far: host("far", &far_ports()),
            backends: backends.collect(),
        }
    }

    /// All hosts.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Host> {
        [&self.client, &self.router, &self.switch, &self.gateway, &self.far]
            .into_iter()
            .chain(&self.backends)
    }

    /// Makes the namespaces and everything inside them.
    pub(super) fn build(&self, options: &Options) -> Result<()> {
        let lines: Vec<String> =
            self.hosts().map(|host| format!("netns add {}", host.netns().name())).collect();
        ip_outside(&lines)?;
        for host in self.hosts() {
            self.set_sysctls(host)?;
        }
        ip_outside(&self.link_lines())?;
        self.build_switch()?;
        build_host(&self.router, &router_ports(), &self.router_routes())?;
        build_host(&self.client, &client_ports(), &default_routes(1))?;
        build_host(&self.gateway, &gateway_ports(), &default_routes(3))?;
        build_host(&self.far, &far_ports(), &default_routes(4))?;
        self.far.add_vips(&options.vips_on_backends)?;
        for (index, backend) in self.backends.iter().enumerate() {
            let ports = backend_ports(BACKEND_FIRST + index as u8);
            let mut lines = default_routes(2);
            lines.extend(options.vips_on_backends.iter().map(|vip| vip_line("replace", *vip)));
            build_host(backend, &ports, &lines)?;
        }
        Ok(())
    }

    fn set_sysctls(&self, host: &Host) -> Result<()> {
        let forwards = [self.router.name(), self.gateway.name()].contains(&host.name());
        host.enter(|| {
            if forwards {
                write_sysctls(&SYSCTLS_ROUTER)?;
            } else {
                write_sysctls(&SYSCTLS_END)?;
            }
            write_sysctls(&SYSCTLS_ALL)
        })?
        .with_context(|| format!("on host {}", host.name()))
    }

    fn link_lines(&self) -> Vec<String> {
        let link = |a: &Host, port_a: &str, b: &Host, port_b: &str, mtu_bytes: u32| {
            let (a, b) = (a.netns().name(), b.netns().name());
            format!(
                "link add name {port_a} mtu {mtu_bytes} netns {a} \
                 type veth peer name {port_b} mtu {mtu_bytes} netns {b}"
            )
        };
        let mut lines = vec![
            link(&self.router, "a0", &self.client, "eth0", MTU_CLIENT_BYTES),
            link(&self.router, "b0", &self.switch, "up0", MTU_BACKEND_BYTES),
            link(&self.router, "c0", &self.gateway, "eth0", MTU_BACKEND_BYTES),
            link(&self.gateway, "eth1", &self.far, "eth0", MTU_BACKEND_BYTES),
        ];
        for (index, backend) in self.backends.iter().enumerate() {
            let port = format!("p{}", index + 1);
            lines.push(link(&self.switch, &port, backend, "eth0", MTU_BACKEND_BYTES));
        }
        lines
    }

    fn build_switch(&self) -> Result<()> {
        let mut ports = vec!["up0".to_owned()];
        ports.extend((1..=self.backends.len()).map(|number| format!("p{number}")));
        let mut lines = vec![
            format!("link add name br0 mtu {MTU_BACKEND_BYTES} type bridge mcast_snooping 0"),
            "link set lo up".to_owned(),
        ];
        lines.extend(ports.iter().map(|port| format!("link set {port} master br0 up")));
        lines.push("link set br0 up".to_owned());
        self.switch.ip_batch(&lines)?;
        ports.iter().try_for_each(|port| set_offloads(&self.switch, port))
    }

    fn router_routes(&self) -> [String; 2] {
        let (v4, v6) = (self.gateway.address_v4(), self.gateway.address_v6());
        [format!("route add 10.4.0.0/24 via {v4}"), format!("route add fd04::/64 via {v6}")]
    }
}

/// Addresses and routes of a host, and `more` lines for `ip`.
fn build_host(host: &Host, ports: &[Port], more: &[String]) -> Result<()> {
    let mut lines = vec!["link set lo up".to_owned()];
    for port in ports {
        let (interface, net) = (port.interface, port.net);
        lines.push(format!("link set {interface} up"));
        for (index, number) in port.hosts.iter().enumerate() {
            let (v4, v6) = (address_v4(net, *number), address_v6(net, *number));
            lines.push(format!("address add {v4}/24 dev {interface}"));
            // The kernel would prefer the newest IPv6 address; the first is meant to be it.
            let lifetime = if index == 0 { "" } else { " preferred_lft 0" };
            lines.push(format!("address add {v6}/64 dev {interface} nodad{lifetime}"));
        }
    }
    lines.extend_from_slice(more);
    host.ip_batch(&lines)?;
    ports.iter().try_for_each(|port| set_offloads(host, port.interface))
}

/// `10.NET.0.HOST`.
fn address_v4(net: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, net, 0, host)
}

/// `fd0NET::HOST`, the host's digits the same as in the IPv4 address.
fn address_v6(net: u8, host: u8) -> Ipv6Addr {
    let same_digits =
        u16::from(host / 100) << 8 | u16::from(host / 10 % 10) << 4 | u16::from(host % 10);
    Ipv6Addr::new(0xfd00 | u16::from(net), 0, 0, 0, 0, 0, 0, same_digits)
}

fn client_ports() -> [Port; 1] {
    [Port { interface: "eth0", net: 1, hosts: (2..2 + CLIENT_ADDRESS_COUNT).collect() }]
}

fn router_ports() -> [Port; 3] {
    [("a0", 1), ("b0", 2), ("c0", 3)].map(|(interface, net)| Port {
        interface,
        net,
        hosts: vec![1],
    })
}

fn gateway_ports() -> [Port; 2] {
    [("eth0", 3, 2), ("eth1", 4, 1)].map(|(interface, net, host)| Port {
        interface,
        net,
        hosts: vec![host],
    })
}

fn far_ports() -> [Port; 1] {
    backend_or_far(4, BACKEND_FIRST)
}

fn backend_ports(host: u8) -> [Port; 1] {
    backend_or_far(2, host)
}

fn backend_or_far(net: u8, host: u8) -> [Port; 1] {
    [Port { interface: "eth0", net, hosts: vec![host] }]
}

/// Routes to the router (or gateway) of a network, which is always `.1`, and by it to all others.
///
/// They say what fits through to the client, because an answer that has to learn it first is
/// lost: the larger links are for the outer headers of tunnels only. The router's own address has
/// a route of its own because full NAT sends answers there.
fn default_routes(net: u8) -> Vec<String> {
    [IpAddr::V4(address_v4(net, 1)), IpAddr::V6(address_v6(net, 1))]
        .iter()
        .flat_map(|via| {
            [
                format!("route add {via} dev eth0 mtu {MTU_CLIENT_BYTES}"),
                format!("route add default via {via} mtu {MTU_CLIENT_BYTES}"),
            ]
        })
        .collect()
}

/// See the module `lab` on why these are set.
fn set_offloads(host: &Host, interface: &str) -> Result<()> {
    let words = ["ethtool", "-K", interface, "tx", "off", "tso", "off", "gso", "off", "gro", "on"];
    host.run(&words).context("(package ethtool)")?;
    Ok(())
}

fn write_sysctls(values: &[(&str, &str)]) -> Result<()> {
    for (key, value) in values {
        let path = format!("/proc/sys/net/{key}");
        fs::write(&path, value).with_context(|| format!("write {value} to {path}"))?;
    }
    Ok(())
}
