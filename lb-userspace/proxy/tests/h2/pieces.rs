//! Bytes mean the same in whatever pieces they arrive.

use crate::{
    harness::{Site, serve, settle, test},
    http2::{
        frames::{
            CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, continuation,
            data, frame, headers, ping, priority, settings, window_update,
        },
        hpack::{block, block_with, table_size},
        probe::{Event, Probe},
    },
};
use lb_model::HttpOptions;
use lb_proxy::{drain::drain, io::Io};
use proptest::prelude::*;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

/// What came of a connection: how it was closed, and of each stream its body, whether it ended, and
/// why it was reset.
type Outcome = (Option<u32>, BTreeMap<u32, (Vec<u8>, bool, Option<u32>)>);

/// Has `bytes` arrive in pieces of these sizes, over and over.
fn outcome(bytes: &[u8], sizes: &[usize]) -> Outcome {
    let outcome = Rc::new(RefCell::new(Outcome::default()));
    let (bytes, sizes, shared) = (bytes.to_vec(), sizes.to_vec(), outcome.clone());
    test(async move {
        let (near, far) = tokio::io::duplex(1 << 20);
        let (_start, drained) = drain();
        let site = Rc::new(Site::default());
        let server =
            tokio::task::spawn_local(serve(Io::Memory(far), site, HttpOptions::default(), drained));
        let mut probe = Probe::new(near);
        assert!(probe.handshake().await);
        let (mut rest, mut sizes) = (&bytes[..], sizes.iter().cycle());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            probe.send(piece).await;
            tokio::task::yield_now().await;
            rest = after;
        }
        settle().await;
        let mut outcome = Outcome::default();
        while let Event::Frame(frame) = probe.event().await {
            let code = frame.code();
            if frame.kind == GOAWAY {
                outcome.0 = code;
            }
            if matches!(frame.kind, HEADERS | DATA | RST_STREAM) {
                let stream = outcome.1.entry(frame.stream).or_default();
                stream.1 |= frame.ends_stream();
                stream.2 = stream.2.or(code);
                if frame.kind == DATA {
                    stream.0.extend(frame.payload);
                }
            }
        }
        server.abort();
        shared.replace(outcome);
    });
    outcome.take()
}

fn request(method: &str, path: &str) -> Vec<u8> {
    block(&[(":method", method), (":scheme", "http"), (":path", path), (":authority", "a")])
}

/// What a client says on a stream of its own, or beside streams.
fn said() -> impl Strategy<Value = fn(u32) -> Vec<u8>> {
    prop::sample::select(vec![
        |stream| headers(END_STREAM, stream, &request("GET", "/")),
        |stream| {
            headers(END_STREAM, stream, &[&table_size(100)[..], &request("GET", "/a")].concat())
        },
        |stream| {
            let post = headers(0, stream, &request("POST", "/read"));
            let body = [data(0, stream, b"some"), data(END_STREAM, stream, b"more")];
            [post, body.concat()].concat()
        },
        |stream| {
            let post = headers(0, stream, &request("PUT", "/read"));
            [post, data(END_STREAM, stream, &[b'x'; 9_000])].concat()
        },
        |stream| {
            let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/read")];
            let post = block_with(&fields, &[(":authority", "a"), ("content-length", "5")]);
            [headers(0, stream, &post), data(END_STREAM, stream, b"four")].concat()
        },
        |stream| {
            let whole = request("GET", "/cut");
            let (first, second) = whole.split_at(7);
            let begin = frame(HEADERS, END_STREAM, stream, first);
            [begin, continuation(END_HEADERS, stream, second)].concat()
        },
        |stream| {
            let post = headers(0, stream, &request("POST", "/read"));
            let trailers = headers(END_STREAM, stream, &block(&[("x-check", "1")]));
            [post, data(0, stream, b"body"), trailers].concat()
        },
        |stream| headers(END_STREAM, stream, &block(&[(":method", "GET")])),
        |stream| headers(END_STREAM, stream, &request("GET", "/../b")),
        |_| ping(0, *b"whatever"),
        |_| settings(&[(4, 70_000)]),
        |_| window_update(0, 10),
        |stream| priority(stream, 0, 9),
        |stream| frame(0xfa, 0xff, stream, b"unknown"),
    ])
}

/// What ends a connection.
fn wrong() -> impl Strategy<Value = Vec<u8>> {
    prop::sample::select(vec![
        Vec::new(),
        headers(END_STREAM, 2, &request("GET", "/")),
        headers(END_STREAM, 999, &[0xc6]),
        frame(CONTINUATION, 0, 1, &[]),
        window_update(0, 0),
        data(0, 9_999, b"idle"),
        frame(DATA, 0, 1, &[0; 16_385]),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn however_bytes_are_cut_the_same_comes_of_them(
        said in prop::collection::vec(said(), 0..12),
        wrong in wrong(),
        sizes in prop::collection::vec(1_usize..40, 1..12),
    ) {
        let mut bytes: Vec<u8> =
            said.iter().enumerate().flat_map(|(place, it)| it(2 * place as u32 + 1)).collect();
        bytes.extend(&wrong);
        let whole = outcome(&bytes, &[bytes.len().max(1)]);
        let cut = outcome(&bytes, &sizes);
        prop_assert_eq!(whole.0, cut.0);
        prop_assert_eq!(whole.0.is_some(), !wrong.is_empty());
        if wrong.is_empty() {
            // Else what was not answered yet never is.
            prop_assert_eq!(whole.1, cut.1);
        }
    }
}
