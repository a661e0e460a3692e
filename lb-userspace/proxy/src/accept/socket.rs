//! Listening sockets: one per worker and address, in one `SO_REUSEPORT` group, so that the kernel
//! spreads connections over the workers (socket(7)).

use socket2::{Domain, Protocol, Socket, Type};
use std::{io, net::SocketAddr};

/// Connections that may wait to be accepted on one socket; the kernel cuts it to
/// `net.core.somaxconn` (listen(2)).
const BACKLOG: i32 = 4_096;

/// What a socket carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("{address}/{transport:?} cannot be bound: {error}")]
pub struct SocketError {
    /// Address and port.
    pub address: SocketAddr,
    /// What it should carry.
    pub transport: Transport,
    /// Why.
    pub error: io::Error,
}

/// The group of sockets of one address: one per worker.
#[derive(Debug)]
pub struct Bound {
    /// Address; the port is the one that the kernel chose if 0 was asked for.
    pub address: SocketAddr,
    /// What they carry.
    pub transport: Transport,
    /// The sockets, one per worker.
    pub sockets: Vec<Socket>,
}

impl Bound {
    /// Binds `count` sockets to one address; those for TCP listen. An IPv6 socket takes no IPv4.
    pub fn open(
        address: SocketAddr,
        transport: Transport,
        count: usize,
    ) -> Result<Self, SocketError> {
        let mut bound = Self { address, transport, sockets: Vec::with_capacity(count) };
        bound.grow(count)?;
        bound.listen()?;
        Ok(bound)
    }

    /// Has all sockets for TCP listen that do not yet.
    pub fn listen(&self) -> Result<(), SocketError> {
        let Self { address, transport, .. } = *self;
        if transport == Transport::Udp {
            return Ok(());
        }
        let mut sockets = self.sockets.iter();
        let listening = sockets.try_for_each(|socket| socket.listen(BACKLOG));
        listening.map_err(|error| SocketError { address, transport, error })
    }

    /// Binds more sockets to the address until there are `count`. They do not listen yet: were
    /// they the only ones of a process that then ends, what waits at them would be reset.
    pub fn grow(&mut self, count: usize) -> Result<(), SocketError> {
        let Self { address, transport, .. } = *self;
        let wrong = |error| SocketError { address, transport, error };
        while self.sockets.len() < count {
            let socket = open(self.address, transport).map_err(wrong)?;
            if self.address.port() == 0 {
                let local = socket.local_addr().map_err(wrong)?;
                self.address = local.as_socket().unwrap_or(address);
            }
            self.sockets.push(socket);
        }
        Ok(())
    }
}

fn open(address: SocketAddr, transport: Transport) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Tcp => (Type::STREAM, Protocol::TCP),
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
    };
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking(), Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_port(true)?;
    // A restart must not wait for connections of its predecessor in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    if transport == Transport::Tcp {
        // Connections inherit it.
        socket.set_tcp_nodelay(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpStream, UdpSocket};

    #[test]
    fn all_sockets_of_a_group_have_one_address_and_share_its_clients() {
        let bound = Bound::open("127.0.0.1:0".parse().unwrap(), Transport::Tcp, 3).unwrap();
        for socket in &bound.sockets {
            let local = socket.local_addr().unwrap().as_socket();
            assert_eq!(local, Some(bound.address));
        }
        let clients: Vec<_> = (0..32).map(|_| TcpStream::connect(bound.address)).collect();
        assert!(clients.iter().all(Result::is_ok));
        let accepted = |socket: &Socket| std::iter::from_fn(|| socket.accept().ok()).count();
        assert_eq!(bound.sockets.iter().map(accepted).sum::<usize>(), clients.len());
    }

    #[test]
    fn an_address_of_somebody_else_is_an_error_that_names_it() {
        let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = Bound::open(address, Transport::Udp, 1).unwrap_err();
        assert!(error.to_string().starts_with(&format!("{address}/Udp cannot be bound")));
    }
}
