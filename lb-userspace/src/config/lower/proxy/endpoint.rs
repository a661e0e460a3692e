//! Endpoints of an upstream.

use super::Context;
use crate::{
    config::{diagnostic::Position, located::Located, lower::scalar, schema},
    model::{Endpoint, EndpointAddress},
};
use lb_common::limits;
use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
};

/// Relative share, at most.
const WEIGHT_MAX: u16 = 1_000;
const WEIGHT_DEFAULT: u16 = 1;

type File = Located<schema::TextOr<schema::Endpoint>>;

pub(super) fn all(list: &[File], cx: &mut Context<'_>) -> BTreeMap<String, Endpoint> {
    let mut names: HashMap<String, Position> = HashMap::new();
    let mut places: HashMap<(EndpointAddress, u16), Position> = HashMap::new();
    let mut endpoints = BTreeMap::new();
    for file in list {
        cx.endpoint_count += 1;
        if cx.endpoint_count == limits::ENDPOINTS_MAX + 1 {
            let count = cx.endpoint_count;
            cx.too_many("endpoints", count, limits::ENDPOINTS_MAX, file.at);
        }
        let Some((name, name_at, endpoint)) = one(file, cx) else { continue };
        let place = (endpoint.address.clone(), endpoint.port);
        if let Some(other) = places.insert(place, file.at) {
            let message = "an endpoint with the address and port of another";
            let hint = format!("{}; for a larger share use `weight`", scalar::other_at(other));
            cx.report.error(file.at, message, hint);
        } else if let Some(other) = names.insert(name.clone(), name_at) {
            let message = format!("a second endpoint with the name `{name}`");
            cx.report.error(name_at, message, scalar::other_at(other));
        }
        endpoints.insert(name, endpoint);
    }
    endpoints
}

fn one(file: &File, cx: &mut Context<'_>) -> Option<(String, Position, Endpoint)> {
    match &file.value {
        schema::TextOr::Text(text) => {
            let text = Located { value: text.clone(), at: file.at };
            let (address, port) = address_and_port(&text, cx)?;
            let name = shown(&address, port);
            let endpoint = Endpoint { address, port, weight: WEIGHT_DEFAULT, drain: false };
            Some((name, file.at, endpoint))
        }
        schema::TextOr::Full(full) => {
            let port = scalar::port(&full.port, cx.report);
            let weight = full.weight.as_ref();
            let weight = scalar::count("weight", weight, 0..=WEIGHT_MAX, WEIGHT_DEFAULT, cx.report);
            let address = address(&full.address, cx);
            let name = full.name.as_ref().map(|name| (scalar::name(name, cx.report), name.at));
            let (address, port) = (address?, port?);
            let (name, at) = match name {
                Some((name, at)) => (name?, at),
                None => (shown(&address, port), file.at),
            };
            let drain = full.drain.unwrap_or_default();
            Some((name, at, Endpoint { address, port, weight, drain }))
        }
    }
}

/// What an endpoint is called that has no name of its own.
fn shown(address: &EndpointAddress, port: u16) -> String {
    match address {
        EndpointAddress::Ip(address) => SocketAddr::new(*address, port).to_string(),
        EndpointAddress::Name(name) => format!("{name}:{port}"),
    }
}

fn address_and_port(
    text: &Located<String>,
    cx: &mut Context<'_>,
) -> Option<(EndpointAddress, u16)> {
    let value = text.value.trim();
    let split = value.parse::<SocketAddr>().map_or_else(
        // Without brackets nobody knows where an IPv6 address ends.
        |_| {
            let (host, port) = value.rsplit_once(':').filter(|(host, _)| !host.contains(':'))?;
            Some((host.to_owned(), port.to_owned()))
        },
        |socket| Some((socket.ip().to_string(), socket.port().to_string())),
    );
    let port = split.as_ref().and_then(|(_, port)| port.parse::<u16>().ok()).filter(|n| *n > 0);
    let (Some((host, _)), Some(port)) = (split, port) else {
        let hint = "write `ADDRESS:PORT` or `HOST:PORT`, like `10.0.0.1:8080` or \
                    `\"[2001:db8::1]:8080\"`";
        cx.report.error(text.at, format!("`{value}` is not an endpoint"), hint);
        return None;
    };
    let address = address(&Located { value: host, at: text.at }, cx)?;
    Some((address, port))
}

fn address(text: &Located<String>, cx: &mut Context<'_>) -> Option<EndpointAddress> {
    let value = text.value.trim();
    if let Ok(address) = value.parse::<IpAddr>() {
        let mapped = matches!(address, IpAddr::V6(inner) if inner.to_ipv4_mapped().is_some());
        if address.is_unspecified() || address.is_multicast() || mapped {
            let hint = "write the unicast address of one host";
            cx.report.error(text.at, format!("{address} is not where an endpoint can be"), hint);
            return None;
        }
        return Some(EndpointAddress::Ip(address));
    }
    // No top-level domain is a number (RFC 3696, section 2): it is an address with a mistake.
    let last = value.rsplit('.').next().unwrap_or_default();
    if last.is_empty() || last.bytes().all(|byte| byte.is_ascii_digit()) {
        let hint = "write an IPv4 or IPv6 address, or a host name without a dot at its end";
        cx.report.error(text.at, format!("`{value}` is neither an address nor a name"), hint);
        return None;
    }
    cx.host_name(&Located { value: value.to_owned(), at: text.at }).map(EndpointAddress::Name)
}
