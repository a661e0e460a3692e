//! Which version of HTTP a client speaks: what TLS agreed on, else what its first bytes say.

use super::{
    Service, h1,
    h2::{self, PREFACE},
    wire::Wire,
};
use crate::{
    connection::Connection,
    drain::{Drain, IDLE_GRACE},
    io::Io,
};
use lb_model::HttpOptions;
use std::{
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Speaks HTTP with a client until either has had enough: HTTP/2 where TLS agreed on it or the
/// client begins with it in the clear, else HTTP/1. Must run on a `LocalSet`.
pub async fn serve<S: Service + 'static>(
    io: Io,
    connection: Rc<Connection>,
    service: Rc<S>,
    options: Arc<HttpOptions>,
    mut drain: Drain,
) {
    let mut wire = Wire::new(io);
    let is_http2 = match &connection.tls {
        Some(tls) => tls.is_http2,
        None if options.http2 => match looked(&mut wire, &options, &mut drain).await {
            Some(is_http2) => is_http2,
            // Who says nothing, or breaks off within the preface, is told nothing.
            None => return,
        },
        None => false,
    };
    if is_http2 {
        // Large, and not to make all others larger.
        Box::pin(h2::serve_on(wire, connection, service, options, drain)).await;
    } else {
        h1::serve_on(wire, connection, service, options, drain).await;
    }
}

/// Whether a client begins with the preface; `None` if it says too little.
async fn looked(wire: &mut Wire, options: &HttpOptions, drain: &mut Drain) -> Option<bool> {
    // Most have said enough when they are accepted.
    let at_once = poll_fn(|context| Poll::Ready(poll_look(wire, context))).await;
    if let Poll::Ready(looked) = at_once {
        return looked;
    }
    let look = poll_fn(|context| poll_look(wire, context));
    tokio::select! {
        biased;
        looked = tokio::time::timeout(options.header_timeout, look) => looked.ok().flatten(),
        // Nothing was asked yet.
        () = given_up(drain) => None,
    }
}

/// Waits until draining has begun, and for what may be on the way then.
async fn given_up(drain: &mut Drain) {
    drain.started().await;
    tokio::time::sleep(IDLE_GRACE).await;
}

/// Reads until it is clear whether a client begins with the preface. What was read stays.
fn poll_look(wire: &mut Wire, context: &mut Context<'_>) -> Poll<Option<bool>> {
    loop {
        let bytes = wire.input.bytes();
        let count = bytes.len().min(PREFACE.len());
        let is_alike = bytes.get(..count) == PREFACE.get(..count);
        if !is_alike || count == PREFACE.len() {
            return Poll::Ready(Some(is_alike));
        }
        if !matches!(ready!(wire.poll_fill(context)), Ok(1..)) {
            return Poll::Ready(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    async fn looked(pieces: &[&[u8]]) -> Option<(Vec<u8>, bool)> {
        let (mut near, far) = tokio::io::duplex(1_024);
        let mut wire = Wire::new(Io::Memory(far));
        let send = async {
            for piece in pieces {
                near.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(near);
        };
        let look = poll_fn(|context| poll_look(&mut wire, context));
        let (looked, ()) = tokio::join!(look, send);
        let is_http2 = looked?;
        while !matches!(poll_fn(|context| wire.poll_fill(context)).await, Ok(0)) {}
        Some((wire.input.bytes().to_vec(), is_http2))
    }

    #[tokio::test]
    async fn the_preface_is_known_in_any_pieces_and_nothing_is_lost() {
        let whole = [PREFACE, b"\0\0\0\x04\0\0\0\0\0"].concat();
        assert_eq!(looked(&[&whole]).await, Some((whole.clone(), true)));
        for cut in 1..PREFACE.len() {
            let (first, second) = whole.split_at(cut);
            assert_eq!(looked(&[first, second]).await.unwrap(), (whole.clone(), true), "{cut}");
        }
        for other in ["GET / HTTP/1.1\r\n\r\n", "P", "PRI * HTTP/1.1\r\n\r\n", "\r\nGET / HTTP/1.1"]
        {
            let expected = (other.len() > 1).then(|| (other.as_bytes().to_vec(), false));
            assert_eq!(looked(&[other.as_bytes()]).await, expected, "{other}");
        }
        assert_eq!(looked(&[]).await, None);
    }
}
