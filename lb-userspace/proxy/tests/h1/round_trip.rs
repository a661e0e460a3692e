//! Properties: nothing panics, splits change nothing, what is written is read back.

use crate::harness::{Frames, Origin, collect, local, serve_on};
use bytes::Bytes;
use lb_model::HttpOptions;
use lb_proxy::{
    drain::drain,
    http::{
        Body, Fields, Frame, Informational, Method, Request, Response,
        h1::{
            Client, ExchangeOptions, ResponseLimits,
            chunked::{Decoder, Step},
            request::{Limits, RequestHead, RequestReader},
            response::{ResponseHead, ResponseReader},
        },
    },
    io::Io,
};
use proptest::prelude::*;
use std::{cell::RefCell, rc::Rc};

const LIMITS: Limits = Limits { bytes_max: 1_000, fields_max: 8 };

/// The first head that is found when `bytes` arrive in pieces, or why not.
fn request(bytes: &[u8], pieces: &[usize]) -> String {
    let mut reader = RequestReader::default();
    for end in ends(bytes, pieces) {
        let mut head = RequestHead::default();
        match reader.next(&bytes[..end], LIMITS, &mut head) {
            Ok(None) => {}
            Ok(length) => return format!("{head:?} {length:?}"),
            Err(reason) => return format!("{reason:?}"),
        }
    }
    "nothing".to_owned()
}

fn response(bytes: &[u8], pieces: &[usize]) -> String {
    let mut reader = ResponseReader::default();
    for end in ends(bytes, pieces) {
        let mut head = ResponseHead::default();
        match reader.next(&bytes[..end], &Method::Get, LIMITS, &mut head) {
            Ok(None) => {}
            Ok(length) => return format!("{head:?} {length:?}"),
            Err(reason) => return format!("{reason:?}"),
        }
    }
    "nothing".to_owned()
}

/// Data, whether there were trailers, and bytes left behind; or why not.
fn chunks(bytes: &[u8], pieces: &[usize]) -> String {
    let mut decoder = Decoder::default();
    let (mut data, mut start) = (Vec::new(), 0);
    for end in ends(bytes, pieces) {
        loop {
            let (skipped, step) = match decoder.step(&bytes[start..end]) {
                Ok(step) => step,
                Err(error) => return format!("{error:?}"),
            };
            start += skipped;
            match step {
                Step::More => break,
                Step::Data(count) => {
                    data.extend_from_slice(&bytes[start..start + count]);
                    start += count;
                }
                Step::End(trailers) => return format!("{data:?} {trailers:?} {start}"),
            }
        }
    }
    format!("nothing after {data:?}")
}

fn ends(bytes: &[u8], pieces: &[usize]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut end = 0;
    for piece in pieces.iter().cycle() {
        if end >= bytes.len() {
            break;
        }
        end = (end + piece).min(bytes.len());
        ends.push(end);
    }
    ends
}

/// Bytes with a chance to be HTTP.
fn wire() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "GET ",
        "POST ",
        "/",
        "a",
        " ",
        "HTTP/1.1",
        "HTTP/1.0",
        "HTTP/1.1 200 OK",
        "\r\n",
        "\r\n",
        "\r\n\r\n",
        "\r",
        "\n",
        "Host: a",
        "Host:",
        "Content-Length: ",
        "Transfer-Encoding: ",
        "chunked",
        "3",
        "0",
        ";",
        "=",
        "\"",
        ":",
        ",",
        "\0",
        "abc",
        "\t",
        "Connection: ",
        "close",
        "Expect: 100-continue",
        "Upgrade: x",
        "http://a",
        "%2e",
        "..",
    ];
    let word = prop_oneof![
        8 => proptest::sample::select(words.to_vec()).prop_map(|it| it.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(1_usize..20, 1..6)
}

fn data() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let size = prop_oneof![6 => 1_usize..40, 1 => 4_000..5_000_usize, 1 => 60_000..70_000_usize];
    proptest::collection::vec((size, any::<u8>()).prop_map(|(size, it)| vec![it; size]), 0..6)
}

