//! The only part that touches maps, programs and links.
//!
//! Everything is pinned under `/sys/fs/bpf/lb/<instance>`: when the daemon is gone the kernel goes
//! on forwarding, [`Dataplane::open_pinned`] still reads all there is to know, and the next
//! [`Dataplane::open`] continues from it.

mod adopt;
mod apply;
mod attach;
mod bulk;
mod convert;
pub mod decap;
mod decode;
mod error;
mod features;
mod flows;
mod load;
mod maps;
mod neighbour;
mod netlink;
mod netns_link;
mod packet;
mod packet_log;
mod pin;
mod programs;
mod rings;
mod sources;
mod spec;
mod stats;
mod steer;
mod sweep;
mod trace;
mod unlink;
pub mod verifier;

pub use attach::{AttachMode, Attachment};
pub use error::{DataplaneError, Result};
pub use features::{names as feature_names, needed_by};
pub use flows::{Flow, FlowTable};
pub use load::FORWARD;
pub use neighbour::{NeighbourChange, Neighbours, watch_neighbours};
pub use packet::TracePacket;
pub use pin::{DEFAULT_INSTANCE, Pins};
pub use programs::{MapStatus, ProgramStatus, Status};
pub use stats::{
    BackendStats, EventStats, OutcomeStats, ProxiedStats, Stats, SteerStats, Traffic, VipStats,
};
pub use steer::{STEER, Sockets};
pub use sweep::{SlotOf, SweepProgress, SweepReport, Sweeper};
pub use trace::Trace;

use crate::model::Settings;
use aya::programs::Xdp;
use lb_common::abi::{Features, LoadInfo};
use maps::Maps;
use netlink::{Locals, Netlink};
use std::collections::BTreeSet;

/// What [`Dataplane::open`] needs.
#[derive(Clone, Debug)]
pub struct OpenOptions<'a> {
    /// Name of the data plane on this host.
    pub instance: &'a str,
    /// The eBPF object file.
    pub object: &'static [u8],
    /// Sizes, seed and ports.
    pub settings: Settings,
}

/// A data plane: pinned maps and the program that works on them.
pub struct Dataplane {
    pins: Pins,
    maps: Maps,
    /// What a program is loaded from; a reader has none.
    source: Option<(&'static [u8], Settings)>,
    program: Option<Xdp>,
}

impl Dataplane {
    /// Opens the pinned data plane of the instance, or creates it. If its program came from
    /// another object, or with another seed or other ports, the new one is loaded and takes over
    /// on all interfaces without a gap.
    ///
    /// # Errors
    /// [`DataplaneError::Incompatible`] if what is pinned does not fit; it keeps forwarding.
    pub fn open(options: &OpenOptions<'_>) -> Result<Self> {
        let pins = Pins::new(options.instance)?;
        let maps = load::open_maps(&pins, options.object, &options.settings)?;
        let source = Some((options.object, options.settings.clone()));
        let mut dataplane = Self { pins, maps, source, program: None };
        let info = dataplane.maps.load_info()?;
        if dataplane.pins.program(FORWARD).exists() {
            dataplane.ensure_features(Features(info.needed_features))?;
        }
        Ok(dataplane)
    }

    /// Opens a pinned data plane to look at it.
    pub fn open_pinned(instance: &str) -> Result<Self> {
        let pins = Pins::new(instance)?;
        if !pins.exists() {
            return Err(DataplaneError::NotRunning { path: pins.root().to_owned() });
        }
        let maps = Maps::open(&pins)?;
        load::check_layout(&maps.load_info()?)?;
        Ok(Self { pins, maps, source: None, program: None })
    }

    /// Attaches the program to exactly these interfaces; see [`Attachment`] for what came of it.
    ///
    /// # Errors
    /// An interface that is missing or refuses the program; all others are attached.
    pub fn attach(&mut self, interfaces: &[String]) -> Result<Vec<Attachment>> {
        if self.program.is_none() {
            let needed = Features(self.maps.load_info()?.needed_features);
            self.ensure_features(needed)?;
        }
        match &mut self.program {
            Some(program) => attach::attach(&self.pins, program, interfaces),
            None => Err(DataplaneError::NotRunning { path: self.pins.program(FORWARD) }),
        }
    }

    /// What is attached now.
    pub fn attachments(&self) -> Result<Vec<Attachment>> {
        attach::attachments(&self.pins)
    }

    /// Hands what the program logs to the [`tracing`] subscriber (as `log` records), until it is
    /// dropped. Only a program loaded with [`Settings::packet_log`] logs. After a program was
    /// replaced, call it again.
    pub fn packet_log(
        &self,
    ) -> Result<impl Future<Output = std::convert::Infallible> + Send + use<>> {
        packet_log::read(&self.pins)
    }

    /// What is loaded.
    pub fn info(&self) -> Result<LoadInfo> {
        self.maps.load_info()
    }

    /// Has a program with at least these features running on all attached interfaces.
    fn ensure_features(&mut self, needed: Features) -> Result<()> {
        let Some((object, settings)) = &self.source else {
            return Err(DataplaneError::NotRunning { path: self.pins.program(FORWARD) });
        };
        let log = if settings.packet_log { Features::LOG } else { 0 };
        let loaded = Features(needed.0 | log);
        let (mut program, is_new) =
            load::ensure_program(&self.pins, &mut self.maps, object, settings, loaded)?;
        if is_new {
            tracing::info!(features = ?features::names(loaded), "loaded {FORWARD}");
            attach::update_all(&self.pins, &mut program)?;
        }
        if needed.has(Features::PROXY) {
            steer::attach(&self.pins, object, settings)?;
        } else {
            steer::detach(&self.pins)?;
        }
        self.program = Some(program);
        let info = self.maps.load_info()?;
        self.maps.set_load_info(LoadInfo { needed_features: needed.0, ..info })
    }
}

/// Detaches the program of an instance everywhere and removes all its maps: forwarding stops and
/// every flow is forgotten; the proxy gets no more connections. A tunnel's end of the same name
/// goes too. Answers the interfaces that
/// were detached. Idempotent.
pub fn detach(instance: &str) -> Result<Vec<String>> {
    let pins = Pins::new(instance)?;
    let mut interfaces = pins.remove_all()?;
    Netlink::open()?.put_locals(Locals::of(&pins), &BTreeSet::new())?;
    interfaces.extend(decap::pins(instance)?.remove_all()?);
    Ok(interfaces)
}
