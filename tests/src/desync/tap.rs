//! A tap between ours and an origin: passes bytes on, and holds against each other what ours sent,
//! read strictly, and what the origin answered.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::echo::Echo;
use crate::http::message::{self, RequestHead};

/// Disagreements that are kept; more say nothing new.
const KEPT_MAX: usize = 20;

/// What a tap saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Complete requests from ours.
    pub(super) requests: u64,
    /// Final responses of the origin.
    pub(super) responses: u64,
    /// Of these, those that the origin refused.
    pub(super) refusals: u64,
    /// Complete requests whose response ours did not wait for.
    pub(super) abandoned: u64,
    /// Connections on which they disagreed: what, and the bytes that were sent.
    pub(super) disagreements: Vec<String>,
}

/// A tap in front of an origin.
#[derive(Debug)]
pub(super) struct Tap {
    /// Where ours connects, on 127.0.0.1.
    pub(super) port: u16,
    tally: Arc<Mutex<Tally>>,
    open: Arc<()>,
}

impl Tap {
    /// Opens it. Must be called inside a runtime.
    pub(super) async fn open(origin: u16, echo: Echo) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (tally, open) = (Arc::default(), Arc::new(()));
        let tap = Self { port, tally: Arc::clone(&tally), open: Arc::clone(&open) };
        tokio::spawn(async move {
            while let Ok((ours, _)) = listener.accept().await {
                let (tally, held) = (Arc::clone(&tally), Arc::clone(&open));
                tokio::spawn(async move {
                    let connection = relay(ours, origin, echo).await;
                    count(&tally, connection);
                    drop(held);
                });
            }
        });
        Ok(tap)
    }

    /// Connections that are open.
    pub(super) fn open_count(&self) -> usize {
        // One is held here, one by who accepts.
        Arc::strong_count(&self.open).saturating_sub(2)
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A connection from ours to the origin.
#[derive(Default)]
struct Connection {
    /// What ours sent and was not read yet.
    sent: Vec<u8>,
    /// The request whose body is being sent.
    head: Option<RequestHead>,
    /// What the origin answered and was not read yet.
    answered: Vec<u8>,
    /// Requests that are not answered, the oldest first.
    waiting: VecDeque<Waiting>,
    requests: u64,
    responses: u64,
    refusals: u64,
    abandoned: u64,
    /// The origin refused a request, which it may do as it likes.
    is_refused: bool,
    fault: Option<String>,
    /// Everything that ours sent.
    all: Vec<u8>,
}

/// A request that was sent.
struct Waiting {
    method: String,
    target: String,
    body: Option<Vec<u8>>,
}

async fn relay(ours: TcpStream, origin: u16, echo: Echo) -> Connection {
    let mut connection = Connection::default();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, origin));
    let result = async {
        let mut theirs = TcpStream::connect(address).await?;
        theirs.set_nodelay(true)?;
        ours.set_nodelay(true)?;
        let mut ours = ours;
        connection.pass(&mut ours, &mut theirs, echo).await
    };
    // A connection that ours broke off proves nothing.
    match result.await {
        Ok(End::ByOrigin) => connection.end(),
        _ => connection.abandoned = connection.unanswered().count() as u64,
    }
    connection
}

/// Who ended a connection.
enum End {
    ByOurs,
    ByOrigin,
}

impl Connection {
    async fn pass(
        &mut self,
        ours: &mut TcpStream,
        theirs: &mut TcpStream,
        echo: Echo,
    ) -> io::Result<End> {
        let (mut up, mut down) = (Vec::with_capacity(8_192), Vec::with_capacity(8_192));
        loop {
            up.clear();
            down.clear();
            tokio::select! {
                // What ours says is known before it is answered.
                biased;
                count = ours.read_buf(&mut up) => {
                    if count? == 0 {
                        return Ok(End::ByOurs);
                    }
                    self.sent(&up);
                    theirs.write_all(&up).await?;
                }
                count = theirs.read_buf(&mut down) => {
                    if count? == 0 {
                        return Ok(End::ByOrigin);
                    }
                    self.answered(&down, echo);
                    ours.write_all(&down).await?;
                }
            }
        }
    }

    fn sent(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
        self.all.extend_from_slice(bytes);
        if let Err(what) = self.read_sent() {
            self.fault(format!("ours sent no request: {what}"));
        }
    }

