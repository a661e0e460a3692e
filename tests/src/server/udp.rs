//! The UDP server: one answer for each datagram, from the address the datagram was sent to.

use std::io;
use std::net::{SocketAddr, UdpSocket as StdSocket};

use anyhow::{Context, Result};
use nix::sys::socket::{setsockopt, sockopt};
use rustix::net::sockopt::set_ipv6_v6only;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind as bind_socket, socket_with};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::packet_info::{Datagram, receive, send};

/// Room for thousands of datagrams: those that find no room would look lost on the way.
const RECEIVE_BUFFER_BYTES: usize = 8 << 20;
/// The largest UDP payload.
const DATAGRAM_BYTES_MAX: usize = 65_535;

/// Binds one address; the IPv6 one does not take IPv4 as well.
pub(super) fn bind(address: SocketAddr) -> Result<UdpSocket> {
    let bound = || -> io::Result<UdpSocket> {
        let (family, v6) = match address {
            SocketAddr::V4(_) => (AddressFamily::INET, false),
            SocketAddr::V6(_) => (AddressFamily::INET6, true),
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
        if v6 {
            set_ipv6_v6only(&socket, true)?;
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        } else {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES)?;
        bind_socket(&socket, &address)?;
        UdpSocket::from_std(StdSocket::from(socket))
    };
    bound().with_context(|| format!("bind udp {address}"))
}

/// Answers datagrams until the process ends.
pub(super) async fn serve(socket: UdpSocket, name: String) -> Result<()> {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let received = socket.async_io(Interest::READABLE, || receive(&socket, &mut buffer)).await;
        // An ICMP error for an earlier answer is reported here; it is not this datagram's.
        let Ok(datagram) = received else { continue };
        answer(&socket, &name, &datagram, &buffer).await;
    }
}

async fn answer(socket: &UdpSocket, name: &str, datagram: &Datagram, buffer: &[u8]) {
    let mut text = format!("{name} {}\n", datagram.peer).into_bytes();
    text.extend_from_slice(buffer.get(..datagram.len_bytes).unwrap_or_default());
    // An answer that cannot be sent is as good as lost, and the client counts it.
    drop(socket.async_io(Interest::WRITABLE, || send(socket, datagram, &text)).await);
}
