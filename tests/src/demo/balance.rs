//! The first act: a steady set of backends, every mode and family.

use anyhow::Result;

use super::report::{Report, Row};
use crate::client::{Protocol, Tally, TcpRun, UdpRun, tcp_connections, udp_exchanges};
use crate::lab::{Family, Lab};
use crate::services::{Mode, WEIGHTS, expected_share};

/// Bytes of a datagram that takes three fragments.
const FRAGMENTED_BYTES: usize = 4096;
/// Fragmented exchanges for one ordinary one.
const FRAGMENTED_PART: u64 = 20;

/// Runs `count` TCP connections and as many UDP exchanges for each mode and family, and prints
/// the table.
pub(super) fn run(lab: &Lab, count: u64, report: &mut Report) -> Result<()> {
    Report::head(lab.backends());
    let expected: Vec<f64> =
        (0..WEIGHTS.len()).map(|backend| expected_share(backend, None)).collect();
    for mode in Mode::ALL {
        for family in Family::BOTH {
            for (what, tally) in [
                ("tcp", tcp(lab, mode, family, count)?),
                ("udp", udp(lab, mode, family, count, None)?),
                (
                    "udp 4k",
                    udp(lab, mode, family, count / FRAGMENTED_PART, Some(FRAGMENTED_BYTES))?,
                ),
            ] {
                let row = Row { mode, family, what, tally: &tally };
                report.row(&row, lab.backends(), &expected);
                check_sources(lab, &row, report);
            }
        }
    }
    Ok(())
}

/// `count` connections to the VIP of a mode, from all addresses of the client.
pub(super) fn tcp(lab: &Lab, mode: Mode, family: Family, count: u64) -> Result<Tally> {
    let mut run = TcpRun::new(mode.target(family, Protocol::Tcp), count);
    run.sources = lab.client().addresses(family);
    tcp_connections(lab.client(), &run)
}

fn udp(
    lab: &Lab,
    mode: Mode,
    family: Family,
    count: u64,
    payload_bytes: Option<usize>,
) -> Result<Tally> {
    let mut run = UdpRun::new(mode.target(family, Protocol::Udp), count);
    run.sources = lab.client().addresses(family);
    run.payload_bytes = payload_bytes.unwrap_or(run.payload_bytes);
    udp_exchanges(lab.client(), &run)
}

/// Backends must have seen the client's addresses, or in full NAT none of them.
fn check_sources(lab: &Lab, row: &Row<'_>, report: &mut Report) {
    let clients = lab.client().addresses(row.family);
    for seen in row.tally.per_seen_source.keys() {
        if clients.contains(seen) != row.mode.keeps_source() {
            let (mode, family) = (row.mode, row.family);
            report.unexpected(format!("{mode} {family}: a backend saw the client as {seen}"));
        }
    }
}
