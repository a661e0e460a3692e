//! One session: a client, an address that it asked, and the endpoint that answers.

use super::{
    super::Lease,
    Counters, Replies, UdpSocket,
    socket::{Arrived, BUFFER},
    table::Used,
};
use std::{cell::Cell, io, rc::Rc, time::Duration};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

/// Answers read in a row before others have their turn.
const BATCH: usize = 32;

pub(super) struct Session<L> {
    lease: L,
    upstream: UdpSocket,
    replies: Replies,
    key: Arrived,
    idle_timeout: Duration,
    last: Cell<Instant>,
    ended: Notify,
    statistics: Rc<Counters>,
}

impl<L> Used for Session<L> {
    fn last(&self) -> Instant {
        self.last.get()
    }
}

impl<L: Lease> Session<L> {
    pub(super) fn new(
        lease: L,
        upstream: UdpSocket,
        replies: Replies,
        key: Arrived,
        idle_timeout: Duration,
        statistics: Rc<Counters>,
    ) -> Self {
        let (last, ended) = (Cell::new(Instant::now()), Notify::new());
        Self { lease, upstream, replies, key, idle_timeout, last, ended, statistics }
    }

    /// Has [`Session::run`] return.
    pub(super) fn end(&self) {
        self.ended.notify_one();
    }

    /// Sends a client's datagram to the endpoint; whether it was taken. Nothing waits: as on any
    /// way, a datagram that finds no room is lost.
    pub(super) fn send(&self, bytes: &[u8]) -> bool {
        self.last.set(Instant::now());
        let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
        match rustix::net::send(&self.upstream, bytes, flags) {
            Ok(_) => true,
            Err(rustix::io::Errno::CONNREFUSED) => {
                self.refused();
                false
            }
            Err(_) => false,
        }
    }

    /// Sends the endpoint's answers to the client until the session is over.
    pub(super) async fn run(&self) {
        tokio::select! {
            result = self.answer() => {
                if let Err(error) = result {
                    tracing::debug!(%error, endpoint = %self.lease.address(), "a UDP session broke");
                    if error.kind() == io::ErrorKind::ConnectionRefused {
                        self.refused();
                    }
                }
            }
            () = self.ended.notified() => {}
            () = self.idle() => {}
        }
    }

    /// Nobody listens there: the client's next datagram is for another endpoint.
    fn refused(&self) {
        self.lease.failed();
        self.end();
    }

    async fn answer(&self) -> io::Result<()> {
        loop {
            self.upstream.readable().await?;
            for _ in 0..BATCH {
                let read = BUFFER.with_borrow_mut(|buffer| {
                    let count = self.upstream.try_recv(buffer)?;
                    let bytes = buffer.get(..count).unwrap_or_default();
                    Ok::<bool, io::Error>(self.replies.send(self.key, bytes).is_ok())
                });
                match read {
                    Ok(true) => self.statistics.add(|all| &mut all.received),
                    Ok(false) => self.statistics.add(|all| &mut all.lost),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
                self.last.set(Instant::now());
            }
            tokio::task::yield_now().await;
        }
    }

    async fn idle(&self) {
        loop {
            let last = self.last.get();
            sleep_until(last + self.idle_timeout).await;
            if self.last.get() == last {
                return;
            }
        }
    }
}
