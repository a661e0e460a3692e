//! Runs commands: each is printed before it runs, and an error carries its whole command line.

use std::{
    env,
    ffi::OsStr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, anyhow, bail};

/// Cargo itself: the binary that started this program, or else the one in `PATH`.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    cargo
}

/// Prints the command, runs it and fails unless it ends with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command.status().with_context(|| format!("could not start: {}", line(command)))?;
    if !status.success() {
        bail!("{status}: {}", line(command));
    }
    Ok(())
}

/// Prints the command, runs it and gives back what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    announce(command);
    capture(command)
}

/// Runs a command that only asks something, without printing it, and gives back its output.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("could not start: {}", line(command)))?;
    if !output.status.success() {
        bail!("{}: {}", output.status, line(command));
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("output is not UTF-8: {}", line(command)))
}

/// Prints the command and becomes it, so that its last lines and its exit status are ours.
pub(crate) fn become_it(command: &mut Command) -> Result<()> {
    announce(command);
    let error = command.exec();
    Err(anyhow!(error).context(format!("could not start: {}", line(command))))
}

/// The command as one would type it, with the environment it sets and its directory if not ours.
pub(crate) fn line(command: &Command) -> String {
    let mut words = Vec::new();
    if let Some(directory) = command.get_current_dir()
        && env::current_dir().map_or(true, |here| here != directory)
    {
        words.push(format!("cd {} &&", quoted(directory.as_os_str())));
    }
    // A variable that is only cleared says nothing about what is run.
    let set = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    words.extend(set.map(|(name, value)| format!("{}={}", name.display(), quoted(value))));
    words.push(program_name(command.get_program()));
    words.extend(command.get_args().map(quoted));
    words.join(" ")
}

/// Where a program is found in `PATH` or in the system directories a user's `PATH` may lack.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.is_file())
}

fn announce(command: &Command) {
    eprintln!("+ {}", line(command));
}

/// Cargo's own path is an accident of the installation: show the word one types.
fn program_name(program: &OsStr) -> String {
    if Path::new(program).file_name() == Some(OsStr::new("cargo")) {
        return "cargo".to_owned();
    }
    quoted(program)
}

fn quoted(argument: &OsStr) -> String {
    let text = argument.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_be_typed_back() {
        let mut command = Command::new("apt-get");
        command.env("A", "b c").env_remove("D").args(["install", "it's", "", "x86-64"]);
        assert_eq!(line(&command), r"A='b c' apt-get install 'it'\''s' '' x86-64");
    }

    #[test]
    fn a_failure_names_its_command() {
        let error = run(Command::new("false").arg("really")).unwrap_err();
        assert_eq!(error.to_string(), "exit status: 1: false really");
        let error = run(&mut Command::new("/nowhere/program")).unwrap_err();
        assert_eq!(error.to_string(), "could not start: /nowhere/program");
    }

    #[test]
    fn output_is_given_back() {
        assert_eq!(capture(Command::new("echo").arg("one")).unwrap(), "one\n");
    }
}
