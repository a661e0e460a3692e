//! The forwarding program on its interfaces: attached, adopted, updated in place, detached.

use super::{
    error::{DataplaneError, Result},
    netlink::{Link, Netlink},
    pin::Pins,
    unlink,
};
use aya::programs::{
    Xdp, XdpMode,
    links::{FdLink, PinnedLink},
    xdp::XdpLink,
};
use serde::Serialize;
use std::{error::Error, io, path::Path};

/// Who runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AttachMode {
    /// The network driver, before the stack sees the frame.
    Native,
    /// The stack, after it made a socket buffer of the frame: slower.
    Generic,
}

/// The program on an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// Interface name.
    pub interface: String,
    /// Interface index.
    pub ifindex: u32,
    /// Who runs the program.
    pub mode: AttachMode,
    /// Why it is not native, if it was just attached.
    pub native_error: Option<String>,
    /// Id of the program that runs.
    pub program_id: u32,
}

/// Puts `program` on exactly these interfaces. A link that is in place is kept, or updated
/// atomically to `program`, so that no packet passes it by; other links are removed. An interface
/// that does not exist is an error, after all others were served.
pub(super) fn attach(
    pins: &Pins,
    program: &mut Xdp,
    interfaces: &[String],
) -> Result<Vec<Attachment>> {
    let links = Netlink::open()?.links()?;
    let mut attachments = Vec::new();
    let mut failure = None;
    for interface in interfaces {
        match attach_one(pins, program, interface, &links) {
            Ok(attachment) => attachments.push(attachment),
            Err(error) => {
                failure.get_or_insert(error);
            }
        }
    }
    for interface in pins.linked_interfaces()? {
        if !interfaces.contains(&interface) {
            tracing::info!(interface, "detaching");
            unlink::remove(&pins.link(&interface))?;
        }
    }
    failure.map_or(Ok(attachments), Err)
}

/// Puts `program` on one interface and leaves all others as they are.
pub(super) fn attach_only(pins: &Pins, program: &mut Xdp, interface: &str) -> Result<Attachment> {
    attach_one(pins, program, interface, &Netlink::open()?.links()?)
}

/// Has every pinned link run `program`.
pub(super) fn update_all(pins: &Pins, program: &mut Xdp) -> Result<()> {
    let program_id = program.info().map_err(failed("reading its information"))?.id();
    for interface in pins.linked_interfaces()? {
        let path = pins.link(&interface);
        if pinned_program(&path)?.is_some_and(|pinned| pinned != program_id) {
            // A link whose interface is gone refuses; attaching sorts it out.
            if let Err(error) = update(program, &path) {
                tracing::warn!(interface, error = with_causes(&error), "the link is not updated");
            }
        }
    }
    Ok(())
}

/// What is attached now, as the kernel tells it.
pub(super) fn attachments(pins: &Pins) -> Result<Vec<Attachment>> {
    let links = Netlink::open()?.links()?;
    let mut attachments = Vec::new();
    for interface in pins.linked_interfaces()? {
        let link = links.iter().find(|link| link.name == interface);
        let (Some(link), Some(id)) = (link, pinned_program(&pins.link(&interface))?) else {
            continue;
        };
        attachments.extend(attachment(link, id));
    }
    Ok(attachments)
}

fn attach_one(
    pins: &Pins,
    program: &mut Xdp,
    interface: &str,
    links: &[Link],
) -> Result<Attachment> {
    let path = pins.link(interface);
    let Some(link) = links.iter().find(|link| link.name == interface) else {
        unlink::remove(&path)?;
        return Err(DataplaneError::NoInterface { name: interface.to_owned() });
    };
    let program_id = program.info().map_err(failed("reading its information"))?.id();
    if let Some(pinned_id) = pinned_program(&path)? {
        match attachment(link, pinned_id) {
            Some(attachment) if pinned_id == program_id => return Ok(attachment),
            Some(attachment) => {
                update(program, &path)?;
                return Ok(Attachment { program_id, ..attachment });
            }
            // The interface was made anew (or renamed): the pinned link hangs elsewhere or nowhere.
            None => unlink::remove(&path)?,
        }
    }
    attach_new(program, program_id, link, &path)
}

fn attach_new(program: &mut Xdp, program_id: u32, link: &Link, path: &Path) -> Result<Attachment> {
    let attached = |mode, native_error| Attachment {
        interface: link.name.clone(),
        ifindex: link.ifindex,
        mode,
        native_error,
        program_id,
    };
    let native = match try_attach(program, link.ifindex, XdpMode::Driver, path) {
        Ok(()) => return Ok(attached(AttachMode::Native, None)),
        Err(error) => with_causes(&error),
    };
    match try_attach(program, link.ifindex, XdpMode::Skb, path) {
        Ok(()) => {
            tracing::warn!(
                interface = link.name,
                error = native,
                "the driver does not take the program: generic XDP, which is slower"
            );
            Ok(attached(AttachMode::Generic, Some(native)))
        }
        Err(error) => Err(DataplaneError::Attach {
            name: link.name.clone(),
            native,
            generic: with_causes(&error),
        }),
    }
}

fn try_attach(program: &mut Xdp, ifindex: u32, mode: XdpMode, path: &Path) -> Result<()> {
    let id = program.attach_to_if_index(ifindex, mode).map_err(failed("attaching"))?;
    let link = program.take_link(id).map_err(failed("attaching"))?;
    // Without link support (before Linux 5.9) there is nothing to pin.
    let link = FdLink::try_from(link).map_err(|error| DataplaneError::Io {
        what: "the kernel has no XDP links (Linux 5.9)".to_owned(),
        source: io::Error::other(error),
    })?;
    link.pin(path).map(drop).map_err(|error| DataplaneError::Io {
        what: format!("pinning {}", path.display()),
        source: io::Error::other(error),
    })
}

/// Replaces the program behind the pinned link.
fn update(program: &mut Xdp, path: &Path) -> Result<()> {
    let pinned = PinnedLink::from_pin(path).map_err(|error| link_error(path, error))?;
    let link = XdpLink::try_from(FdLink::from(pinned)).map_err(|error| link_error(path, error))?;
    let id = program.attach_to_link(link).map_err(failed("replacing the running one"))?;
    // The pin keeps the link; this handle of it can go.
    program.take_link(id).map(drop).map_err(failed("replacing the running one"))
}

/// Id of the program behind the pinned link; `None` = nothing is pinned.
fn pinned_program(path: &Path) -> Result<Option<u32>> {
    if !path.exists() {
        return Ok(None);
    }
    let pinned = PinnedLink::from_pin(path).map_err(|error| link_error(path, error))?;
    let info = FdLink::from(pinned).info().map_err(|error| link_error(path, error))?;
    Ok(Some(info.program_id()))
}

/// The attachment, if `program_id` is what the interface runs.
fn attachment(link: &Link, program_id: u32) -> Option<Attachment> {
    let running = link.xdp.filter(|running| running.id == program_id)?;
    Some(Attachment {
        interface: link.name.clone(),
        ifindex: link.ifindex,
        mode: if running.is_native { AttachMode::Native } else { AttachMode::Generic },
        native_error: None,
        program_id,
    })
}

fn link_error(path: &Path, error: aya::programs::links::LinkError) -> DataplaneError {
    DataplaneError::io(format!("opening {}", path.display()))(io::Error::other(error))
}

fn failed(operation: &'static str) -> impl FnOnce(aya::programs::ProgramError) -> DataplaneError {
    DataplaneError::program(super::load::FORWARD, operation)
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
