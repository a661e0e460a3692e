//! What goes on in a cluster meanwhile: pods come and go, hosts change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::json;

use super::ask::ORIGINS;
use super::site::{endpoints, named};
use crate::kube::ApiServer;

/// Time between two changes.
const PERIOD: Duration = Duration::from_millis(20);

/// One in so many changes is of a route's host, the others are of endpoints.
const HOST_CHANGES: u32 = 5;

/// Changes objects until it is over, and returns how many changes there were.
pub(super) fn churn(
    server: &ApiServer,
    services_count: u32,
    routes_count: u32,
    is_over: &AtomicBool,
) -> Result<u64> {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut changes_count = 0;
    let mut next = Instant::now();
    while !is_over.load(Ordering::Relaxed) {
        if rng.u32(..HOST_CHANGES) == 0 {
            // The first of them is the steady client's.
            let number = rng.u32(1..routes_count);
            let host = format!("r{number}-{}.example", rng.u32(..));
            let patch = json!({ "spec": { "hostnames": [host, format!("r{number}.example")] } });
            server.patch("HTTPRoute", &named(&format!("r{number}")), &patch)?;
        } else {
            let mut addresses = ORIGINS.to_vec();
            rng.shuffle(&mut addresses);
            addresses.truncate(rng.usize(1..=ORIGINS.len()));
            let patch = json!({ "endpoints": endpoints(&addresses) });
            let name = named(&format!("s{}", rng.u32(..services_count)));
            server.patch("EndpointSlice", &name, &patch)?;
        }
        changes_count += 1;
        next += PERIOD;
        // Behind the time there is no pause: a slow API server is kept busy.
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(changes_count)
}
