//! UDP sessions: all datagrams of a client to an address go to one endpoint, and its answers come
//! from that address.

mod session;
mod socket;
mod table;

use self::{
    session::Session,
    socket::{Arrived, Replies, UdpEntry},
    table::Table,
};
use super::{Lease as _, Pick};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use std::{cell::Cell, io, net::SocketAddr, pin::pin, rc::Rc, time::Duration};
use tokio::net::UdpSocket;

/// A socket where datagrams arrive: for one address, for many (bound to the unspecified one), or
/// for VIPs that are steered to it.
pub struct UdpListener {
    entry: UdpEntry,
    sessions_max: usize,
    statistics: Rc<Counters>,
}

/// Where the sessions of an address go.
pub struct UdpRoute<P> {
    /// Who answers.
    pub pick: P,
    /// A session without a datagram in either direction for this long is over.
    pub idle_timeout: Duration,
}

/// What happened so far. Datagrams, unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpStatistics {
    /// Sessions begun.
    pub sessions: u64,
    /// From clients to endpoints.
    pub sent: u64,
    /// From endpoints to clients.
    pub received: u64,
    /// Sessions that had to go before their time because there were too many.
    pub evicted: u64,
    /// Of no route, or without an endpoint.
    pub refused: u64,
    /// That a full socket did not take, or that could not be sent.
    pub lost: u64,
}

#[derive(Default)]
struct Counters(Cell<UdpStatistics>);

impl Counters {
    fn add(&self, field: impl FnOnce(&mut UdpStatistics) -> &mut u64) {
        let mut all = self.0.get();
        *field(&mut all) += 1;
        self.0.set(all);
    }
}

impl UdpListener {
    /// Takes a bound socket. At most `sessions_max` sessions (at least one) are kept; beyond it the
    /// one that was idle for the longest goes. An IPv6 socket serves IPv6 only.
    pub fn new(socket: std::net::UdpSocket, sessions_max: usize) -> io::Result<Self> {
        let entry = UdpEntry::new(socket)?;
        Ok(Self { entry, sessions_max: sessions_max.max(1), statistics: Rc::default() })
    }

    /// What happened so far.
    pub fn statistics(&self) -> UdpStatistics {
        self.statistics.0.get()
    }

    /// Serves until `left`; from then on takes nothing from the socket, and returns when the
    /// sessions under way are over. `route` tells where datagrams for an address of a client go;
    /// those of no route are dropped.
    pub async fn serve<P: Pick>(
        &self,
        route: impl Fn(SocketAddr, SocketAddr) -> Option<UdpRoute<P>>,
        left: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let mut table = Table::new(self.sessions_max);
        let mut running = FuturesUnordered::new();
        let mut buffer = socket::buffer();
        let mut left = pin!(left);
        let mut has_left = false;
        while !(has_left && running.is_empty()) {
            tokio::select! {
                () = &mut left, if !has_left => has_left = true,
                arrived = self.entry.receive(&mut buffer), if !has_left => {
                    let (arrived, bytes) = arrived?;
                    running.extend(self.take(&mut table, &route, arrived, bytes));
                }
                Some((key, number)) = running.next(), if !running.is_empty() => {
                    table.remove(&key, number);
                }
            }
        }
        Ok(())
    }

    /// Sends a datagram on. A session that begins with it is to be run: it resolves to what the
    /// table knows it by.
    fn take<P: Pick, R: Fn(SocketAddr, SocketAddr) -> Option<UdpRoute<P>>>(
        &self,
        table: &mut Table<Session<P::Lease>>,
        route: &R,
        arrived: Arrived,
        bytes: &[u8],
    ) -> Option<impl Future<Output = (Arrived, u64)> + use<P, R>> {
        let mut begun = None;
        let session = if let Some(session) = table.find(&arrived) {
            session
        } else if let Some((session, number)) = self.begin(table, route, arrived) {
            begun = Some((Rc::clone(&session), number));
            session
        } else {
            self.statistics.add(|all| &mut all.refused);
            return None;
        };
        if session.send(bytes) {
            self.statistics.add(|all| &mut all.sent);
        } else {
            self.statistics.add(|all| &mut all.lost);
        }
        begun.map(|(session, number)| async move {
            session.run().await;
            (arrived, number)
        })
    }

    fn begin<P: Pick>(
        &self,
        table: &mut Table<Session<P::Lease>>,
        route: &impl Fn(SocketAddr, SocketAddr) -> Option<UdpRoute<P>>,
        arrived: Arrived,
    ) -> Option<(Rc<Session<P::Lease>>, u64)> {
        let route = route(arrived.local, arrived.client)?;
        let lease = route.pick.pick(arrived.client, &[]).ok()?;
        let upstream = socket::connected(lease.address());
        let replies = self.entry.replies(arrived.local);
        let (upstream, replies) = match (upstream, replies) {
            (Ok(upstream), Ok(replies)) => (upstream, replies),
            (Err(error), _) | (_, Err(error)) => {
                tracing::debug!(%error, "a UDP session could not begin");
                return None;
            }
        };
        let session = Rc::new(Session::new(
            lease,
            upstream,
            replies,
            arrived,
            route.idle_timeout,
            Rc::clone(&self.statistics),
        ));
        let (number, evicted) = table.insert(arrived, Rc::clone(&session));
        if let Some(evicted) = evicted {
            evicted.end();
            self.statistics.add(|all| &mut all.evicted);
        }
        self.statistics.add(|all| &mut all.sessions);
        Some((session, number))
    }
}
