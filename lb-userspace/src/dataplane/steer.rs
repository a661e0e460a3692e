//! The steering program on the daemon's network namespace, and the sockets it steers to.

use super::{
    Dataplane,
    error::{DataplaneError, Result},
    load::{self, Globals},
    netns_link,
    pin::Pins,
    unlink, verifier,
};
use crate::model::Settings;
use aya::{
    maps::MapError,
    programs::{SkLookup, links::FdLink},
};
use lb_common::steer::SocketSlot;
use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
    path::Path,
};

/// Name of the steering program.
pub const STEER: &str = "lb_steer";

/// The proxy's sockets: listening TCP sockets and bound UDP sockets. The kernel spreads what one
/// takes over its whole `SO_REUSEPORT` group, so one socket of each kind stands for all workers.
/// Where they are bound does not matter. An IPv6 socket serves IPv6 only.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sockets<'a> {
    /// TCP over IPv4.
    pub tcp4: Option<BorrowedFd<'a>>,
    /// TCP over IPv6.
    pub tcp6: Option<BorrowedFd<'a>>,
    /// UDP over IPv4.
    pub udp4: Option<BorrowedFd<'a>>,
    /// UDP over IPv6.
    pub udp6: Option<BorrowedFd<'a>>,
}

impl<'a> Sockets<'a> {
    const fn of(&self, slot: SocketSlot) -> Option<BorrowedFd<'a>> {
        match slot {
            SocketSlot::Tcp4 => self.tcp4,
            SocketSlot::Tcp6 => self.tcp6,
            SocketSlot::Udp4 => self.udp4,
            SocketSlot::Udp6 => self.udp6,
        }
    }
}

impl Dataplane {
    /// Steers what comes for proxied VIPs to these sockets from now on, in the place of those that
    /// a predecessor left; without a socket it goes where the host's own look-up sends it. Each
    /// change is atomic: connections that were accepted, or wait to be, stay where they are.
    ///
    /// A closed socket leaves its place by itself.
    ///
    /// # Errors
    /// A socket that does not listen (TCP) or is not bound (UDP).
    pub fn steer(&mut self, sockets: &Sockets<'_>) -> Result<()> {
        for slot in SocketSlot::ALL {
            let index = slot as u32;
            match sockets.of(slot) {
                Some(socket) => self.maps.sockets.set(index, &socket.as_raw_fd(), 0),
                None => empty_is_fine(self.maps.sockets.clear_index(&index)),
            }
            .map_err(DataplaneError::map("lb_sockets", slot.name()))?;
        }
        Ok(())
    }

    /// Whether the steering program runs in the calling thread's network namespace.
    pub fn is_steering(&self) -> Result<bool> {
        Ok(self.steering_program()?.is_some())
    }

    /// Id of the steering program that runs in the calling thread's network namespace.
    pub(super) fn steering_program(&self) -> Result<Option<u32>> {
        for version in self.pins.steering_versions()? {
            let program = netns_link::program_here(&self.pins.steering(&version))?;
            if program.is_some() {
                return Ok(program);
            }
        }
        Ok(None)
    }
}

/// Has this object's program run in the calling thread's network namespace. A link that is in place
/// is kept; one of another version goes when the new one works, so that no look-up is missed.
pub(super) fn attach(pins: &Pins, object: &[u8], settings: &Settings) -> Result<()> {
    let version = format!("{:016x}", load::hash(object));
    let path = pins.steering(&version);
    if netns_link::program_here(&path)?.is_none() {
        unlink::remove(&path)?;
        attach_new(pins, object, settings, &path)?;
        tracing::info!("attached {STEER}");
    }
    for other in pins.steering_versions()? {
        if other != version {
            unlink::remove(&pins.steering(&other))?;
        }
    }
    Ok(())
}

/// Removes the program from its network namespace.
pub(super) fn detach(pins: &Pins) -> Result<()> {
    for version in pins.steering_versions()? {
        unlink::remove(&pins.steering(&version))?;
        tracing::info!("detached {STEER}");
    }
    Ok(())
}

/// Emptying an empty place of a socket map is `EINVAL`.
fn empty_is_fine(result: std::result::Result<(), MapError>) -> std::result::Result<(), MapError> {
    match result {
        Err(MapError::SyscallError(error))
            if error.io_error.kind() == io::ErrorKind::InvalidInput =>
        {
            Ok(())
        }
        other => other,
    }
}

fn attach_new(pins: &Pins, object: &[u8], settings: &Settings, path: &Path) -> Result<()> {
    let mut ebpf = load::prepare(pins, object, settings, &Globals::default())?;
    let program = ebpf.program_mut(STEER).ok_or_else(|| {
        let name = STEER.to_owned();
        DataplaneError::Object(aya_obj::ParseError::SymbolNotFound { name }.into())
    })?;
    let program: &mut SkLookup =
        program.try_into().map_err(DataplaneError::program(STEER, "taking it for sk_lookup"))?;
    verifier::load(STEER, || program.load())?;
    let failed = || DataplaneError::program(STEER, "attaching");
    let link = program.attach(netns_link::here()?).map_err(failed())?;
    let link = program.take_link(link).map_err(failed())?;
    FdLink::from(link).pin(path).map(drop).map_err(|error| DataplaneError::Io {
        what: format!("pinning {}", path.display()),
        source: io::Error::other(error),
    })
}
