//! Both head parsers, the chunk decoder, a whole server and a whole client on arbitrary bytes in
//! arbitrary pieces. Must hold whatever the input: no panic, no byte consumed that was not there, the
//! same result however the bytes arrive, and nothing left behind.
#![no_main]

mod input;
mod serve;
mod site;

use std::{cell::RefCell, rc::Rc};

use lb_proxy::{
    http::{
        Frame, Informational, Method, Request,
        h1::{
            Client, ExchangeOptions, ResponseLimits,
            chunked::{Decoder, Step},
            request::{Limits, RequestHead, RequestReader},
            response::{ResponseHead, ResponseReader},
        },
    },
    io::Io,
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

use input::{Input, Pieces};
use site::Site;

const LIMITS: Limits = Limits { bytes_max: 2_048, fields_max: 16 };

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    Request,
    Response,
    Chunks,
    Server,
    Client { has_no_body: bool },
}

fuzz_target!(|input: Input<'_, Kind>| {
    let bytes = input.bytes;
    let run = |pieces: Pieces| match input.kind {
        Kind::Request => request(bytes, pieces),
        Kind::Response => response(bytes, pieces),
        Kind::Chunks => chunks(bytes, pieces),
        Kind::Server => server(bytes, pieces),
        Kind::Client { has_no_body } => client(bytes, pieces, has_no_body),
    };
    let whole = run(Pieces::LARGEST);
    assert_eq!(run(input.pieces), whole, "it depends on how the bytes arrive");
});

/// What has arrived after each piece.
fn arrived(bytes: &[u8], pieces: Pieces) -> impl Iterator<Item = &[u8]> {
    pieces.of(bytes).scan(0, |end, piece| {
        *end += piece.len();
        bytes.get(..*end)
    })
}

fn request(bytes: &[u8], pieces: Pieces) -> String {
    let mut reader = RequestReader::default();
    for bytes in arrived(bytes, pieces) {
        let mut head = RequestHead::default();
        match reader.next(bytes, LIMITS, &mut head) {
            Ok(None) => {}
            Ok(Some(length)) => {
                assert!(length <= bytes.len(), "consumed what was not there");
                assert!(!head.request.target().is_empty());
                return format!("{head:?} {length}");
            }
            Err(reason) => return reason.name().to_owned(),
        }
    }
    "nothing".to_owned()
}

fn response(bytes: &[u8], pieces: Pieces) -> String {
    let mut reader = ResponseReader::default();
    for bytes in arrived(bytes, pieces) {
        let mut head = ResponseHead::default();
        match reader.next(bytes, &Method::Get, LIMITS, &mut head) {
            Ok(None) => {}
            Ok(Some(length)) => {
                assert!(length <= bytes.len(), "consumed what was not there");
                assert!((100..600).contains(&head.status));
                return format!("{head:?} {length}");
            }
            Err(reason) => return reason.name().to_owned(),
        }
    }
    "nothing".to_owned()
}

fn chunks(bytes: &[u8], pieces: Pieces) -> String {
    let mut decoder = Decoder::default();
    let (mut start, mut data) = (0, Vec::new());
    for bytes in arrived(bytes, pieces) {
        loop {
            let (skipped, step) = match decoder.step(&bytes[start..]) {
                Ok(step) => step,
                Err(error) => return error.to_string(),
            };
            start += skipped;
            match step {
                Step::More => break,
                Step::Data(count) => {
                    assert!(count > 0);
                    data.extend_from_slice(&bytes[start..start + count]);
                    start += count;
                }
                Step::End(trailers) => return format!("{data:?} {trailers:?} {start}"),
            }
        }
    }
    format!("nothing after {data:?}")
}

/// What a client asked for whose bytes these are.
fn server(bytes: &[u8], pieces: Pieces) -> String {
    let site = Rc::new(Site::default());
    serve::run(serve::served(&site, pieces.of(bytes)));
    site.assert_idle();
    site.asked.take().join("\n")
}

/// What an endpoint answered whose bytes these are.
fn client(bytes: &[u8], pieces: Pieces, has_no_body: bool) -> String {
    let early = Rc::new(RefCell::new(Vec::new()));
    let told = Rc::clone(&early);
    let exchange = async {
        let (near, far) = tokio::io::duplex(1 << 16);
        let client = Client::new(Io::Memory(far), ResponseLimits::default());
        let method = if has_no_body { Method::Head } else { Method::Get };
        let mut request = Request::new(method, "a", "/");
        let early = Informational::new(move |status, _| told.borrow_mut().push(status));
        let answer = async {
            let options = ExchangeOptions::default();
            let answered = client.exchange(&mut request, &early, options, drop).await;
            let mut response = match answered {
                Ok(response) => response,
                Err(error) => return format!("{error:?}"),
            };
            let (mut data, mut end) = (Vec::new(), String::new());
            while let Some(frame) = response.body.frame().await {
                match frame {
                    Ok(Frame::Data(bytes)) => data.extend_from_slice(&bytes),
                    other => end = format!("{other:?}"),
                }
            }
            format!("{} {:?} {data:?} {end}", response.status, response.fields)
        };
        tokio::join!(answer, serve::talk(near, pieces.of(bytes))).0
    };
    let answered = serve::run(exchange);
    format!("{:?} {answered}", early.take())
}
