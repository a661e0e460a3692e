//! One packet through the loaded program, decision by decision, without a mark left behind.

use super::{
    Dataplane, convert, decode,
    error::{DataplaneError, Result},
    load::{self, FORWARD},
    netlink::{Link, Netlink},
    packet::TracePacket,
};
use aya::{TestRun, TestRunOptions, programs::ProgramError};
use lb_common::{
    abi::{SLOT_MOVED, TRACE_BYTES, TRACE_NEXT_HOP_CACHED, TRACE_NEXT_HOP_LOOKUP},
    verdict::{Decision, Outcome},
};
use serde::Serialize;
use std::io;

/// Room for the packet to grow by an outer header.
const GROWTH_BYTES: usize = 128;
/// `struct xdp_md` of linux/bpf.h: six words.
const XDP_MD_WORDS: usize = 6;

/// What happened to a packet, decision by decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// The packet, described.
    pub input: String,
    /// VIP it is for.
    pub vip: Option<String>,
    /// Service of the VIP, or the listeners of a proxied one.
    pub service: Option<String>,
    /// Ring slot of the flow, if the ring was asked.
    pub slot: Option<u32>,
    /// Whether the slot moved, so that flows are looked up.
    pub is_moved: bool,
    /// How the backend was chosen; see [`Decision`].
    pub decision: &'static str,
    /// Backend, if one was chosen.
    pub backend: Option<TraceBackend>,
    /// Next hop, if there is one.
    pub next_hop: Option<TraceNextHop>,
    /// What the program answered: `pass`, `drop`, `tx`, `redirect` or `aborted`.
    pub verdict: &'static str,
    /// Why it was not forwarded; `None` = it was.
    pub outcome: Option<&'static str>,
    /// The packet as it leaves, described.
    pub output: String,
    /// The packet as it leaves, in hexadecimal.
    pub output_hex: String,
}

/// The chosen backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TraceBackend {
    /// Array index.
    pub index: u32,
    /// Generation of the occupant.
    pub generation: u32,
    /// Name.
    pub name: String,
    /// Address packets are sent to.
    pub address: String,
}

/// The chosen next hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TraceNextHop {
    /// `cached` in the backend entry, or found by `lookup`.
    pub origin: &'static str,
    /// Egress interface.
    pub ifindex: u32,
    /// Its name, if it exists.
    pub interface: Option<String>,
    /// Source MAC of the frame.
    pub source: String,
    /// Destination MAC of the frame.
    pub destination: String,
}

impl Dataplane {
    /// Sends `packet` through the pinned program as if it came in on `ingress` (default: the first
    /// attached interface), on the program's dry path.
    pub fn trace(&self, packet: &TracePacket, ingress: Option<&str>) -> Result<Trace> {
        let links = Netlink::open()?.links()?;
        let ingress = self.ingress(ingress, &links)?;
        let mac = ingress.and_then(|link| link.mac).unwrap_or([2, 0, 0, 0, 0, 1]);
        let frame = packet.frame(mac, [2, 0, 0, 0, 0, 2])?;
        let run = self.dry_run(&frame, ingress.map_or(0, |link| link.ifindex))?;
        self.describe(&frame, &run, &links)
    }

    fn ingress<'a>(&self, wanted: Option<&str>, links: &'a [Link]) -> Result<Option<&'a Link>> {
        let find = |name: &str| links.iter().find(|link| link.name == name);
        match wanted {
            Some(name) => find(name)
                .map(Some)
                .ok_or_else(|| DataplaneError::NoInterface { name: name.to_owned() }),
            None => Ok(self.pins.linked_interfaces()?.iter().find_map(|name| find(name))),
        }
    }

    fn dry_run(&self, frame: &[u8], ifindex: u32) -> Result<Run> {
        let path = self.pins.program(FORWARD);
        let program = load::open_program(&path, FORWARD)?;
        let mut input = self.maps.load_info()?.trace_cookie.to_ne_bytes().to_vec();
        input.resize(TRACE_BYTES, 0);
        input.extend(frame);
        let mut output = vec![0; input.len() + GROWTH_BYTES];
        let run = |output: &mut [u8], ifindex: u32| {
            let context = context(input.len() as u32, ifindex);
            let mut context_out = vec![0; context.len()];
            let mut options = TestRunOptions::new();
            options.data_in = Some(&input);
            options.data_out = Some(output);
            options.ctx_in = Some(&context);
            options.ctx_out = Some(&mut context_out);
            program.test_run(options)
        };
        // An interface whose receive queue is not set up for XDP cannot be the ingress.
        let result = match run(&mut output, ifindex) {
            Err(error) if ifindex != 0 && is_invalid(&error) => run(&mut output, 0),
            result => result,
        };
        let result = result.map_err(DataplaneError::program(FORWARD, "running it on a packet"))?;
        output.truncate(result.data_size_out as usize);
        Run::new(&output, result.return_value).ok_or_else(|| DataplaneError::Io {
            what: format!("{FORWARD} did not answer the trace request"),
            source: io::ErrorKind::InvalidData.into(),
        })
    }

    fn describe(&self, input: &[u8], run: &Run, links: &[Link]) -> Result<Trace> {
        let vip = match run.vip_plus_one.checked_sub(1) {
            Some(index) => self.vips_by_index()?.get(&index.into()).map(|(vip, _)| *vip),
            None => None,
        };
        let service = match run.vip_plus_one.checked_sub(1) {
            Some(index) => self.raw_vip_infos()?.get(&index.into()).copied(),
            None => None,
        };
        let macs = decode::macs(&run.frame).unwrap_or_default();
        let outcome = Outcome::ALL.get(usize::from(run.outcome)).map(|outcome| outcome.name());
        Ok(Trace {
            input: decode::frame(input),
            vip: vip.map(|vip| vip.to_string()),
            service: service.map(|info| convert::text(&info.service)),
            slot: (run.slot_word != 0).then_some(run.slot),
            is_moved: run.slot_word & SLOT_MOVED != 0,
            decision: Decision::from_wire(run.decision).unwrap_or(Decision::None).name(),
            backend: self.trace_backend(run.backend)?,
            next_hop: next_hop(run, macs, links),
            verdict: verdict(run.return_value),
            outcome,
            output: decode::frame(&run.frame),
            output_hex: decode::hex(&run.frame),
        })
    }

    fn trace_backend(&self, index: u32) -> Result<Option<TraceBackend>> {
        if index == 0 {
            return Ok(None);
        }
        let entry = self.maps.backend(index)?;
        let names = self.names()?;
        let named = names.get(&index).filter(|name| name.id == entry.id);
        Ok(Some(TraceBackend {
            index,
            generation: entry.id.generation(),
            name: named.map(|name| convert::text(&name.backend)).unwrap_or_default(),
            address: convert::address(entry.address).to_string(),
        }))
    }
}

