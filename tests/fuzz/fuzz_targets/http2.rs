//! Header blocks, and a whole HTTP/2 server on arbitrary bytes in arbitrary pieces. Must hold whatever
//! the input: no panic, no field out of nowhere, the same fields for the same blocks however they are
//! repeated, and a server that ends when its client does, with nothing left behind.
#![no_main]

mod input;
mod serve;
mod site;

use std::rc::Rc;

use lb_proxy::http::h2::hpack::Decoder;
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

use input::{Input, Pieces};
use site::Site;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    Blocks,
    Connection,
}

fuzz_target!(|input: Input<'_, Kind>| match input.kind {
    Kind::Blocks => blocks(input.bytes, input.pieces),
    Kind::Connection => connection(input.bytes, input.pieces),
});

/// Reads `bytes` as blocks of these lengths, twice.
fn blocks(bytes: &[u8], pieces: Pieces) {
    let run = || {
        let (mut decoder, mut read) = (Decoder::default(), Vec::new());
        for block in pieces.of(bytes) {
            let mut count = 0;
            let decoded = decoder.decode(block, |it| {
                count += 1;
                read.push((it.text.to_vec(), it.value.to_vec(), it.name, it.is_valid));
            });
            assert!(count <= block.len(), "fields out of nowhere");
            if decoded.is_err() {
                break;
            }
        }
        read
    };
    assert_eq!(run(), run());
}

fn connection(bytes: &[u8], pieces: Pieces) {
    let site = Rc::new(Site::default());
    let pieces = [PREFACE].into_iter().chain(pieces.of(bytes));
    serve::run(serve::served(&site, pieces));
    site.assert_idle();
}
