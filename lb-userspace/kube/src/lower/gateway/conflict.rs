//! Listeners of one port: which of them are distinct (Gateway API, `GatewaySpec.listeners`).
//!
//! Among listeners of one object none wins over another: all that are not distinct are in conflict.
//! Against listeners of an object with precedence the later ones lose.

use super::{ListenerDraft, Problem};
use lb_model::{HostPattern, ListenerProtocol};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What can share a port: the first bytes of a connection tell listeners of one family apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Family {
    /// By `Host`.
    Http,
    /// By SNI.
    Secure,
    /// Not at all.
    Tcp,
    /// Not at all; its ports are not those of TCP.
    Udp,
}

/// Notes conflicts and overlaps of listeners, which are in order of precedence.
pub(super) fn settle(listeners: &mut [ListenerDraft]) {
    let mut ports: BTreeMap<(bool, u16), Vec<&mut ListenerDraft>> = BTreeMap::new();
    for listener in listeners.iter_mut().filter(|it| it.refusal.is_none()) {
        let is_udp = listener.protocol == ListenerProtocol::Udp;
        ports.entry((is_udp, listener.port)).or_default().push(listener);
    }
    for port in ports.values_mut() {
        let mut taken = Taken::default();
        for owner in port.chunk_by_mut(|one, next| one.owner == next.owner) {
            taken.settle(owner);
        }
        overlap(port);
    }
}

/// What listeners with precedence have of a port.
#[derive(Default)]
struct Taken {
    families: BTreeSet<Family>,
    hosts: HashMap<HostPattern, ListenerProtocol>,
}

impl Taken {
    /// Settles the listeners of one object.
    fn settle(&mut self, owner: &mut [&mut ListenerDraft]) {
        for listener in owner.iter_mut() {
            listener.conflict = self.conflict(listener);
        }
        let mut rest: Vec<_> = owner.iter_mut().filter(|it| it.conflict.is_none()).collect();
        let mut families = BTreeSet::new();
        let mut hosts: HashMap<HostPattern, Vec<ListenerProtocol>> = HashMap::new();
        for listener in &rest {
            families.insert(family(listener.protocol));
            hosts.entry(listener.host.clone()).or_default().push(listener.protocol);
        }
        for listener in &mut rest {
            if families.len() > 1 {
                listener.conflict = Some(by_protocol(listener.port));
                continue;
            }
            let same = hosts.get(&listener.host).map(Vec::as_slice).unwrap_or_default();
            if same.len() > 1 {
                let are_equal = same.iter().all(|it| *it == listener.protocol);
                listener.conflict = Some(by_host(listener, are_equal));
            }
        }
        self.families.extend(families);
        let first = |(host, protocols): (_, Vec<_>)| Some((host, *protocols.first()?));
        self.hosts.extend(hosts.into_iter().filter_map(first));
    }

    fn conflict(&self, listener: &ListenerDraft) -> Option<Problem> {
        let own = family(listener.protocol);
        if self.families.iter().any(|it| *it != own) {
            return Some(by_protocol(listener.port));
        }
        let other = self.hosts.get(&listener.host)?;
        Some(by_host(listener, *other == listener.protocol))
    }
}

fn by_protocol(port: u16) -> Problem {
    let message = format!("another listener of port {port} speaks another protocol");
    Problem::new("ProtocolConflict", message)
}

fn by_host(listener: &ListenerDraft, is_same_protocol: bool) -> Problem {
    let port = listener.port;
    match family(listener.protocol) {
        Family::Tcp | Family::Udp => {
            Problem::new("ListenerConflict", format!("another listener has port {port}"))
        }
        _ if is_same_protocol => {
            let host = &listener.host;
            let message = format!("another listener of port {port} has the hostname {host}");
            Problem::new("HostnameConflict", message)
        }
        _ => by_protocol(port),
    }
}

const fn family(protocol: ListenerProtocol) -> Family {
    match protocol {
        ListenerProtocol::Http => Family::Http,
        ListenerProtocol::Https | ListenerProtocol::Tls => Family::Secure,
        ListenerProtocol::Tcp => Family::Tcp,
        ListenerProtocol::Udp => Family::Udp,
    }
}

/// Notes listeners that terminate TLS for hosts of each other.
fn overlap(port: &mut [&mut ListenerDraft]) {
    let is_terminated = |it: &&mut ListenerDraft| it.tls.is_some() && it.is_accepted();
    let hosts: HashSet<HostPattern> =
        port.iter().filter(|it| is_terminated(it)).map(|it| it.host.clone()).collect();
    let mut wider = HashSet::new();
    for listener in port.iter_mut().filter(|it| is_terminated(it)) {
        let containing = containing(&listener.host);
        let found: Vec<_> = containing.into_iter().filter(|it| hosts.contains(it)).collect();
        listener.overlaps = !found.is_empty();
        wider.extend(found);
    }
    for listener in port.iter_mut().filter(|it| is_terminated(it)) {
        listener.overlaps |= wider.contains(&listener.host);
    }
}

/// The other patterns that mean every host that this one means.
fn containing(host: &HostPattern) -> Vec<HostPattern> {
    let name = match host {
        HostPattern::Exact(name) => name.as_str(),
        HostPattern::Suffix(suffix) => suffix.strip_prefix('.').unwrap_or(suffix),
        HostPattern::Any => return Vec::new(),
    };
    let suffixes = name.match_indices('.').filter_map(|(place, _)| name.get(place..));
    let mut patterns: Vec<_> = suffixes.map(|it| HostPattern::Suffix(it.to_owned())).collect();
    patterns.push(HostPattern::Any);
    patterns
}
