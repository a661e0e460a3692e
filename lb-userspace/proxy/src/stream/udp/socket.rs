//! Sockets that tell where a datagram was sent to, and send from there.

use nix::{
    libc,
    sys::socket::{
        ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage,
        recvmsg, sendmsg, setsockopt,
        sockopt::{Ipv4OrigDstAddr, Ipv6OrigDstAddr},
    },
};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    cell::RefCell,
    collections::HashMap,
    io::{self, IoSlice, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::AsRawFd as _,
    rc::Rc,
};
use tokio::{io::Interest, net::UdpSocket};

/// The largest datagram (RFC 768 without jumbograms).
const DATAGRAM_BYTES_MAX: usize = 65_535;

thread_local! {
    /// For answers: each is sent on before the next is read.
    pub(super) static BUFFER: RefCell<Vec<u8>> = RefCell::new(buffer());
}

/// Room for a datagram.
pub(super) fn buffer() -> Vec<u8> {
    vec![0; DATAGRAM_BYTES_MAX]
}

/// Where a datagram came from and was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Arrived {
    pub(super) client: SocketAddr,
    pub(super) local: SocketAddr,
}

/// A socket where clients' datagrams arrive.
pub(super) struct UdpEntry {
    socket: Rc<UdpSocket>,
    bound: SocketAddr,
    /// Sockets that answers are sent from, for addresses that are steered here: by address.
    steered: RefCell<HashMap<SocketAddr, Rc<UdpSocket>>>,
}

/// Sends answers from the address that was asked.
pub(super) struct Replies {
    socket: Rc<UdpSocket>,
}

impl UdpEntry {
    pub(super) fn new(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let bound = socket.local_addr()?;
        // The address with the port: a steered datagram was sent to another port than this.
        if bound.is_ipv4() {
            setsockopt(&socket, Ipv4OrigDstAddr, &true)?;
        } else {
            setsockopt(&socket, Ipv6OrigDstAddr, &true)?;
        }
        let socket = Rc::new(UdpSocket::from_std(socket)?);
        Ok(Self { socket, bound, steered: RefCell::default() })
    }

    /// Waits for a datagram. One whose address is not told (there is none such) is skipped.
    pub(super) async fn receive<'a>(
        &self,
        buffer: &'a mut [u8],
    ) -> io::Result<(Arrived, &'a [u8])> {
        loop {
            let receive = || receive(&self.socket, buffer);
            if let Some((arrived, count)) =
                self.socket.async_io(Interest::READABLE, receive).await?
            {
                return Ok((arrived, buffer.get(..count).unwrap_or_default()));
            }
        }
    }

    /// What sends answers from `local`.
    pub(super) fn replies(&self, local: SocketAddr) -> io::Result<Replies> {
        let is_ours = local.port() == self.bound.port()
            && (self.bound.ip().is_unspecified() || self.bound.ip() == local.ip());
        if is_ours {
            return Ok(Replies { socket: Rc::clone(&self.socket) });
        }
        if let Some(socket) = self.steered.borrow().get(&local) {
            return Ok(Replies { socket: Rc::clone(socket) });
        }
        let socket = Rc::new(bound_to(local)?);
        self.steered.borrow_mut().insert(local, Rc::clone(&socket));
        Ok(Replies { socket })
    }
}

impl Replies {
    /// Sends an answer; one that finds no room is lost.
    pub(super) fn send(&self, to: Arrived, bytes: &[u8]) -> io::Result<()> {
        let parts = [IoSlice::new(bytes)];
        let (fd, flags) =
            (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
        match (to.local, to.client) {
            (SocketAddr::V4(local), SocketAddr::V4(client)) => {
                let s_addr = u32::from_ne_bytes(local.ip().octets());
                let from = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr { s_addr },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                let control = [ControlMessage::Ipv4PacketInfo(&from)];
                sendmsg(fd, &parts, &control, flags, Some(&SockaddrIn::from(client)))?;
            }
            (SocketAddr::V6(local), SocketAddr::V6(client)) => {
                let from = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: local.ip().octets() },
                    ipi6_ifindex: client.scope_id(),
                };
                let control = [ControlMessage::Ipv6PacketInfo(&from)];
                sendmsg(fd, &parts, &control, flags, Some(&SockaddrIn6::from(client)))?;
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
        Ok(())
    }
}

/// A socket that only gets what `address` sends.
pub(super) fn connected(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// A socket to send from an address that is steered. Nothing arrives at it: steering comes before
/// sockets that are only bound. Several workers have one each.
fn bound_to(local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    // A VIP is a local route, not always an address of an interface.
    match local {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
    }
    socket.set_nonblocking(true)?;
    socket.bind(&local.into())?;
    UdpSocket::from_std(socket.into())
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<Option<(Arrived, usize)>> {
    let mut parts = [IoSliceMut::new(buffer)];
    let mut control = nix::cmsg_space!(libc::sockaddr_in6);
    let flags = MsgFlags::MSG_DONTWAIT;
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags)?;
    let client = message.address.as_ref().and_then(address_of);
    let local = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4OrigDstAddr(to) => {
            Some(SocketAddr::V4(SocketAddrV4::from(SockaddrIn::from(to))))
        }
        ControlMessageOwned::Ipv6OrigDstAddr(to) => {
            let to = SockaddrIn6::from(to);
            Some(SocketAddr::new(to.ip().into(), to.port()))
        }
        _ => None,
    });
    let (Some(client), Some(local)) = (client, local) else {
        return Ok(None);
    };
    Ok(Some((Arrived { client, local }, message.bytes)))
}

fn address_of(address: &SockaddrStorage) -> Option<SocketAddr> {
    let four = || address.as_sockaddr_in().map(|it| SocketAddr::V4(SocketAddrV4::from(*it)));
    // Without the flow label, which may be another for each datagram.
    let six = || {
        let it = address.as_sockaddr_in6()?;
        Some(SocketAddr::V6(SocketAddrV6::new(it.ip(), it.port(), 0, it.scope_id())))
    };
    four().or_else(six)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_of_a_steered_address_come_from_it() {
        let entry = UdpEntry::new(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let client_address = client.local_addr().unwrap();
        // A free port, for a moment at least, of an address that no socket of a test is bound to.
        let local = std::net::UdpSocket::bind("127.9.9.9:0").unwrap().local_addr().unwrap();
        for text in [b"one", b"two"] {
            let replies = entry.replies(local).unwrap();
            let to = Arrived { client: client_address, local };
            replies.send(to, text).unwrap();
            let mut buffer = [0; 8];
            assert_eq!(client.recv_from(&mut buffer).await.unwrap(), (3, local));
        }
        assert_eq!(entry.steered.borrow().len(), 1);
    }
}
