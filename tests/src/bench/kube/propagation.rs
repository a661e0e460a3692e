//! How fast changes are served.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::Options;
use super::ask::{Client, ORIGINS, Steady, origin};
use super::churn::churn;
use super::report::{Propagation, Times};
use super::site::{Site, address, gateway, route, service};
use crate::rivals::process::Process;

/// Routes of one service.
const ROUTES_PER_SERVICE: u32 = 10;

/// How long the first answers may take.
const FIRST_LIMIT: Duration = Duration::from_mins(5);

/// How long a change may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Between two measurements.
const PAUSE: Duration = Duration::from_millis(50);

/// Measures idle, then among many routes under churn.
pub(super) fn measure(options: &Options) -> Result<Propagation> {
    let site = Site::start(1)?;
    let origin = origin()?;
    site.server.create(gateway(0, site.port, &[("http".to_owned(), None)]))?;
    put(&site, origin, 0..1)?;
    let process = site.run()?;
    let at = SocketAddr::from((address(0), site.port));
    let mut client = Client::new(at);
    client
        .await_ok("r0.example", FIRST_LIMIT)
        .with_context(|| format!("lbd printed:\n{}", process.output()))?;
    eprintln!("propagation, idle");
    let (idle, idle_write) = probe(&site, &mut client, "idle", options.probes_count, || Ok(()))?;

    eprintln!("propagation among {} routes", options.routes_count);
    put(&site, origin, 1..options.routes_count)?;
    let last = options.routes_count.saturating_sub(1);
    client.await_ok(&format!("r{last}.example"), FIRST_LIMIT)?;
    let churned = under_churn(&site, &process, &mut client, at, options)?;
    Ok(Propagation { idle, idle_write, ..churned })
}

fn under_churn(
    site: &Site,
    process: &Process,
    client: &mut Client,
    at: SocketAddr,
    options: &Options,
) -> Result<Propagation> {
    let is_over = AtomicBool::new(false);
    let services_count = options.routes_count.div_ceil(ROUTES_PER_SERVICE);
    thread::scope(|scope| {
        let (began, cpu) = (Instant::now(), process.cpu()?);
        let churning =
            scope.spawn(|| churn(&site.server, services_count, options.routes_count, &is_over));
        let steady = Steady::start(at, "r0.example".to_owned());
        let mut rss_bytes = 0;
        let probed = probe(site, client, "churn", options.probes_count, || {
            rss_bytes = process.rss_bytes()?.max(rss_bytes);
            Ok(())
        });
        is_over.store(true, Ordering::Relaxed);
        let churned = churning.join().ok().context("the churn panicked")??;
        let took = began.elapsed().as_secs_f64();
        let cpu_cores = process.cpu()?.saturating_sub(cpu).as_secs_f64() / took;
        let (requests_count, errors_count) = steady.end();
        let (churn, churn_write) = probed?;
        Ok(Propagation {
            idle: Times::default(),
            idle_write: Times::default(),
            routes_count: options.routes_count,
            churn,
            churn_write,
            changes_per_s: churned as f64 / took,
            requests_count,
            errors_count,
            rss_bytes,
            cpu_cores,
        })
    })
}

/// Creates routes one after the other and waits for each; the times until they were served, and
/// until they were written.
fn probe(
    site: &Site,
    client: &mut Client,
    name: &str,
    count: u32,
    mut meanwhile: impl FnMut() -> Result<()>,
) -> Result<(Times, Times)> {
    let (mut served, mut written) = (Vec::new(), Vec::new());
    for number in 0..count {
        let name = format!("{name}-{number}");
        let host = format!("{name}.example");
        let object = route(&name, 0, "http", &host, "s0");
        let began = Instant::now();
        let took = thread::scope(|scope| -> Result<Duration> {
            let writing = scope.spawn(|| {
                site.server.create(object)?;
                Ok::<_, anyhow::Error>(began.elapsed())
            });
            client.await_ok(&host, LIMIT)?;
            served.push(began.elapsed());
            writing.join().ok().context("the write panicked")?
        })?;
        written.push(took);
        meanwhile()?;
        thread::sleep(PAUSE);
    }
    Ok((Times::of(served), Times::of(written)))
}

/// Creates these routes, and a service for every ten.
fn put(site: &Site, origin: u16, numbers: Range<u32>) -> Result<()> {
    let mut objects = Vec::new();
    for number in numbers {
        let name = format!("s{}", number / ROUTES_PER_SERVICE);
        if number % ROUTES_PER_SERVICE == 0 {
            objects.extend(service(&name, origin, &ORIGINS));
        }
        let own = format!("r{number}");
        objects.push(route(&own, 0, "http", &format!("{own}.example"), &name));
    }
    site.server.create_many(objects)
}
