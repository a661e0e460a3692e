//! Per-packet logs of the kernel program, while the configuration asks for them.

use crate::dataplane::Dataplane;
use std::time::Duration;
use tokio::time;

/// How soon after the program was replaced its successor's log is read.
const LOOK: Duration = Duration::from_secs(1);

/// Logs what the program of `dataplane` says about packets, for ever.
pub(super) async fn follow(dataplane: Dataplane) {
    loop {
        match dataplane.packet_log() {
            Ok(log) => tokio::select! {
                never = log => match never {},
                () = replaced(&dataplane) => {}
            },
            Err(error) => {
                tracing::warn!("the packet log cannot be read: {error}");
                time::sleep(LOOK).await;
            }
        }
    }
}

/// Waits until another program runs: each has a trace cookie of its own.
async fn replaced(dataplane: &Dataplane) {
    let cookie = || dataplane.info().ok().map(|info| info.trace_cookie);
    let before = cookie();
    while cookie() == before {
        time::sleep(LOOK).await;
    }
}
