//! The second act: a backend dies, then lbd dies, both under load.

use std::time::Duration;

use anyhow::{Context, Result};

use super::balance::tcp;
use super::daemon::Daemon;
use super::plan::{Mode, all_targets, expected_share};
use super::report::Report;
use crate::client::{FlowReport, Protocol, Steady, SteadyPlan, SteadyReport, Tally};
use crate::lab::{Family, Host, Lab, Retransmits};
use crate::server::Server;
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

/// Kills lbd (SIGKILL) under load, starts it again, and checks that no packet was lost.
pub(super) fn kill_daemon(lab: &Lab, daemon: &mut Daemon<'_>, report: &mut Report) -> Result<()> {
    println!("\nkill -9 and restart lbd under load:");
    let before = backend_retransmits(lab)?;
    let steady = start_load(lab)?;
    steady.wait_for_answers(MESSAGES_BETWEEN, LIMIT)?;
    daemon.kill()?;
    steady.wait_for_answers(MESSAGES_BETWEEN, LIMIT)?;
    new_connections(lab, None, report)?;
    daemon.run()?;
    steady.wait_for_answers(MESSAGES_BETWEEN, LIMIT)?;
    new_connections(lab, None, report)?;
    let load = steady.stop()?;

    print_losses(&load, "flows", |_| true);
    report.unexpected_all(load.damaged().map(describe).collect());
    let lost = |after: Retransmits| (after - before).lost_count();
    // The report of a segment that was sent again needlessly may still be on its way.
    let none_lost = eventually(ACKNOWLEDGE_LIMIT, "no loss", || {
        (lost(backend_retransmits(lab).ok()?) == 0).then_some(0)
    });
    let from_backends = match none_lost {
        Ok(none) => none,
        Err(_) => lost(backend_retransmits(lab)?),
    };
    let from_client = load.client_retransmits.lost_count();
    println!("  tcp segments lost: {from_client} to the backends, {from_backends} to the client");
    if from_client + from_backends > 0 {
        report.unexpected("tcp segments were lost");
    }
    Ok(())
}

fn start_load(lab: &Lab) -> Result<Steady> {
    let mut plan = SteadyPlan::new(all_targets());
    (plan.flow_count, plan.interval) = (8, Duration::from_millis(40));
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

fn backend_retransmits(lab: &Lab) -> Result<Retransmits> {
    let mut sum = Retransmits::default();
    for backend in lab.backends() {
        let one = backend.tcp_retransmits()?;
        sum.sent_count += one.sent_count;
        sum.needless_count += one.needless_count;
    }
    Ok(sum)
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
