//! What the client sends, takes for a response, and gives back.

use crate::harness::{Frames, Received, collect, local, read_until};
use bytes::Bytes;
use lb_proxy::{
    http::{
        Body, BodyError, Fields, Informational, Known, Method, Reason, Request, Response,
        h1::{Client, ExchangeOptions, ResponseLimits},
    },
    io::Io,
    send::SendError,
};
use std::{cell::RefCell, rc::Rc, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A client, its endpoint, and the connections that were given back.
pub(crate) struct Pair {
    pub(crate) peer: DuplexStream,
    client: Option<Client>,
    pub(crate) released: Rc<RefCell<Vec<Client>>>,
    early: Rc<RefCell<Vec<u16>>>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let (peer, ours) = tokio::io::duplex(256 * 1_024);
        let client = Client::new(Io::Memory(ours), ResponseLimits::default());
        Self { peer, client: Some(client), released: Rc::default(), early: Rc::default() }
    }

    pub(crate) async fn exchange(&mut self, request: &mut Request) -> Result<Response, SendError> {
        self.exchange_with(request, ExchangeOptions::default()).await
    }

    async fn exchange_with(
        &mut self,
        request: &mut Request,
        options: ExchangeOptions,
    ) -> Result<Response, SendError> {
        let client = self.client.take().or_else(|| self.released.borrow_mut().pop()).unwrap();
        let released = Rc::clone(&self.released);
        let early = Rc::clone(&self.early);
        let early = Informational::new(move |status, _| early.borrow_mut().push(status));
        let release = move |client| released.borrow_mut().push(client);
        client.exchange(request, &early, options, release).await
    }

    /// Has `request` answered with `answer`; what was sent, and the response.
    pub(crate) async fn answered(
        &mut self,
        request: &mut Request,
        answer: &str,
    ) -> Result<(Response, Vec<u8>), SendError> {
        self.peer.write_all(answer.as_bytes()).await.unwrap();
        let mut response = self.exchange(request).await?;
        let body = collect(&mut response.body).await;
        let (data, _) = body.map_err(|_| SendError::seen(Reason::UpstreamReset))?;
        Ok((response, data))
    }

    pub(crate) fn is_released(&self) -> bool {
        !self.released.borrow().is_empty()
    }
}

pub(crate) fn get() -> Request {
    Request::new(Method::Get, "a:81", "/x?y")
}

pub(crate) fn post(body: Body) -> Request {
    let mut request = Request::new(Method::Post, "a", "/");
    request.body = body;
    request
}

