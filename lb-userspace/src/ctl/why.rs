//! `lbctl why`.

use super::{
    output::{Exit, Output},
    proxy_rows::milliseconds,
    source,
};
use crate::{
    admin::resource::{EndpointResource, WhyBackend, WhyObject, WhyRequest, WhyResource},
    runtime::Instance,
};
use anyhow::Result;
use std::{
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

/// Arguments of `lbctl why`.
#[derive(clap::Args)]
#[command(after_help = "\
Follows a request through what the proxy serves now. Nothing is sent, stored or counted. A host that
is no address is looked for at all addresses with the URL's port; its name is not resolved. Filters are
named, not run: whether a rate limit or an authorisation service would let it pass is not known.

Examples:
  lbctl why https://shop.example/api/orders
  lbctl why http://192.0.2.10/ -H 'Host: shop.example' -H 'x-canary: 1' -X POST
  lbctl why https://shop.example/ --to 192.0.2.10:443 --from 198.51.100.7 -o json")]
pub(super) struct Arguments {
    /// The URL.
    url: String,
    /// A field of the request; may be given several times.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = field)]
    headers: Vec<(String, String)>,
    /// Its method.
    #[arg(short = 'X', long = "method", default_value = "GET")]
    method: String,
    /// Where the client connects (default: as the URL says).
    #[arg(long, value_name = "ADDRESS:PORT")]
    to: Option<SocketAddr>,
    /// The client's address.
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
}

/// Asks and prints.
pub(super) fn run(instance: &Instance, output: Output, arguments: &Arguments) -> Result<Exit> {
    let request = WhyRequest {
        url: arguments.url.clone(),
        method: arguments.method.clone(),
        headers: arguments.headers.clone(),
        to: arguments.to,
        from: arguments.from,
    };
    let why: WhyResource =
        source::ask(instance, async |client| client.post("/v1/why", &request).await)?;
    output.object(&why, &text(&why))?;
    Ok(Exit::Done)
}

/// `name: value`.
fn field(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("give it as 'name: value'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

/// One decision a line, in the request's order.
fn text(why: &WhyResource) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        writeln!(text, "{name:<13}{value}").ok();
    };
    line("request", &why.request);
    if let Some(dns) = &why.dns {
        line("dns", dns);
    }
    line("address", why.address.as_deref().unwrap_or("none"));
    if !why.other_addresses.is_empty() {
        line("also at", &why.other_addresses.join(", "));
    }
    if let Some(packet) = &why.packet {
        let outcome = packet.outcome.as_ref().map_or_else(String::new, |it| format!(": {it}"));
        line("packet", &format!("{}, {}{outcome}", packet.decision, packet.verdict));
    }
    if let Some(error) = &why.packet_error {
        line("packet", &format!("not known: {error}"));
    }
    for it in &why.listeners {
        let verdict = verdict(it.rejected.as_deref());
        line("listener", &format!("{} ({}, {}){verdict}", it.listener, it.protocol, it.host));
    }
    if let Some(tls) = &why.tls {
        let name = tls.server_name.as_deref().unwrap_or("no server name");
        let certificates = match &tls.certificates[..] {
            [] => "the default".to_owned(),
            names => names.join(", "),
        };
        line("certificate", &format!("{certificates} for {name}"));
        tls.problems.iter().for_each(|problem| line("", problem));
    }
    for it in &why.rules {
        line("rule", &format!("{} ({}){}", it.rule, it.wants, verdict(it.rejected.as_deref())));
    }
    if why.rules_left_out > 0 {
        line("", &format!("{} more", why.rules_left_out));
    }
    if !why.filters.is_empty() {
        line("filters", &why.filters.join(", "));
    }
    for backend in &why.backends {
        line("upstream", &upstream(backend));
        backend.endpoints.iter().for_each(|it| line("endpoint", &endpoint(it)));
    }
    for it in &why.objects {
        line("object", &object(it));
    }
    let name = why.refusal.as_ref().map_or_else(String::new, |it| format!(" ({it})"));
    line("outcome", &format!("{}{name}", why.outcome));
    text
}

fn verdict(rejected: Option<&str>) -> String {
    rejected.map_or_else(|| ": taken".to_owned(), |why| format!(": no, {why}"))
}

fn object(it: &WhyObject) -> String {
    let clusters = match &it.clusters[..] {
        [] => String::new(),
        clusters => format!(" ({})", clusters.join(", ")),
    };
    let endpoints = it
        .endpoints
        .map_or_else(String::new, |it| format!(", {} of {} endpoints ready", it.ready, it.total));
    let verdict = it.reason.as_deref().unwrap_or("ok");
    format!("{}{clusters}{endpoints}: {verdict}", it.object)
}

fn upstream(backend: &WhyBackend) -> String {
    let name = backend.upstream.as_deref().unwrap_or("missing");
    let balance = backend.balance.as_deref().unwrap_or("-");
    let chosen = backend.chosen.as_deref().unwrap_or("none");
    format!("{name}, {:.0}% of requests, {balance}, would choose {chosen}", backend.share * 100.0)
}

fn endpoint(it: &EndpointResource) -> String {
    let reason = it.state_reason.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
    let latency = it.latency_ms.map_or_else(|| "-".to_owned(), milliseconds);
    format!(
        "{} {} {}{reason}, weight {}, {} under way, latency {latency}",
        it.endpoint, it.address, it.state, it.weight, it.under_way
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_named_and_may_hold_colons() {
        let wanted = ("referer".to_owned(), "http://a.example/".to_owned());
        assert_eq!(field("referer: http://a.example/"), Ok(wanted));
        assert!(field("nothing").is_err());
    }
}