    fn read_sent(&mut self) -> Result<(), String> {
        loop {
            let head = if let Some(head) = self.head.take() {
                head
            } else {
                let Some((head, length)) = message::request_head(&self.sent)? else {
                    return Ok(());
                };
                self.sent.drain(..length);
                let (method, target) = (head.method.clone(), head.target.clone());
                self.waiting.push_back(Waiting { method, target, body: None });
                head
            };
            let Some((body, length)) = message::body(&self.sent, head.framing, head.length)? else {
                self.head = Some(head);
                return Ok(());
            };
            self.sent.drain(..length);
            self.requests += 1;
            // One that was answered early is not waiting any more.
            if let Some(it) = self.waiting.back_mut() {
                it.body = Some(body);
            }
        }
    }

    fn answered(&mut self, bytes: &[u8], echo: Echo) {
        self.answered.extend_from_slice(bytes);
        while !self.answered.is_empty() && self.fault.is_none() {
            let is_head = self.waiting.front().is_some_and(|it| it.method == "HEAD");
            let (response, length) = match message::response(&self.answered, is_head) {
                Ok(Some(found)) => found,
                Ok(None) => return,
                Err(what) => return self.fault(format!("the origin sent no response: {what}")),
            };
            self.answered.drain(..length);
            if response.status < 200 {
                continue;
            }
            self.responses += 1;
            let Some(request) = self.waiting.pop_front() else {
                return self.fault(format!("a response {} that nobody asked for", response.status));
            };
            if response.status >= 400 {
                self.refusals += 1;
                self.is_refused = true;
            } else if !is_head {
                let Waiting { method, target, body } = &request;
                let expected = echo.of(method, target, body.as_deref());
                if expected.as_deref() != Some(&*response.body) {
                    let got = String::from_utf8_lossy(&response.body).into_owned();
                    let expected = expected.map(|it| String::from_utf8_lossy(&it).into_owned());
                    return self.fault(format!("the origin saw {got:?}, sent was {expected:?}"));
                }
            }
        }
    }

    /// The origin ended the connection.
    fn end(&mut self) {
        let unanswered = self.unanswered().count();
        if unanswered > 0 && !self.is_refused {
            self.fault(format!("{unanswered} requests were not answered"));
        }
    }

    /// Complete requests that were not answered.
    fn unanswered(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter().filter(|it| it.body.is_some())
    }

    fn fault(&mut self, what: String) {
        self.fault.get_or_insert(what);
    }
}

fn count(tally: &Mutex<Tally>, connection: Connection) {
    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
    tally.requests += connection.requests;
    tally.responses += connection.responses;
    tally.refusals += connection.refusals;
    tally.abandoned += connection.abandoned;
    if let Some(what) = connection.fault
        && tally.disagreements.len() < KEPT_MAX
    {
        let sent = String::from_utf8_lossy(&connection.all);
        let tail: String =
            sent.chars().rev().take(2_000).collect::<Vec<_>>().into_iter().rev().collect();
        tally.disagreements.push(format!("{what}; ours sent {tail:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

    /// What is wrong after ours sent this, the origin answered with these bodies, and ended.
    fn fault(sent: &str, bodies: &[&str]) -> Option<String> {
        let mut connection = Connection::default();
        connection.sent(sent.as_bytes());
        for body in bodies {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
            connection.answered(answer.as_bytes(), Echo::Whole);
        }
        connection.end();
        connection.fault
    }

    #[test]
    fn agreement_is_no_fault() {
        let post = "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
        let answers = ["GET /a 0 811c9dc5\n", "POST /b 3 1a47e90b\n"];
        assert_eq!(fault(&[GET, post].concat(), &answers), None);
    }

    #[test]
    fn every_disagreement_is_a_fault() {
        let right = "GET /a 0 811c9dc5\n";
        let both =
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        let rows: [(&str, &[&str], &str); 5] = [
            (GET, &[right, right], "nobody asked for"),
            (GET, &["GET /b 0 811c9dc5\n"], "the origin saw"),
            (GET, &["GET /a 1 e40c292c\n"], "the origin saw"),
            (GET, &[], "not answered"),
            (both, &[], "ours sent no request"),
        ];
        for (sent, bodies, what) in rows {
            let fault = fault(sent, bodies).unwrap();
            assert!(fault.contains(what), "{fault}");
        }
    }
}
