//! A server on a connection in memory.

use std::{rc::Rc, sync::Arc, time::Duration};

use lb_proxy::{
    connection::Connection,
    drain::drain,
    http::{self, Service},
    io::Io,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    task::LocalSet,
    time::timeout,
};

/// Longer than any timeout of the proxy. No clock is waited for: it goes on when all else is idle.
const LONG: Duration = Duration::from_secs(3_600);

/// Bytes on the way in each direction.
const WAY_BYTES: usize = 1 << 16;

/// Runs what needs a worker's runtime.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, future)
}

/// What a client got who sends these pieces and no more.
pub async fn served<'a, S: Service + 'static>(
    service: &Rc<S>,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Vec<u8> {
    let (near, far) = tokio::io::duplex(WAY_BYTES);
    let (_start, drained) = drain();
    let (local, peer) = ("127.0.0.1:80".parse().unwrap(), "127.0.0.2:80".parse().unwrap());
    let connection = Rc::new(Connection { local, peer, client: peer, tls: None });
    let served =
        http::serve(Io::Memory(far), connection, Rc::clone(service), Arc::default(), drained);
    let server = tokio::task::spawn_local(served);
    let got = talk(near, pieces).await;
    server.await.expect("the server panicked");
    // Everything else that is ready runs first.
    tokio::time::sleep(Duration::from_millis(1)).await;
    got
}

/// Sends pieces and reads to the end.
pub async fn talk<'a>(near: DuplexStream, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut from, mut to) = tokio::io::split(near);
    let mut got = Vec::new();
    let send = async {
        for piece in pieces {
            if to.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        to.shutdown().await.ok();
    };
    let read = async { while matches!(from.read_buf(&mut got).await, Ok(1..)) {} };
    timeout(LONG, async { tokio::join!(send, read) }).await.ok();
    got
}
