//! A client that says exactly what it is told to, and takes what comes back apart.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::message::{self, Response};

/// What a client says on a connection of its own.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// All that is sent.
    pub bytes: &'a [u8],
    /// How long it waits for the next piece of an answer before it tells that no more comes.
    pub end_after: Duration,
    /// How long it waits after that.
    pub patience: Duration,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// All of it.
    pub bytes: Vec<u8>,
    /// Whether the other side ended the connection.
    pub is_ended: bool,
}

/// Responses, one after another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Responses {
    /// Those that are complete and final.
    pub complete: Vec<Response>,
    /// What is wrong with what follows them; `None` if nothing does.
    pub rest: Option<String>,
}

/// Says something on a new connection from an address, and listens until either side ends it.
///
/// # Errors
/// There is no connection. That one breaks later is no error: it shows in what came.
pub async fn exchange(from: [u8; 4], to: SocketAddr, said: Said<'_>) -> io::Result<Answer> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    let mut stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(converse(&mut stream, said).await)
}

async fn converse(stream: &mut TcpStream, said: Said<'_>) -> Answer {
    let mut answer = Answer::default();
    {
        let (mut reader, mut writer) = stream.split();
        let mut receive = pin!(receive(&mut reader, &mut answer, said.end_after));
        let is_over = tokio::select! {
            // The answer's end is the end, even if not everything could be sent.
            () = &mut receive => true,
            _ = writer.write_all(said.bytes) => false,
        };
        if !is_over {
            receive.await;
        }
    }
    if !answer.is_ended && !said.patience.is_zero() && stream.shutdown().await.is_ok() {
        receive(stream, &mut answer, said.patience).await;
    }
    answer
}

/// Reads until the end, or until nothing comes for so long.
async fn receive(reader: &mut (impl AsyncRead + Unpin), answer: &mut Answer, patience: Duration) {
    while let Ok(count) = timeout(patience, reader.read_buf(&mut answer.bytes)).await {
        if !matches!(count, Ok(1..)) {
            answer.is_ended = true;
            return;
        }
    }
}

/// Takes an answer apart. A response without the body that its head tells counts as one to `HEAD`.
pub fn responses(mut bytes: &[u8]) -> Responses {
    let mut responses = Responses::default();
    while !bytes.is_empty() {
        let whole = message::response(bytes, false);
        let read = match &whole {
            Ok(Some((response, _))) if !response.body.starts_with(b"HTTP/1.") => whole,
            Ok(_) => message::response(bytes, true),
            Err(_) => whole,
        };
        let (response, length) = match read {
            Ok(Some(found)) => found,
            Ok(None) => {
                responses.rest = Some("half a response".to_owned());
                break;
            }
            Err(what) => {
                responses.rest = Some(what);
                break;
            }
        };
        bytes = bytes.get(length..).unwrap_or_default();
        if response.status >= 200 {
            responses.complete.push(response);
        }
    }
    responses
}
