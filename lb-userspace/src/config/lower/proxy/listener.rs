//! Listeners.

use super::{Context, names::Taken, port::Ports, tls};
use crate::{
    config::{
        diagnostic::Position,
        located::Located,
        lower::{
            Whole, address,
            scalar::{self, Size},
        },
        schema,
    },
    model::{
        Bind, CONNECTIONS_DEFAULT, HttpOptions, Listener, ListenerProtocol, SESSION_IDLE_DEFAULT,
        Vip,
    },
};
use lb_common::limits;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

/// Bytes of a header section, at most: it is kept in memory for every request.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// Fields of a header section, at most.
const HEADER_FIELDS_MAX: u16 = 10_000;

/// HTTP/2 streams of a connection, at most.
const STREAMS_MAX: u32 = 65_536;

pub(super) fn all(
    list: &[schema::Listener],
    whole: &mut Whole,
    cx: &mut Context<'_>,
) -> BTreeMap<String, Listener> {
    if let Some(first) = list.get(limits::LISTENERS_MAX) {
        cx.too_many("listeners", list.len(), limits::LISTENERS_MAX, first.name.at);
    }
    let mut taken = Taken::default();
    let mut ports = Ports::default();
    let mut listeners = BTreeMap::new();
    for file in list {
        let name = taken.take("listener", &file.name, cx.report);
        let listener = one(file, whole, &mut ports, cx);
        if let Some(name) = name {
            listeners.insert(name, listener);
        }
    }
    listeners
}

fn one(
    file: &schema::Listener,
    whole: &mut Whole,
    ports: &mut Ports,
    cx: &mut Context<'_>,
) -> Listener {
    fits(file, cx);
    let protocol = protocol(file.protocol.value);
    let host = file.host.as_ref().and_then(|host| cx.host_pattern(host)).unwrap_or_default();
    let speaks = super::port::Speaks {
        listener: &file.name.value,
        protocol,
        host: &host,
        takes_proxy_protocol: file.proxy_protocol.as_ref().is_some_and(|it| it.value),
    };
    let vips = vips(file, &speaks, whole, ports, cx);
    let binds = binds(file, &speaks, ports, cx);
    let takes_proxy_protocol = speaks.takes_proxy_protocol;
    if is_empty(file.vips.as_ref()) && is_empty(file.binds.as_ref()) {
        let message = format!("listener `{}` has neither VIPs nor binds", file.name.value);
        let hint = "add `vips: [\"192.0.2.10:443/tcp\"]` or `binds: [\"0.0.0.0:8443\"]`";
        cx.report.error(file.name.at, message, hint);
    }
    Listener {
        vips,
        binds,
        protocol,
        host,
        tls: file.tls.as_ref().map(|file| tls::listener(file, cx)),
        takes_proxy_protocol,
        sources: address::prefixes(super::list(file.sources.as_ref()), cx.report),
        connections_max: cx.count(
            "number of connections",
            file.connections_max.as_ref(),
            CONNECTIONS_DEFAULT,
        ),
        http: file.http.as_ref().map_or_else(HttpOptions::default, |it| http(&it.value, cx)),
        idle_timeout: cx.time("idle timeout", file.idle_timeout.as_ref(), SESSION_IDLE_DEFAULT),
    }
}

fn is_empty<T>(list: Option<&Located<Vec<T>>>) -> bool {
    list.is_none_or(|list| list.value.is_empty())
}

/// Whether what is said makes sense for what is spoken.
fn fits(file: &schema::Listener, cx: &mut Context<'_>) {
    use schema::ListenerProtocol as Spoken;
    let spoken = file.protocol.value;
    let shown = word(spoken);
    let mut wrong = |at: Position, what: &str, hint: &str| {
        cx.report.error(at, format!("{what} with protocol `{shown}`"), hint);
    };
    let terminates = matches!(spoken, Spoken::Https | Spoken::Tls);
    match &file.tls {
        None if matches!(spoken, Spoken::Https) => {
            let hint = "add `tls: { certificates: [NAME] }`; what is in the clear is `http`";
            wrong(file.protocol.at, "no `tls`", hint);
        }
        Some(tls) if !terminates => {
            wrong(tls.at, "`tls`", "remove it, or let the protocol be `https` or `tls`");
        }
        _ => {}
    }
    if let Some(http) = file.http.as_ref().filter(|_| !is_http(spoken)) {
        wrong(http.at, "`http`", "remove it: HTTP is not spoken here");
    }
    if let Some(idle) = file.idle_timeout.as_ref().filter(|_| is_http(spoken)) {
        let hint = "remove it; times of HTTP are `keep_alive_timeout` and others in `http`";
        wrong(idle.at, "`idle_timeout`", hint);
    }
    if let Some(host) = file.host.as_ref().filter(|_| matches!(spoken, Spoken::Tcp | Spoken::Udp)) {
        wrong(host.at, "`host`", "remove it: nothing on the wire tells the host");
    }
    if let Some(proxy) = &file.proxy_protocol
        && proxy.value
        && matches!(spoken, Spoken::Udp)
    {
        wrong(proxy.at, "`proxy_protocol`", "remove it: it needs a connection");
    }
}

/// Whether it is HTTP that is spoken.
pub(super) const fn is_http(protocol: schema::ListenerProtocol) -> bool {
    matches!(protocol, schema::ListenerProtocol::Http | schema::ListenerProtocol::Https)
}

