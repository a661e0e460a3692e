//! Many exchanges, a limited number at a time.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use tokio::task::JoinSet;

use super::tally::{Answer, Failure, Tally};

/// Runs the exchanges 0 to `count`, `parallel` of them at a time, and tallies their results.
pub(super) async fn tally_all<Exchange>(
    count: u64,
    parallel: u64,
    exchange: impl Fn(u64) -> Exchange + Clone + Send + 'static,
) -> Result<Tally>
where
    Exchange: Future<Output = Result<Answer, Failure>> + Send,
{
    let next = Arc::new(AtomicU64::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..parallel.min(count) {
        let (next, exchange) = (Arc::clone(&next), exchange.clone());
        workers.spawn(async move {
            let mut tally = Tally::default();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    return tally;
                }
                tally.add(exchange(index).await);
            }
        });
    }
    let mut tally = Tally::default();
    while let Some(worker) = workers.join_next().await {
        tally.merge(worker.context("a client task")?);
    }
    Ok(tally)
}
