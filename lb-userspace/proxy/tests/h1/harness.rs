//! A service that tells what it saw, and raw ends of connections.

use bytes::Bytes;
use lb_proxy::{
    account::Record,
    connection::Connection,
    drain::{Drain, DrainStart, drain},
    http::{
        Body, BodyError, BodyStream, Fields, Frame, Informational, Reason, Request, Response, Sent,
        Service, h1,
    },
    io::Io,
};
use std::{
    cell::RefCell,
    collections::VecDeque,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc::UnboundedReceiver,
    task::{JoinHandle, LocalSet},
};

/// Runs a test's future where local tasks may be spawned.
pub(crate) async fn local<F: Future>(future: F) -> F::Output {
    LocalSet::new().run_until(future).await
}

type Answer = Pin<Box<dyn Future<Output = Response>>>;

/// What answers, and what it saw.
pub(crate) struct Origin {
    answer: Box<dyn Fn(Request, Informational) -> Answer>,
    pub(crate) refused: RefCell<Vec<Reason>>,
    pub(crate) sent: RefCell<Vec<Sent>>,
}

impl Origin {
    pub(crate) fn new<F: Future<Output = Response> + 'static>(
        answer: impl Fn(Request, Informational) -> F + 'static,
    ) -> Rc<Self> {
        let answer = Box::new(move |request, early| Box::pin(answer(request, early)) as Answer);
        Rc::new(Self { answer, refused: RefCell::default(), sent: RefCell::default() })
    }
}

impl Service for Origin {
    async fn call(
        &self,
        _connection: &Rc<Connection>,
        request: Request,
        early: Informational,
    ) -> Response {
        (self.answer)(request, early).await
    }

    fn finished(&self, _connection: &Rc<Connection>, _record: Option<Box<Record>>, sent: Sent) {
        self.sent.borrow_mut().push(sent);
    }

    fn refused(&self, _connection: &Rc<Connection>, reason: Reason) {
        self.refused.borrow_mut().push(reason);
    }
}

/// A server that serves one connection, and that connection's other end.
pub(crate) struct Served {
    pub(crate) peer: DuplexStream,
    pub(crate) drain: DrainStart,
    pub(crate) task: JoinHandle<()>,
}

/// Serves a connection.
pub(crate) fn serve(origin: &Rc<Origin>, options: lb_model::HttpOptions) -> Served {
    let (peer, ours) = tokio::io::duplex(256 * 1_024);
    let (start, drain) = drain();
    let task = serve_on(Io::Memory(ours), origin, options, drain);
    Served { peer, drain: start, task }
}

pub(crate) fn serve_on(
    io: Io,
    origin: &Rc<Origin>,
    options: lb_model::HttpOptions,
    drain: Drain,
) -> JoinHandle<()> {
    let address = "192.0.2.1:80".parse().unwrap();
    let connection = Connection { local: address, peer: address, client: address, tls: None };
    let (connection, origin) = (Rc::new(connection), Rc::clone(origin));
    tokio::task::spawn_local(h1::serve(io, connection, origin, Arc::new(options), drain))
}

impl Served {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.peer.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Reads until `end` was read, and returns everything.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        read_until(&mut self.peer, end).await
    }

    /// Reads until the connection ends.
    pub(crate) async fn rest(&mut self) -> String {
        let mut all = Vec::new();
        self.peer.read_to_end(&mut all).await.unwrap();
        String::from_utf8(all).unwrap()
    }
}

pub(crate) async fn read_until(peer: &mut DuplexStream, end: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(end.as_bytes()) {
        let byte = peer.read_u8().await;
        let text = String::from_utf8_lossy(&all).into_owned();
        all.push(byte.unwrap_or_else(|error| panic!("{error} after {text:?}")));
    }
    String::from_utf8(all).unwrap()
}

/// All of a body and the fields behind it.
pub(crate) async fn collect(body: &mut Body) -> Result<(Vec<u8>, Option<Box<Fields>>), BodyError> {
    let (mut data, mut trailers) = (Vec::new(), None);
    while let Some(frame) = body.frame().await {
        match frame? {
            Frame::Data(bytes) => data.extend_from_slice(&bytes),
            Frame::Trailers(fields) => trailers = Some(fields),
        }
    }
    Ok((data, trailers))
}

/// Takes all of a request's body and answers with its length, or why it did not come.
pub(crate) fn counting(seen: Rc<RefCell<Vec<String>>>) -> Rc<Origin> {
    Origin::new(move |mut request, _| {
        let seen = Rc::clone(&seen);
        async move {
            if request.upgrade.is_some() {
                request.body = Body::Empty;
            }
            match collect(&mut request.body).await {
                Ok((data, _)) => {
                    let target = String::from_utf8_lossy(request.target()).into_owned();
                    seen.borrow_mut().push(target);
                    text(&format!("{} bytes\n", data.len()))
                }
                Err(BodyError::Malformed) => Response::refusal(Reason::Malformed),
                Err(BodyError::TooLarge) => Response::refusal(Reason::BodyTooLarge),
                Err(BodyError::Timeout) => Response::refusal(Reason::BodyTimeout),
                Err(BodyError::Broken) => Response::refusal(Reason::ClientGone),
            }
        }
    })
}

/// A response with this body.
pub(crate) fn text(text: &str) -> Response {
    let mut response = Response::new(200);
    response.fields.append("date", b"now");
    response.body = Bytes::copy_from_slice(text.as_bytes()).into();
    response
}

/// A body of frames that are there.
pub(crate) struct Frames(pub(crate) VecDeque<Result<Frame, BodyError>>, pub(crate) Option<u64>);

impl Frames {
    pub(crate) fn of(pieces: &[&'static str]) -> Self {
        let data = |it: &&'static str| Ok(Frame::Data(Bytes::from_static(it.as_bytes())));
        Self(pieces.iter().map(data).collect(), None)
    }

    pub(crate) fn body(self) -> Body {
        Box::new(self).into()
    }
}

impl BodyStream for Frames {
    fn poll_frame(&mut self, _context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        Poll::Ready(self.0.pop_front())
    }

    fn length(&self) -> Option<u64> {
        self.1
    }
}

/// A body of what is sent through a channel.
pub(crate) struct Received(pub(crate) UnboundedReceiver<Bytes>);

impl BodyStream for Received {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        self.0.poll_recv(context).map(|it| it.map(|data| Ok(Frame::Data(data))))
    }

    fn length(&self) -> Option<u64> {
        None
    }
}
