//! The second act: a backend dies, then lbd dies, both under load.

use std::collections::BTreeMap;
use std::iter;
use std::time::Duration;

use anyhow::{Context, Result};

use super::balance::tcp;
use super::report::Report;
use crate::client::{FlowReport, Protocol, Steady, SteadyPlan, SteadyReport, Tally};
use crate::lab::{Family, Host, Lab, Retransmits};
use crate::lbd::Daemon;
use crate::server::Server;
use crate::services::{Mode, all_targets, expected_share};
use crate::wait::eventually;

/// Messages to let pass between two events: about a second of load.
const MESSAGES_BETWEEN: u64 = 3000;
/// New connections for each mode and family after an event.
const NEW_CONNECTIONS: u64 = 500;
/// Connections that tell whether a backend is in the ring: missing it by chance, at a share of a
/// quarter, has a probability below 1e-12.
const PROBES: u64 = 100;
/// For load to pass and for health checks to notice: seconds, with room for a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
/// When an acknowledgement that came late is known to have.
const ACKNOWLEDGE_LIMIT: Duration = Duration::from_secs(2);
/// Which server is killed.
const VICTIM: usize = 1;

/// Kills the server of a backend under load, starts it again, and checks that only its own flows
/// broke. `servers` are in the order of the lab's backends.
pub(super) fn kill_backend(
    lab: &Lab,
    servers: &mut [Server],
    restart: impl Fn(&Host) -> Result<Server>,
    report: &mut Report,
) -> Result<()> {
    let victim = lab.backends().get(VICTIM).context("too few backends")?;
    let server = servers.get_mut(VICTIM).context("too few servers")?;
    let name = victim.name();
    println!("\nkill the server on {name} under load:");
    let steady = start_load(lab)?;
    steady.wait_for_answers(MESSAGES_BETWEEN, LIMIT)?;
    server.kill()?;
    wait_until_ring(lab, name, false)?;
    steady.wait_for_answers(MESSAGES_BETWEEN, LIMIT)?;
    new_connections(lab, Some(VICTIM), report)?;
    *server = restart(victim)?;
    wait_until_ring(lab, name, true)?;
    steady.wait_for_answers(MESSAGES_BETWEEN, LIMIT)?;
    new_connections(lab, None, report)?;
    let load = steady.stop()?;

    print_losses(&load, "flows of the dead server", |flow| flow.backend == name);
    print_losses(&load, "flows of the others", |flow| flow.backend != name);
    let strangers = load.damaged().filter(|flow| flow.backend != name).map(describe).collect();
    report.unexpected_all(strangers);
    Ok(())
}

/// Kills lbd (SIGKILL) under load, starts it again, and checks that no packet was lost; then once
/// more, to see that new connections are balanced while lbd is dead and after it is back.
///
/// New connections are kept out of the first part, so that the connections open then are those of
/// the load.
pub(super) fn kill_daemon(lab: &Lab, daemon: &mut Daemon, report: &mut Report) -> Result<()> {
    println!("\nkill -9 and restart lbd under load:");
    let before = open_connections(lab)?;
    let steady = start_load(lab)?;
    steady.wait_for_answers(MESSAGES_BETWEEN, LIMIT)?;
    daemon.kill()?;
    steady.wait_for_answers(MESSAGES_BETWEEN, LIMIT)?;
    daemon.run()?;
    steady.wait_for_answers(MESSAGES_BETWEEN, LIMIT)?;
    count_lost_segments(lab, &before, report)?;
    let load = steady.stop()?;

    print_losses(&load, "flows", |_| true);
    report.unexpected_all(load.damaged().map(describe).collect());

    daemon.kill()?;
    new_connections(lab, None, report)?;
    daemon.run()?;
    new_connections(lab, None, report)
}

