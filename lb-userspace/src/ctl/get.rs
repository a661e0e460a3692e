//! `lbctl get`.

use super::{
    clusters, generation, objects,
    output::{Exit, Output},
    proxy, source,
};
use crate::{
    admin::resource::{FlowFilter, List, backends, stats, vips},
    runtime::Instance,
};
use anyhow::Result;
use clap::Subcommand;

/// What to get.
#[derive(Subcommand)]
pub(super) enum What {
    /// VIPs: mode, backends, ring, traffic.
    Vips,
    /// Backends of every VIP: state, health, share of the ring, next hop, traffic.
    Backends,
    /// Tracked flows (of slots that moved) and translated flows.
    #[command(after_help = "\
A flow is tracked only while its ring slot has moved; all others need no memory and are not listed.

Examples:
  lbctl get flows --backend web/a
  lbctl get flows --vip 192.0.2.10:80/tcp --limit 10 -o wide")]
    Flows(FlowArguments),
    /// Listeners of the proxy; exits 3 if one does not work.
    Listeners,
    /// Rules of the proxy's routes: what they match, who answers, what became of requests; exits 3
    /// if one does not work.
    Routes,
    /// Endpoints of the proxy's upstreams: state, requests, latency; exits 3 if an upstream has
    /// none that takes new requests.
    Upstreams,
    /// Certificates of the proxy; exits 3 if one cannot be used.
    Certificates,
    /// Clusters: whether they are watched, since when, what went wrong last; exits 3 if one is away.
    Clusters,
    /// Gateways of clusters: addresses, listeners, whether they run and why not; exits 3 if one
    /// does not, or not as it asks for.
    Gateways,
    /// Services of type LoadBalancer of clusters: addresses, endpoints, whether they are served and
    /// why not; exits 3 if one is not.
    Services,
    /// Counters: forwarded, answered, passed and dropped packets by reason, flow events.
    Stats,
    /// Loaded programs and the interfaces they run on.
    Programs,
    /// Generations, configuration and interfaces; exits 3 if something is not as it should be.
    Generation,
}

/// Which flows.
#[derive(clap::Args)]
pub(super) struct FlowArguments {
    /// Only flows to this VIP (`192.0.2.10:80/tcp`) or to VIPs that begin so.
    #[arg(long)]
    vip: Option<String>,
    /// Only flows of this backend.
    #[arg(long, value_name = "SERVICE/BACKEND")]
    backend: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    limit: usize,
}

/// Gets and prints.
pub(super) fn run(instance: &Instance, output: Output, what: &What) -> Result<Exit> {
    match what {
        What::Vips => output.list(&source::ask_or_read(
            "lbctl",
            instance,
            async |client| client.get("/v1/vips").await,
            |maps| Ok(List::new(vips(&source::view(instance, maps)?))),
        )?)?,
        What::Backends => output.list(&source::ask_or_read(
            "lbctl",
            instance,
            async |client| client.get("/v1/backends").await,
            |maps| Ok(List::new(backends(&source::view(instance, maps)?))),
        )?)?,
        What::Stats => output.list(&source::ask_or_read(
            "lbctl",
            instance,
            async |client| client.get("/v1/stats").await,
            |maps| Ok(List::new(stats(&source::view(instance, maps)?))),
        )?)?,
        What::Programs => output.list(&source::ask_or_read(
            "lbctl",
            instance,
            async |client| client.get("/v1/programs").await,
            |maps| Ok(List::new(maps.programs()?)),
        )?)?,
        What::Listeners => return proxy::listeners(instance, output),
        What::Routes => return proxy::routes(instance, output),
        What::Upstreams => return proxy::upstreams(instance, output),
        What::Certificates => return proxy::certificates(instance, output),
        What::Gateways => return objects::gateways(instance, output),
        What::Services => return objects::services(instance, output),
        What::Clusters => return clusters::run(instance, output),
        What::Flows(arguments) => flows(instance, output, arguments)?,
        What::Generation => return generation::run(instance, output),
    }
    Ok(Exit::Done)
}

fn flows(instance: &Instance, output: Output, arguments: &FlowArguments) -> Result<()> {
    let filter = FlowFilter {
        vip: arguments.vip.clone(),
        backend: arguments.backend.clone(),
        limit: arguments.limit,
    };
    let list = source::ask_or_read(
        "lbctl",
        instance,
        async |client| client.get(&format!("/v1/flows?{}", filter.to_query())).await,
        |maps| Ok(List::new(maps.flows(&filter)?)),
    )?;
    output.list(&list)
}
