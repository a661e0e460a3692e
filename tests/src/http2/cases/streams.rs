//! What streams may not see in the state they are in (RFC 9113, section 5).

use super::{Case, Expected, Said, case};
use crate::http2::{
    frames::{
        CANCEL, END_HEADERS, END_STREAM, INITIAL_WINDOW_SIZE, PROTOCOL_ERROR, REFUSED_STREAM,
        STREAM_CLOSED, WITH_PRIORITY, continuation, data, dependency, headers, priority, reset,
        settings, window_update,
    },
    hpack::{GET, block, large_block},
};

pub(super) fn cases() -> Vec<Case> {
    [idle(), half_closed(), closed(), identifiers()].concat()
}

fn get() -> Vec<u8> {
    headers(END_STREAM, 1, &block(&GET))
}

fn more() -> Vec<u8> {
    continuation(END_HEADERS, 1, &large_block())
}

fn end() -> Vec<u8> {
    data(END_STREAM, 1, b"test")
}

fn connection_error(codes: &[u32]) -> Expected {
    Expected::ConnectionError(codes.to_vec())
}

fn stream_error(codes: &[u32]) -> Expected {
    Expected::StreamError(codes.to_vec())
}

fn idle() -> Vec<Case> {
    let protocol_error = || connection_error(&[PROTOCOL_ERROR]);
    let of = |name, said, expected| case("http2/5.1", name, &[said], expected);
    vec![
        of("idle: DATA", end(), stream_error(&[PROTOCOL_ERROR, STREAM_CLOSED])),
        of("idle: RST_STREAM", reset(1, CANCEL), protocol_error()),
        of("idle: WINDOW_UPDATE", window_update(1, 100), protocol_error()),
        of("idle: CONTINUATION", continuation(END_HEADERS, 1, &block(&GET)), protocol_error()),
    ]
}

fn half_closed() -> Vec<Case> {
    let closed = || stream_error(&[STREAM_CLOSED]);
    let either = || stream_error(&[STREAM_CLOSED, PROTOCOL_ERROR]);
    let of = |name, said, expected| case("http2/5.1", name, &[get(), said], expected);
    vec![
        of("half-closed (remote): DATA", end(), closed()),
        of("half-closed (remote): HEADERS", get(), closed()),
        of("half-closed (remote): CONTINUATION", more(), either()),
    ]
}

fn closed() -> Vec<Case> {
    let closed = || stream_error(&[STREAM_CLOSED]);
    let either = [STREAM_CLOSED, PROTOCOL_ERROR];
    let after_reset = |name, said, expected| {
        let said = [headers(0, 1, &block(&GET)), reset(1, CANCEL), said];
        case("http2/5.1", name, &said, expected)
    };
    let after_end = |name, said, expected| {
        case("http2/5.1", name, &[get()], Expected::StreamEnd).then(&[said], expected)
    };
    vec![
        after_reset("closed by RST_STREAM: DATA", end(), closed()),
        after_reset("closed by RST_STREAM: HEADERS", get(), closed()),
        after_reset("closed by RST_STREAM: CONTINUATION", more(), stream_error(&either)),
        after_end("closed: DATA", end(), closed()),
        after_end("closed: HEADERS", get(), connection_error(&[STREAM_CLOSED])),
        after_end("closed: CONTINUATION", more(), connection_error(&either)),
    ]
}

fn identifiers() -> Vec<Case> {
    let on = |stream| headers(END_STREAM, stream, &block(&GET));
    let on_itself = [dependency(1, 255), block(&GET)].concat();
    let no_window = settings(&[(INITIAL_WINDOW_SIZE, 0)]);
    let mut too_many = case("http2/5.1.2", "too many streams", &[no_window], Expected::SettingsAck);
    let refused = stream_error(&[PROTOCOL_ERROR, REFUSED_STREAM]);
    too_many.rounds.push((Said::TooManyStreams, refused));
    vec![
        case("http2/5.1.1", "even stream", &[on(2)], connection_error(&[PROTOCOL_ERROR])),
        case(
            "http2/5.1.1",
            "stream below the last",
            &[on(5), on(3)],
            connection_error(&[PROTOCOL_ERROR]),
        ),
        too_many,
        case(
            "http2/5.3.1",
            "HEADERS that depend on themselves",
            &[headers(END_STREAM | WITH_PRIORITY, 1, &on_itself)],
            stream_error(&[PROTOCOL_ERROR]),
        ),
        case(
            "http2/5.3.1",
            "PRIORITY that depends on itself",
            &[priority(1, 1, 255)],
            stream_error(&[PROTOCOL_ERROR]),
        ),
    ]
}
