//! `cargo xtask verify`: every eBPF program through the verifiers of several kernels.

mod initramfs;
mod kernel;
mod machine;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    command,
    setup::{self, Scope},
};

/// The program of the `tests` crate that loads the programs and reports.
const LOADER: &str = "lb-verify";

/// The package of the emulator.
const EMULATOR_PACKAGE: &str = "qemu-system-x86";

/// Options of `cargo xtask verify`
#[derive(Args)]
pub(crate) struct Options {
    /// Only the running kernel
    #[arg(long, conflicts_with = "all_kernels")]
    this_kernel: bool,
    /// The running kernel and Debian's 6.1, 6.12 and 7.2 (this is what happens by default)
    #[arg(long)]
    all_kernels: bool,
    /// Look for newer releases of Debian's kernels than those kept from an earlier run
    #[arg(long)]
    refresh: bool,
}

pub(crate) fn run(options: &Options, root: &Path) -> Result<()> {
    setup::ensure(Scope::Build)?;
    if !setup::is_root() {
        bail!("not root: the kernel lets only root load these programs");
    }
    let loader = build_loader(root)?;
    let here = machine::run_here(&loader)?;
    let mut rows = table::rows(&here).context("on the running kernel")?;
    if !options.this_kernel {
        rows.extend(verify_elsewhere(&loader, options.refresh)?);
    }
    print!("{}", table::render(&rows));
    let failures_count = table::print_failures(&rows);
    if failures_count > 0 {
        bail!("{failures_count} of {} programs do not load", rows.len());
    }
    println!("verify: {} loads, 0 failures", rows.len());
    Ok(())
}

fn verify_elsewhere(loader: &Path, refresh: bool) -> Result<Vec<table::Row>> {
    if command::find_program(machine::EMULATOR).is_none() {
        setup::install_packages(&[EMULATOR_PACKAGE])?;
    }
    let kernels = kernel::obtain(refresh)?;
    let scratch = Scratch::new()?;
    let initramfs = scratch.0.join("initramfs");
    fs::write(&initramfs, initramfs::pack(loader)?)
        .with_context(|| format!("could not write {}", initramfs.display()))?;
    let mut rows = Vec::new();
    for kernel in &kernels {
        let console = machine::boot(&kernel.image, &initramfs)
            .with_context(|| format!("on Debian's kernel {}", kernel.series))?;
        rows.extend(
            table::rows(&console)
                .with_context(|| format!("on Debian's kernel {}", kernel.series))?,
        );
    }
    Ok(rows)
}

/// Builds the loader and says where it is.
fn build_loader(root: &Path) -> Result<PathBuf> {
    let mut cargo = command::cargo(root);
    cargo.args(["build", "--package", "lb-tests", "--bin", LOADER]);
    let messages = command::output(cargo.args(["--message-format", "json-render-diagnostics"]))?;
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| {
            message.pointer("/target/name").and_then(|name| name.as_str()) == Some(LOADER)
        })
        .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .with_context(|| format!("cargo did not say where {LOADER} is"))
}

/// A directory of this run's own, gone when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("lb-verify-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("could not make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("verify: could not remove {}: {error}", self.0.display());
        }
    }
}

/// What the shared libraries of a program are, by the dynamic linker itself.
fn shared_libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let list = command::capture(Command::new("ldd").arg(program))?;
    Ok(parse_ldd(&list))
}

/// `libc.so.6 => /lib/libc.so.6 (0x7f)` and `/lib64/ld-linux-x86-64.so.2 (0x7f)` alike: the path.
fn parse_ldd(list: &str) -> Vec<PathBuf> {
    list.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_ldd() {
        let list = "\tlinux-vdso.so.1 (0x7ffd)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x7f01)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x7f02)\n";
        let expected = ["/lib/x/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(parse_ldd(list), expected);
    }
}
