//! Runs the programs that fetch and compile, each printed before it runs.

use std::{ffi::OsStr, process::Command};

use anyhow::{Context as _, Result, bail};

/// Prints the command to standard error, runs it with its output sent there too, and fails with
/// `purpose` if it does not end with 0.
pub fn run(command: &mut Command, purpose: &str) -> Result<()> {
    announce(command);
    command.stdout(std::io::stderr());
    let status = command.status().with_context(|| format!("cannot {purpose}"))?;
    if !status.success() {
        bail!("cannot {purpose}: the command above ended with {status}");
    }
    Ok(())
}

/// Like [`run`], for a command whose standard output is the answer; returns it trimmed.
pub fn read(command: &mut Command, purpose: &str) -> Result<String> {
    announce(command);
    let output = command.output().with_context(|| format!("cannot {purpose}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("cannot {purpose}: {}: {}", output.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Whether a program of this name is on the PATH.
pub fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn announce(command: &Command) {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    eprintln!("+ {}", line.join(" "));
}
