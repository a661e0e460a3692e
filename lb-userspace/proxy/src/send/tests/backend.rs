//! A tiny HTTP/1.1 server that does what it is told.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    net::SocketAddr,
    rc::Rc,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{LocalSet, spawn_local},
};

/// What is done with a request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    /// Answered with this status; the body is the backend's name.
    Answer(u16),
    /// Answered with 200, then the connection is closed without saying so.
    AnswerAndClose,
    /// Half of a body is sent, the other half never.
    AnswerHalf,
    /// Half of a body is sent, then the connection is closed.
    BreakHalfWay,
    /// The connection is closed without an answer.
    Close,
    /// Nothing.
    Hang,
    /// A tunnel is opened, the name is sent through it, and nothing more.
    Upgrade,
}

/// A server on an address of its own.
pub(super) struct TestBackend {
    pub(super) address: SocketAddr,
    shared: Rc<Shared>,
}

struct Shared {
    name: String,
    script: RefCell<VecDeque<Action>>,
    requests: RefCell<Vec<String>>,
    connections: Cell<usize>,
}

/// Runs a test as a worker runs: tasks stay on its thread.
pub(super) async fn in_worker(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(Box::pin(test)).await;
}

impl TestBackend {
    /// Answers every request with 200 and its name.
    pub(super) async fn start(name: &str) -> Self {
        Self::scripted(name, &[]).await
    }

    /// Does `script` first.
    pub(super) async fn scripted(name: &str, script: &[Action]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Rc::new(Shared {
            name: name.to_owned(),
            script: RefCell::new(script.iter().copied().collect()),
            requests: RefCell::default(),
            connections: Cell::new(0),
        });
        let serving = Rc::clone(&shared);
        spawn_local(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serving.connections.set(serving.connections.get() + 1);
                spawn_local(Rc::clone(&serving).serve(stream));
            }
        });
        Self { address, shared }
    }

    /// Does this from now on, before what it usually does.
    pub(super) fn then(&self, action: Action) {
        self.shared.script.borrow_mut().push_back(action);
    }

    /// The requests that came: header and body as they were.
    pub(super) fn requests(&self) -> Vec<String> {
        self.shared.requests.borrow().clone()
    }

    /// Connections that were made to it.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.get()
    }
}

impl Shared {
    async fn serve(self: Rc<Self>, mut stream: TcpStream) {
        while let Some(request) = request(&mut stream).await {
            self.requests.borrow_mut().push(request);
            let action = self.script.borrow_mut().pop_front().unwrap_or(Action::Answer(200));
            let name = &self.name;
            let (head, body) = match action {
                Action::Answer(status) => (answer(status, name.len()), name.clone()),
                Action::AnswerAndClose => (answer(200, name.len()), name.clone()),
                Action::AnswerHalf | Action::BreakHalfWay => (answer(200, 20), "0123456789".into()),
                Action::Upgrade => (UPGRADE.to_owned(), name.clone()),
                Action::Close => return,
                Action::Hang => return std::future::pending().await,
            };
            stream.write_all((head + &body).as_bytes()).await.unwrap();
            match action {
                Action::AnswerHalf | Action::Upgrade => return std::future::pending().await,
                Action::AnswerAndClose | Action::BreakHalfWay => return,
                _ => {}
            }
        }
    }
}

const UPGRADE: &str = "HTTP/1.1 101 Told\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

fn answer(status: u16, length: usize) -> String {
    format!("HTTP/1.1 {status} Told\r\ncontent-length: {length}\r\n\r\n")
}

/// Reads a request; `None` at the end of the connection.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut read = String::new();
    loop {
        if let Some((head, body)) = read.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split("\r\ncontent-length: ").nth(1);
            let length = length.map_or(0, |it| it.split("\r\n").next().unwrap().parse().unwrap());
            let is_over = if head.contains("\r\ntransfer-encoding: chunked") {
                body.ends_with("0\r\n\r\n")
            } else {
                body.len() >= length
            };
            if is_over {
                return Some(read);
            }
        }
        let mut bytes = [0; 4_096];
        match stream.read(&mut bytes).await {
            Ok(count) if count > 0 => read.push_str(str::from_utf8(&bytes[..count]).unwrap()),
            _ => return None,
        }
    }
}
