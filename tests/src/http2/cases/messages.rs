//! Messages that are none (RFC 9113, sections 7 and 8), and blocks that cannot be read (RFC 7541).

use super::{Case, Expected, case};
use crate::http2::{
    frames::{
        COMPRESSION_ERROR, END_HEADERS, END_STREAM, PROTOCOL_ERROR, PUSH_PROMISE, data, frame,
        goaway, headers, ping, reset,
    },
    hpack::{Field, GET, POST, block, block_with, table_size},
};

const PAYLOAD: [u8; 8] = *b"payload!";

pub(super) fn cases() -> Vec<Case> {
    [codes(), fields(), bodies(), blocks()].concat()
}

fn codes() -> Vec<Case> {
    let survives = |name, said: &[Vec<u8>]| {
        let said = [said.concat(), ping(0, PAYLOAD)];
        case("http2/7", name, &said, Expected::PongOrClose(PAYLOAD))
    };
    vec![
        survives("GOAWAY with an unknown code", &[goaway(0, 0xff)]),
        survives(
            "RST_STREAM with an unknown code",
            &[headers(0, 1, &block(&POST)), reset(1, 0xff)],
        ),
    ]
}

fn malformed(section: &'static str, name: &'static str, said: &[Vec<u8>]) -> Case {
    case(section, name, said, Expected::StreamError(vec![PROTOCOL_ERROR]))
}

fn fields() -> Vec<Case> {
    let of = |section, name, fields: &[Field<'_>]| {
        malformed(section, name, &[headers(END_STREAM, 1, &block(fields))])
    };
    let with = |section, name, field| of(section, name, &[&GET[..], &[field]].concat());
    let without = |name, field: &str| {
        let fields: Vec<_> = GET.into_iter().filter(|it| it.0 != field).collect();
        of("http2/8.1.2.3", name, &fields)
    };
    let twice = |name, field: &str| {
        let more = GET.into_iter().filter(|it| it.0 == field);
        of("http2/8.1.2.3", name, &GET.into_iter().chain(more).collect::<Vec<_>>())
    };
    let mut no_path = GET;
    no_path[2].1 = "";
    vec![
        with("http2/8.1.2", "upper case", ("X-TEST", "ok")),
        with("http2/8.1.2.1", "unknown pseudo-header field", (":test", "ok")),
        with("http2/8.1.2.1", "pseudo-header field of responses", (":status", "200")),
        malformed(
            "http2/8.1.2.1",
            "pseudo-header field as trailer",
            &[
                headers(0, 1, &block(&POST)),
                data(0, 1, b"test"),
                headers(0, 1, &block(&[(":method", "POST")])),
            ],
        ),
        of(
            "http2/8.1.2.1",
            "pseudo-header field after others",
            &[&[("x-test", "ok")], &GET[..]].concat(),
        ),
        with("http2/8.1.2.2", "connection-specific field", ("connection", "keep-alive")),
        with("http2/8.1.2.2", "te other than trailers", ("te", "trailers, deflate")),
        of("http2/8.1.2.3", "empty :path", &no_path),
        without("no :method", ":method"),
        without("no :scheme", ":scheme"),
        without("no :path", ":path"),
        twice("two :method", ":method"),
        twice("two :scheme", ":scheme"),
        twice("two :path", ":path"),
    ]
}

fn bodies() -> Vec<Case> {
    let post = |more: &[Field<'_>]| headers(0, 1, &block_with(&POST, more));
    let promise = [&3_u32.to_be_bytes()[..], &block(&GET)].concat();
    vec![
        malformed(
            "http2/8.1.2.6",
            "content-length other than DATA",
            &[post(&[("content-length", "1")]), data(END_STREAM, 1, b"test")],
        ),
        malformed(
            "http2/8.1.2.6",
            "content-length other than all DATA",
            &[post(&[("content-length", "1")]), data(0, 1, b"test"), data(END_STREAM, 1, b"test")],
        ),
        malformed(
            "http2/8.1",
            "second HEADERS without END_STREAM",
            &[post(&[]), data(0, 1, b"test"), headers(0, 1, &block(&[("x-test", "ok")]))],
        ),
        case(
            "http2/8.2",
            "PUSH_PROMISE",
            &[frame(PUSH_PROMISE, END_HEADERS, 1, &promise)],
            Expected::ConnectionError(vec![PROTOCOL_ERROR]),
        ),
    ]
}

fn blocks() -> Vec<Case> {
    let of = |section, name, block: Vec<u8>| {
        let said = [headers(END_STREAM, 1, &block)];
        case(section, name, &said, Expected::ConnectionError(vec![COMPRESSION_ERROR]))
    };
    let after = |bytes: &[u8]| [&block(&GET)[..], bytes].concat();
    // `x-test` by Huffman, then a value whose padding is wrong.
    let name = *b"\0\x85\xf2\xb2\x4a\x84\xff";
    let value = |bytes: &[u8]| after(&[&name[..], bytes].concat());
    vec![
        of("hpack/2.3.3", "index beyond the tables", after(b"\xc6")),
        of("hpack/2.3.3", "name's index beyond the tables", after(b"\x7f\x07\0")),
        of("hpack/4.2", "table size update at the end", after(b"\x21")),
        of("hpack/5.2", "padding longer than 7 bits", value(b"\x84\x49\x50\x9f\xff")),
        of("hpack/5.2", "padding of zeros", value(b"\x83\x49\x50\x90")),
        of("hpack/5.2", "EOS in a string", value(b"\x87\x49\x51\xff\xff\xff\xfa\x7f")),
        of("hpack/6.1", "index 0", after(b"\x80")),
        of(
            "hpack/6.3",
            "table size beyond SETTINGS_HEADER_TABLE_SIZE",
            [table_size(4_097), block(&GET)].concat(),
        ),
    ]
}