/// The record and the frame that came back.
struct Run {
    return_value: u32,
    slot: u32,
    slot_word: u32,
    backend: u32,
    ifindex: u32,
    vip_plus_one: u16,
    decision: u8,
    next_hop: u8,
    outcome: u8,
    frame: Vec<u8>,
}

impl Run {
    /// Takes the record apart; field offsets as in [`lb_common::abi::TraceRecord`].
    fn new(output: &[u8], return_value: u32) -> Option<Self> {
        let word = |at: usize| {
            let bytes = output.get(at..at + 4)?;
            Some(u32::from_ne_bytes(bytes.try_into().ok()?))
        };
        let half = |at: usize| {
            let bytes = output.get(at..at + 2)?;
            Some(u16::from_ne_bytes(bytes.try_into().ok()?))
        };
        Some(Self {
            return_value,
            slot: word(8)?,
            slot_word: word(12)?,
            backend: word(16)?,
            ifindex: word(20)?,
            vip_plus_one: half(24)?,
            decision: *output.get(26)?,
            next_hop: *output.get(27)?,
            outcome: *output.get(28)?,
            frame: output.get(TRACE_BYTES..)?.to_vec(),
        })
    }
}

fn next_hop(
    run: &Run,
    (destination, source): ([u8; 6], [u8; 6]),
    links: &[Link],
) -> Option<TraceNextHop> {
    let origin = match run.next_hop {
        TRACE_NEXT_HOP_CACHED => "cached",
        TRACE_NEXT_HOP_LOOKUP => "lookup",
        _ => return None,
    };
    let link = links.iter().find(|link| link.ifindex == run.ifindex);
    Some(TraceNextHop {
        origin,
        ifindex: run.ifindex,
        interface: link.map(|link| link.name.clone()),
        source: decode::mac(source),
        destination: decode::mac(destination),
    })
}

/// `enum xdp_action` of linux/bpf.h.
const fn verdict(return_value: u32) -> &'static str {
    match return_value {
        1 => "drop",
        2 => "pass",
        3 => "tx",
        4 => "redirect",
        _ => "aborted",
    }
}

/// `struct xdp_md`: the record lies in front of the packet, as metadata.
fn context(data_end: u32, ifindex: u32) -> Vec<u8> {
    let (data, data_meta, rx_queue, egress) = (TRACE_BYTES as u32, 0, 0, 0);
    let words: [u32; XDP_MD_WORDS] = [data, data_end, data_meta, ifindex, rx_queue, egress];
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn is_invalid(error: &ProgramError) -> bool {
    matches!(
        error,
        ProgramError::SyscallError(error)
            if matches!(error.io_error.raw_os_error(), Some(libc::EINVAL | libc::ENODEV))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_common::abi::TraceRecord;
    use std::mem::offset_of;

    #[test]
    fn the_record_is_taken_apart_at_its_fields() {
        assert_eq!(offset_of!(TraceRecord, slot), 8);
        assert_eq!(offset_of!(TraceRecord, slot_word), 12);
        assert_eq!(offset_of!(TraceRecord, backend), 16);
        assert_eq!(offset_of!(TraceRecord, ifindex), 20);
        assert_eq!(offset_of!(TraceRecord, vip_plus_one), 24);
        assert_eq!(offset_of!(TraceRecord, decision), 26);
        assert_eq!(offset_of!(TraceRecord, next_hop), 27);
        assert_eq!(offset_of!(TraceRecord, outcome), 28);
        assert!(Run::new(&[0; TRACE_BYTES - 1], 2).is_none());
    }
}
