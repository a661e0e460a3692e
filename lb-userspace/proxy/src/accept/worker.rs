//! Workers: one thread each, with a runtime and sockets of its own.

use super::{Bound, SocketError, Transport};
use crate::turn;
use socket2::{SockFilter, SockRef, Socket};
use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
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
    sync::{mpsc, oneshot},
    task::JoinHandle as Task,
};

/// What runs on a worker.
pub trait Handler: 'static {
    /// Serves a connection; runs as a task of its own.
    fn serve(self: Rc<Self>, accepted: Accepted) -> impl Future<Output = ()>;

    /// Serves a UDP socket until `ending`, and then what was begun. Dropped when nobody waits.
    fn datagrams(
        self: Rc<Self>,
        socket: UdpSocket,
        ending: oneshot::Receiver<Ending>,
    ) -> impl Future<Output = ()>;

    /// Whether there is more to do than can be done: connections are taken a few at a time then.
    fn is_busy(&self) -> bool;

    /// Has what was begun come to its end from now on. Connections may still come.
    fn drain(&self);

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
    Stop { timeout: Duration, ending: Ending },
}

/// What becomes of the sockets when workers stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// They are closed: nobody listens any more.
    Closed,
    /// A successor has them too, and takes what comes.
    HandedOver,
}

/// An address that a worker listens on.
struct Listening {
    task: Task<()>,
    /// Ends accepting; dropped, it does so at once.
    ending: oneshot::Sender<Ending>,
}

/// How long handshakes that have begun may take once no new ones are let in.
const HANDSHAKE_TIME: Duration = Duration::from_millis(200);

/// Lets everything in but the first packet of a connection: SYN without ACK (RFC 9293, section
/// 3.1: the flags are the header's byte 13). Its client tries again after a second, and is refused.
const NO_SYN: [SockFilter; 5] = [
    SockFilter::new((libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16, 0, 0, 13),
    SockFilter::new((libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16, 0, 0, 0x12),
    SockFilter::new((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, 0, 1, 0x02),
    SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, 0),
    SockFilter::new((libc::BPF_RET | libc::BPF_K) as u16, 0, 0, u32::MAX),
];

/// Connections taken of a socket before all that is ready has its turn, while there is too much of
/// it; the others wait in the socket's queue.
const ACCEPTS_BUSY: u32 = 16;

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
        let bound = Arc::new(Bound::open(address, transport, self.workers.len())?);
        self.adopt(Arc::clone(&bound))?;
        Ok(bound)
    }

    /// Listens on sockets that are bound already, on all of them: what waits on a socket that
    /// nobody accepts from would wait forever.
    pub fn adopt(&mut self, bound: Arc<Bound>) -> Result<(), SocketError> {
        let (address, transport) = (bound.address, bound.transport);
        bound.listen()?;
        for (worker, socket) in self.workers.iter().cycle().zip(&bound.sockets) {
            let socket =
                socket.try_clone().map_err(|error| SocketError { address, transport, error })?;
            worker.send(Command::Listen { address, transport, socket });
        }
        self.bound.insert((address, transport), bound);
        Ok(())
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
    pub fn stop(self, timeout: Duration, ending: Ending) {
        // The workers' own are the last: what waits in the queue of a socket goes with it.
        drop(self.bound);
        self.workers.iter().for_each(|worker| worker.send(Command::Stop { timeout, ending }));
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
    let mut listening: BTreeMap<(SocketAddr, Transport), Vec<Listening>> = BTreeMap::new();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Listen { address, transport, socket } => {
                match listen(&handler, address, transport, socket) {
                    Ok(one) => listening.entry((address, transport)).or_default().push(one),
                    Err(error) => tracing::error!(%address, ?transport, %error, "not listened on"),
                }
            }
            Command::Unlisten { address, transport } => {
                listening
                    .remove(&(address, transport))
                    .into_iter()
                    .flatten()
                    .for_each(|it| it.task.abort());
            }
            Command::Stop { timeout, ending } => {
                let listening = listening.into_values().flatten().collect();
                let stopped = stop(handler, listening, ending);
                if tokio::time::timeout(timeout, stopped).await.is_err() {
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
) -> io::Result<Listening> {
    let handler = Rc::clone(handler);
    let (ending, ends) = oneshot::channel();
    let task = match transport {
        Transport::Tcp => {
            let listener = TcpListener::from_std(socket.into())?;
            tokio::task::spawn_local(accept(handler, address, listener, ends))
        }
        Transport::Udp => tokio::task::spawn_local(handler.datagrams(socket.into(), ends)),
    };
    Ok(Listening { task, ending })
}

/// Stops accepting, and waits for what is open.
async fn stop<H: Handler>(handler: Rc<H>, listening: Vec<Listening>, ending: Ending) {
    handler.drain();
    let mut tasks = Vec::new();
    for Listening { task, ending: ends } in listening {
        // A task that is gone accepts nothing.
        ends.send(ending).ok();
        tasks.push(task);
    }
    for task in tasks {
        if task.await.is_err() {
            tracing::error!("what accepts connections or datagrams panicked");
        }
    }
    handler.drained().await;
}

async fn accept<H: Handler>(
    handler: Rc<H>,
    bound: SocketAddr,
    listener: TcpListener,
    mut ends: oneshot::Receiver<Ending>,
) {
    let ending = tokio::select! {
        biased;
        ending = &mut ends => ending,
        never = accept_all(&handler, bound, &listener) => match never {},
    };
    if ending == Ok(Ending::Closed) {
        finish(&handler, bound, listener).await;
    }
}

async fn accept_all<H: Handler>(
    handler: &Rc<H>,
    bound: SocketAddr,
    listener: &TcpListener,
) -> Infallible {
    let mut accepted_count = 0_u32;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                begin(handler, Accepted { stream, peer, bound });
                accepted_count = accepted_count.wrapping_add(1);
                if accepted_count.is_multiple_of(ACCEPTS_BUSY) && handler.is_busy() {
                    tokio::task::yield_now().await;
                }
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%bound, %error, "cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves a connection. What is large is behind a pointer: a task is copied several times.
fn begin<H: Handler>(handler: &Rc<H>, accepted: Accepted) {
    tokio::task::spawn_local(turn::turns(Box::pin(Rc::clone(handler).serve(accepted))));
}

/// Closes a socket without losing a connection: those in its queue, or about to get there, would
/// be reset. So no new ones are let in, and those that had begun are taken first.
async fn finish<H: Handler>(handler: &Rc<H>, bound: SocketAddr, listener: TcpListener) {
    if let Err(error) = SockRef::from(&listener).attach_filter(&NO_SYN) {
        tracing::debug!(%bound, %error, "new connections may be reset");
    }
    let rest = accept_all(handler, bound, &listener);
    tokio::time::timeout(HANDSHAKE_TIME, rest).await.ok();
    // The runtime may not know yet of those that came last; the kernel does.
    let Ok(listener) = listener.into_std() else { return };
    while let Ok((stream, peer)) = listener.accept() {
        let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
        if let Ok(stream) = stream {
            begin(handler, Accepted { stream, peer, bound });
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
mod tests;
