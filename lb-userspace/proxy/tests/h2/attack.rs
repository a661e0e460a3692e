//! Attacks: the connection is closed soon, what the service did for it is dropped, and the others
//! do not notice.

use crate::{
    harness::{Pair, Site, pair, serve, settle, test},
    http2::{
        frames::{
            CANCEL, CONTINUATION, DATA, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS,
            INITIAL_WINDOW_SIZE, data, frame, headers, ping, priority, reset, settings,
            window_update,
        },
        hpack::{block, block_with, table_size},
        probe::{Event, Probe},
    },
};
use lb_model::HttpOptions;
use lb_proxy::{drain::drain, io::Io};
use proptest::prelude::*;
use std::{rc::Rc, time::Duration};
use tokio::{io::DuplexStream, task::JoinHandle};

/// Bytes that a pipe between attacker and server holds.
const PIPE_BYTES: usize = 64 * 1_024;

/// A server under attack, and one that serves somebody else with the same service.
struct Attacked {
    probe: Probe<DuplexStream>,
    server: JoinHandle<()>,
    site: Rc<Site>,
    other: Pair,
}

async fn attacked() -> Attacked {
    let other = pair(HttpOptions::default()).await;
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let (_, drained) = drain();
    let site = other.site.clone();
    let io = Io::Memory(far);
    let server = tokio::task::spawn_local(serve(io, site.clone(), HttpOptions::default(), drained));
    Attacked { probe: Probe::new(near), server, site, other }
}

fn request(path: &str) -> Vec<u8> {
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a")];
    block(&fields)
}

impl Attacked {
    /// Floods after a handshake; how much was taken before the server closed the connection.
    async fn flood(&mut self, next: impl FnMut(u32) -> Vec<u8>) -> u32 {
        assert!(self.probe.handshake().await);
        let (count, seen) = self.probe.flood(100_000, next).await;
        let code = seen.iter().find_map(|it| match it {
            Event::Frame(frame) if frame.kind == GOAWAY => frame.code(),
            _ => None,
        });
        assert_eq!(code, Some(ENHANCE_YOUR_CALM), "{:?}", seen.last());
        assert_eq!(seen.last(), Some(&Event::Closed));
        self.is_over().await;
        count
    }

    /// Nothing is left of it, and others are served.
    async fn is_over(&self) {
        settle().await;
        assert!(self.server.is_finished());
        // The other one may have had enough of waiting.
        if !self.other.client.is_closed() {
            assert_eq!(self.other.get("/other").await.status, 200);
        }
    }
}

#[test]
fn floods_of_frames_without_use_end_the_connection() {
    let never = headers(0, 1, &request("/never"));
    let open = |round: u32, then: Vec<u8>| {
        if round == 0 { [never.clone(), then].concat() } else { then }
    };
    test(async move {
        let limits = [
            ("PING", attacked().await.flood(|_| ping(0, [0; 8])).await),
            ("PING with ACK", attacked().await.flood(|_| ping(1, [0; 8])).await),
            ("SETTINGS", attacked().await.flood(|_| settings(&[])).await),
            ("PRIORITY", attacked().await.flood(|it| priority(2 * it + 1, 0, 9)).await),
            ("WINDOW_UPDATE", attacked().await.flood(|_| window_update(0, 1)).await),
            ("unknown", attacked().await.flood(|_| frame(0xfa, 0, 0, &[])).await),
            ("empty DATA", attacked().await.flood(|it| open(it, data(0, 1, &[]))).await),
            ("padded DATA", attacked().await.flood(|it| open(it, data(8, 1, &[3, 0, 0, 0]))).await),
            ("CONTINUATION", {
                let begin = frame(HEADERS, END_STREAM, 1, &request("/never"));
                let more =
                    |it| if it == 0 { begin.clone() } else { frame(CONTINUATION, 0, 1, &[]) };
                attacked().await.flood(more).await
            }),
        ];
        for (kind, count) in limits {
            // A pipe's worth may be under way when the server has had enough.
            assert!(count < 25_000, "{kind}: {count}");
        }
    });
}

#[test]
fn streams_reset_at_once_end_the_connection() {
    test(async {
        let mut attacked = attacked().await;
        let request = request("/never");
        attacked
            .flood(|round| {
                let stream = 2 * round + 1;
                [headers(END_STREAM, stream, &request), reset(stream, CANCEL)].concat()
            })
            .await;
        assert!(attacked.site.seen.borrow().len() < 300);
    });
}

#[test]
fn streams_reset_one_by_one_end_the_connection() {
    test(async {
        let mut attacked = attacked().await;
        let request = request("/never");
        attacked
            .flood(|round| {
                let stream = 2 * (round / 2) + 1;
                if round % 2 == 0 {
                    headers(END_STREAM, stream, &request)
                } else {
                    reset(stream, CANCEL)
                }
            })
            .await;
        // What was begun for them was dropped.
        let begun = attacked.site.seen.borrow().iter().filter(|it| it.contains("/never")).count();
        assert!((50..300).contains(&begun), "{begun}");
        assert_eq!(attacked.site.dropped.get() as usize, begun);
    });
}

