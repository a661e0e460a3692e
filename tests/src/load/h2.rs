//! HTTP/2, and gRPC over it.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, Request, Response};
use tokio::time::timeout;

use super::{BODY, CALL, PATIENCE, PAUSE, Pace, Stream, Tally, Target};

/// A message of gRPC without content: not compressed, of no bytes.
const EMPTY_MESSAGE: [u8; 5] = [0; 5];

/// Requests for as long as the connection is kept.
pub(super) async fn requests(
    stream: Box<dyn Stream>,
    target: &Target,
    tally: &Tally,
    pace: Pace,
) -> Result<(), String> {
    let scheme = if target.tls.is_some() { "https" } else { "http" };
    let request = || Request::get(format!("{scheme}://{}/", target.name)).body(());
    let is_right = |answer: &Answer| answer.status == 200 && answer.body == BODY.as_bytes();
    ask_on(stream, tally, pace, (&request, &[]), &is_right).await
}

/// Calls of gRPC for as long as the connection is kept.
pub(super) async fn calls(
    stream: Box<dyn Stream>,
    target: &Target,
    tally: &Tally,
    pace: Pace,
) -> Result<(), String> {
    let scheme = if target.tls.is_some() { "https" } else { "http" };
    let request = || {
        let request = Request::post(format!("{scheme}://{}{CALL}", target.name));
        request.header("content-type", "application/grpc").header("te", "trailers").body(())
    };
    let is_right = |answer: &Answer| {
        answer.status == 200 && answer.trailers.get("grpc-status").is_some_and(|it| it == "0")
    };
    ask_on(stream, tally, pace, (&request, &EMPTY_MESSAGE), &is_right).await
}

/// An answer as a whole.
#[derive(Debug)]
struct Answer {
    status: u16,
    body: Vec<u8>,
    trailers: HeaderMap,
}

async fn ask_on(
    stream: Box<dyn Stream>,
    tally: &Tally,
    mut pace: Pace,
    (request, body): (&(dyn Fn() -> http::Result<Request<()>> + Sync), &'static [u8]),
    is_right: &(dyn Fn(&Answer) -> bool + Sync),
) -> Result<(), String> {
    let handshake = timeout(PATIENCE, h2::client::handshake(stream)).await;
    let (mut sender, connection) = handshake
        .map_err(|_| "handshake: silence".to_owned())?
        .map_err(|it| format!("handshake: {it}"))?;
    let driven = tokio::spawn(connection);
    while !tally.is_over() {
        pace.goes_on();
        let request = request().map_err(|it| it.to_string())?;
        let asked = ask(&mut sender, request, body).await;
        let Some(asked) = pace.judge(asked)? else { return Ok(()) };
        let Some(answer) = asked else { break };
        if !is_right(&answer) {
            return Err(format!("{answer:?}"));
        }
        tally.answered();
        tokio::time::sleep(PAUSE).await;
    }
    drop(sender);
    // The server closes after its farewell, or the client does now.
    match timeout(PATIENCE, driven).await {
        Ok(Ok(Err(error))) if !is_farewell(&error) => Err(format!("end: {error}")),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(panic)) => Err(format!("end: {panic}")),
        Err(_) => Err("end: the server does not close".to_owned()),
    }
}

/// What is answered once another stream may be opened; nothing if the server said goodbye before:
/// nothing is lost with a request that was not begun.
async fn ask(
    sender: &mut SendRequest<Bytes>,
    request: Request<()>,
    body: &'static [u8],
) -> Result<Option<Answer>, String> {
    match timeout(PATIENCE, sender.clone().ready()).await {
        Ok(Ok(ready)) => *sender = ready,
        Ok(Err(error)) if is_farewell(&error) => return Ok(None),
        Ok(Err(error)) => return Err(format!("ready: {error}")),
        Err(_) => return Err("ready: silence".to_owned()),
    }
    answer(sender, request, body).await
}

/// What is answered; nothing if the server said goodbye before the request was begun.
async fn answer(
    sender: &mut SendRequest<Bytes>,
    request: Request<()>,
    body: &'static [u8],
) -> Result<Option<Answer>, String> {
    let response = match sender.send_request(request, body.is_empty()) {
        Ok((response, mut stream)) => {
            if !body.is_empty() {
                let sent = stream.send_data(Bytes::from_static(body), true);
                sent.map_err(|it| format!("body: {it}"))?;
            }
            response
        }
        Err(error) if is_farewell(&error) => return Ok(None),
        Err(error) => return Err(format!("send: {error}")),
    };
    let answered = timeout(PATIENCE, async { whole(response.await?).await }).await;
    // A request that was begun is answered, farewell or not: nobody has to ask again.
    let answer = answered.map_err(|_| "no answer".to_owned())?;
    answer.map(Some).map_err(|error: h2::Error| format!("answer: {error}"))
}

async fn whole(response: Response<h2::RecvStream>) -> Result<Answer, h2::Error> {
    let status = response.status().as_u16();
    let mut stream = response.into_body();
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data?;
        body.extend_from_slice(&data);
        stream.flow_control().release_capacity(data.len())?;
    }
    let trailers = stream.trailers().await?.unwrap_or_default();
    Ok(Answer { status, body, trailers })
}

fn is_farewell(error: &h2::Error) -> bool {
    error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR)
}
