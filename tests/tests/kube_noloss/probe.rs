//! Short connections and exchanges, one after another, to a port that is forwarded.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use lb_tests::{
    client::{Failure, Protocol, TcpRun, UdpRun, tcp_connections, udp_exchanges},
    lab::Host,
};

/// Exchanges at a time, and the pause until the next.
const COUNT: u64 = 10;
const PAUSE: Duration = Duration::from_millis(50);

/// A client that goes on until it is stopped.
pub(super) struct Probe {
    protocol: Protocol,
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    thread: JoinHandle<Vec<Failure>>,
}

impl Probe {
    /// Begins on a host.
    pub(super) fn start(client: &Host, protocol: Protocol, to: SocketAddr) -> Self {
        let (stop, answers) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (client, stopped, counted) = (client.clone(), Arc::clone(&stop), Arc::clone(&answers));
        let thread = thread::spawn(move || {
            let mut failures = Vec::new();
            while !stopped.load(Relaxed) {
                let tally = match protocol {
                    Protocol::Tcp => tcp_connections(&client, &TcpRun::new(to, COUNT)),
                    Protocol::Udp => udp_exchanges(&client, &UdpRun::new(to, COUNT)),
                    Protocol::Sctp => panic!("there is no client of it"),
                };
                let tally = tally.unwrap();
                counted.fetch_add(tally.success_count(), Relaxed);
                failures.extend(tally.failures);
                thread::sleep(PAUSE);
            }
            failures
        });
        Self { protocol, stop, answers, thread }
    }

    /// What was answered so far.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Relaxed)
    }

    /// Ends it; panics if anything failed.
    pub(super) fn assert_nothing_failed(self) {
        self.stop.store(true, Relaxed);
        let failures = self.thread.join().unwrap();
        let shown: Vec<_> = failures.iter().take(8).collect();
        assert!(failures.is_empty(), "{}: {} as {shown:?}", self.protocol, failures.len());
        println!("{}: {} answers", self.protocol, self.answers.load(Relaxed));
    }
}
