//! UDP listeners.

use super::Worker;
use crate::stream::{UdpListener, UdpRoute};
use std::{
    net::{SocketAddr, UdpSocket},
    rc::Rc,
    time::Duration,
};

/// UDP sessions of one socket at once; beyond it the one that was idle for the longest goes.
const SESSIONS_MAX: usize = 65_536;

/// How long sessions may go on when the proxy stops: endpoints are not told of it anyway.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves a socket for as long as it is wanted.
pub(super) async fn serve(worker: &Rc<Worker>, socket: UdpSocket) {
    let listener = match UdpListener::new(socket, SESSIONS_MAX) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "datagrams cannot be served");
            return;
        }
    };
    let route = |local, client: SocketAddr| {
        let snapshot = worker.snapshot();
        let listener = snapshot.udp.find(local)?.first()?.clone();
        if !listener.admits(client.ip()) {
            return None;
        }
        let pick = listener.streams.find(None)?.clone();
        Some(UdpRoute { pick, idle_timeout: listener.model.idle_timeout })
    };
    if let Err(error) = listener.serve(route, worker.drain.clone(), DRAIN_TIMEOUT).await {
        tracing::error!(%error, "datagrams are not served any more");
    }
}
