//! The one loop's body: takes facts, compiles, diffs and applies them under a new generation.
//!
//! The driver itself reads no clock and awaits nothing: its caller feeds it and says what time it
//! is. All IO happens behind [`Engine`].

use super::{
    BackendImage, CompileError, Compiled, Image, MapStore, Observed, Reach, Tables, Unusable,
    VipImage, apply, compile, diff,
};
use crate::model::{Desired, Settings};
use lb_common::abi::BackendState;
use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    net::IpAddr,
};

/// A map store with the interfaces that packets reach it through.
pub trait Engine: MapStore {
    /// Reads back what the maps hold.
    fn read(&mut self) -> Result<Tables, Self::Error>;
    /// Runs the program on exactly these interfaces. What cannot be done is in the answer, so
    /// that one missing interface does not keep the others from forwarding.
    fn attach(&mut self, interfaces: &[String]) -> Result<Vec<Attached>, Self::Error>;
}

/// How an interface runs the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Interface name.
    pub interface: String,
    /// Its state.
    pub state: AttachState,
}

/// See [`Attached`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachState {
    /// In the driver.
    Native,
    /// In the stack, because the driver cannot, for this reason.
    Generic(String),
    /// Not at all, for this reason.
    Failed(String),
}

/// A fact that may change what the maps should hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The source wants this.
    Desired(Desired),
    /// A health verdict about (service, backend) changed.
    Health {
        /// Who.
        key: (String, String),
        /// The new verdict.
        is_up: bool,
    },
    /// An operator drains (or no longer drains) (service, backend).
    Drain {
        /// Who.
        key: (String, String),
        /// Whether it drains.
        drain: bool,
    },
    /// How backend addresses are reached now.
    Reach(BTreeMap<IpAddr, Reach>),
    /// A sweep of the flow tables ended: the slots that tracked flows still hold, by VIP index.
    Swept {
        /// Generation in force when the sweep began; a sweep of another one says nothing.
        generation: u64,
        /// See [`Observed::held_slots`].
        held_slots: BTreeMap<u32, BTreeSet<u32>>,
    },
    /// An interface came, went or changed.
    Links,
    /// Time has passed: a transition window may be over, or a failed cycle is tried again.
    Time,
}

/// What a cycle did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cycle {
    /// Generation now in force.
    pub generation: u64,
    /// Steps taken, by name.
    pub steps: BTreeMap<&'static str, usize>,
    /// Whether a new `Desired` came into force.
    pub took_desired: bool,
    /// Backends that cannot be used yet, for a reason other than their health.
    pub unusable: Vec<Unusable>,
}

/// A cycle that changed nothing, or not everything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CycleError {
    /// The new `Desired` cannot be compiled; the last good one stays in force.
    #[error("the configuration cannot be used: {0}")]
    Refused(String),
    /// The data plane failed; what it holds was read back and will be brought up to date.
    #[error("the data plane failed: {0}")]
    Engine(String),
}

/// Desired, observed and running state of one data plane.
pub struct Driver<E> {
    engine: E,
    running: Image,
    desired: Option<Desired>,
    candidate: Option<Desired>,
    observed: Observed,
    attachments: Vec<Attached>,
    is_dirty: bool,
    attach_is_due: bool,
    /// Whether the running image was read back rather than applied: a plan may have been cut short
    /// between a backend and the ring, so that one does not prove the other.
    is_doubtful: bool,
}

