//! The third act: the proxy behind a VIP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};

use super::report::Report;
use crate::authority::Authority;
use crate::curl::Curl;
use crate::lab::{Family, Host, Lab};
use crate::lbd::Daemon;
use crate::origin::Origin;
use crate::services::configuration;
use crate::tls_client::{TlsConnection, served_certificate};
use crate::wait::eventually;

/// The hosts, of the first two backends in this order.
const HOSTS: [&str; 2] = ["one.example", "two.example"];
/// The port of the origins.
const ORIGIN_PORT: u16 = 8080;
/// For the new configuration and the new certificate to be in force.
const LIMIT: Duration = Duration::from_secs(30);

/// Adds an HTTPS listener to lbd's file, asks for two hosts by curl, and swaps the certificate
/// under open connections.
pub(super) fn run(lab: &Lab, daemon: &Daemon, report: &mut Report) -> Result<()> {
    println!("\nhttps through a VIP:");
    let origins = lab.backends().iter().take(HOSTS.len());
    let origins = origins.map(|host| Origin::start(host, ORIGIN_PORT, None));
    let _origins = origins.collect::<Result<Vec<_>>>()?;
    let authority = Authority::new()?;
    daemon.write_beside("tls/ca.pem", &authority.pem())?;
    renew(daemon, &authority)?;
    daemon.write(&with_listener(lab.backends()))?;
    let trusted = daemon.file().with_file_name("tls").join("ca.pem");
    let curl = |family| Curl::new(lab.client(), vip(family)).trusting(trusted.clone());
    let is_up = || curl(Family::V6).get("https://one.example/", &[]).ok();
    eventually(LIMIT, "an answer of the proxy", is_up)
        .with_context(|| daemon.lines().join("\n"))?;

    let mut kept = Vec::new();
    for family in Family::BOTH {
        for (host, backend) in HOSTS.iter().zip(lab.backends()) {
            request(&curl(family), family, host, backend, report);
        }
        let to = SocketAddr::new(vip(family), 443);
        let mut connection = TlsConnection::open(lab.client(), to, HOSTS[0], &authority)?;
        connection.get("/")?;
        report.connection_count += 1;
        kept.push((family, connection));
    }

    let chain = renew(daemon, &authority)?;
    let is_served = || {
        let to = SocketAddr::new(vip(Family::V4), 443);
        let said = served_certificate(lab.client(), to, HOSTS[0]).ok()?;
        said.contains(chain.trim()).then_some(())
    };
    eventually(LIMIT, "the new certificate", is_served)?;
    println!("  a new certificate is served");
    for (family, connection) in &mut kept {
        match connection.get("/") {
            Ok(_) => println!("  {family}: the connection from before goes on"),
            Err(error) => report.unexpected(format!("{family}: a connection broke: {error:#}")),
        }
    }
    for family in Family::BOTH {
        for (host, backend) in HOSTS.iter().zip(lab.backends()) {
            request(&curl(family), family, host, backend, report);
        }
    }
    Ok(())
}

/// A request for a host, which must get to its backend.
fn request(curl: &Curl, family: Family, host: &str, backend: &Host, report: &mut Report) {
    report.connection_count += 1;
    let name = backend.name();
    match curl.get(&format!("https://{host}/"), &[]) {
        Ok(answer) if answer.status == 200 && answer.field("x-origin") == Some(name) => {
            let version = answer.version;
            println!("  {family}: https://{host}/ is answered by {name}, 200, HTTP/{version}");
        }
        Ok(answer) => report.unexpected(format!("{family} https://{host}/: {answer:?}")),
        Err(error) => report.unexpected(format!("{family} https://{host}/: {error:#}")),
    }
}

/// Puts a new certificate in the place of the old one; returns it.
fn renew(daemon: &Daemon, authority: &Authority) -> Result<String> {
    let issued = authority.issue(&HOSTS)?;
    daemon.write_beside("tls/site.pem", &issued.chain)?;
    daemon.write_beside("tls/site.key", &issued.key)?;
    Ok(issued.chain)
}

/// An address that no service has.
fn vip(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 50)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x50)),
    }
}

/// The file of the earlier acts, with a listener, and a route and an upstream for each host.
fn with_listener(backends: &[Host]) -> String {
    let [four, six] = Family::BOTH.map(|family| SocketAddr::new(vip(family), 443));
    let (mut routes, mut upstreams) = (String::new(), String::new());
    for (host, backend) in HOSTS.iter().zip(backends) {
        let name = backend.name();
        let endpoint = SocketAddr::new(backend.address(Family::V4), ORIGIN_PORT);
        routes.extend([format!(
            "  - {{ name: {name}, listeners: [web], hosts: [{host}], rules: [{{ backends: [{name}] }}] }}\n"
        )]);
        upstreams.extend([format!("  - {{ name: {name}, endpoints: [\"{endpoint}\"] }}\n")]);
    }
    format!(
        "{}certificates:
  - {{ name: site, chain: tls/site.pem, key: tls/site.key }}
listeners:
  - {{ name: web, protocol: https, vips: [\"{four}/tcp\", \"{six}/tcp\"], tls: {{ certificates: [site] }} }}
routes:
{routes}upstreams:
{upstreams}",
        configuration(backends),
    )
}