#[tokio::test]
async fn requests_are_framed_by_the_client_alone() {
    local(async {
        let bytes = || Body::from(Bytes::from_static(b"abc"));
        let mut known = Frames::of(&["ab", "c"]);
        known.1 = Some(3);
        let rows: [(Request, &str); 5] = [
            (get(), "GET /x?y HTTP/1.1\r\nhost: a:81\r\nX-Y: z\r\n\r\n"),
            (
                post(Body::Empty),
                "POST / HTTP/1.1\r\nhost: a\r\nX-Y: z\r\ncontent-length: 0\r\n\r\n",
            ),
            (post(bytes()), "POST / HTTP/1.1\r\nhost: a\r\nX-Y: z\r\ncontent-length: 3\r\n\r\nabc"),
            (
                post(known.body()),
                "POST / HTTP/1.1\r\nhost: a\r\nX-Y: z\r\ncontent-length: 3\r\n\r\nabc",
            ),
            (
                post(Frames::of(&["ab", "c"]).body()),
                "POST / HTTP/1.1\r\nhost: a\r\nX-Y: z\r\ntransfer-encoding: chunked\r\n\r\n\
                 2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            ),
        ];
        for (mut request, expected) in rows {
            for (name, value) in [
                ("Connection", "x-y"),
                ("X-Y", "z"),
                ("Host", "evil"),
                ("Content-Length", "9"),
                ("Transfer-Encoding", "chunked"),
                ("Expect", "100-continue"),
                ("Upgrade", "x"),
            ] {
                request.fields.append(name, value.as_bytes());
            }
            let mut pair = Pair::new();
            let (response, body) = pair.answered(&mut request, OK).await.unwrap();
            assert_eq!((response.status, &*body), (200, &b"ok"[..]));
            assert!(pair.is_released());
            assert_eq!(read_until(&mut pair.peer, expected).await, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn responses_are_read_to_their_end_and_no_further() {
    local(async {
        let head = "HTTP/1.1 200 OK\r\n";
        let chunked = "Transfer-Encoding: chunked\r\n\r\n";
        // Answer, body, whether the connection can be used again.
        let rows = [
            (OK.to_owned(), "ok", true),
            ("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok".to_owned(), "ok", true),
            ("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok".to_owned(), "ok", true),
            (format!("{head}Content-Length: 0\r\n\r\n"), "", true),
            (format!("{head}{chunked}2\r\nok\r\n0\r\n\r\n"), "ok", true),
            (format!("{head}{chunked}2\r\nok\r\n0\r\nx: y\r\n\r\n"), "ok", true),
            ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), "", true),
            ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n".to_owned(), "", true),
            (format!("{head}Connection: close\r\nContent-Length: 2\r\n\r\nok"), "ok", false),
            ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(), "ok", false),
            (
                "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"
                    .to_owned(),
                "ok",
                true,
            ),
            // What nobody asked for makes the connection worthless.
            (format!("{OK}{OK}"), "ok", false),
            (format!("{OK}x"), "ok", false),
            (format!("{head}{chunked}2\r\nok\r\n0\r\n\r\nx"), "ok", false),
            (format!("HTTP/1.1 204 No Content\r\n\r\n{OK}"), "", false),
        ];
        for (answer, body, is_reusable) in rows {
            let mut pair = Pair::new();
            let (_, data) = pair.answered(&mut get(), &answer).await.unwrap();
            assert_eq!(data, body.as_bytes(), "{answer:?}");
            assert_eq!(pair.is_released(), is_reusable, "{answer:?}");
        }
        let mut pair = Pair::new();
        pair.peer.write_all(b"HTTP/1.1 200 OK\r\n\r\nto the end").await.unwrap();
        pair.peer.shutdown().await.unwrap();
        let mut response = pair.exchange(&mut get()).await.unwrap();
        assert_eq!(collect(&mut response.body).await.unwrap().0, b"to the end");
        assert!(!pair.is_released());
        let mut head = get();
        head.method = Method::Head;
        let mut pair = Pair::new();
        let (response, _) =
            pair.answered(&mut head, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n").await.unwrap();
        assert_eq!(response.length_told, Some(7));
        assert!(pair.is_released());
    })
    .await;
}

#[tokio::test]
async fn informational_responses_go_to_who_wants_them() {
    local(async {
        let mut pair = Pair::new();
        let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n";
        let (response, _) = pair.answered(&mut get(), &[early, OK].concat()).await.unwrap();
        assert_eq!(response.status, 200);
        assert_eq!(*pair.early.borrow(), [103]);
        assert!(pair.is_released());
    })
    .await;
}

/// A connection that served one request, and its endpoint.
async fn kept() -> (Client, DuplexStream) {
    let mut pair = Pair::new();
    pair.answered(&mut get(), OK).await.unwrap();
    read_until(&mut pair.peer, "\r\n\r\n").await;
    let client = pair.released.borrow_mut().pop().unwrap();
    assert!(client.is_alive());
    (client, pair.peer)
}

async fn exchange(client: Client, request: &mut Request) -> Result<Response, SendError> {
    let early = Informational::none();
    client.exchange(request, &early, ExchangeOptions::default(), |_| panic!("given back")).await
}

#[tokio::test]
async fn what_a_kept_connection_did_not_take_can_be_sent_again() {
    local(async {
        // It is known to be closed, or turns out to be when the request is there.
        let unseen = Some(SendError::unseen(Reason::UpstreamReset));
        let mut request = post(Bytes::from_static(b"abc").into());
        let (client, peer) = kept().await;
        drop(peer);
        assert!(!client.is_alive());
        assert_eq!(exchange(client, &mut request).await.err(), unseen);
        let (client, mut peer) = kept().await;
        let close = async {
            read_until(&mut peer, "abc").await;
            drop(peer);
        };
        let (error, ()) = tokio::join!(exchange(client, &mut request), close);
        assert_eq!(error.err(), unseen);
        assert_eq!(request.body.length(), Some(3), "the body is still there");
        // Bytes that nobody asked for would be taken for the response.
        let (client, mut peer) = kept().await;
        peer.write_all(OK.as_bytes()).await.unwrap();
        assert!(!client.is_alive());
        assert_eq!(exchange(client, &mut request).await.err(), unseen);
    })
    .await;
}

#[tokio::test]
async fn what_an_endpoint_may_have_taken_is_not_sent_again() {
    local(async {
        let seen = Some(SendError::seen(Reason::UpstreamReset));
        let mut pair = Pair::new();
        pair.peer.shutdown().await.unwrap();
        assert_eq!(pair.exchange(&mut get()).await.err(), seen);
        let (client, mut peer) = kept().await;
        let answer = async {
            read_until(&mut peer, "\r\n\r\n").await;
            peer.write_all(b"HTTP/1.1 2").await.unwrap();
            drop(peer);
        };
        let mut request = get();
        let (error, ()) = tokio::join!(exchange(client, &mut request), answer);
        assert_eq!(error.err(), seen);
    })
    .await;
}

#[tokio::test]
async fn an_early_response_comes_while_the_request_goes_on() {
    local(async {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
        let mut pair = Pair::new();
        let mut request = post(Box::new(Received(receiver)).into());
        pair.peer.write_all(OK.as_bytes()).await.unwrap();
        let mut response = pair.exchange(&mut request).await.unwrap();
        assert_eq!(response.status, 200);
        read_until(&mut pair.peer, "\r\n\r\n").await;
        sender.send(Bytes::from_static(b"abc")).unwrap();
        assert_eq!(read_until(&mut pair.peer, "abc\r\n").await, "3\r\nabc\r\n");
        assert_eq!(collect(&mut response.body).await.unwrap().0, b"ok");
        // Its end came first: nobody may use the connection again.
        assert!(!pair.is_released());
        drop(response);
        assert_eq!(pair.peer.read(&mut [0; 9]).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn a_request_whose_body_breaks_is_not_completed() {
    local(async {
        let rows = [
            (Err(BodyError::Broken), None, Reason::ClientGone),
            (Err(BodyError::Timeout), None, Reason::BodyTimeout),
            (Err(BodyError::Malformed), Some(9), Reason::Malformed),
        ];
        for (frame, length, reason) in rows {
            let mut frames = Frames::of(&["abc"]);
            frames.0.push_back(frame);
            frames.1 = length;
            let mut pair = Pair::new();
            let error = pair.exchange(&mut post(frames.body())).await.unwrap_err();
            assert_eq!(error, SendError::seen(reason));
            let mut sent = String::new();
            pair.peer.read_to_string(&mut sent).await.unwrap();
            assert!(!sent.ends_with("0\r\n\r\n"), "{sent}");
        }
        for (length, pieces) in [(5, ["abc", "def"]), (7, ["abc", "def"])] {
            let mut frames = Frames::of(&pieces);
            frames.1 = Some(length);
            let error = Pair::new().exchange(&mut post(frames.body())).await.unwrap_err();
            assert_eq!(error.reason, Reason::BodyMismatch);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_response_that_stops_coming_fails() {
    local(async {
        let mut pair = Pair::new();
        pair.peer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").await.unwrap();
        let options = ExchangeOptions { idle_timeout: Some(Duration::from_secs(5)) };
        let mut response = pair.exchange_with(&mut get(), options).await.unwrap();
        let begin = tokio::time::Instant::now();
        assert_eq!(collect(&mut response.body).await.unwrap_err(), BodyError::Timeout);
        assert_eq!(begin.elapsed().as_secs(), 5);
        assert!(!pair.is_released());
        // Cut off: never complete.
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ] {
            let mut pair = Pair::new();
            pair.peer.write_all(answer.as_bytes()).await.unwrap();
            pair.peer.shutdown().await.unwrap();
            let mut response = pair.exchange(&mut get()).await.unwrap();
            assert_eq!(collect(&mut response.body).await.unwrap_err(), BodyError::Broken);
            assert!(!pair.is_released());
        }
    })
    .await;
}

#[tokio::test]
async fn fields_for_one_connection_stay_behind() {
    local(async {
        let mut pair = Pair::new();
        let answer = "HTTP/1.1 200 OK\r\nConnection: x-hop, keep-alive\r\nX-Hop: 1\r\n\
                      Keep-Alive: timeout=5\r\nSet-Cookie: a\r\nset-cookie: b\r\n\
                      Content-Length: 0\r\n\r\n";
        let (response, _) = pair.answered(&mut get(), answer).await.unwrap();
        let names: Vec<_> = response.fields.iter().map(|(name, _)| name.text()).collect();
        assert_eq!(names, [&b"Set-Cookie"[..], b"set-cookie"]);
        let cookies: Vec<_> = Fields::all(&response.fields, Known::SetCookie).collect();
        assert_eq!(cookies, [b"a", b"b"]);
    })
    .await;
}
