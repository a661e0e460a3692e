//! Frames that break the rules of their kind (RFC 9113, sections 3.4, 4 and 6).

use super::{Case, Expected, case};
use crate::http2::{
    frames::{
        CANCEL, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR,
        FRAME_SIZE_ERROR, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, PADDED, PING,
        PREFACE, PRIORITY, PROTOCOL_ERROR, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE,
        continuation, data, frame, headers, ping, priority, reset, settings, window_update,
    },
    hpack::{GET, POST, block, large_block},
};

const PAYLOAD: [u8; 8] = *b"payload!";

pub(super) fn cases() -> Vec<Case> {
    [beginning(), format(), data_and_headers(), control(), setting(), windows(), continued()]
        .concat()
}

fn broken(section: &'static str, name: &'static str, said: &[Vec<u8>], code: u32) -> Case {
    case(section, name, said, Expected::ConnectionError(vec![code]))
}

fn beginning() -> Vec<Case> {
    let wrong = b"INVALID CONNECTION PREFACE\r\n\r\n".to_vec();
    vec![
        case("http2/3.5", "preface", &[PREFACE.to_vec(), settings(&[])], Expected::Settings).raw(),
        broken("http2/3.5", "invalid preface", &[wrong], PROTOCOL_ERROR).raw(),
    ]
}

fn format() -> Vec<Case> {
    let post = || headers(0, 1, &block(&POST));
    let large: Vec<u8> = (0..5).flat_map(|_| large_block()).collect();
    let unknown = frame(0x16, 0, 0, &[0; 8]);
    let part = frame(HEADERS, END_STREAM, 1, &block(&GET));
    vec![
        case("http2/4.1", "unknown type", &[unknown, ping(0, PAYLOAD)], Expected::Pong(PAYLOAD)),
        case("http2/4.1", "undefined flag", &[ping(0x16, PAYLOAD)], Expected::Pong(PAYLOAD)),
        case(
            "http2/4.1",
            "reserved bit",
            &[frame(PING, 0x16, 1 << 31, &PAYLOAD)],
            Expected::Pong(PAYLOAD),
        ),
        case(
            "http2/4.2",
            "DATA of 2^14 bytes",
            &[post(), data(END_STREAM, 1, &[0; 16_384])],
            Expected::Headers,
        ),
        case(
            "http2/4.2",
            "DATA beyond SETTINGS_MAX_FRAME_SIZE",
            &[post(), data(END_STREAM, 1, &[0; 16_385])],
            Expected::StreamError(vec![FRAME_SIZE_ERROR]),
        ),
        broken(
            "http2/4.2",
            "HEADERS beyond SETTINGS_MAX_FRAME_SIZE",
            &[headers(END_STREAM, 1, &[block(&GET), large].concat())],
            FRAME_SIZE_ERROR,
        ),
        broken("http2/4.3", "invalid block", &[headers(END_STREAM, 1, &[0x40])], COMPRESSION_ERROR),
        broken(
            "http2/4.3",
            "PRIORITY within a block",
            &[
                frame(HEADERS, 0, 1, &block(&GET)),
                priority(1, 0, 255),
                continuation(END_HEADERS, 1, &large_block()),
            ],
            PROTOCOL_ERROR,
        ),
        broken(
            "http2/4.3",
            "HEADERS of another stream within a block",
            &[
                frame(HEADERS, 0, 1, &block(&GET)),
                headers(END_STREAM, 3, &block(&GET)),
                continuation(END_HEADERS, 1, &large_block()),
            ],
            PROTOCOL_ERROR,
        ),
        case(
            "http2/5.5",
            "unknown frame",
            &[frame(0x16, 0, 0, &[0; 8]), ping(0, PAYLOAD)],
            Expected::Pong(PAYLOAD),
        ),
        broken(
            "http2/5.5",
            "unknown frame within a block",
            &[part, frame(0x16, 0, 0, &[0; 8])],
            PROTOCOL_ERROR,
        ),
    ]
}

