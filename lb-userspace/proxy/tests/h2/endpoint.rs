//! Endpoints that answer wrongly, late or not at all, as our client sees them.

use crate::{
    harness::{read, settle, test},
    http2::{
        frames::{
            ACK, DATA, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, NO_ERROR, PREFACE, PUSH_PROMISE,
            REFUSED_STREAM, RST_STREAM, SETTINGS, data, frame, goaway, headers, reset, settings,
            window_update,
        },
        hpack::{Field, block},
        probe::{Event, Probe},
    },
};
use bytes::Bytes;
use lb_proxy::{
    http::{
        Body, BodyError, Informational, Method, Reason, Request, Response,
        h2::{Client, ClientOptions},
    },
    io::Io,
    send::SendError,
};
use tokio::io::{AsyncReadExt, DuplexStream};

/// A connection to an endpoint that says what it is told to.
struct Endpoint {
    client: Client,
    said: Probe<DuplexStream>,
}

/// With these settings.
async fn endpoint(values: &[(u16, u32)]) -> Endpoint {
    let (near, mut far) = tokio::io::duplex(64 * 1_024);
    let begin = async {
        far.read_exact(&mut [0; PREFACE.len()]).await.unwrap();
        let mut said = Probe::new(far);
        said.send(&[settings(values), frame(SETTINGS, ACK, 0, &[])].concat()).await;
        said
    };
    let connect = Client::connect(Io::Memory(near), ClientOptions::default());
    let (client, said) = tokio::join!(connect, begin);
    Endpoint { client: client.unwrap(), said }
}

impl Endpoint {
    /// Asks, has `answer` said, and waits for what comes of it.
    async fn ask(
        &mut self,
        request: &mut Request,
        answer: &[Vec<u8>],
    ) -> Result<Response, SendError> {
        let none = Informational::none();
        let say = async {
            loop {
                match self.said.event().await {
                    Event::Frame(frame) if frame.kind == HEADERS => break,
                    Event::Frame(_) => {}
                    other => panic!("no request: {other:?}"),
                }
            }
            self.said.send(&answer.concat()).await;
        };
        tokio::join!(self.client.exchange(request, &none), say).0
    }

    async fn get(&mut self, answer: &[Vec<u8>]) -> Result<Response, SendError> {
        self.ask(&mut Request::new(Method::Get, "a", "/"), answer).await
    }
}