#[test]
fn streams_that_the_server_is_made_to_reset_end_the_connection() {
    test(async {
        let request = request("/never");
        for wrong in [|it| window_update(it, (1 << 31) - 1), |it| priority(it, it, 0)] {
            let mut attacked = attacked().await;
            attacked
                .flood(|round| {
                    let stream = 2 * round + 1;
                    [headers(0, stream, &request), wrong(stream)].concat()
                })
                .await;
            let seen = attacked.site.seen.borrow();
            let begun = seen.iter().filter(|it| it.contains("/never")).count();
            assert!(begun < 300, "{begun}");
            assert_eq!(attacked.site.dropped.get() as usize, begun);
        }
    });
}

#[test]
fn bodies_that_break_their_length_end_the_connection() {
    test(async {
        let mut attacked = attacked().await;
        let post =
            [(":method", "POST"), (":scheme", "http"), (":path", "/read"), (":authority", "a")];
        let block = block_with(&post, &[("content-length", "1")]);
        let wrong =
            |stream| [headers(0, stream, &block), data(END_STREAM, stream, b"test")].concat();
        attacked.flood(|round| wrong(2 * round + 1)).await;
    });
}

#[test]
fn a_header_that_unpacks_to_much_more_is_refused() {
    test(async {
        let mut attacked = attacked().await;
        // A large field goes into the dynamic table once; then a byte stands for all of it.
        let mut bomb = [table_size(4_096), request("/")].concat();
        bomb.extend_from_slice(b"\x40\x01x\x7f\xa1\x1e");
        bomb.extend_from_slice(&[b'x'; 4_000]);
        bomb.extend_from_slice(&[0xbe; 12_000]);
        attacked.flood(|round| headers(END_STREAM, 2 * round + 1, &bomb)).await;
        assert!(attacked.site.seen.borrow().iter().all(|it| it.contains("/other")));
    });
}

#[test]
fn a_header_that_does_not_end_is_not_waited_for() {
    test(async {
        let mut attacked = attacked().await;
        assert!(attacked.probe.handshake().await);
        let begin = frame(HEADERS, END_STREAM, 1, &request("/"));
        attacked.probe.send(&begin).await;
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(!attacked.server.is_finished());
        tokio::time::sleep(Duration::from_secs(2)).await;
        attacked.is_over().await;
    });
}

#[test]
fn a_client_that_says_nothing_is_not_waited_for() {
    test(async {
        let attacked = attacked().await;
        tokio::time::sleep(Duration::from_secs(11)).await;
        attacked.is_over().await;
    });
}

#[test]
fn a_client_without_a_window_is_not_waited_for() {
    test(async {
        let mut attacked = attacked().await;
        assert!(attacked.probe.handshake().await);
        attacked.probe.send(&settings(&[(INITIAL_WINDOW_SIZE, 0)])).await;
        for stream in 0..100 {
            let large = headers(END_STREAM, 2 * stream + 1, &request("/large"));
            attacked.probe.send(&large).await;
        }
        tokio::time::sleep(Duration::from_secs(31)).await;
        {
            let sent = attacked.site.sent.borrow();
            assert_eq!(sent.len(), 100);
            assert!(sent.iter().all(|it| !it.is_complete && it.response_bytes == 0));
        }
        let mut reset_count = 0;
        while let Event::Frame(frame) = attacked.probe.event().await {
            assert_ne!(frame.kind, DATA);
            reset_count += u32::from(frame.code() == Some(CANCEL));
        }
        assert_eq!(reset_count, 100);
        tokio::time::sleep(Duration::from_mins(2)).await;
        attacked.is_over().await;
    });
}

#[test]
fn a_client_that_does_not_read_is_not_waited_for() {
    test(async {
        let mut attacked = attacked().await;
        assert!(attacked.probe.handshake().await);
        let window = (1 << 30) - 1;
        attacked.probe.send(&settings(&[(INITIAL_WINDOW_SIZE, window)])).await;
        attacked.probe.send(&window_update(0, window)).await;
        for stream in 0..100 {
            let large = headers(END_STREAM, 2 * stream + 1, &request("/large"));
            attacked.probe.send(&large).await;
        }
        tokio::time::sleep(Duration::from_mins(3)).await;
        {
            let sent = attacked.site.sent.borrow();
            let buffered: u64 = sent.iter().map(|it| it.response_bytes).sum();
            assert_eq!(sent.len(), 100);
            // 100 streams of 32 KiB, and what the pipe holds.
            assert!(buffered < 4 << 20, "{buffered}");
        }
        attacked.is_over().await;
    });
}

/// Any frame: the kinds there are and one more, few streams, so that frames meet.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..32),
        Just(request("/never")),
        Just(request("/read")),
        Just(request("/")),
        any::<u32>().prop_map(|it| it.to_be_bytes().to_vec()),
    ];
    let parts = (0_u8..12, any::<u8>(), 0_u32..12, payload);
    parts.prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, &payload))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_comes_the_server_ends_in_order(
        frames in prop::collection::vec(any_frame(), 0..40)
    ) {
        test(async move {
            let mut attacked = attacked().await;
            assert!(attacked.probe.handshake().await);
            for frame in frames {
                attacked.probe.send(&frame).await;
            }
            drop(attacked.probe);
            settle().await;
            // No panic, no task left behind, nobody harmed.
            attacked.server.await.unwrap();
            let never = {
                let seen = attacked.site.seen.borrow();
                seen.iter().filter(|it| it.contains("/never")).count()
            };
            assert_eq!(attacked.site.dropped.get() as usize, never);
            assert_eq!(attacked.other.get("/other").await.status, 200);
        });
    }
}