impl<E: Engine<Error: Error + 'static>> Driver<E> {
    /// Adopts what the engine's maps hold, without changing where any flow goes. Backends that
    /// the maps hold for down stay down until their health says otherwise.
    pub fn adopt(mut engine: E, drained: BTreeSet<(String, String)>) -> Result<Self, CycleError> {
        let running = read_back(&mut engine).map_err(CycleError::Engine)?;
        let observed = Observed { down: down_in(&running), drained, ..Observed::default() };
        Ok(Self {
            engine,
            running,
            desired: None,
            candidate: None,
            observed,
            attachments: Vec::new(),
            is_dirty: false,
            attach_is_due: false,
            is_doubtful: true,
        })
    }

    /// What the maps hold.
    pub const fn running(&self) -> &Image {
        &self.running
    }

    /// The configuration in force.
    pub const fn desired(&self) -> Option<&Desired> {
        self.desired.as_ref()
    }

    /// Whether what is desired has this service and backend.
    pub fn has_backend(&self, (service, backend): &(String, String)) -> bool {
        let service = self.desired.as_ref().and_then(|it| it.services.get(service));
        service.is_some_and(|it| it.backends.contains_key(backend))
    }

    /// What is known about the world.
    pub const fn observed(&self) -> &Observed {
        &self.observed
    }

    /// The interfaces, as of the last cycle.
    pub fn attachments(&self) -> &[Attached] {
        &self.attachments
    }

    /// Whether an interface is missing or refuses the program.
    pub fn is_partly_attached(&self) -> bool {
        self.attachments.iter().any(|one| matches!(one.state, AttachState::Failed(_)))
    }

    /// The generation that all facts so far ask for.
    pub const fn wanted_generation(&self) -> u64 {
        self.running.generation + self.is_dirty as u64
    }

    /// When the earliest transition window ends, milliseconds since the Unix epoch.
    pub fn window_ends_ms(&self) -> Option<u64> {
        let ends = self.running.vips.values().map(|vip| vip.ring.window_ends_ms);
        ends.filter(|end| *end > self.observed.now_ms).min()
    }

    /// Notes a fact; the next cycle acts on it. Facts that say nothing new cost nothing.
    pub fn note(&mut self, fact: Fact) {
        let observed = &mut self.observed;
        let is_news = match fact {
            Fact::Desired(desired) => {
                self.candidate = Some(desired);
                true
            }
            Fact::Health { key, is_up: true } => observed.down.remove(&key),
            Fact::Health { key, is_up: false } => observed.down.insert(key),
            Fact::Drain { key, drain: true } => observed.drained.insert(key),
            Fact::Drain { key, drain: false } => observed.drained.remove(&key),
            Fact::Reach(reach) => {
                let is_news = observed.reach != reach;
                observed.reach = reach;
                is_news
            }
            Fact::Swept { generation, held_slots } => {
                let is_current = generation == self.running.generation;
                observed.held_slots = if is_current { held_slots } else { BTreeMap::new() };
                !observed.held_slots.is_empty()
            }
            Fact::Links => {
                self.attach_is_due = self.desired.is_some();
                self.attach_is_due
            }
            Fact::Time => {
                self.attach_is_due |= self.is_partly_attached();
                true
            }
        };
        self.is_dirty |= is_news;
    }

    /// Acts on the facts noted since the last cycle; `None` if there were none.
    pub fn cycle(&mut self, now_ms: u64) -> Option<Result<Cycle, CycleError>> {
        if !self.is_dirty {
            return None;
        }
        self.observed.now_ms = now_ms;
        let outcome = match self.take_candidate() {
            Ok(Some(next)) => self.act(next).map(|cycle| Cycle { took_desired: true, ..cycle }),
            Ok(None) => self.act_again(),
            // The other facts still count, for the configuration that stays.
            Err(refused) => self.act_again().and(Err(refused)),
        };
        self.observed.held_slots.clear();
        Some(outcome)
    }

    /// Makes the candidate the desired state if it compiles, and answers its image.
    fn take_candidate(&mut self) -> Result<Option<Compiled>, CycleError> {
        let Some(candidate) = self.candidate.take() else { return Ok(None) };
        let changed = self
            .desired
            .as_ref()
            .and_then(|desired| fixed_setting_changed(&desired.settings, &candidate.settings));
        if let Some(message) = changed {
            return Err(CycleError::Refused(format!("a change of {message}")));
        }
        let mut observed = self.observed.clone();
        forget_unchecked(&mut observed, &candidate);
        let next = self.compile(&candidate, &observed)?;
        self.observed = observed;
        self.desired = Some(candidate);
        self.attach_is_due = true;
        Ok(Some(next))
    }

    fn compile(&self, desired: &Desired, observed: &Observed) -> Result<Compiled, CycleError> {
        if !self.is_doubtful {
            return compile(desired, observed, &self.running).map_err(|errors| refused(&errors));
        }
        let doubted = self.running.doubted();
        let mut next = compile(desired, observed, &doubted).map_err(|errors| refused(&errors))?;
        let generation = std::mem::replace(&mut next.image.generation, self.running.generation);
        if next.image != self.running {
            next.image.generation = generation;
        }
        Ok(next)
    }

    fn act_again(&mut self) -> Result<Cycle, CycleError> {
        let Some(desired) = &self.desired else {
            self.is_dirty = false;
            return Ok(Cycle { generation: self.running.generation, ..Cycle::default() });
        };
        let next = self.compile(desired, &self.observed)?;
        self.act(next)
    }

    fn act(&mut self, next: Compiled) -> Result<Cycle, CycleError> {
        let Compiled { image: next, unusable } = next;
        let plan = diff(&self.running, &next);
        if let Err(error) = apply(&plan, &mut self.engine) {
            // What the maps hold now is between two images: ask them. The driver stays dirty, so
            // that the next cycle starts from there.
            if let Ok(running) = read_back(&mut self.engine) {
                self.running = running;
                self.is_doubtful = true;
            }
            return Err(CycleError::Engine(chain(&error)));
        }
        self.running = next;
        self.is_doubtful = false;
        if let Some(desired) = self.desired.as_ref().filter(|_| self.attach_is_due) {
            let attached = self.engine.attach(&desired.interfaces);
            self.attachments = attached.map_err(|error| CycleError::Engine(chain(&error)))?;
            self.attach_is_due = false;
        }
        self.is_dirty = false;
        let mut steps = BTreeMap::new();
        for op in &plan.ops {
            *steps.entry(op.name()).or_insert(0) += 1;
        }
        Ok(Cycle { generation: self.running.generation, steps, took_desired: false, unusable })
    }
}

