//! The end of a connection as a client sees it frame by frame.

use crate::{
    harness::{Site, serve, test},
    http2::{
        frames::{ACK, END_STREAM, Frame, GOAWAY, HEADERS, NO_ERROR, PING, headers, ping},
        hpack::{GET, block},
        probe::{Event, Probe},
    },
};
use lb_model::HttpOptions;
use lb_proxy::{drain::drain, io::Io};
use std::{rc::Rc, time::Duration};
use tokio::io::DuplexStream;

/// 2^31 - 1, which excludes no stream (RFC 9113, section 6.8).
const STREAM_MAX: u32 = 0x7fff_ffff;

async fn next(probe: &mut Probe<DuplexStream>, kind: u8) -> Frame {
    loop {
        match probe.event().await {
            Event::Frame(frame) if frame.kind == kind => return frame,
            Event::Frame(_) => {}
            other => panic!("{other:?} instead of a frame of type {kind}"),
        }
    }
}

fn last_stream(goaway: &Frame) -> u32 {
    assert_eq!(goaway.code(), Some(NO_ERROR));
    u32::from_be_bytes(*goaway.payload.first_chunk().unwrap())
}

#[test]
fn requests_on_their_way_at_the_farewell_are_answered() {
    test(async {
        let (near, far) = tokio::io::duplex(64 * 1_024);
        let (start, drained) = drain();
        let site = Rc::new(Site::default());
        let options = HttpOptions::default();
        let server = tokio::task::spawn_local(serve(Io::Memory(far), site, options, drained));
        let mut probe = Probe::new(near);
        assert!(probe.handshake().await);
        let get = block(&GET);
        probe.send(&headers(END_STREAM, 1, &get)).await;
        assert_eq!(next(&mut probe, HEADERS).await.stream, 1);

        start.start();
        assert_eq!(last_stream(&next(&mut probe, GOAWAY).await), STREAM_MAX);
        // Some clients answer pings before they send what their callers began: nothing they say
        // soon may shut those out.
        probe.send(&ping(ACK, [0x0b; 8])).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        probe.send(&headers(END_STREAM, 3, &get)).await;
        assert_eq!(next(&mut probe, HEADERS).await.stream, 3);

        // Then it says so again, asks for an answer, and names the last stream.
        assert_eq!(last_stream(&next(&mut probe, GOAWAY).await), STREAM_MAX);
        let asked = next(&mut probe, PING).await;
        probe.send(&ping(ACK, *asked.payload.first_chunk().unwrap())).await;
        assert_eq!(last_stream(&next(&mut probe, GOAWAY).await), 3);
        assert_eq!(probe.event().await, Event::Closed);
        server.await.unwrap();
    });
}
