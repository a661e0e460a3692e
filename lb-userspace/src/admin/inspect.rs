//! Reading a data plane, whoever wrote it.

use super::resource::{
    FlowFilter, FlowResource, InterfaceResource, ProgramResource, TraceRequest, TraceResource,
};
use crate::{dataplane::Stats, reconcile::Image};
use anyhow::{Result, bail};

/// What the API and `lbctl` read from maps and programs. The daemon and `lbctl` without a daemon
/// read through the same implementation, so both tell the same truth.
pub trait Inspect: Send + Sync {
    /// What the maps hold.
    fn image(&self) -> Result<Image>;
    /// Every counter.
    fn stats(&self) -> Result<Stats>;
    /// Tracked and translated flows.
    fn flows(&self, filter: &FlowFilter) -> Result<Vec<FlowResource>>;
    /// Loaded programs and where they run.
    fn programs(&self) -> Result<Vec<ProgramResource>>;
    /// How interfaces run the program.
    fn attachments(&self) -> Result<Vec<InterfaceResource>>;
    /// Runs the loaded program on a packet, leaving no mark.
    fn trace(&self, request: &TraceRequest) -> Result<TraceResource>;
}

/// No data plane: lbd proxies only.
#[derive(Clone, Copy, Debug)]
pub struct NoMaps;

impl Inspect for NoMaps {
    fn image(&self) -> Result<Image> {
        Ok(Image::default())
    }

    fn stats(&self) -> Result<Stats> {
        Ok(Stats::default())
    }

    fn flows(&self, _: &FlowFilter) -> Result<Vec<FlowResource>> {
        Ok(Vec::new())
    }

    fn programs(&self) -> Result<Vec<ProgramResource>> {
        Ok(Vec::new())
    }

    fn attachments(&self) -> Result<Vec<InterfaceResource>> {
        Ok(Vec::new())
    }

    fn trace(&self, _: &TraceRequest) -> Result<TraceResource> {
        bail!("no program is loaded: lbd was started without interfaces")
    }
}
