//! Ports for programs that have to be told theirs before they listen.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};

/// A TCP port, the same at all IPv4 addresses of this host, that the kernel gives to nobody else as
/// long as this is there: one that was merely free a moment ago may be taken meanwhile.
///
/// It is bound and does not listen, so that connections are refused until the program listens that
/// it is for. That one has to set `SO_REUSEADDR` (socket(7)), as the listeners of Go, Rust and lbd do.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _socket: OwnedFd,
}

impl Port {
    /// Reserves one. Errors: none is left.
    pub fn reserve() -> Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        // For those who share it among themselves, as the workers of lbd do.
        sockopt::set_socket_reuseport(&socket, true)?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)).context("reserve a port")?;
        let number = SocketAddr::try_from(getsockname(&socket)?)?.port();
        Ok(Self { number, _socket: socket })
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The port at 127.0.0.1.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn who_it_is_for_listens_and_nobody_else_is_given_it() {
        let (port, other) = (Port::reserve().unwrap(), Port::reserve().unwrap());
        assert_ne!(port.number(), other.number());
        let address = (Ipv4Addr::LOCALHOST, port.number());
        assert!(TcpStream::connect(address).is_err(), "nobody listens yet");
        let listener = TcpListener::bind(address).unwrap();
        TcpStream::connect(address).unwrap();
        drop(listener);
        assert!(TcpStream::connect(address).is_err());
    }
}
