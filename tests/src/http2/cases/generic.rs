//! What every server does right.

use super::{Case, Expected, case};
use crate::http2::{
    frames::{
        CANCEL, END_HEADERS, END_STREAM, HEADERS, INITIAL_WINDOW_SIZE, NO_ERROR, PADDED, PREFACE,
        WITH_PRIORITY, continuation, data, dependency, frame, goaway, headers, ping, priority,
        reset, settings, window_update,
    },
    hpack::{GET, POST, block, block_with, table_size},
};

const PAYLOAD: [u8; 8] = *b"payload!";

pub(super) fn cases() -> Vec<Case> {
    [connections(), frame_kinds(), messages(), hpack()].concat()
}

fn connections() -> Vec<Case> {
    let get = || headers(END_STREAM, 1, &block(&GET));
    let no_window = || settings(&[(INITIAL_WINDOW_SIZE, 0)]);
    vec![
        case("generic/1", "preface", &[PREFACE.to_vec(), settings(&[])], Expected::Settings).raw(),
        case(
            "generic/2",
            "PRIORITY on an idle stream",
            &[priority(1, 0, 255), ping(0, PAYLOAD)],
            Expected::Pong(PAYLOAD),
        ),
        case(
            "generic/2",
            "WINDOW_UPDATE on a half-closed (remote) stream",
            &[no_window(), get(), window_update(1, 1)],
            Expected::Data,
        ),
        case(
            "generic/2",
            "PRIORITY on a half-closed (remote) stream",
            &[no_window(), get(), priority(1, 0, 255), window_update(1, 1)],
            Expected::Data,
        ),
        case(
            "generic/2",
            "RST_STREAM on a half-closed (remote) stream",
            &[get(), reset(1, CANCEL), ping(0, PAYLOAD)],
            Expected::PongOrClose(PAYLOAD),
        ),
        case("generic/2", "PRIORITY on a closed stream", &[get()], Expected::StreamEnd)
            .then(&[priority(1, 0, 255), ping(0, PAYLOAD)], Expected::Pong(PAYLOAD)),
    ]
}

fn frame_kinds() -> Vec<Case> {
    let get = || headers(END_STREAM, 1, &block(&GET));
    let post = || headers(0, 1, &block(&POST));
    let before_get = |it: Vec<u8>| vec![it, get()];
    let padded = |bytes: &[u8]| [&[5][..], bytes, &[0; 5]].concat();
    let with_priority = [dependency(0, 255), block(&GET)].concat();
    let whole = block(&GET);
    let (first, rest) = whole.split_at(5);
    let (second, third) = rest.split_at(5);
    let split = frame(HEADERS, END_STREAM, 1, first);
    let all_settings: Vec<_> =
        [4_096, 1, 100, 65_535, 16_384, 100].into_iter().zip(1..).map(|(it, n)| (n, it)).collect();
    let answered = |section, name, said: &[Vec<u8>]| case(section, name, said, Expected::Headers);
    let pong = |section, name, said: Vec<u8>| {
        case(section, name, &[said, ping(0, PAYLOAD)], Expected::Pong(PAYLOAD))
    };
    let survives = |section, name, said: &[Vec<u8>]| {
        case(section, name, &[said.concat(), ping(0, PAYLOAD)], Expected::PongOrClose(PAYLOAD))
    };
    vec![
        answered("generic/3.1", "DATA", &[post(), data(END_STREAM, 1, b"test")]),
        answered(
            "generic/3.1",
            "DATA frames",
            &[post(), data(0, 1, b"test"), data(END_STREAM, 1, b"test")],
        ),
        answered(
            "generic/3.1",
            "DATA with padding",
            &[post(), data(END_STREAM | PADDED, 1, &padded(b"test"))],
        ),
        answered("generic/3.2", "HEADERS", &[get()]),
        answered(
            "generic/3.2",
            "HEADERS with padding",
            &[headers(END_STREAM | PADDED, 1, &padded(&block(&GET)))],
        ),
        answered(
            "generic/3.2",
            "HEADERS with priority",
            &[headers(END_STREAM | WITH_PRIORITY, 1, &with_priority)],
        ),
        answered("generic/3.3", "PRIORITY 1", &before_get(priority(1, 0, 0))),
        answered("generic/3.3", "PRIORITY 256", &before_get(priority(1, 0, 255))),
        answered("generic/3.3", "PRIORITY with dependency", &before_get(priority(3, 1, 0))),
        answered("generic/3.3", "PRIORITY, exclusive", &before_get(priority(1, 1 << 31, 0))),
        answered("generic/3.3", "PRIORITY of a higher stream", &before_get(priority(3, 0, 255))),
        survives("generic/3.4", "RST_STREAM", &[headers(0, 1, &block(&GET)), reset(1, CANCEL)]),
        case("generic/3.5", "SETTINGS", &[settings(&all_settings)], Expected::SettingsAck),
        pong("generic/3.7", "PING", Vec::new()),
        survives("generic/3.8", "GOAWAY", &[goaway(0, NO_ERROR)]),
        pong("generic/3.9", "WINDOW_UPDATE of the connection", window_update(0, 1)),
        answered("generic/3.9", "WINDOW_UPDATE of a stream", &[get(), window_update(1, 1)]),
        answered(
            "generic/3.10",
            "CONTINUATION",
            &[split.clone(), continuation(END_HEADERS, 1, rest)],
        ),
        answered(
            "generic/3.10",
            "CONTINUATION frames",
            &[split, continuation(0, 1, second), continuation(END_HEADERS, 1, third)],
        ),
    ]
}

