//! What tests of filters share.

use super::Ask;
use crate::{
    account::Record,
    connection::Connection,
    exchange::Exchange,
    http::{
        Body, BodyError, BodyStream, Fields, Frame, Informational, Method, Reason, Request,
        Response, Scheme, Version,
    },
};
use bytes::Bytes;
use std::{
    cell::RefCell,
    collections::VecDeque,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

pub(super) fn exchange() -> Exchange {
    exchange_at(Instant::now())
}

/// A request of 192.0.2.1:4000 for `http://shop.example:8080/a?b=c` on port 8080.
pub(super) fn exchange_at(started: Instant) -> Exchange {
    let client = "192.0.2.1:4000".parse().unwrap();
    let local = "198.51.100.1:8080".parse().unwrap();
    let record = Box::new(Record {
        started,
        method: Method::Get,
        version: Version::Http11,
        scheme: Scheme::Http,
        authority: "shop.example:8080".into(),
        target: "/a?b=c".into(),
        client,
        listener: None,
        route: None,
        upstream: None,
        endpoint: None,
        tries: 0,
        answered: None,
        status: 0,
        reason: None,
        request_id: Some("id-1".into()),
        trace_id: None,
        fields: Vec::new(),
        listener_stats: None,
        rule_stats: None,
    });
    let connection = Rc::new(Connection { local, peer: client, client, tls: None });
    Exchange { connection, record, prefix_bytes: 0, early: Informational::none() }
}

pub(super) fn request() -> Request {
    Request::new(Method::Get, "shop.example:8080", "/a?b=c")
}

pub(super) fn append(fields: &mut Fields, all: &[(&str, &str)]) {
    for (name, value) in all {
        fields.append(*name, value.as_bytes());
    }
}

/// Fields as `name=value`, in order.
pub(super) fn listed(fields: &Fields) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    fields.iter().map(|(name, value)| format!("{}={}", text(name.text()), text(value))).collect()
}

/// A body that comes in these pieces; an empty one stands for a wait.
pub(super) struct Pieces(pub(super) VecDeque<Result<Frame, BodyError>>);

pub(super) fn pieces(all: &[&[u8]]) -> Body {
    let frames = all.iter().map(|it| Ok(Frame::Data(Bytes::copy_from_slice(it))));
    Body::from(Box::new(Pieces(frames.collect())))
}

impl BodyStream for Pieces {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let frame = self.0.pop_front();
        if matches!(&frame, Some(Ok(Frame::Data(bytes))) if bytes.is_empty()) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(frame)
    }

    fn length(&self) -> Option<u64> {
        None
    }
}

/// All of a body, and how it ended.
pub(super) async fn collected(mut body: Body) -> (Vec<u8>, Option<BodyError>) {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(Frame::Data(bytes)) => all.extend_from_slice(&bytes),
            Ok(Frame::Trailers(_)) => {}
            Err(error) => return (all, Some(error)),
        }
    }
    (all, None)
}

/// Upstreams that answer as they were told to.
#[derive(Clone, Default)]
pub(super) struct FakeAsk(pub(super) Rc<RefCell<Asked>>);

#[derive(Default)]
pub(super) struct Asked {
    pub(super) answers: VecDeque<Result<Response, Reason>>,
    pub(super) questions: Vec<(String, Request, Option<Duration>)>,
    pub(super) spawned: Vec<(String, Request)>,
}

impl FakeAsk {
    pub(super) fn answering(answer: Result<Response, Reason>) -> Self {
        let fake = Self::default();
        fake.0.borrow_mut().answers.push_back(answer);
        fake
    }
}

impl Ask for FakeAsk {
    async fn ask(
        &self,
        upstream: &str,
        request: Request,
        timeout: Option<Duration>,
    ) -> Result<Response, Reason> {
        tokio::task::yield_now().await;
        let mut asked = self.0.borrow_mut();
        asked.questions.push((upstream.to_owned(), request, timeout));
        asked.answers.pop_front().unwrap_or(Err(Reason::NoEndpoint))
    }

    fn spawn(&self, upstream: &str, request: Request) {
        self.0.borrow_mut().spawned.push((upstream.to_owned(), request));
    }
}