fn data_and_headers() -> Vec<Case> {
    let with_length = [block(&POST), block(&[("content-length", "4")])].concat();
    let too_padded = [&[block(&GET).len() as u8 + 1][..], &block(&GET)].concat();
    let part = || frame(HEADERS, 0, 1, &block(&GET));
    vec![
        broken("http2/6.1", "DATA on stream 0", &[data(END_STREAM, 0, b"test")], PROTOCOL_ERROR),
        case(
            "http2/6.1",
            "DATA on a half-closed stream",
            &[headers(END_STREAM, 1, &block(&POST)), data(END_STREAM, 1, b"test")],
            Expected::StreamError(vec![STREAM_CLOSED]),
        ),
        broken(
            "http2/6.1",
            "DATA with too much padding",
            &[headers(0, 1, &with_length), frame(DATA, END_STREAM | PADDED, 1, b"\x06Test")],
            PROTOCOL_ERROR,
        ),
        broken(
            "http2/6.2",
            "HEADERS without END_HEADERS, then PRIORITY",
            &[part(), priority(1, 0, 255), continuation(END_HEADERS, 1, &large_block())],
            PROTOCOL_ERROR,
        ),
        broken(
            "http2/6.2",
            "HEADERS without END_HEADERS, then HEADERS",
            &[part(), headers(END_STREAM, 3, &block(&GET))],
            PROTOCOL_ERROR,
        ),
        broken(
            "http2/6.2",
            "HEADERS on stream 0",
            &[headers(END_STREAM, 0, &block(&GET))],
            PROTOCOL_ERROR,
        ),
        case(
            "http2/6.2",
            "HEADERS with too much padding",
            &[headers(END_STREAM | PADDED, 1, &too_padded)],
            Expected::StreamError(vec![PROTOCOL_ERROR]),
        ),
    ]
}

fn control() -> Vec<Case> {
    let get = || headers(END_STREAM, 1, &block(&GET));
    let size_error = || Expected::StreamError(vec![FRAME_SIZE_ERROR]);
    vec![
        broken("http2/6.3", "PRIORITY on stream 0", &[priority(0, 0, 255)], PROTOCOL_ERROR),
        case(
            "http2/6.3",
            "PRIORITY of 4 bytes",
            &[get(), frame(PRIORITY, 0, 1, b"\x80\0\0\x01")],
            size_error(),
        ),
        broken("http2/6.4", "RST_STREAM on stream 0", &[reset(0, CANCEL)], PROTOCOL_ERROR),
        broken("http2/6.4", "RST_STREAM on an idle stream", &[reset(1, CANCEL)], PROTOCOL_ERROR),
        case(
            "http2/6.4",
            "RST_STREAM of 3 bytes",
            &[get(), frame(RST_STREAM, 0, 1, &[0; 3])],
            size_error(),
        ),
        case("http2/6.7", "PING", &[ping(0, PAYLOAD)], Expected::Pong(PAYLOAD)),
        case(
            "http2/6.7",
            "PING with ACK",
            &[ping(1, *b"invalid\0"), ping(0, PAYLOAD)],
            Expected::Pong(PAYLOAD),
        ),
        broken("http2/6.7", "PING on stream 1", &[frame(PING, 0, 1, &[0; 8])], PROTOCOL_ERROR),
        broken("http2/6.7", "PING of 6 bytes", &[frame(PING, 0, 0, &[0; 6])], FRAME_SIZE_ERROR),
        broken("http2/6.8", "GOAWAY on stream 1", &[frame(GOAWAY, 0, 1, &[0; 8])], PROTOCOL_ERROR),
        case(
            "http2/5.4.1",
            "a broken PING closes the connection",
            &[frame(PING, 0, 3, &[0; 8])],
            Expected::Close,
        ),
        case(
            "http2/5.4.1",
            "a broken PING is answered by GOAWAY",
            &[frame(PING, 0, 3, &[0; 8])],
            Expected::Goaway(Vec::new()),
        ),
    ]
}

fn setting() -> Vec<Case> {
    let set = |name, value| settings(&[(name, value)]);
    let window = |size| settings(&[(INITIAL_WINDOW_SIZE, size)]);
    let get = || headers(END_STREAM, 1, &block(&GET));
    vec![
        broken("http2/6.5", "ACK with payload", &[frame(SETTINGS, 1, 0, &[0])], FRAME_SIZE_ERROR),
        broken(
            "http2/6.5",
            "SETTINGS on stream 1",
            &[frame(SETTINGS, 0, 1, b"\0\x03\0\0\0\x64")],
            PROTOCOL_ERROR,
        ),
        case(
            "http2/6.5",
            "SETTINGS of 3 bytes",
            &[frame(SETTINGS, 0, 0, b"\0\x03\0")],
            Expected::StreamError(vec![FRAME_SIZE_ERROR]),
        ),
        broken("http2/6.5.2", "ENABLE_PUSH 2", &[set(2, 2)], PROTOCOL_ERROR),
        broken("http2/6.5.2", "INITIAL_WINDOW_SIZE 2^31", &[window(1 << 31)], FLOW_CONTROL_ERROR),
        broken(
            "http2/6.5.2",
            "MAX_FRAME_SIZE below 2^14",
            &[set(MAX_FRAME_SIZE, 16_383)],
            PROTOCOL_ERROR,
        ),
        broken(
            "http2/6.5.2",
            "MAX_FRAME_SIZE 2^24",
            &[set(MAX_FRAME_SIZE, 1 << 24)],
            PROTOCOL_ERROR,
        ),
        case(
            "http2/6.5.2",
            "unknown setting",
            &[set(0xff, 1), ping(0, PAYLOAD)],
            Expected::Pong(PAYLOAD),
        ),
        case(
            "http2/6.5.3",
            "the last of several values counts",
            &[settings(&[(INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)])],
            Expected::SettingsAck,
        )
        .then(&[get()], Expected::DataOf(1)),
        case("http2/6.5.3", "SETTINGS are acknowledged", &[set(2, 0)], Expected::SettingsAck),
    ]
}

