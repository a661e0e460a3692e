//! Has a request answered by an upstream: tries until one answers, or none is left.

use super::{
    Lease, SendError, Sender, Upstream,
    clock::after,
    limits::RetryPermit,
    plan::BackendEdits,
    pool::{Stream, acquire},
    replay::Source,
    retry::{Next, Tries, is_upstreams_fault},
    tail::{Limits, Tail, Watched},
    upstream::PickKey,
};
use crate::{
    exchange::Exchange,
    http::{Body, Informational, Method, Reason, Request, Response},
    turn,
};
use lb_model::{Retry, Timeouts};
use smallvec::SmallVec;
use std::{
    cell::Cell, future::poll_fn, mem, net::SocketAddr, pin::pin, rc::Rc, task::Poll, time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};

/// A request, and what its rule says about sending it.
pub(super) struct Job<'a> {
    pub(super) sender: &'a Sender,
    pub(super) upstream: &'a Upstream,
    pub(super) key: PickKey,
    /// What the request belongs to; `None` = it is the proxy's own.
    pub(super) exchange: Option<&'a Exchange>,
    pub(super) edits: Option<&'a dyn BackendEdits>,
    pub(super) timeouts: Timeouts,
    pub(super) retry: Option<&'a Retry>,
    /// When the request must have been answered in full.
    pub(super) deadline: Option<Instant>,
}

/// What became known on the way.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Tries sent, or tried to.
    pub(super) tries: u32,
    /// The endpoint that was tried last.
    pub(super) endpoint: Option<(SocketAddr, u128)>,
    /// When the last response header was there.
    pub(super) answered: Option<Instant>,
}

/// A response, with what its request holds until its body ended.
struct Answer {
    response: Response,
    lease: Lease,
    stream: Option<Stream>,
    limits: Limits,
}

/// Endpoints that were tried.
type Tried = SmallVec<[SocketAddr; 4]>;

