//! Clients in the namespace beyond the veth pair, and datagrams with their destination.

use crate::host::Host;
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt,
    sockopt::{IpFreebind, Ipv4OrigDstAddr, Ipv6OrigDstAddr, ReusePort},
};
use rustix::net::{AddressFamily, SocketType, bind, connect, listen, socket};
use std::{
    fs::File,
    io::{self, IoSliceMut},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, AsRawFd},
    time::Duration,
};

/// Addresses beyond: IPv4 and IPv6.
pub(crate) const BEYOND: [&str; 2] = ["10.9.0.2", "fd09::2"];

/// How long a socket of these tests waits for anything.
const PATIENCE: Duration = Duration::from_mins(1);

/// The namespace beyond.
pub(crate) struct Beyond {
    namespace: File,
}

impl Beyond {
    pub(crate) fn of(host: &Host) -> Self {
        let namespace = File::open(format!("/var/run/netns/{}", host.peer_name())).unwrap();
        Self { namespace }
    }

    /// Connects to `to` from there.
    pub(crate) fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        let stream = self.inside(|| TcpStream::connect_timeout(&to, PATIENCE))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// A UDP socket there that is connected to `to`.
    pub(crate) fn udp(&self, to: SocketAddr) -> io::Result<UdpSocket> {
        self.inside(|| {
            let socket = UdpSocket::bind(unspecified(to))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.connect(to)?;
            Ok(socket)
        })
    }

    /// Runs `work` on a thread that moved there: a socket stays where it was made.
    fn inside<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let enter = || {
            let kind = rustix::thread::LinkNameSpaceType::Network;
            rustix::thread::move_into_link_name_space(self.namespace.as_fd(), Some(kind))?;
            work()
        };
        std::thread::scope(|scope| scope.spawn(enter).join().unwrap())
    }
}

/// Listening sockets of one `SO_REUSEPORT` group.
pub(crate) fn group(count: usize) -> Vec<TcpListener> {
    let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let open = |_| {
        let worker = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        setsockopt(&worker, ReusePort, &true).unwrap();
        bind(&worker, &address).unwrap();
        listen(&worker, 128).unwrap();
        let worker = TcpListener::from(worker);
        address = worker.local_addr().unwrap();
        worker
    };
    (0..count).map(open).collect()
}

/// A UDP socket that tells where its datagrams went.
pub(crate) fn udp(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    if socket.local_addr().unwrap().is_ipv4() {
        setsockopt(&socket, Ipv4OrigDstAddr, &true).unwrap();
    } else {
        setsockopt(&socket, Ipv6OrigDstAddr, &true).unwrap();
    }
    socket
}

/// A datagram that came.
pub(crate) struct Received {
    pub(crate) bytes: usize,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
}

pub(crate) fn receive(socket: &UdpSocket) -> Received {
    let mut buffer = [0; 9_000];
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let mut control = nix::cmsg_space!(libc::sockaddr_in6);
    let (fd, flags) = (socket.as_raw_fd(), MsgFlags::empty());
    let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags).unwrap();
    let to = message.cmsgs().unwrap().find_map(|control| match control {
        ControlMessageOwned::Ipv4OrigDstAddr(to) => Some(SocketAddr::new(
            Ipv4Addr::from(u32::from_be(to.sin_addr.s_addr)).into(),
            u16::from_be(to.sin_port),
        )),
        ControlMessageOwned::Ipv6OrigDstAddr(to) => Some(SocketAddr::new(
            Ipv6Addr::from(to.sin6_addr.s6_addr).into(),
            u16::from_be(to.sin6_port),
        )),
        _ => None,
    });
    let from = message.address.unwrap();
    let from =
        from.as_sockaddr_in().map(|from| SocketAddr::new(from.ip().into(), from.port())).or_else(
            || from.as_sockaddr_in6().map(|from| SocketAddr::new(from.ip().into(), from.port())),
        );
    Received { bytes: message.bytes, from: from.unwrap(), to: to.unwrap() }
}

/// The socket of a UDP session: bound to the VIP, connected to the client.
pub(crate) fn answer(vip: SocketAddr, client: SocketAddr) -> UdpSocket {
    let family = if vip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let session = socket(family, SocketType::DGRAM, None).unwrap();
    // A local route is enough for IPv4; IPv6 wants the address on an interface, or this.
    setsockopt(&session, IpFreebind, &true).unwrap();
    bind(&session, &vip).unwrap();
    connect(&session, &client).unwrap();
    let session = UdpSocket::from(session);
    session.set_read_timeout(Some(PATIENCE)).unwrap();
    session
}

fn unspecified(like: SocketAddr) -> SocketAddr {
    if like.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    }
}
