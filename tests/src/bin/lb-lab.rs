//! Raises a lab to try things in, lists labs, and takes them down.

use anyhow::{Result, bail};
use clap::{Args, Parser};
use lb_tests::lab::{Lab, Options, Record, State, records};
use lb_tests::wait::told_to_end;

/// A client, the router, backends and a second leg in network namespaces
#[derive(Parser)]
enum Command {
    /// Raise a lab that stays until it is taken down
    Up(Up),
    /// Raise a lab that stays until this command is interrupted
    Hold(Up),
    /// Take labs down: by default those left up and those whose owner is gone
    Down(Down),
    /// List the labs on this machine
    Status,
}

#[derive(Args)]
struct Up {
    /// How many backends
    #[arg(long, default_value_t = 3)]
    backends: usize,
}

#[derive(Args)]
struct Down {
    /// The lab to take down, whoever owns it
    id: Option<String>,
    /// Take all labs down, also those that running tests own
    #[arg(long, conflicts_with = "id")]
    all: bool,
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::Up(options) => up(&options),
        Command::Hold(options) => hold(&options),
        Command::Down(which) => down(&which),
        Command::Status => status(),
    }
}

fn up(options: &Up) -> Result<()> {
    let lab = raise(options)?;
    println!("\ntake it down by: lb-lab down {}", lab.id());
    lab.keep()?;
    Ok(())
}

fn hold(options: &Up) -> Result<()> {
    let _lab = raise(options)?;
    println!("\ntake it down by Ctrl-C");
    told_to_end()
}

fn raise(options: &Up) -> Result<Lab> {
    let lab = Lab::up(&Options { backend_count: options.backends, ..Options::default() })?;
    println!("lab {} is up; in its hosts run commands so:\n", lab.id());
    for host in lab.hosts() {
        let addresses = format!("{}  {}", host.address_v4(), host.address_v6());
        println!("  {:<8} {addresses:<22} {}", host.name(), enter(host.netns().name()));
    }
    Ok(lab)
}

fn down(which: &Down) -> Result<()> {
    let mut chosen = records()?;
    match &which.id {
        Some(id) => {
            chosen.retain(|record| record.id == *id);
            if chosen.is_empty() {
                bail!("no lab {id}; `lb-lab status` lists them");
            }
        }
        None if which.all => {}
        None => chosen.retain(|record| record.state() != State::Owned),
    }
    for record in &chosen {
        record.remove()?;
        println!("lab {} is down", record.id);
    }
    if chosen.is_empty() {
        println!("no lab to take down");
    }
    Ok(())
}

fn status() -> Result<()> {
    let labs = records()?;
    if labs.is_empty() {
        println!("no labs");
    }
    for record in labs {
        println!("lab {}: {}", record.id, describe(&record));
        for namespace in &record.namespaces {
            println!("  {}", enter(namespace));
        }
    }
    Ok(())
}

fn describe(record: &Record) -> String {
    match (record.state(), record.owner) {
        (State::Owned, Some(owner)) => format!("owned by process {}", owner.pid),
        (State::Leftover, Some(owner)) => {
            format!("left over by process {}, which is gone", owner.pid)
        }
        (_, _) => "left up".to_owned(),
    }
}

/// `nsenter`, not `ip netns exec`: the latter hides bpffs from the command.
fn enter(namespace: &str) -> String {
    format!("nsenter --net=/run/netns/{namespace} COMMAND")
}
