//! A service, a server and a client of it, and bodies to send.

use lb_model::HttpOptions;
use lb_proxy::{
    account::Record,
    connection::Connection,
    drain::{Drain, DrainStart, drain},
    http::{
        Body, BodyError, BodyStream, Fields, Frame, Informational, Method, Reason, Request,
        Response, Sent, Service, Version,
        h2::{self, Client, ClientOptions},
    },
    io::Io,
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::mpsc, task::LocalSet};

/// Answers as the path says, and remembers.
#[derive(Default)]
pub(crate) struct Site {
    pub(crate) seen: RefCell<Vec<String>>,
    pub(crate) dropped: Cell<u32>,
    pub(crate) refused: RefCell<Vec<Reason>>,
    pub(crate) sent: RefCell<Vec<Sent>>,
    pub(crate) errors: RefCell<Vec<BodyError>>,
}

/// Counts futures that were dropped before they ended.
struct Dropped<'a>(&'a Cell<u32>);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

impl Service for Site {
    async fn call(&self, _: &Rc<Connection>, request: Request, early: Informational) -> Response {
        self.seen.borrow_mut().push(format!("{request:?}"));
        assert_eq!(request.version, Version::Http2);
        let path = String::from_utf8(request.path().to_vec()).unwrap();
        match path.as_str() {
            "/echo" => {
                let mut response = Response::new(200);
                response.fields.append("content-type", b"application/grpc");
                response.body = request.body;
                response
            }
            "/read" => {
                let mut body = request.body;
                let mut count = 0;
                while let Some(frame) = body.frame().await {
                    match frame {
                        Ok(Frame::Data(bytes)) => count += bytes.len(),
                        Ok(Frame::Trailers(_)) => {}
                        Err(error) => {
                            self.errors.borrow_mut().push(error);
                            return Response::refusal(Reason::BodyMismatch);
                        }
                    }
                }
                Response::new(200).with_text(&count.to_string())
            }
            "/early" => {
                let link: Fields = [("link", "</a>; rel=preload")].into_iter().collect();
                early.send(103, &link);
                tokio::task::yield_now().await;
                Response::new(204)
            }
            "/never" => {
                let _dropped = Dropped(&self.dropped);
                std::future::pending().await
            }
            "/broken" => {
                let mut response = Response::new(200);
                let (body, pipe) = pipe();
                pipe.send(Ok(Frame::Data("some".into()))).unwrap();
                tokio::task::spawn_local(async move {
                    settle().await;
                    pipe.send(Err(BodyError::Broken)).unwrap();
                });
                response.body = body;
                response
            }
            "/trailers-only" => {
                let mut response = Response::new(200);
                response.fields.append("content-type", b"application/grpc");
                response.fields.append("grpc-status", b"12");
                response
            }
            "/" => Response::new(200).with_text("welcome"),
            "/large" => Response::new(200).with_body("text/plain", vec![b'x'; 1 << 20].into()),
            "/tunnel" => {
                let mut response = Response::new(101);
                response.fields.append("sec-websocket-protocol", b"chat");
                response.body = request.body;
                response
            }
            "/unchanged" => {
                let mut response = Response::new(304);
                response.length_told = Some(9);
                response
            }
            _ => Response::new(200).with_text(&path),
        }
    }

    fn finished(&self, _: &Rc<Connection>, _: Option<Box<Record>>, sent: Sent) {
        self.sent.borrow_mut().push(sent);
    }

    fn refused(&self, _: &Rc<Connection>, reason: Reason) {
        self.refused.borrow_mut().push(reason);
    }
}

/// A body whose frames come from a channel.
struct Pipe(mpsc::UnboundedReceiver<Result<Frame, BodyError>>);

impl BodyStream for Pipe {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        self.0.poll_recv(context)
    }

    fn length(&self) -> Option<u64> {
        None
    }
}

pub(crate) fn pipe() -> (Body, mpsc::UnboundedSender<Result<Frame, BodyError>>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (Body::from(Box::new(Pipe(receiver))), sender)
}

pub(crate) struct Pair {
    pub(crate) site: Rc<Site>,
    pub(crate) client: Client,
    pub(crate) drain: DrainStart,
    pub(crate) server: tokio::task::JoinHandle<()>,
}

pub(crate) async fn pair(options: HttpOptions) -> Pair {
    let (near, far) = tokio::io::duplex(64 * 1_024);
    let site = Rc::new(Site::default());
    let (start, drained) = drain();
    let server = tokio::task::spawn_local(serve(Io::Memory(far), site.clone(), options, drained));
    let client = Client::connect(Io::Memory(near), ClientOptions::default()).await.unwrap();
    Pair { site, client, drain: start, server }
}

pub(crate) async fn serve<S: Service + 'static>(
    io: Io,
    site: Rc<S>,
    options: HttpOptions,
    drained: Drain,
) {
    let address = "127.0.0.1:80".parse().unwrap();
    let connection = Connection { local: address, peer: address, client: address, tls: None };
    h2::serve(io, Rc::new(connection), site, Arc::new(options), drained).await;
}

pub(crate) fn test(run: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(LocalSet::new().run_until(run));
}

impl Pair {
    pub(crate) async fn ask(&self, request: &mut Request) -> Response {
        self.client.exchange(request, &Informational::none()).await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.ask(&mut Request::new(Method::Get, "shop.example", path)).await
    }
}

pub(crate) async fn read(body: &mut Body) -> Result<(Vec<u8>, Option<Box<Fields>>), BodyError> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame? {
            Frame::Data(bytes) => all.extend_from_slice(&bytes),
            Frame::Trailers(fields) => return Ok((all, Some(fields))),
        }
    }
    Ok((all, None))
}

/// Lets every other task run until nothing is left to do.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
