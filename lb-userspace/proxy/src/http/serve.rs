//! Which version of HTTP a client speaks: what TLS agreed on, else what its first bytes say.

use super::{Service, h1, h2};
use crate::{
    connection::Connection,
    drain::{Drain, IDLE_GRACE},
    io::{Io, Prefixed},
};
use bytes::BytesMut;
use lb_model::HttpOptions;
use std::{io, rc::Rc, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpStream,
};

/// What a client says first if it knows that HTTP/2 is spoken (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes read at once to find out: most requests' heads are shorter, and cost no second read.
const READ_BYTES: usize = 4 * 1_024;

/// Speaks HTTP with a client until either has had enough: HTTP/2 where TLS agreed on it or the
/// client begins with it in the clear, else HTTP/1. Must run on a `LocalSet`.
pub async fn serve<S: Service + 'static>(
    io: Io,
    connection: Rc<Connection>,
    service: Rc<S>,
    options: Arc<HttpOptions>,
    mut drain: Drain,
) {
    let (io, is_http2) = match io {
        Io::Tcp(stream) if options.http2 => {
            let looked = tokio::select! {
                biased;
                looked = tokio::time::timeout(options.header_timeout, look(stream)) => looked,
                // Nothing was asked yet.
                () = given_up(&mut drain) => return,
            };
            // Who says nothing, or breaks off within the preface, is told nothing.
            let Ok(Ok((stream, is_http2))) = looked else { return };
            (Io::Tcp(stream), is_http2)
        }
        other => (other, connection.tls.as_ref().is_some_and(|it| it.is_http2)),
    };
    if is_http2 {
        // Large, and not to make all others larger.
        Box::pin(h2::serve(io, connection, service, options, drain)).await;
    } else {
        h1::serve(io, connection, service, options, drain).await;
    }
}

/// Waits until draining has begun, and for what may be on the way then.
async fn given_up(drain: &mut Drain) {
    drain.started().await;
    tokio::time::sleep(IDLE_GRACE).await;
}

/// Reads until it is clear whether a client begins with the preface. No byte is lost.
async fn look(stream: Prefixed<TcpStream>) -> io::Result<(Prefixed<TcpStream>, bool)> {
    let (prefix, mut stream) = stream.into_parts();
    let (bytes, is_http2) = begins(&mut stream, BytesMut::from(prefix)).await?;
    Ok((Prefixed::with_prefix(bytes.freeze(), stream), is_http2))
}

async fn begins(
    stream: &mut (impl AsyncRead + Unpin),
    mut bytes: BytesMut,
) -> io::Result<(BytesMut, bool)> {
    loop {
        let count = bytes.len().min(PREFACE.len());
        let is_alike = bytes.get(..count) == PREFACE.get(..count);
        if !is_alike || count == PREFACE.len() {
            return Ok((bytes, is_alike));
        }
        bytes.reserve(READ_BYTES);
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    async fn looked(pieces: &[&[u8]]) -> Option<(Vec<u8>, bool)> {
        let (mut near, mut far) = tokio::io::duplex(1_024);
        let send = async {
            for piece in pieces {
                near.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            drop(near);
        };
        let (looked, ()) = tokio::join!(begins(&mut far, BytesMut::new()), send);
        let (mut bytes, is_http2) = looked.ok()?;
        far.read_buf(&mut bytes).await.unwrap();
        Some((bytes.to_vec(), is_http2))
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
