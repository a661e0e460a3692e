//! Reading the pinned maps and programs of the kernel.

use super::{
    Inspect,
    resource::{
        API_VERSION, FlowFilter, FlowKind, FlowResource, InterfaceResource, ProgramResource,
        TraceRequest, TraceResource,
    },
};
use crate::{
    dataplane::{AttachMode, Dataplane, Flow, FlowTable, ProgramStatus, Stats, TracePacket},
    model::Protocol,
    reconcile::Image,
    runtime::{attached, interface},
};
use anyhow::Result;

/// Flows looked through for the wanted ones, at most: every entry of full tables.
const FLOWS_SEEN_MAX: usize = 3 * lb_common::limits::FLOWS_MAX as usize;

impl Inspect for Dataplane {
    fn image(&self) -> Result<Image> {
        Ok(self.tables()?.image())
    }

    fn stats(&self) -> Result<Stats> {
        Ok(Self::stats(self)?)
    }

    fn flows(&self, filter: &FlowFilter) -> Result<Vec<FlowResource>> {
        let is_filtered = filter.vip.is_some() || filter.backend.is_some();
        let seen = if is_filtered { FLOWS_SEEN_MAX } else { filter.limit };
        let flows = Self::flows(self, seen)?.into_iter().map(flow_resource);
        Ok(flows.filter(|flow| filter.admits(flow)).take(filter.limit).collect())
    }

    fn programs(&self) -> Result<Vec<ProgramResource>> {
        let status = self.status()?;
        let mut programs = Vec::new();
        if let Some(program) = &status.program {
            if status.attachments.is_empty() {
                programs.push(program_resource(program));
            }
            programs.extend(status.attachments.into_iter().map(|attachment| ProgramResource {
                id: attachment.program_id,
                interface: Some(attachment.interface),
                attach_mode: Some(mode_name(attachment.mode).to_owned()),
                ..program_resource(program)
            }));
        }
        programs.extend(status.steering.iter().map(program_resource));
        Ok(programs)
    }

    fn attachments(&self) -> Result<Vec<InterfaceResource>> {
        let attachments = Self::attachments(self)?;
        Ok(attachments.iter().map(|attachment| interface(&attached(attachment))).collect())
    }

    fn trace(&self, request: &TraceRequest) -> Result<TraceResource> {
        let packet = TracePacket {
            protocol: request.protocol,
            source: request.source,
            destination: request.destination,
            is_opening: request.opens,
        };
        let trace = Self::trace(self, &packet, request.interface.as_deref())?;
        Ok(TraceResource {
            api_version: API_VERSION.to_owned(),
            kind: TraceResource::KIND.to_owned(),
            packet: trace.input,
            vip: trace.vip,
            service: trace.service,
            slot: trace.slot,
            slot_moved: trace.slot.map(|_| trace.is_moved),
            decision: trace.decision.to_owned(),
            backend: trace.backend.as_ref().map(|backend| backend.name.clone()),
            backend_address: trace.backend.map(|backend| backend.address),
            interface: trace
                .next_hop
                .as_ref()
                .map(|hop| hop.interface.clone().unwrap_or_else(|| hop.ifindex.to_string())),
            next_hop_mac: trace.next_hop.as_ref().map(|hop| hop.destination.clone()),
            next_hop_from: trace.next_hop.map(|hop| hop.origin.to_owned()),
            verdict: trace.verdict.to_owned(),
            outcome: trace.outcome.map(ToOwned::to_owned),
            output: trace.output,
            output_hex: trace.output_hex,
        })
    }
}

/// A program that runs on no interface.
fn program_resource(program: &ProgramStatus) -> ProgramResource {
    ProgramResource {
        name: program.name.clone(),
        id: program.id,
        tag: program.tag.clone(),
        features: program.features.iter().map(ToString::to_string).collect(),
        interface: None,
        attach_mode: None,
        jit_bytes: program.jited_bytes,
        verified_instructions: program.verified_instruction_count,
        run_count: program.run_count,
        run_time_ns: program.run_time_ns,
    }
}

const fn mode_name(mode: AttachMode) -> &'static str {
    match mode {
        AttachMode::Native => "native",
        AttachMode::Generic => "generic",
    }
}

fn flow_resource(flow: Flow) -> FlowResource {
    let protocol = Protocol::from_number(flow.protocol);
    FlowResource {
        table: match flow.table {
            FlowTable::Opened => FlowKind::Opened,
            FlowTable::Missed => FlowKind::Missed,
            FlowTable::Nat => FlowKind::Nat,
        },
        protocol: protocol.map_or_else(|| flow.protocol.to_string(), |name| name.to_string()),
        client: flow.client.to_string(),
        vip: flow.vip.to_string(),
        service: Some(flow.service).filter(|name| !name.is_empty()),
        backend: Some(flow.backend).filter(|name| !name.is_empty()),
        translated: flow.translated.map(|address| address.to_string()),
        idle_ms: flow.idle_ms,
        closing: flow.is_closing,
    }
}
