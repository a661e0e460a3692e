//! What is loaded, for tools.

use super::{
    Dataplane,
    attach::Attachment,
    bulk,
    error::{DataplaneError, Result},
    features,
    load::FORWARD,
    spec,
    steer::STEER,
};
use aya::{
    maps::MapInfo,
    programs::{ProgramInfo, loaded_programs},
};
use lb_common::abi::Features;
use serde::Serialize;

/// What is loaded and attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Applied configuration changes.
    pub generation: u64,
    /// Process id of the daemon that last opened the maps; it may be gone.
    pub daemon_pid: u32,
    /// When that daemon started, milliseconds since the Unix epoch.
    pub daemon_started_ms: u64,
    /// Flow-hash seed.
    pub seed: u64,
    /// The forwarding program; `None` = none is loaded.
    pub program: Option<ProgramStatus>,
    /// The steering program; `None` = no VIP is proxied.
    pub steering: Option<ProgramStatus>,
    /// Interfaces that the forwarding program runs on.
    pub attachments: Vec<Attachment>,
    /// Pinned maps.
    pub maps: Vec<MapStatus>,
}

/// A loaded program, as the kernel tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgramStatus {
    /// Name.
    pub name: String,
    /// Id.
    pub id: u32,
    /// Tag: a hash of its instructions, in hexadecimal.
    pub tag: String,
    /// Loaded parts of the packet path.
    pub features: Vec<&'static str>,
    /// Size of its machine code, bytes; 0 = it is interpreted.
    pub jited_bytes: u32,
    /// Instructions that the verifier went through (Linux 5.16).
    pub verified_instruction_count: Option<u32>,
    /// Runs, counted while `kernel.bpf_stats_enabled` is on.
    pub run_count: u64,
    /// Time spent in them, nanoseconds, likewise.
    pub run_time_ns: u64,
}

/// A pinned map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MapStatus {
    /// Name.
    pub name: &'static str,
    /// Id.
    pub id: u32,
    /// Entries in use, of maps where that means something.
    pub entry_count: Option<u64>,
    /// Entries, at most.
    pub entries_max: u32,
    /// Bytes of a key and a value.
    pub entry_bytes: u32,
}

impl Dataplane {
    /// What is loaded and attached.
    pub fn status(&self) -> Result<Status> {
        let info = self.maps.load_info()?;
        Ok(Status {
            generation: info.generation,
            daemon_pid: info.agent_pid,
            daemon_started_ms: info.agent_started_ms,
            seed: info.seed,
            program: self.program_status(Features(info.features))?,
            steering: self.steering_status()?,
            attachments: self.attachments()?,
            maps: self.map_statuses(info.flows_max)?,
        })
    }

    fn program_status(&self, loaded: Features) -> Result<Option<ProgramStatus>> {
        let path = self.pins.program(FORWARD);
        if !path.exists() {
            return Ok(None);
        }
        let info = ProgramInfo::from_pin(&path)
            .map_err(DataplaneError::program(FORWARD, "reading its information"))?;
        Ok(Some(program_status(&info, FORWARD, features::names(loaded))))
    }

    fn steering_status(&self) -> Result<Option<ProgramStatus>> {
        let Some(id) = self.steering_program()? else { return Ok(None) };
        let failed = || DataplaneError::program(STEER, "reading its information");
        for info in loaded_programs() {
            let info = info.map_err(failed())?;
            if info.id() == id {
                return Ok(Some(program_status(&info, STEER, Vec::new())));
            }
        }
        Ok(None)
    }

    fn map_statuses(&self, flows_max: u32) -> Result<Vec<MapStatus>> {
        spec::maps_for(flows_max)
            .iter()
            .map(|spec| {
                let info = MapInfo::from_pin(self.pins.map(spec.name))
                    .map_err(DataplaneError::map(spec.name, "opening its pin"))?;
                Ok(MapStatus {
                    name: spec.name,
                    id: info.id(),
                    entry_count: self.entry_count(spec.name)?,
                    entries_max: info.max_entries(),
                    entry_bytes: info.key_size() + info.value_size(),
                })
            })
            .collect()
    }

    fn entry_count(&self, name: &str) -> Result<Option<u64>> {
        let maps = &self.maps;
        Ok(Some(match name {
            "lb_vips4" => bulk::count(&maps.vips4, "lb_vips4")?,
            "lb_vips6" => bulk::count(&maps.vips6, "lb_vips6")?,
            "lb_sources" => maps.sources.keys().count() as u64,
            "lb_rings" => maps.rings.indexes()?.len() as u64,
            "lb_previous" => maps.previous.indexes()?.len() as u64,
            "lb_backends" | "lb_names" => maps.names.keys().count() as u64,
            "lb_vip_info" => maps.vip_info.keys().count() as u64,
            "lb_flows_syn" => bulk::count(&maps.flows_syn, "lb_flows_syn")?,
            "lb_flows_miss" => bulk::count(&maps.flows_miss, "lb_flows_miss")?,
            "lb_nat" => bulk::count(&maps.nat, "lb_nat")?,
            "lb_nat_reverse" => bulk::count(&maps.nat_reverse, "lb_nat_reverse")?,
            _ => return Ok(None),
        }))
    }
}

fn program_status(info: &ProgramInfo, name: &str, features: Vec<&'static str>) -> ProgramStatus {
    ProgramStatus {
        name: info.name_as_str().unwrap_or(name).to_owned(),
        id: info.id(),
        tag: format!("{:016x}", info.tag()),
        features,
        jited_bytes: info.size_jitted(),
        verified_instruction_count: info.verified_instruction_count(),
        run_count: info.run_count(),
        run_time_ns: info.run_time().as_nanos() as u64,
    }
}
