//! HTTP/1.1, byte by byte, and WebSockets.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::timeout,
};

use super::{BODY, CHAT, PATIENCE, PAUSE, Pace, Stream, Tally, Target};
use crate::origin::{WEBSOCKET_ACCEPT, WEBSOCKET_KEY};

/// Messages of one WebSocket.
const MESSAGES: usize = 10;

/// Requests for as long as the connection is kept.
pub(super) async fn keep_alive(
    mut stream: Box<dyn Stream>,
    target: &Target,
    tally: &Tally,
    mut pace: Pace,
) -> Result<(), String> {
    let mut asked = 0;
    while !tally.is_over() {
        asked += 1;
        pace.goes_on();
        let done = ask(&mut stream, target, "/").await;
        let done = pace.judge(done.map_err(|why| format!("request {asked}: {why}")))?;
        let Some(goes_on) = done else { return Ok(()) };
        tally.answered();
        if !goes_on {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// One request.
pub(super) async fn one(
    mut stream: Box<dyn Stream>,
    target: &Target,
    path: &str,
    tally: &Tally,
    mut pace: Pace,
) -> Result<(), String> {
    pace.goes_on();
    if pace.judge(ask(&mut stream, target, path).await)?.is_some() {
        tally.answered();
    }
    Ok(())
}

/// A WebSocket whose messages come back as they were sent.
pub(super) async fn websocket(
    mut stream: Box<dyn Stream>,
    target: &Target,
    tally: &Tally,
) -> Result<(), String> {
    let name = &target.name;
    let request = format!(
        "GET {CHAT} HTTP/1.1\r\nHost: {name}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {WEBSOCKET_KEY}\r\n\r\n"
    );
    send(&mut stream, request.as_bytes()).await?;
    let head = received(&mut stream, b"\r\n\r\n").await?;
    if !head.starts_with("HTTP/1.1 101 ") || !head.contains(WEBSOCKET_ACCEPT) {
        return Err(head);
    }
    for number in 0..MESSAGES {
        let message = crate::origin::websocket_frame(&format!("{number}"), Some([1, 2, 3, 4]));
        send(&mut stream, &message).await?;
        let mut came = vec![0; message.len()];
        let reading = timeout(PATIENCE, stream.read_exact(&mut came)).await;
        let read = reading.map_err(|_| format!("message {number}: silence"))?;
        read.map_err(|it| format!("message {number}: {it}"))?;
        if came != message {
            return Err(format!("message {number}: {came:?}"));
        }
        tally.answered();
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Asks once; whether the connection goes on.
async fn ask(stream: &mut Box<dyn Stream>, target: &Target, path: &str) -> Result<bool, String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", target.name);
    send(stream, request.as_bytes()).await?;
    let text = received(stream, BODY.as_bytes()).await?.to_lowercase();
    if text.starts_with("http/1.1 200 ") {
        Ok(!text.contains("connection: close"))
    } else {
        Err(text)
    }
}

async fn send(stream: &mut Box<dyn Stream>, bytes: &[u8]) -> Result<(), String> {
    let sending = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    let sent = timeout(PATIENCE, sending).await.map_err(|_| "write: no room".to_owned())?;
    sent.map_err(|it| format!("write: {it}"))
}

/// What comes, up to this end.
async fn received(stream: &mut Box<dyn Stream>, end: &[u8]) -> Result<String, String> {
    let mut received = Vec::new();
    let reading = async {
        while !received.ends_with(end) {
            let count = stream.read_buf(&mut received).await.map_err(|it| format!("read: {it}"))?;
            if count == 0 {
                return Err("ended".to_owned());
            }
        }
        Ok(())
    };
    let read = timeout(PATIENCE, reading).await.unwrap_or_else(|_| Err("no answer".to_owned()));
    let text = String::from_utf8_lossy(&received).into_owned();
    read.map(|()| text.clone()).map_err(|why| format!("{why} at {text:?}"))
}
