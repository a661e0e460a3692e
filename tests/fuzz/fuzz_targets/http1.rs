//! Both head parsers and the chunk decoder on arbitrary bytes in arbitrary pieces. Must hold
//! whatever the input: no panic, no byte consumed that was not there, and the same result however
//! the bytes arrive.
#![no_main]

use lb_proxy::http::{
    Method,
    h1::{
        chunked::{Decoder, Step},
        request::{Limits, RequestHead, RequestReader},
        response::{ResponseHead, ResponseReader},
    },
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

const LIMITS: Limits = Limits { bytes_max: 2_048, fields_max: 16 };

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    kind: Kind,
    pieces: [u8; 4],
    bytes: &'a [u8],
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    Request,
    Response,
    Chunks,
}

fuzz_target!(|input: Input<'_>| {
    let run = match input.kind {
        Kind::Request => request,
        Kind::Response => response,
        Kind::Chunks => chunks,
    };
    let whole = run(input.bytes, &[u8::MAX; 4]);
    assert_eq!(run(input.bytes, &input.pieces), whole, "it depends on how the bytes arrive");
});

/// Ends of the pieces that `bytes` arrive in.
fn ends<'a>(bytes: &'a [u8], pieces: &'a [u8; 4]) -> impl Iterator<Item = usize> + 'a {
    let sizes = pieces.iter().cycle().map(|it| usize::from(*it).max(1));
    let ends = sizes.scan(0, |end, size| {
        let was = *end;
        *end = (was + size).min(bytes.len());
        (was < bytes.len()).then_some(*end)
    });
    ends
}

fn request(bytes: &[u8], pieces: &[u8; 4]) -> String {
    let mut reader = RequestReader::default();
    for end in ends(bytes, pieces) {
        let mut head = RequestHead::default();
        match reader.next(&bytes[..end], LIMITS, &mut head) {
            Ok(None) => {}
            Ok(Some(length)) => {
                assert!(length <= end, "consumed what was not there");
                assert!(!head.request.target().is_empty());
                return format!("{head:?} {length}");
            }
            Err(reason) => return reason.name().to_owned(),
        }
    }
    "nothing".to_owned()
}

fn response(bytes: &[u8], pieces: &[u8; 4]) -> String {
    let mut reader = ResponseReader::default();
    for end in ends(bytes, pieces) {
        let mut head = ResponseHead::default();
        match reader.next(&bytes[..end], &Method::Get, LIMITS, &mut head) {
            Ok(None) => {}
            Ok(Some(length)) => {
                assert!(length <= end, "consumed what was not there");
                assert!((100..600).contains(&head.status));
                return format!("{head:?} {length}");
            }
            Err(reason) => return reason.name().to_owned(),
        }
    }
    "nothing".to_owned()
}

fn chunks(bytes: &[u8], pieces: &[u8; 4]) -> String {
    let mut decoder = Decoder::default();
    let (mut start, mut data) = (0, Vec::new());
    for end in ends(bytes, pieces) {
        loop {
            let (skipped, step) = match decoder.step(&bytes[start..end]) {
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
