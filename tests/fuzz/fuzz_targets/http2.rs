//! Header blocks, and a whole HTTP/2 server on arbitrary bytes in arbitrary pieces. Must hold whatever
//! the input: no panic, no field out of nowhere, the same fields for the same blocks however they are
//! repeated, and a server that ends when its client does, with nothing left behind.
#![no_main]

use std::{cell::Cell, rc::Rc, sync::Arc};

use lb_proxy::{
    account::Record,
    connection::Connection,
    drain::drain,
    http::{
        Informational, Method, Reason, Request, Response, Sent, Service,
        h2::{self, hpack::Decoder},
    },
    io::Io,
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use tokio::{io::AsyncWriteExt as _, task::LocalSet};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    kind: Kind,
    pieces: [u8; 4],
    bytes: &'a [u8],
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    Blocks,
    Connection,
}

fuzz_target!(|input: Input<'_>| match input.kind {
    Kind::Blocks => blocks(input.bytes, &input.pieces),
    Kind::Connection => connection(input.bytes, &input.pieces),
});

/// Reads `bytes` as blocks of these lengths, twice.
fn blocks(bytes: &[u8], pieces: &[u8; 4]) {
    let run = || {
        let (mut decoder, mut rest, mut read) = (Decoder::default(), bytes, Vec::new());
        for size in pieces.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (block, after) = rest.split_at(usize::from(*size).clamp(1, rest.len()));
            let mut count = 0;
            let decoded = decoder.decode(block, |it| {
                count += 1;
                read.push((it.text.to_vec(), it.value.to_vec(), it.name, it.is_valid));
            });
            assert!(count <= block.len(), "fields out of nowhere");
            if decoded.is_err() {
                break;
            }
            rest = after;
        }
        read
    };
    assert_eq!(run(), run());
}

/// Answers everything, and counts what is under way.
#[derive(Default)]
struct Site(Cell<i32>);

struct UnderWay<'a>(&'a Site);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get() - 1);
    }
}

impl Service for Site {
    async fn call(&self, _: &Rc<Connection>, request: Request, early: Informational) -> Response {
        self.0.set(self.0.get() + 1);
        let _under_way = UnderWay(self);
        assert!(!request.authority().is_empty() && !request.target().is_empty());
        early.send(103, &request.fields);
        let mut response = Response::new(200);
        response.fields = request.fields;
        match request.method {
            Method::Put => std::future::pending().await,
            Method::Post => response.body = request.body,
            _ => {}
        }
        response
    }

    fn finished(&self, _: &Rc<Connection>, _: Option<Box<Record>>, _: Sent) {}

    fn refused(&self, _: &Rc<Connection>, _: Reason) {}
}

fn connection(bytes: &[u8], pieces: &[u8; 4]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let site = Rc::new(Site::default());
    let run = async {
        let (mut near, far) = tokio::io::duplex(1 << 16);
        let (_start, drained) = drain();
        let address = "127.0.0.1:80".parse().unwrap();
        let connection = Connection { local: address, peer: address, client: address, tls: None };
        let (connection, options) = (Rc::new(connection), Arc::default());
        let served = h2::serve(Io::Memory(far), connection, Rc::clone(&site), options, drained);
        let server = tokio::task::spawn_local(served);
        let mut rest = bytes;
        let mut is_gone = near.write_all(PREFACE).await.is_err();
        for size in pieces.iter().cycle() {
            if rest.is_empty() || is_gone {
                break;
            }
            let (piece, after) = rest.split_at(usize::from(*size).clamp(1, rest.len()));
            is_gone = near.write_all(piece).await.is_err();
            tokio::task::yield_now().await;
            rest = after;
        }
        drop(near);
        server.await.expect("the server panicked");
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    };
    runtime.block_on(LocalSet::new().run_until(run));
    assert_eq!(site.0.get(), 0, "something is left of the connection");
}
