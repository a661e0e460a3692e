//! Waiting for what may not be due at all.

use tokio::time::{Instant, sleep_until};

/// Waits until then; for ever if nothing is due.
pub(crate) async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
