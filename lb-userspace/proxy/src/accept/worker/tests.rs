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

    async fn datagrams(self: Rc<Self>, socket: UdpSocket, ending: oneshot::Receiver<Ending>) {
        let socket = tokio::net::UdpSocket::from_std(socket).unwrap();
        let answer = async {
            let mut buffer = [0; 16];
            while let Ok((_, peer)) = socket.recv_from(&mut buffer).await {
                socket.send_to(&[self.index], peer).await.unwrap();
            }
        };
        tokio::select! {
            () = answer => {}
            _ = ending => {}
        }
    }

    fn is_busy(&self) -> bool {
        false
    }

    fn drain(&self) {}

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
    let stopping = thread::spawn(move || workers.stop(Duration::from_mins(1), Ending::Closed));
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
    workers.stop(Duration::from_mins(1), Ending::Closed);
}

#[test]
fn what_does_not_finish_in_time_is_closed() {
    let mut workers = Workers::start(1, Tell::new).unwrap();
    let bound = workers.listen(any(), Transport::Tcp).unwrap().address;
    let mut client = net::TcpStream::connect(bound).unwrap();
    ask(&mut client);
    workers.stop(Duration::from_millis(1), Ending::Closed);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}