impl Job<'_> {
    /// Has the request answered.
    pub(super) async fn run(
        &self,
        request: &mut Request,
        progress: &mut Progress,
    ) -> Result<Response, Reason> {
        let mut tries = Tries::new(self.retry, &request.method);
        // A tunnel's bytes are not a body that could be sent again.
        let is_tunnel = is_tunnel(request);
        // Of a short body it is cheap to remember what a connection took that had been closed.
        let may_repeat = !is_tunnel && (tries.has_policy() || request.body.length().is_some());
        let mut source = Source::new(mem::take(&mut request.body), may_repeat);
        let mut tried = Tried::new();
        let mut permit = None;
        loop {
            let now = turn::now();
            let lease = self.pick(now, &tried, progress)?;
            let address = lease.address();
            let tried_once = self.try_once(now, lease, request, &mut source, progress).await;
            let can_repeat = source.take_back(mem::take(&mut request.body));
            let next = match &tried_once {
                Ok(answer) => {
                    let can_repeat = source.is_repeatable() && !is_tunnel;
                    tries.after_status(answer.response.status, can_repeat)
                }
                Err(error) => {
                    let can_redispatch = self.can_redispatch(address, *error, &mut tried);
                    tries.after_error(*error, can_repeat, can_redispatch)
                }
            };
            match next {
                Next::Redispatch => {}
                Next::Retry(wait) if self.may_retry(wait, &mut permit) => {
                    drop(tried_once);
                    tried.push(address);
                    sleep(wait).await;
                }
                _ => return tried_once.map(Answer::into_response).map_err(|error| error.reason),
            }
        }
    }

    /// Another endpoint than those that were tried; if all were, any.
    fn pick(
        &self,
        now: Instant,
        tried: &[SocketAddr],
        progress: &mut Progress,
    ) -> Result<Lease, Reason> {
        let lease = match self.upstream.pick_at(now, &self.key, tried) {
            Err(Reason::NoEndpoint) if !tried.is_empty() => self.upstream.pick(&self.key, &[])?,
            other => other?,
        };
        progress.endpoint = Some((lease.address(), lease.endpoint().id));
        if progress.tries > 0 {
            lease.endpoint().state.counters.retries.add(1);
        }
        progress.tries = progress.tries.saturating_add(1);
        Ok(lease)
    }

    /// Whether a request that was not seen can be sent elsewhere. An endpoint that cannot be
    /// connected to is not asked again; one that closed a kept connection is.
    fn can_redispatch(&self, address: SocketAddr, error: SendError, tried: &mut Tried) -> bool {
        if error.reason == Reason::UpstreamReset {
            return true;
        }
        tried.push(address);
        self.upstream.has_other_than(tried)
    }

    /// Whether the retry budget and the time allow another try after `wait`.
    fn may_retry(&self, wait: Duration, permit: &mut Option<RetryPermit>) -> bool {
        if permit.is_none() {
            let settings = self.upstream.settings();
            *permit = RetryPermit::begin(self.upstream.shared(), &settings.limits);
        }
        let is_late = self.deadline.is_some_and(|it| after(Instant::now(), wait) >= it);
        permit.is_some() && !is_late
    }

    async fn try_once(
        &self,
        now: Instant,
        lease: Lease,
        request: &mut Request,
        source: &mut Source,
        progress: &mut Progress,
    ) -> Result<Answer, SendError> {
        let due = self.due(now);
        let result = {
            let mut sent = pin!(self.send(now, &lease, request, source, progress));
            let mut alarm = pin!(due.map(|(due, _)| sleep_until(due)));
            poll_fn(|context| match sent.as_mut().poll(context) {
                Poll::Pending => {
                    let Some(alarm) = alarm.as_mut().as_pin_mut() else { return Poll::Pending };
                    let late = due.map_or(Reason::Internal, |(_, reason)| reason);
                    alarm.poll(context).map(|()| Err(SendError::seen(late)))
                }
                sent @ Poll::Ready(_) => sent,
            })
            .await
        };
        match result {
            Ok((response, stream, limits)) => Ok(Answer { response, lease, stream, limits }),
            Err(error) => {
                let is_late = error.reason == Reason::RequestTimeout;
                // That a kept connection had been closed meanwhile is nobody's fault.
                let was_kept = error.is_unseen && error.reason == Reason::UpstreamReset;
                if is_late || (is_upstreams_fault(error.reason) && !was_kept) {
                    lease.failed();
                }
                Err(error)
            }
        }
    }

    /// When a try that begins now is given up before its response's header is there, and why.
    fn due(&self, now: Instant) -> Option<(Instant, Reason)> {
        let backend = self.timeouts.backend.map(|it| (after(now, it), Reason::UpstreamTimeout));
        let request = self.deadline.map(|it| (it, Reason::RequestTimeout));
        match (backend, request) {
            (Some(backend), Some(request)) if backend.0 < request.0 => Some(backend),
            (backend, request) => request.or(backend),
        }
    }

    async fn send(
        &self,
        now: Instant,
        lease: &Lease,
        request: &mut Request,
        source: &mut Source,
        progress: &mut Progress,
    ) -> Result<(Response, Option<Stream>, Limits), SendError> {
        let client = self.exchange.map(|it| &*it.connection);
        let (wire, begun) = acquire(&self.sender.pools, lease, client, now).await?;
        let limits = self.limits(begun);
        let nobody = Informational::none();
        let early = self.exchange.map_or(&nobody, |it| &it.early);
        request.body = limits.watch(request, source.body());
        let (mut response, stream) = match self.edited(request, lease) {
            Some(mut edited) => {
                edited.body = mem::take(&mut request.body);
                let answered = wire.exchange(&mut edited, early).await;
                request.body = mem::take(&mut edited.body);
                answered?
            }
            None => wire.exchange(request, early).await?,
        };
        let now = turn::now();
        progress.answered = Some(now);
        if response.status >= 500 {
            lease.failed();
        } else {
            lease.answered(begun, now);
        }
        if let (Some(edits), Some(exchange)) = (self.edits, self.exchange) {
            edits.edit_response(exchange, &mut response);
        }
        let limits = limits.for_response(request, response.status);
        Ok((response, stream, limits))
    }

    /// A copy of the request with the backend's edits, if there are any: another try begins with
    /// the request as it was.
    fn edited(&self, request: &Request, lease: &Lease) -> Option<Box<Request>> {
        let (edits, exchange) = (self.edits?, self.exchange?);
        let mut edited = Box::new(request.copied());
        edits.edit_request(&mut edited, exchange, lease);
        Some(edited)
    }

    fn limits(&self, now: Instant) -> Limits {
        let idle = self.timeouts.idle.map(|it| (it, Rc::new(Cell::new(now))));
        Limits { deadline: self.deadline, idle }
    }
}

impl Limits {
    /// What a client sends through a tunnel counts as a sign of life too.
    fn watch(&self, request: &Request, body: Body) -> Body {
        match &self.idle {
            Some((_, moved)) if is_tunnel(request) => Watched::wrap(body, moved),
            _ => body,
        }
    }

    /// What holds for the response's body: the time of a tunnel is not limited, only its silence.
    fn for_response(mut self, request: &Request, status: u16) -> Self {
        let is_connect = request.method == Method::Connect && (200..300).contains(&status);
        if status == 101 || is_connect {
            self.deadline = None;
        }
        if let Some((_, moved)) = &self.idle {
            moved.set(Instant::now());
        }
        self
    }
}

/// Whether a request asks for a tunnel.
fn is_tunnel(request: &Request) -> bool {
    request.upgrade.is_some() || request.method == Method::Connect
}

impl Answer {
    fn into_response(self) -> Response {
        let Self { mut response, lease, stream, limits } = self;
        response.body = Tail::wrap(response.body, lease, stream, limits);
        response
    }
}