/// The engine of tests and dry runs: every interface exists.
impl Engine for Tables {
    fn read(&mut self) -> Result<Tables, Self::Error> {
        Ok(self.clone())
    }

    fn attach(&mut self, interfaces: &[String]) -> Result<Vec<Attached>, Self::Error> {
        let attached =
            |name: &String| Attached { interface: name.clone(), state: AttachState::Native };
        Ok(interfaces.iter().map(attached).collect())
    }
}

/// Reads the maps and removes what a plan that was cut short left behind.
fn read_back<E: Engine<Error: Error + 'static>>(engine: &mut E) -> Result<Image, String> {
    let tables = engine.read().map_err(|error| chain(&error))?;
    apply(&tables.leftovers(), engine).map_err(|error| chain(&error))?;
    Ok(tables.image())
}

/// Backends that the image holds for down.
pub fn down_in(image: &Image) -> BTreeSet<(String, String)> {
    let down = |vip: &VipImage| {
        let is_down = |b: &&BackendImage| b.entry.state == BackendState::Down as u8;
        let names = vip.backends.iter().filter(|(_, backend)| is_down(backend));
        names.map(|(name, _)| (vip.service.clone(), name.clone())).collect::<Vec<_>>()
    };
    image.vips.values().flat_map(down).collect()
}

/// A backend that is no longer checked is no longer held for down, and one that is gone is no
/// longer drained.
fn forget_unchecked(observed: &mut Observed, desired: &Desired) {
    let service = |name: &String| desired.services.get(name);
    observed.down.retain(|(name, backend)| {
        service(name).is_some_and(|s| s.health.is_some() && s.backends.contains_key(backend))
    });
    observed
        .drained
        .retain(|(name, backend)| service(name).is_some_and(|s| s.backends.contains_key(backend)));
}

fn refused(errors: &[CompileError]) -> CycleError {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    CycleError::Refused(lines.join("; "))
}

/// A setting that is built into the maps or the loaded program and differs.
fn fixed_setting_changed(running: &Settings, wanted: &Settings) -> Option<&'static str> {
    let checks = [
        (running.seed == wanted.seed, "settings.seed needs `lbd detach` and a restart"),
        (
            running.flows_max == wanted.flows_max,
            "settings.flows_max needs `lbd detach` and a restart",
        ),
        (running.nat_ports == wanted.nat_ports, "settings.nat_ports needs a restart of lbd"),
        (running.packet_log == wanted.packet_log, "settings.packet_log needs a restart of lbd"),
    ];
    checks.into_iter().find_map(|(is_same, message)| (!is_same).then_some(message))
}

/// An error with all its causes on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