/// Counts what the ends of the load's TCP flows had to send again, while these are still open;
/// connections that were open `before` the load are none of it.
fn count_lost_segments(lab: &Lab, before: &[Connections], report: &mut Report) -> Result<()> {
    let read = || -> Result<Vec<Connections>> {
        let mut ends = open_connections(lab)?;
        for (end, before) in ends.iter_mut().zip(before) {
            end.retain(|connection, _| !before.contains_key(connection));
        }
        Ok(ends)
    };
    let lost = |ends: &[Connections]| -> u64 {
        ends.iter().flat_map(BTreeMap::values).map(|one| one.lost_count()).sum()
    };
    // The report of a segment that was sent again needlessly may still be on its way.
    eventually(ACKNOWLEDGE_LIMIT, "no loss", || (lost(&read().ok()?) == 0).then_some(())).ok();
    let ends = read()?;
    let sum = |figure: fn(&Retransmits) -> u64| -> u64 {
        ends.iter().flat_map(BTreeMap::values).map(figure).sum()
    };
    println!(
        "  tcp segments: {} sent again by either end, {} of them needlessly, {} lost",
        sum(|one| one.sent_count),
        sum(|one| one.needless_count),
        lost(&ends),
    );
    if lost(&ends) > 0 {
        report.unexpected(format!("{} tcp segments were lost", lost(&ends)));
    }
    Ok(())
}

type Connections = BTreeMap<String, Retransmits>;

/// The open connections of the client and of each backend.
fn open_connections(lab: &Lab) -> Result<Vec<Connections>> {
    iter::once(lab.client()).chain(lab.backends()).map(Host::tcp_retransmits).collect()
}

fn start_load(lab: &Lab) -> Result<Steady> {
    let mut plan = SteadyPlan::new(all_targets());
    (plan.flow_count, plan.interval) = (8, Duration::from_millis(40));
    // Some answers never come.
    plan.grace = Duration::from_secs(2);
    Steady::start(lab.client(), &plan)
}

/// Waits until no new connection of any service goes to the backend, or some of each do.
///
/// Connections to a dead backend fail until health checks notice: that is what is waited for, so
/// these connections are not counted.
pub(super) fn wait_until_ring(lab: &Lab, backend: &str, present: bool) -> Result<()> {
    let state = if present { "in" } else { "out of" };
    for mode in Mode::ALL {
        for family in Family::BOTH {
            let mut last = Tally::default();
            let seen = eventually(LIMIT, &format!("{backend} {state} the ring"), || {
                last = tcp(lab, mode, family, PROBES).ok()?;
                let answered = last.per_backend.contains_key(backend);
                (last.failures.is_empty() && answered == present).then_some(())
            });
            seen.with_context(|| {
                let (by, failure) = (&last.per_backend, last.failures.first());
                format!("{mode} {family}: last answered by {by:?}, first failure {failure:?}")
            })?;
        }
    }
    println!("  {backend} is {state} the rings");
    Ok(())
}

/// New connections must all succeed, and go where the ring without `dead` says.
fn new_connections(lab: &Lab, dead: Option<usize>, report: &mut Report) -> Result<()> {
    let mut count = 0;
    for mode in Mode::ALL {
        for family in Family::BOTH {
            let tally = tcp(lab, mode, family, NEW_CONNECTIONS)?;
            count += tally.success_count();
            report.count(&format!("new connections, {mode} {family}"), &tally);
            for (index, backend) in lab.backends().iter().enumerate() {
                let wanted = expected_share(index, dead) > 0.0;
                if tally.per_backend.contains_key(backend.name()) != wanted {
                    let name = backend.name();
                    report.unexpected(format!("{mode} {family}: new flows on {name}: {}", !wanted));
                }
            }
        }
    }
    println!("  {count} new connections succeeded");
    Ok(())
}

fn print_losses(load: &SteadyReport, title: &str, of: impl Fn(&FlowReport) -> bool) {
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let flows = || load.flows.iter().filter(|flow| flow.protocol == protocol && of(flow));
        let sum = |figure: fn(&FlowReport) -> u64| flows().map(figure).sum::<u64>();
        println!(
            "  {title}, {protocol}: {} flows, {} broken or moved; {} messages, {} lost, {} late",
            flows().count(),
            flows().filter(|flow| flow.broken.is_some() || flow.moved > 0).count(),
            sum(|flow| flow.sent),
            sum(FlowReport::lost),
            sum(|flow| flow.late),
        );
    }
}

fn describe(flow: &FlowReport) -> String {
    let FlowReport { protocol, target, local, backend, sent, moved, .. } = flow;
    let lost = flow.lost();
    let broken = match &flow.broken {
        Some(failure) => format!("broken: {} {}", failure.step, failure.error),
        None => "not broken".to_owned(),
    };
    format!(
        "{protocol} {local} to {target} on {backend}: {lost} of {sent} lost, {moved} moved, {broken}"
    )
}
