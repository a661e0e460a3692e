//! A host of the lab: a namespace with addresses, in which things are run and asked for.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::netns::Netns;
use super::process::Process;
use super::retransmits::{self, Retransmits};

/// A hardware address; prints as `02:00:00:00:00:01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.0;
        write!(out, "{first:02x}")?;
        rest.iter().try_for_each(|byte| write!(out, ":{byte:02x}"))
    }
}

/// One host of a lab.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    netns: Netns,
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
}

impl Host {
    pub(super) fn new(name: &str, netns: Netns, v4: Vec<Ipv4Addr>, v6: Vec<Ipv6Addr>) -> Self {
        Self { name: name.to_owned(), netns, v4, v6 }
    }

    /// The short name: `client`, `router`, `b1` ...
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host's network namespace.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The first IPv4 address. Every host of a lab has one, the switch excepted (`0.0.0.0`).
    pub fn address_v4(&self) -> Ipv4Addr {
        self.v4.first().copied().unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// The first IPv6 address. Every host of a lab has one, the switch excepted (`::`).
    pub fn address_v6(&self) -> Ipv6Addr {
        self.v6.first().copied().unwrap_or(Ipv6Addr::UNSPECIFIED)
    }

    /// All addresses of one family; a client has several, to have more source ports to use.
    pub fn addresses(&self, family: Family) -> Vec<IpAddr> {
        match family {
            Family::V4 => self.v4.iter().copied().map(IpAddr::V4).collect(),
            Family::V6 => self.v6.iter().copied().map(IpAddr::V6).collect(),
        }
    }

    /// The first address of one family.
    pub fn address(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => IpAddr::V4(self.address_v4()),
            Family::V6 => IpAddr::V6(self.address_v6()),
        }
    }

    /// A command that will run inside the host. Errors: the lab is down.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Result<Command> {
        self.netns.command(program)
    }

    /// Runs a command inside the host to its end and returns its output.
    ///
    /// Errors: it could not be started, or ended with another status than 0; the error then
    /// holds what it printed.
    pub fn run(&self, words: &[&str]) -> Result<Output> {
        let (program, arguments) = words.split_first().context("an empty command")?;
        let mut command = self.command(program)?;
        let output = command
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("start {program} on {}", self.name))?;
        checked(output, &format!("{} on {}", words.join(" "), self.name))
    }

    /// Starts a long-running command inside the host; it is killed when the [`Process`] is
    /// dropped, and at the latest when the lab goes down.
    pub fn spawn(&self, command: &mut Command) -> Result<Process> {
        Process::spawn(command)
    }

    /// Runs a closure inside the host, on a thread of its own: see [`Netns::enter`].
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        self.netns.enter(work)
    }

    /// Runs `ip -batch` inside the host on the given lines.
    pub fn ip_batch(&self, lines: &[String]) -> Result<()> {
        ip_batch(self.command("ip")?, lines).with_context(|| format!("on host {}", self.name))
    }

    /// The hardware address of an interface.
    pub fn mac(&self, interface: &str) -> Result<MacAddress> {
        let text = self.link(interface)?.address;
        parse_mac(&text).with_context(|| format!("{interface} has the address {text}"))
    }

    /// The index of an interface.
    pub fn ifindex(&self, interface: &str) -> Result<u32> {
        Ok(self.link(interface)?.ifindex)
    }

    /// Gives `lo` the VIPs, as a backend needs them for DSR and tunnels; they are not announced
    /// by ARP or neighbour discovery. Adding an address twice is no error.
    pub fn add_vips(&self, vips: &[IpAddr]) -> Result<()> {
        self.change_vips("replace", vips)
    }

    /// Takes the VIPs away from `lo`.
    pub fn remove_vips(&self, vips: &[IpAddr]) -> Result<()> {
        self.change_vips("del", vips)
    }

    /// The TCP segments sent more than once, by the connections of this host that are open now:
    /// the key is `LOCAL:PORT PEER:PORT`.
    pub fn tcp_retransmits(&self) -> Result<BTreeMap<String, Retransmits>> {
        let words = ["ss", "--tcp", "--info", "--oneline", "--no-header", "--numeric"];
        let output = self.run(&[&words[..], &["state", "established"]].concat())?;
        Ok(retransmits::parse(&String::from_utf8_lossy(&output.stdout)))
    }

    fn change_vips(&self, verb: &str, vips: &[IpAddr]) -> Result<()> {
        let lines: Vec<String> = vips.iter().map(|vip| vip_line(verb, *vip)).collect();
        self.ip_batch(&lines)
    }

    fn link(&self, interface: &str) -> Result<Link> {
        let output = self.run(&["ip", "-json", "link", "show", "dev", interface])?;
        let links: Vec<Link> = serde_json::from_slice(&output.stdout).context("ip -json")?;
        links.into_iter().next().with_context(|| format!("no interface {interface}"))
    }
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both, in the order in which tables print them.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// Whether the address is of this family.
    pub fn holds(self, address: IpAddr) -> bool {
        (self == Self::V4) == address.is_ipv4()
    }
}

impl fmt::Display for Family {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::V4 => "v4",
            Self::V6 => "v6",
        })
    }
}

#[derive(Deserialize)]
struct Link {
    ifindex: u32,
    address: String,
}

/// `ip` arguments that change a VIP on `lo`.
pub(super) fn vip_line(verb: &str, vip: IpAddr) -> String {
    match vip {
        IpAddr::V4(vip) => format!("address {verb} {vip}/32 dev lo"),
        IpAddr::V6(vip) => format!("address {verb} {vip}/128 dev lo nodad"),
    }
}

/// Feeds `lines` to the given `ip` command in batch mode; stops at the first that fails.
pub(super) fn ip_batch(mut ip: Command, lines: &[String]) -> Result<()> {
    let mut child = ip
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start ip (package iproute2)")?;
    let text = lines.join("\n") + "\n";
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes()).context("write to ip -batch")?;
    }
    let output = child.wait_with_output().context("wait for ip -batch")?;
    ensure!(
        output.status.success(),
        "ip -batch: {}\nof the lines\n{text}",
        String::from_utf8_lossy(&output.stderr).trim(),
    );
    Ok(())
}

/// The output itself if the command ended well, otherwise an error with what it printed.
pub(super) fn checked(output: Output, what: &str) -> Result<Output> {
    if output.status.success() {
        return Ok(output);
    }
    bail!(
        "{what}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    )
}

fn parse_mac(text: &str) -> Option<MacAddress> {
    let mut bytes = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
    }
    parts.next().is_none().then_some(MacAddress(bytes))
}
