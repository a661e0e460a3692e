//! Workers: one thread each, with a runtime and sockets of its own.

use super::{Bound, SocketError, Transport};
use socket2::Socket;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{SocketAddr, UdpSocket},
    rc::Rc,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{self, LocalOptions},
    sync::mpsc,
    task::AbortHandle,
};

/// What runs on a worker.
pub trait Handler: 'static {
    /// Serves a connection; runs as a task of its own.
    fn serve(self: Rc<Self>, accepted: Accepted) -> impl Future<Output = ()>;

    /// Serves a UDP socket for as long as it is wanted.
    fn datagrams(self: Rc<Self>, socket: UdpSocket) -> impl Future<Output = ()>;

    /// Ends when everything that was begun is finished; nothing new comes any more.
    fn drained(self: Rc<Self>) -> impl Future<Output = ()>;
}

/// A connection that a client made.
#[derive(Debug)]
pub struct Accepted {
    /// The connection.
    pub stream: TcpStream,
    /// Its other end.
    pub peer: SocketAddr,
    /// The address that its listening socket is bound to.
    pub bound: SocketAddr,
}

/// All workers, and the sockets they listen on.
pub struct Workers {
    workers: Vec<Worker>,
    /// Kept beside the workers' own so that they can be handed to a successor.
    bound: BTreeMap<(SocketAddr, Transport), Arc<Bound>>,
}

/// One worker's thread.
pub struct Worker {
    commands: mpsc::UnboundedSender<Command>,
    thread: JoinHandle<()>,
}

enum Command {
    Listen { address: SocketAddr, transport: Transport, socket: Socket },
    Unlisten { address: SocketAddr, transport: Transport },
    Stop { timeout: Duration },
}

/// Wait after a failure to accept that will not pass at once (out of file descriptors or memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Workers {
    /// Starts `count` workers; `handler` makes what runs on each, on its thread.
    pub fn start<H: Handler>(
        count: usize,
        handler: impl Fn(usize) -> H + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let handler = Arc::new(handler);
        let start = |index| {
            let (commands, received) = mpsc::unbounded_channel();
            let handler = Arc::clone(&handler);
            let (started, is_started) = std::sync::mpsc::channel();
            let run = move || {
                // Of the thread's own: a task is woken without a lock.
                let mut runtime = runtime::Builder::new_current_thread();
                match runtime.enable_all().build_local(LocalOptions::default()) {
                    Ok(runtime) => {
                        started.send(Ok(())).ok();
                        // The handler is made inside, since it may start tasks of its own.
                        runtime.block_on(async {
                            obey(Rc::new(handler(index)), received).await;
                        });
                    }
                    Err(error) => drop(started.send(Err(error))),
                }
            };
            let thread = thread::Builder::new().name(format!("lb-worker-{index}")).spawn(run)?;
            is_started.recv().map_err(io::Error::other)??;
            Ok(Worker { commands, thread })
        };
        let workers = (0..count.max(1)).map(start).collect::<io::Result<_>>()?;
        Ok(Self { workers, bound: BTreeMap::new() })
    }

    /// Number of workers.
    pub fn count(&self) -> usize {
        self.workers.len()
    }

    /// The groups of sockets that are listened on.
    pub fn bound(&self) -> impl Iterator<Item = &Arc<Bound>> {
        self.bound.values()
    }

    /// Listens on `address` from now on, if it does not already. Port 0 binds a new port each time.
    pub fn listen(
        &mut self,
        address: SocketAddr,
        transport: Transport,
    ) -> Result<Arc<Bound>, SocketError> {
        if let Some(bound) = self.bound.get(&(address, transport)) {
            return Ok(Arc::clone(bound));
        }
        self.adopt(Bound::open(address, transport, self.workers.len())?)
    }

    /// Listens on sockets that are bound already.
    pub fn adopt(&mut self, bound: Bound) -> Result<Arc<Bound>, SocketError> {
        let (address, transport) = (bound.address, bound.transport);
        for (worker, socket) in self.workers.iter().zip(&bound.sockets) {
            let socket =
                socket.try_clone().map_err(|error| SocketError { address, transport, error })?;
            worker.send(Command::Listen { address, transport, socket });
        }
        let bound = Arc::new(bound);
        self.bound.insert((address, transport), Arc::clone(&bound));
        Ok(bound)
    }

    /// Listens on nothing but `wanted` from now on. Open connections go on.
    pub fn retain(&mut self, wanted: &BTreeSet<(SocketAddr, Transport)>) {
        let workers = &self.workers;
        self.bound.retain(|&(address, transport), _| {
            let keeps = wanted.contains(&(address, transport));
            if !keeps {
                for worker in workers {
                    worker.send(Command::Unlisten { address, transport });
                }
            }
            keeps
        });
    }

    /// Stops accepting, lets what is open finish for at most `timeout`, and ends the threads.
    pub fn stop(self, timeout: Duration) {
        self.workers.iter().for_each(|worker| worker.send(Command::Stop { timeout }));
        drop(self.bound);
        for worker in self.workers {
            if worker.thread.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
    }
}

impl Worker {
    /// A worker that is gone needs no command.
    fn send(&self, command: Command) {
        self.commands.send(command).ok();
    }
}