fn frames(pieces: &[Vec<u8>], has_length: bool, trailer: bool) -> Body {
    let data = pieces.iter().map(|it| Ok(Frame::Data(Bytes::from(it.clone()))));
    let mut frames = Frames(data.collect(), None);
    if has_length {
        frames.1 = Some(pieces.iter().map(|it| it.len() as u64).sum());
    } else if trailer {
        let fields: Fields = [("x-end", "1")].into_iter().collect();
        frames.0.push_back(Ok(Frame::Trailers(Box::new(fields))));
    }
    frames.body()
}

#[test]
fn what_is_wrong_first_counts_however_it_arrives() {
    let long = "a".repeat(LIMITS.bytes_max);
    for (bytes, expected) in [
        ("G / HTTP/0.1\r\na\n".to_owned(), "VersionUnknown"),
        (format!("G / HTTP/2.0\r\na: {long}"), "VersionUnknown"),
        (format!("G / HTTP/1.1\r\na: {long}\n"), "HeaderTooLarge"),
        (format!("G /{long}\n"), "TargetTooLong"),
    ] {
        for piece in [1, 7, bytes.len()] {
            assert_eq!(request(bytes.as_bytes(), &[piece]), expected, "{piece} of {bytes}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn splits_change_nothing(bytes in wire(), pieces in pieces()) {
        let start = b"GET / HTTP/1.1\r\nHost: a\r\n";
        let status = b"HTTP/1.1 200 OK\r\n";
        for bytes in [&bytes[..], &[&start[..], &bytes].concat()] {
            prop_assert_eq!(request(bytes, &[bytes.len().max(1)]), request(bytes, &pieces));
        }
        for bytes in [&bytes[..], &[&status[..], &bytes].concat()] {
            prop_assert_eq!(response(bytes, &[bytes.len().max(1)]), response(bytes, &pieces));
        }
        let whole = chunks(&bytes, &[bytes.len().max(1)]);
        prop_assert_eq!(whole, chunks(&bytes, &pieces));
    }

    #[test]
    fn a_client_of_ours_and_a_server_of_ours_understand_each_other(
        bodies in proptest::collection::vec((data(), data(), 0_u8..16), 1..4),
        buffer in prop_oneof![50_usize..500, 10_000..100_000_usize],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(local(talk(bodies, buffer)));
    }
}

/// A request's body, the response's, and how both are sent.
type Bodies = (Vec<Vec<u8>>, Vec<Vec<u8>>, u8);

/// Sends each first body, and gets each second one, over one connection.
async fn talk(bodies: Vec<Bodies>, buffer: usize) {
    let (theirs, ours) = tokio::io::duplex(buffer);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (log, answers) = (Rc::clone(&seen), Rc::new(bodies.clone()));
    let origin = Origin::new(move |mut request, _| {
        let (log, answers) = (Rc::clone(&log), Rc::clone(&answers));
        async move {
            let body = collect(&mut request.body).await.unwrap();
            let index = log.borrow().len();
            log.borrow_mut().push(body);
            let (_, answer, kind) = &answers[index];
            let mut response = Response::new(200);
            response.body = frames(answer, kind & 1 != 0, kind & 2 != 0);
            response
        }
    });
    let (_start, drain) = drain();
    serve_on(Io::Memory(theirs), &origin, HttpOptions::default(), drain);
    let free = Rc::new(RefCell::new(None));
    free.replace(Some(Client::new(Io::Memory(ours), ResponseLimits::default())));
    for (index, (sent, expected, kind)) in bodies.iter().enumerate() {
        let mut request = Request::new(Method::Post, "a", "/");
        request.body = frames(sent, kind & 4 != 0, kind & 8 != 0);
        let client = free.take().expect("the connection was given back");
        let back = Rc::clone(&free);
        let release = move |client| {
            assert!(back.replace(Some(client)).is_none());
        };
        let early = Informational::none();
        let options = ExchangeOptions::default();
        let response = client.exchange(&mut request, &early, options, release).await;
        let (body, trailers) = collect(&mut response.unwrap().body).await.unwrap();
        assert_eq!(body, expected.concat());
        let has_trailers = kind & 1 == 0 && kind & 2 != 0;
        assert_eq!(trailers.is_some(), has_trailers);
        let (body, trailers) = &seen.borrow()[index];
        assert_eq!(*body, sent.concat());
        assert_eq!(trailers.is_some(), kind & 4 == 0 && kind & 8 != 0);
    }
}