fn windows() -> Vec<Case> {
    let window = |size| settings(&[(INITIAL_WINDOW_SIZE, size)]);
    let get = || headers(END_STREAM, 1, &block(&GET));
    let open = || headers(0, 1, &block(&GET));
    let max = (1 << 31) - 1;
    vec![
        broken("http2/6.9", "increment 0", &[window_update(0, 0)], PROTOCOL_ERROR),
        case(
            "http2/6.9",
            "increment 0 on a stream",
            &[open(), window_update(1, 0)],
            Expected::StreamError(vec![PROTOCOL_ERROR]),
        ),
        broken(
            "http2/6.9",
            "WINDOW_UPDATE of 3 bytes",
            &[frame(WINDOW_UPDATE, 0, 0, b"\0\0\x01")],
            FRAME_SIZE_ERROR,
        ),
        case("http2/6.9.1", "a window of 1", &[window(1)], Expected::SettingsAck)
            .then(&[get()], Expected::DataOf(1)),
        case(
            "http2/6.9.1",
            "window above 2^31-1",
            &[window_update(0, max), window_update(0, max)],
            Expected::Goaway(vec![FLOW_CONTROL_ERROR]),
        ),
        case(
            "http2/6.9.1",
            "window of a stream above 2^31-1",
            &[open(), window_update(1, max), window_update(1, max)],
            Expected::Reset(FLOW_CONTROL_ERROR),
        ),
        case("http2/6.9.2", "a window that grows by SETTINGS", &[window(0)], Expected::SettingsAck)
            .then(&[get()], Expected::Headers)
            .then(&[window(1)], Expected::DataOf(1)),
        case("http2/6.9.2", "a negative window", &[window(3)], Expected::SettingsAck)
            .then(&[get()], Expected::DataOf(3))
            .then(&[window(2)], Expected::SettingsAck)
            .then(&[window_update(1, 2)], Expected::DataOf(1)),
        broken("http2/6.9.2", "a window of 2^31", &[window(1 << 31)], FLOW_CONTROL_ERROR),
    ]
}

fn continued() -> Vec<Case> {
    let part = |it| frame(HEADERS, END_STREAM, 1, &block(it));
    let more = |flags| continuation(flags, 1, &large_block());
    vec![
        case(
            "http2/6.10",
            "CONTINUATION frames after HEADERS",
            &[part(&GET), more(0), more(END_HEADERS)],
            Expected::Headers,
        ),
        broken(
            "http2/6.10",
            "CONTINUATION, then DATA",
            &[frame(HEADERS, 0, 1, &block(&POST)), more(0), data(END_STREAM, 1, b"test")],
            PROTOCOL_ERROR,
        ),
        broken(
            "http2/6.10",
            "CONTINUATION on stream 0",
            &[part(&GET), frame(CONTINUATION, END_HEADERS, 0, &large_block())],
            PROTOCOL_ERROR,
        ),
        broken(
            "http2/6.10",
            "CONTINUATION after END_HEADERS",
            &[headers(END_STREAM, 1, &block(&GET)), more(END_HEADERS)],
            PROTOCOL_ERROR,
        ),
        broken(
            "http2/6.10",
            "CONTINUATION after a last CONTINUATION",
            &[part(&GET), more(END_HEADERS), more(END_HEADERS)],
            PROTOCOL_ERROR,
        ),
        broken(
            "http2/6.10",
            "CONTINUATION after DATA",
            &[frame(HEADERS, 0, 1, &block(&POST)), data(END_STREAM, 1, b"test"), more(END_HEADERS)],
            PROTOCOL_ERROR,
        ),
    ]
}