/// Runs a worker until it is told to stop, or nobody can tell it any more.
async fn obey<H: Handler>(handler: Rc<H>, mut commands: mpsc::UnboundedReceiver<Command>) {
    let mut listening: BTreeMap<(SocketAddr, Transport), AbortHandle> = BTreeMap::new();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Listen { address, transport, socket } => {
                match listen(&handler, address, transport, socket) {
                    Ok(task) => {
                        listening.insert((address, transport), task);
                    }
                    Err(error) => tracing::error!(%address, ?transport, %error, "not listened on"),
                }
            }
            Command::Unlisten { address, transport } => {
                if let Some(task) = listening.remove(&(address, transport)) {
                    task.abort();
                }
            }
            Command::Stop { timeout } => {
                listening.values().for_each(AbortHandle::abort);
                let drained = Rc::clone(&handler).drained();
                if tokio::time::timeout(timeout, drained).await.is_err() {
                    tracing::warn!(?timeout, "closing what is still open");
                }
                return;
            }
        }
    }
}

fn listen<H: Handler>(
    handler: &Rc<H>,
    address: SocketAddr,
    transport: Transport,
    socket: Socket,
) -> io::Result<AbortHandle> {
    let handler = Rc::clone(handler);
    let task = match transport {
        Transport::Tcp => {
            let listener = TcpListener::from_std(socket.into())?;
            tokio::task::spawn_local(accept(handler, address, listener))
        }
        Transport::Udp => tokio::task::spawn_local(handler.datagrams(socket.into())),
    };
    Ok(task.abort_handle())
}

async fn accept<H: Handler>(handler: Rc<H>, bound: SocketAddr, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let accepted = Accepted { stream, peer, bound };
                tokio::task::spawn_local(Rc::clone(&handler).serve(accepted));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%bound, %error, "cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Errors that belong to a connection that went before it was accepted (accept(2), "Error
/// handling").
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted,
        NetworkDown, NetworkUnreachable, TimedOut,
    };
    matches!(
        error.kind(),
        ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        cell::Cell,
        io::{Read, Write},
        net,
    };
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        sync::Notify,
    };

    /// Answers each byte with its worker's number.
    struct Tell {
        index: u8,
        open: Cell<u32>,
        ended: Notify,
    }

    impl Tell {
        fn new(index: usize) -> Self {
            Self { index: index as u8, open: Cell::new(0), ended: Notify::new() }
        }
    }

    impl Handler for Tell {
        async fn serve(self: Rc<Self>, mut accepted: Accepted) {
            self.open.set(self.open.get() + 1);
            while accepted.stream.read_u8().await.is_ok() {
                accepted.stream.write_u8(self.index).await.unwrap();
            }
            self.open.set(self.open.get() - 1);
            self.ended.notify_one();
        }

        async fn datagrams(self: Rc<Self>, socket: UdpSocket) {
            let socket = tokio::net::UdpSocket::from_std(socket).unwrap();
            let mut buffer = [0; 16];
            while let Ok((_, peer)) = socket.recv_from(&mut buffer).await {
                socket.send_to(&[self.index], peer).await.unwrap();
            }
        }

        async fn drained(self: Rc<Self>) {
            while self.open.get() > 0 {
                self.ended.notified().await;
            }
        }
    }

    fn any() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    fn ask(stream: &mut net::TcpStream) -> u8 {
        stream.write_all(b"?").unwrap();
        let mut answer = [9];
        stream.read_exact(&mut answer).unwrap();
        answer[0]
    }

    #[test]
    fn all_workers_serve_and_open_connections_finish() {
        let mut workers = Workers::start(2, Tell::new).unwrap();
        let bound = workers.listen(any(), Transport::Tcp).unwrap();
        let mut clients: Vec<_> =
            (0..64).map(|_| net::TcpStream::connect(bound.address).unwrap()).collect();
        let answers: BTreeSet<_> = clients.iter_mut().map(ask).collect();
        assert_eq!(answers, [0, 1].into());

        let mut last = clients.pop().unwrap();
        drop(clients);
        let address = bound.address;
        drop(bound);
        let stopping = thread::spawn(move || workers.stop(Duration::from_mins(1)));
        while net::TcpStream::connect(address).is_ok() {
            thread::yield_now();
        }
        ask(&mut last);
        drop(last);
        stopping.join().unwrap();
    }

    #[test]
    fn an_address_that_is_not_wanted_any_more_refuses_while_open_connections_go_on() {
        let mut workers = Workers::start(1, Tell::new).unwrap();
        let tcp = workers.listen(any(), Transport::Tcp).unwrap().address;
        let udp = workers.listen(any(), Transport::Udp).unwrap().address;
        let mut client = net::TcpStream::connect(tcp).unwrap();
        assert_eq!(ask(&mut client), 0);
        workers.retain(&[(udp, Transport::Udp)].into());
        while net::TcpStream::connect(tcp).is_ok() {
            thread::yield_now();
        }
        assert_eq!(ask(&mut client), 0);
        let socket = UdpSocket::bind(any()).unwrap();
        socket.send_to(b"?", udp).unwrap();
        assert_eq!(socket.recv(&mut [0]).unwrap(), 1);
        drop(client);
        workers.stop(Duration::from_mins(1));
    }

    #[test]
    fn what_does_not_finish_in_time_is_closed() {
        let mut workers = Workers::start(1, Tell::new).unwrap();
        let bound = workers.listen(any(), Transport::Tcp).unwrap().address;
        let mut client = net::TcpStream::connect(bound).unwrap();
        ask(&mut client);
        workers.stop(Duration::from_millis(1));
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}