fn answer(flags: u8, stream: u32, more: &[Field<'_>]) -> Vec<u8> {
    headers(flags, stream, &[block(&[(":status", "200")]), block(more)].concat())
}

#[test]
fn responses_that_break_the_rules_are_refused() {
    let large = "x".repeat(16_000);
    let larges: Vec<u8> = (0..6).flat_map(|_| frame(9, 0, 1, &block(&[("x", &large)]))).collect();
    let early = headers(0, 1, &block(&[(":status", "103")]));
    let rows: [(&str, Vec<u8>); 11] = [
        ("connection", answer(END_STREAM, 1, &[("connection", "close")])),
        ("transfer-encoding", answer(END_STREAM, 1, &[("transfer-encoding", "chunked")])),
        ("upper case", answer(END_STREAM, 1, &[("X-A", "b")])),
        ("line break", answer(END_STREAM, 1, &[("x-a", "b\r\nc: d")])),
        ("two lengths", answer(0, 1, &[("content-length", "1"), ("content-length", "2")])),
        ("one length twice", answer(0, 1, &[("content-length", "1"), ("content-length", "1")])),
        ("length without body", answer(END_STREAM, 1, &[("content-length", "1")])),
        ("no status", headers(END_STREAM, 1, &block(&[("x", "y")]))),
        ("status 101", headers(0, 1, &block(&[(":status", "101")]))),
        ("too early too often", early.repeat(200)),
        ("too large", [frame(HEADERS, 0, 1, &block(&[(":status", "200")])), larges].concat()),
    ];
    test(async move {
        for (name, said) in rows {
            let result = endpoint(&[]).await.get(&[said]).await;
            assert_eq!(result.unwrap_err(), SendError::seen(Reason::UpstreamMalformed), "{name}");
        }
    });
}

#[test]
fn bodies_are_as_long_as_told_or_broken() {
    test(async {
        for (length, parts) in
            [("5", vec!["four"]), ("3", vec!["four"]), ("5", vec!["four", "more"])]
        {
            let mut endpoint = endpoint(&[]).await;
            let mut said = vec![answer(0, 1, &[("content-length", length)])];
            for (place, part) in parts.iter().enumerate() {
                let flags = u8::from(place + 1 == parts.len()) * END_STREAM;
                said.push(data(flags, 1, part.as_bytes()));
            }
            let whole = async {
                let mut response = endpoint.get(&said).await.map_err(|_| BodyError::Malformed)?;
                read(&mut response.body).await
            };
            assert_eq!(whole.await.unwrap_err(), BodyError::Malformed, "{length} {parts:?}");
        }
        let mut endpoint = endpoint(&[]).await;
        let said = [answer(0, 1, &[("content-length", "4")]), data(END_STREAM, 1, b"four")];
        let mut response = endpoint.get(&said).await.unwrap();
        assert_eq!(response.body.length(), Some(4));
        assert_eq!(read(&mut response.body).await.unwrap().0, b"four");
    });
}

#[test]
fn what_an_endpoint_did_not_look_at_is_unseen() {
    let calm = ENHANCE_YOUR_CALM;
    let rows = [
        ("refused", vec![reset(1, REFUSED_STREAM)], true),
        ("above the last stream", vec![goaway(0, NO_ERROR)], true),
        ("above the last stream, in anger", vec![goaway(0, calm)], true),
        ("reset", vec![reset(1, calm)], false),
        ("promised", vec![frame(PUSH_PROMISE, 4, 1, &[0, 0, 0, 2])], false),
    ];
    test(async move {
        for (name, said, is_unseen) in rows {
            let mut request = Request::new(Method::Post, "a", "/");
            let error = endpoint(&[]).await.ask(&mut request, &said).await.unwrap_err();
            assert_eq!(error.is_unseen, is_unseen, "{name}: {error:?}");
        }
    });
}

#[test]
fn a_kept_connection_that_was_closed_leaves_the_request_unseen() {
    test(async {
        // Used before: the endpoint cannot have begun to answer when nothing came at all.
        let Endpoint { client, said } = {
            let mut endpoint = endpoint(&[]).await;
            endpoint.get(&[answer(END_STREAM, 1, &[])]).await.unwrap();
            endpoint
        };
        let none = Informational::none();
        let mut request = Request::new(Method::Post, "a", "/");
        let close = async move {
            tokio::task::yield_now().await;
            drop(said);
        };
        let (result, ()) = tokio::join!(client.exchange(&mut request, &none), close);
        assert!(result.unwrap_err().is_unseen);
        // Never used: it may have died of this very request.
        let Endpoint { client, said } = endpoint(&[]).await;
        let close = async move {
            tokio::task::yield_now().await;
            drop(said);
        };
        let (result, ()) = tokio::join!(client.exchange(&mut request, &none), close);
        assert!(!result.unwrap_err().is_unseen);
    });
}

#[test]
fn no_more_streams_than_the_endpoint_takes() {
    test(async {
        let mut endpoint = endpoint(&[(3, 1)]).await;
        assert_eq!(endpoint.client.streams_available(), 1);
        let first = endpoint.get(&[answer(0, 1, &[])]).await.unwrap();
        assert!(!endpoint.client.has_capacity());
        let mut second = Request::new(Method::Put, "a", "/");
        second.body = Body::from(Bytes::from_static(b"kept"));
        let error =
            endpoint.client.exchange(&mut second, &Informational::none()).await.unwrap_err();
        assert_eq!(error, SendError::unseen(Reason::CircuitOpen));
        assert!(!second.body.is_empty());
        // Nobody wants the rest of the first: its stream is cancelled and free again.
        drop(first);
        settle().await;
        assert!(endpoint.client.has_capacity());
        let mut kinds = Vec::new();
        while let Event::Frame(frame) = endpoint.said.event().await {
            kinds.push((frame.kind, frame.code()));
        }
        assert!(kinds.contains(&(RST_STREAM, Some(8))), "{kinds:?}");
    });
}

#[test]
fn an_upgrade_needs_an_endpoint_that_takes_it() {
    test(async {
        let endpoint = endpoint(&[]).await;
        let mut request = Request::new(Method::Get, "a", "/");
        request.upgrade = Some("websocket".into());
        let none = Informational::none();
        let error = endpoint.client.exchange(&mut request, &none).await.unwrap_err();
        assert_eq!(error, SendError::unseen(Reason::UpstreamMalformed));
    });
}

#[test]
fn an_upload_waits_for_the_endpoints_window() {
    test(async {
        let mut endpoint = endpoint(&[(4, 10)]).await;
        let mut request = Request::new(Method::Post, "a", "/");
        request.body = Body::from(Bytes::from(vec![b'x'; 25]));
        let response = endpoint.ask(&mut request, &[answer(0, 1, &[])]).await.unwrap();
        let mut sizes = Vec::new();
        for _ in 0..3 {
            while let Event::Frame(frame) = endpoint.said.event().await {
                if frame.kind == DATA {
                    sizes.push(frame.payload.len());
                }
            }
            endpoint.said.send(&window_update(1, 10)).await;
        }
        assert_eq!(sizes, [10, 10, 5]);
        drop(response);
    });
}
