//! How filters reach upstreams.

use super::Worker;
use crate::{
    filter::Ask,
    http::{Reason, Request, Response},
    send,
    snapshot::Snapshot,
};
use std::{cell::Cell, rc::Rc, sync::Arc, time::Duration};

/// Copies of requests under way at once on one worker; more are dropped.
const COPIES_MAX: u32 = 1_024;

/// How long a copy of a request may take.
const COPY_TIMEOUT: Duration = Duration::from_secs(30);

/// The upstreams of a snapshot.
#[derive(Clone)]
pub struct Upstreams {
    pub(super) worker: Rc<Worker>,
    pub(super) snapshot: Arc<Snapshot>,
}

thread_local! {
    /// Copies under way on this worker.
    static COPIES: Cell<u32> = const { Cell::new(0) };
}

impl Ask for Upstreams {
    async fn ask(
        &self,
        upstream: &str,
        request: Request,
        timeout: Option<Duration>,
    ) -> Result<Response, Reason> {
        let upstream = self.snapshot.upstreams.get(upstream).ok_or(Reason::BackendMissing)?;
        send::ask(&self.worker.sender, upstream, request, timeout).await
    }

    fn spawn(&self, upstream: &str, request: Request) {
        let under_way = COPIES.get();
        let Some(upstream) = self.snapshot.upstreams.get(upstream).cloned() else { return };
        if under_way >= COPIES_MAX {
            return;
        }
        COPIES.set(under_way + 1);
        let sender = Rc::clone(&self.worker.sender);
        tokio::task::spawn_local(async move {
            let answered = send::ask(&sender, &upstream, request, Some(COPY_TIMEOUT)).await;
            if let Ok(mut response) = answered {
                while let Some(Ok(_)) = response.body.frame().await {}
            }
            COPIES.set(COPIES.get() - 1);
        });
    }
}