/// The word of the file.
pub(super) const fn word(protocol: schema::ListenerProtocol) -> &'static str {
    match protocol {
        schema::ListenerProtocol::Http => "http",
        schema::ListenerProtocol::Https => "https",
        schema::ListenerProtocol::Tls => "tls",
        schema::ListenerProtocol::Tcp => "tcp",
        schema::ListenerProtocol::Udp => "udp",
    }
}

const fn protocol(file: schema::ListenerProtocol) -> ListenerProtocol {
    match file {
        schema::ListenerProtocol::Http => ListenerProtocol::Http,
        schema::ListenerProtocol::Https => ListenerProtocol::Https,
        schema::ListenerProtocol::Tls => ListenerProtocol::Tls,
        schema::ListenerProtocol::Tcp => ListenerProtocol::Tcp,
        schema::ListenerProtocol::Udp => ListenerProtocol::Udp,
    }
}

fn vips(
    file: &schema::Listener,
    speaks: &super::port::Speaks<'_>,
    whole: &mut Whole,
    ports: &mut Ports,
    cx: &mut Context<'_>,
) -> BTreeSet<Vip> {
    let mut vips = BTreeSet::new();
    let transport = super::port::transport(speaks.protocol);
    for text in file.vips.as_ref().map_or(&[][..], |list| &list.value) {
        let Some(vip) = address::vip(text, cx.report) else { continue };
        if vip.port == 0 {
            let hint = "list the ports that are meant; a service of the packet path can have all";
            cx.report.error(text.at, format!("{vip} has no port"), hint);
        } else if vip.protocol != transport {
            let (it, needed) = (word(file.protocol.value), transport);
            let message = format!("{vip} cannot carry protocol `{it}`");
            cx.report.error(text.at, message, format!("`{it}` is spoken over {needed}"));
        } else if let Some((service, at)) = whole.vips.get(&vip) {
            let message = format!("VIP {vip} belongs to service `{service}` already");
            let hint = "packets go either to a service's backends or to the proxy";
            cx.report.error(text.at, message, format!("{}; {hint}", scalar::other_at(*at)));
        } else {
            let socket = SocketAddr::new(vip.address, vip.port);
            ports.claim(socket, speaks, text.at, cx.report);
            whole.listener_vip(vip, text.at);
            vips.insert(vip);
        }
    }
    vips
}

fn binds(
    file: &schema::Listener,
    speaks: &super::port::Speaks<'_>,
    ports: &mut Ports,
    cx: &mut Context<'_>,
) -> BTreeSet<Bind> {
    let mut binds = BTreeSet::new();
    for text in file.binds.as_ref().map_or(&[][..], |list| &list.value) {
        let address = text.value.trim().parse::<SocketAddr>().ok().filter(|it| it.port() != 0);
        let Some(address) = address else {
            let message = format!("`{}` cannot be bound", text.value);
            let hint = "write `ADDRESS:PORT`, like `0.0.0.0:8080` or `[::]:8080`";
            cx.report.error(text.at, message, hint);
            continue;
        };
        if address.ip().is_multicast() {
            let hint = "bind an address of this host, or the unspecified one";
            cx.report.error(text.at, format!("{} is a multicast address", address.ip()), hint);
            continue;
        }
        ports.claim(address, speaks, text.at, cx.report);
        binds.insert(Bind { address });
    }
    binds
}

fn http(file: &schema::Http, cx: &mut Context<'_>) -> HttpOptions {
    let default = HttpOptions::default();
    let (fields, streams) = (file.header_fields_max.as_ref(), file.streams_max.as_ref());
    let body = file.body_bytes_max.as_ref();
    HttpOptions {
        header_timeout: cx.time(
            "header timeout",
            file.header_timeout.as_ref(),
            default.header_timeout,
        ),
        keep_alive_timeout: cx.time(
            "keep-alive timeout",
            file.keep_alive_timeout.as_ref(),
            default.keep_alive_timeout,
        ),
        body_timeout: cx.time("body timeout", file.body_timeout.as_ref(), default.body_timeout),
        header_bytes_max: header_bytes_max(file.header_bytes_max.as_ref(), cx)
            .unwrap_or(default.header_bytes_max),
        header_fields_max: scalar::count(
            "number of fields",
            fields,
            1..=HEADER_FIELDS_MAX,
            default.header_fields_max,
            cx.report,
        ),
        requests_max: file
            .requests_max
            .as_ref()
            .map(|n| scalar::count("number of requests", Some(n), 1..=u32::MAX, 1, cx.report)),
        streams_max: scalar::count(
            "number of streams",
            streams,
            1..=STREAMS_MAX,
            default.streams_max,
            cx.report,
        ),
        http2: file.http2.unwrap_or(default.http2),
        body_bytes_max: match body
            .and_then(|it| scalar::size("size of a body", it, u64::MAX, cx.report))
        {
            Some(Size::Bytes(bytes)) => Some(bytes),
            Some(Size::Unlimited) | None => None,
        },
        trusted_peers: address::prefixes(super::list(file.trusted_peers.as_ref()), cx.report),
        server_name: file
            .server_name
            .as_ref()
            .and_then(|text| super::field::value(&text.value, text.at, cx.report)),
    }
}

fn header_bytes_max(
    file: Option<&Located<schema::TextOrNumber>>,
    cx: &mut Context<'_>,
) -> Option<u32> {
    let file = file?;
    match scalar::size("size of a header", file, HEADER_BYTES_MAX, cx.report)? {
        Size::Bytes(bytes) => u32::try_from(bytes).ok(),
        Size::Unlimited => {
            let hint = "headers are kept in memory and need a limit";
            cx.report.error(file.at, "no limit of a header's size", hint);
            None
        }
    }
}
