//! One schedule: what its seed says happens, step by step.

use super::{
    check::{Check, clean, same_image},
    faults::Faults,
    router::Router,
    server::Server,
    site::Id,
};
use std::{sync::Arc, time::Duration};
use tokio::{runtime::Builder, time::Instant};

/// How long it may take, when nothing goes wrong any more, until all is as it should be: a
/// connection that is dead without anybody knowing is noticed after three minutes.
const SETTLE_MAX: Duration = Duration::from_mins(15);

/// How long a router needs, at most, to read what comes late.
const FIRST_STATE: Duration = Duration::from_secs(8);

/// How long a router needs, at most, to keep what it runs: it does so when it knows that it reads all
/// of it, which a connection that is dead without anybody knowing delays.
const KEPT: Duration = Duration::from_mins(4);

/// How long a router needs, at most, to take what was kept for what it cannot read.
const RECALLED: Duration = Duration::from_secs(15);

/// How long nothing may change then.
const STAYS: Duration = Duration::from_secs(1);

/// How long until statuses are written: before that, who starts anew does not know which addresses
/// a leader gave.
const WRITTEN: Duration = Duration::from_mins(1);

/// Runs a schedule. Errors: what went wrong.
pub(crate) fn run(seed: u64) -> Result<(), String> {
    // Waits of the product have jitter.
    fastrand::seed(seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async { Schedule::new(seed).play().await })
}

struct Schedule {
    rng: fastrand::Rng,
    servers: Vec<Arc<Server>>,
    router: Router,
    check: Check,
}

impl Schedule {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let count = rng.u8(1..=2);
        let servers: Vec<_> = (0..count).map(|it| Server::new(it, rng.u64(..))).collect();
        let writes_status = rng.u8(0..4) == 0;
        let router = Router::new(&servers, writes_status, rng.u8(0..8) == 0);
        let check = Check::new(&servers);
        Self { rng, servers, router, check }
    }

    async fn play(mut self) -> Result<(), String> {
        for server in self.servers.clone() {
            for id in Id::all() {
                if id == Id::Namespace || self.rng.u8(0..4) > 0 {
                    server.put(id);
                }
            }
        }
        if self.rng.bool() {
            self.disturb();
        }
        self.router.start()?;
        for _ in 0..self.rng.u8(1..=2) {
            for _ in 0..self.rng.u8(3..12) {
                self.step().await?;
                let time = self.time();
                self.router.live(time, &mut self.check).await?;
            }
            self.settle().await?;
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<(), String> {
        let server = self.any();
        match self.rng.u8(0..100) {
            0..45 => {
                for _ in 0..self.rng.u8(1..5) {
                    let id = Id::any(&mut self.rng);
                    if self.rng.u8(0..4) > 0 { server.put(id) } else { server.delete(id) }
                }
            }
            45..62 => self.disturb(),
            62..68 => server.set_faults(Faults::default()),
            68..74 => server.end_watches(),
            74..82 => server.forget(),
            82..88 => {
                self.router.maps.lock().fails_in = Some(self.rng.u32(0..20));
                self.router.dies_of_failure = self.rng.bool();
            }
            88..90 => {
                self.router.die();
                // What a router that starts cannot read, it does not know.
                self.check.forgets();
                self.router.start()?;
            }
            90..94 => self.restart().await?,
            _ => {}
        }
        Ok(())
    }

    /// The router starts anew and can read everything, piece by piece: nothing goes meanwhile.
    async fn restart(&mut self) -> Result<(), String> {
        self.die();
        for server in &self.servers {
            server.set_faults(Faults { late_ms: 500, page: 2, ..Faults::default() });
        }
        self.router.start()?;
        self.router.live(FIRST_STATE, &mut self.check).await
    }

    fn die(&mut self) {
        self.router.die();
        if self.router.keeps() {
            self.check.goes_back();
        }
    }

    fn any(&mut self) -> Arc<Server> {
        Arc::clone(&self.servers[self.rng.usize(..self.servers.len())])
    }

    fn disturb(&mut self) {
        let faults = Faults::any(&mut self.rng);
        self.any().set_faults(faults);
    }

    fn time(&mut self) -> Duration {
        let most_ms = match self.rng.u8(0..10) {
            0..4 => 6,
            4..7 => 200,
            7..9 => 5_000,
            _ => 40_000,
        };
        Duration::from_millis(self.rng.u64(0..=most_ms))
    }

    /// Nothing goes wrong any more: soon all is as after a clean start.
    async fn settle(&mut self) -> Result<(), String> {
        for server in &self.servers {
            server.set_faults(Faults::default());
        }
        self.router.maps.lock().fails_in = None;
        let wanted = clean(&self.servers, self.router.options())?;
        let deadline = Instant::now() + SETTLE_MAX;
        let mut pause = Duration::from_millis(10);
        while self.router.desired() != Some(&wanted) {
            if Instant::now() > deadline {
                let found = self.router.desired();
                return Err(format!("in force is\n{found:#?}\nand not\n{wanted:#?}"));
            }
            self.router.live(pause, &mut self.check).await?;
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        let time = if self.router.options().writes_status { WRITTEN } else { STAYS };
        self.router.live(time, &mut self.check).await?;
        if self.router.desired() != Some(&wanted) {
            return Err("what was right did not stay".to_owned());
        }
        same_image(&self.router.maps, &wanted)?;
        self.check.settles(&wanted)?;
        if self.router.keeps() { self.restart_alone().await } else { Ok(()) }
    }

    /// The router starts anew while no API server answers: nothing goes.
    async fn restart_alone(&mut self) -> Result<(), String> {
        self.router.live(KEPT, &mut self.check).await?;
        self.die();
        for server in &self.servers {
            server.set_faults(Faults { is_down: true, ..Faults::default() });
        }
        self.router.start()?;
        self.router.live(RECALLED, &mut self.check).await?;
        match self.router.desired() {
            Some(_) => Ok(()),
            None => Err("what was kept is not served".to_owned()),
        }
    }
}
