//! A relay in front of an API server: makes it reachable from a namespace of the lab, and can
//! make it unreachable.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::watch;

/// A listening socket whose connections go on to a server; closed when dropped.
#[derive(Debug)]
pub(super) struct Relay {
    /// Whether connections break; the relay ends when this is dropped.
    is_down: Option<watch::Sender<bool>>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Relay {
    /// Listens on a free port of the loopback interface of the namespace this is called in.
    pub(super) fn listen() -> Result<(TcpListener, SocketAddr)> {
        Self::listen_at(Ipv4Addr::LOCALHOST)
    }

    /// Listens on a free port of an address of the namespace this is called in.
    pub(super) fn listen_at(address: Ipv4Addr) -> Result<(TcpListener, SocketAddr)> {
        let listener = TcpListener::bind((address, 0));
        let listener = listener.with_context(|| format!("listen on {address}"))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    }

    /// Relays what [`Self::listen`] gave to a server, which is connected to from here.
    pub(super) fn start(listener: TcpListener, server: SocketAddr) -> Result<Self> {
        let (is_down, watched) = watch::channel(false);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        // A thread of its own: the tests' runtimes may stop or block.
        let thread = thread::Builder::new()
            .name("api-relay".to_owned())
            .spawn(move || runtime.block_on(accept(listener, server, watched)))?;
        Ok(Self { is_down: Some(is_down), thread: Some(thread) })
    }

    /// Breaks all connections and every new one, or lets them through again.
    pub(super) fn set_down(&self, is_down: bool) {
        if let Some(sender) = &self.is_down {
            sender.send_replace(is_down);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.is_down.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to say, and a panic in it has been printed.
            thread.join().ok();
        }
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    mut is_down: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let connections = is_down.clone();
    let accepting = async {
        loop {
            // What cannot be accepted now (no descriptors left) may be a moment later.
            let Ok((client, _)) = listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            tokio::spawn(relay(client, server, connections.clone()));
        }
    };
    let is_over = async { while is_down.changed().await.is_ok() {} };
    tokio::select! {
        () = accepting => {}
        () = is_over => {}
    }
    Ok(())
}

async fn relay(mut client: TcpStream, server: SocketAddr, mut is_down: watch::Receiver<bool>) {
    let relaying = async {
        let mut server = TcpStream::connect(server).await?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        tokio::io::copy_bidirectional(&mut client, &mut server).await
    };
    let is_broken = tokio::select! {
        // Before a byte of it.
        biased;
        _ = is_down.wait_for(|is_down| *is_down) => true,
        result = relaying => result.is_err(),
    };
    if is_broken {
        // A reset instead of an orderly end; both say that nobody is there.
        client.set_zero_linger().ok();
    }
}