fn messages() -> Vec<Case> {
    let mut head = GET;
    head[0].1 = "HEAD";
    let post = || headers(0, 1, &block(&POST));
    let with_trailers = block_with(&POST, &[("trailer", "x-test")]);
    let answered = |name, said: &[Vec<u8>]| case("generic/4", name, said, Expected::Headers);
    vec![
        answered("GET", &[headers(END_STREAM, 1, &block(&GET))]),
        answered("HEAD", &[headers(END_STREAM, 1, &block(&head))]),
        answered("POST", &[post(), data(END_STREAM, 1, b"test")]),
        answered(
            "POST with trailers",
            &[
                headers(0, 1, &with_trailers),
                data(0, 1, b"test"),
                headers(END_STREAM, 1, &block(&[("x-test", "ok")])),
            ],
        ),
    ]
}

fn hpack() -> Vec<Case> {
    // Names and values with and without Huffman coding: `user-agent`, `x-test`, `h2spec`.
    let agent = b"\x0auser-agent\x06h2spec".to_vec();
    let agent_huffman = b"\x87\xb5\x05\xb1\x61\xcc\x5a\x93\x84\x9c\x48\xac\xa4".to_vec();
    let test = b"\x06x-test\x06h2spec".to_vec();
    let test_huffman = b"\x85\xf2\xb2\x4a\x84\xff\x84\x9c\x48\xac\xa4".to_vec();
    let rows = [
        ("indexed", vec![0xba]),
        (
            "literal with indexing, known name, Huffman",
            [vec![0x40], agent_huffman.clone()].concat(),
        ),
        ("literal with indexing, known name", [vec![0x40], agent.clone()].concat()),
        ("literal with indexing, new name", [vec![0x40], test.clone()].concat()),
        ("literal with indexing, new name, Huffman", [vec![0x40], test_huffman.clone()].concat()),
        ("literal without indexing, known name", [vec![0], agent.clone()].concat()),
        (
            "literal without indexing, known name, Huffman",
            [vec![0], agent_huffman.clone()].concat(),
        ),
        ("literal without indexing, new name", [vec![0], test.clone()].concat()),
        ("literal without indexing, new name, Huffman", [vec![0], test_huffman.clone()].concat()),
        ("literal never indexed, known name", [vec![0x10], agent].concat()),
        ("literal never indexed, known name, Huffman", [vec![0x10], agent_huffman].concat()),
        ("literal never indexed, new name", [vec![0x10], test].concat()),
        ("literal never indexed, new name, Huffman", [vec![0x10], test_huffman].concat()),
    ];
    let answered = |name, block: &[u8]| {
        case("generic/5", name, &[headers(END_STREAM, 1, block)], Expected::Headers)
    };
    let mut cases: Vec<_> = rows
        .iter()
        .map(|(name, field)| answered(name, &[block(&GET), field.clone()].concat()))
        .collect();
    cases.push(answered("table size update", &[table_size(128), block(&GET)].concat()));
    let twice = [table_size(128), table_size(4_096), block(&GET)].concat();
    cases.push(answered("table size updates", &twice));
    cases
}
