//! Sends the requests of rules, and the proxy's own.

use super::{
    Plan, Sender, Upstream,
    attempt::{Job, Progress},
    clock::after,
    persistence,
};
use crate::{
    exchange::Exchange,
    http::{Known, Reason, Request, Response},
};
use lb_model::Timeouts;
use std::{rc::Rc, sync::Arc, time::Duration};
use tokio::time::Instant;

/// When a client that a limit stopped may ask again, in seconds.
pub const RETRY_AFTER: &[u8] = b"1";

/// Has a request answered as its rule says: chooses the backend and the endpoint, connects, sends,
/// and tries again where that is allowed. What happened is noted in the exchange's record.
pub async fn dispatch(
    sender: &Rc<Sender>,
    exchange: &mut Exchange,
    plan: &Plan,
    mut request: Request,
) -> Response {
    let persistence = plan.persistence.as_ref();
    let pinned = persistence.and_then(|it| persistence::pinned(&request, it));
    let backend = plan.choose(pinned);
    let Some((backend, upstream)) = backend.and_then(|it| Some((it, it.upstream.as_ref()?))) else {
        return Response::refusal(Reason::BackendMissing);
    };
    let mut key = upstream.key(Some(exchange.connection.client.ip()), Some(&request));
    key.pinned = pinned;
    let started = Instant::from_std(exchange.record.started);
    let job = Job {
        sender,
        upstream,
        key,
        exchange: Some(exchange),
        edits: backend.edits.as_deref(),
        timeouts: plan.timeouts,
        retry: plan.retry.as_ref(),
        deadline: plan.timeouts.request.map(|it| after(started, it)),
    };
    let mut progress = Progress::default();
    let answered = job.run(&mut request, &mut progress).await;
    note(exchange, upstream, &progress);
    match answered {
        Ok(mut response) => {
            let sent_to = progress.endpoint.map(|(_, id)| id);
            if let (Some(persistence), Some(id)) = (persistence, sent_to)
                && pinned != Some(id)
            {
                persistence::pin(&mut response, persistence, id);
            }
            response
        }
        Err(reason) => refusal(reason),
    }
}

/// Has a request of the proxy's own answered (authorisation, mirrors), within `timeout`, the body
/// of the response included.
pub async fn ask(
    sender: &Rc<Sender>,
    upstream: &Arc<Upstream>,
    mut request: Request,
    timeout: Option<Duration>,
) -> Result<Response, Reason> {
    let key = upstream.key(None, Some(&request));
    let job = Job {
        sender,
        upstream,
        key,
        exchange: None,
        edits: None,
        timeouts: Timeouts::default(),
        retry: None,
        deadline: timeout.map(|it| after(Instant::now(), it)),
    };
    job.run(&mut request, &mut Progress::default()).await
}

fn note(exchange: &mut Exchange, upstream: &Upstream, progress: &Progress) {
    let record = &mut exchange.record;
    record.upstream = Some(Arc::clone(upstream.name()));
    record.endpoint = progress.endpoint.map(|(address, _)| address);
    record.tries = progress.tries;
    record.answered = progress.answered.map(Instant::into_std);
}

fn refusal(reason: Reason) -> Response {
    let mut response = Response::refusal(reason);
    if reason == Reason::CircuitOpen {
        response.fields.set(Known::RetryAfter, RETRY_AFTER);
    }
    response
}
