//! Datagrams together with the local address they came to.
//!
//! A socket bound to all addresses answers from the one that routing prefers. A backend that has
//! a VIP on `lo` must answer from the VIP instead, hence IP_PKTINFO and IPV6_PKTINFO.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use nix::libc::{in_pktinfo, in6_pktinfo};
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
};

/// What came with a datagram.
#[derive(Clone, Copy)]
pub(super) struct Datagram {
    /// Who sent it.
    pub(super) peer: SocketAddr,
    /// Its size in bytes.
    pub(super) len_bytes: usize,
    to: Option<LocalAddress>,
}

#[derive(Clone, Copy)]
enum LocalAddress {
    V4(in_pktinfo),
    V6(in6_pktinfo),
}

/// Receives one datagram into `buffer`.
pub(super) fn receive(socket: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<Datagram> {
    let mut control = nix::cmsg_space!(in6_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut control),
        MsgFlags::empty(),
    )?;
    let peer = message.address.as_ref().and_then(to_std).ok_or(io::ErrorKind::InvalidData)?;
    let to = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(LocalAddress::V4(info)),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(LocalAddress::V6(info)),
        _ => None,
    });
    Ok(Datagram { peer, len_bytes: message.bytes, to })
}

/// Answers a datagram from the address it was sent to.
pub(super) fn send(socket: &impl AsRawFd, datagram: &Datagram, text: &[u8]) -> io::Result<()> {
    let peer = SockaddrStorage::from(datagram.peer);
    let (info_v4, info_v6);
    let control = match datagram.to {
        Some(LocalAddress::V4(to)) => {
            // The address that matters on the way out is the "specific destination", and the
            // interface is left to routing.
            info_v4 =
                in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: to.ipi_addr, ipi_addr: to.ipi_addr };
            Some(ControlMessage::Ipv4PacketInfo(&info_v4))
        }
        Some(LocalAddress::V6(to)) => {
            info_v6 = in6_pktinfo { ipi6_ifindex: 0, ..to };
            Some(ControlMessage::Ipv6PacketInfo(&info_v6))
        }
        None => None,
    };
    let parts = [IoSlice::new(text)];
    sendmsg(socket.as_raw_fd(), &parts, control.as_slice(), MsgFlags::empty(), Some(&peer))?;
    Ok(())
}

fn to_std(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4(SocketAddrV4::from(*v4)));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))))
}
