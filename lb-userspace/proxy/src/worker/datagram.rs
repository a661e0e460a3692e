//! UDP listeners.

use super::Worker;
use crate::{
    accept::Ending,
    stream::{UdpListener, UdpRoute},
};
use std::{
    io,
    net::{SocketAddr, UdpSocket},
    pin::pin,
    rc::Rc,
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::timeout,
};

/// UDP sessions of one socket at once; beyond it the one that was idle for the longest goes.
const SESSIONS_MAX: usize = 65_536;

/// How long a socket is still served when nobody will have it: endpoints are not told of it anyway.
const CLOSE_TIME: Duration = Duration::from_secs(1);

/// Serves a socket until `ending`. If a successor has it, it takes what comes from then on, and the
/// sessions that were begun are answered here until they are over.
pub(super) async fn serve(
    worker: &Rc<Worker>,
    socket: UdpSocket,
    ending: oneshot::Receiver<Ending>,
) {
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
    let left = Notify::new();
    let mut served = pin!(listener.serve(route, left.notified()));
    let ending = tokio::select! {
        served = &mut served => return tell(served),
        ending = ending => ending,
    };
    match ending {
        Ok(Ending::HandedOver) => {
            left.notify_one();
            tell(served.await);
        }
        Ok(Ending::Closed) => {
            if let Ok(served) = timeout(CLOSE_TIME, served).await {
                tell(served);
            }
        }
        // It is not wanted any more.
        Err(_) => {}
    }
}

fn tell(served: io::Result<()>) {
    if let Err(error) = served {
        tracing::error!(%error, "datagrams are not served any more");
    }
}
