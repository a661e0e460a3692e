//! `cargo xtask setup`: what building, testing and the lab need, installed once.
//!
//! Looks first and does only what is missing, so it can run before every other command.

pub(crate) mod helm;
pub(crate) mod kube_server;

use std::{fs, path::Path, process::Command};

use anyhow::{Result, anyhow, bail};
use clap::Args;

use crate::{
    command,
    toolchain::{Compiler, DEBIAN_LINKER_SERIES, Linker, Toolchain},
};

/// Debian's compiler with a prebuilt `core` for BPF.
const DEBIAN_COMPILER: [&str; 2] = ["rustc-web", "libstd-rust-web-dev-bpf"];

/// What `bpf-linker` is compiled with when it is to use Debian's LLVM.
const DEBIAN_LINKER: [&str; 6] =
    ["g++", "llvm-22-dev", "libpolly-22-dev", "zlib1g-dev", "libzstd-dev", "libxml2-dev"];

/// The `bpf-linker` that goes with LLVM 22.
const LINKER_VERSION: &str = "0.13.0";

/// Programs the laboratory and the tests call, and the Debian package of each.
const LAB_PROGRAMS: [(&str, &str); 7] = [
    ("ip", "iproute2"),
    ("ethtool", "ethtool"),
    ("tcpdump", "tcpdump"),
    ("ping", "iputils-ping"),
    ("curl", "curl"),
    ("openssl", "openssl"),
    ("ps", "procps"),
];

/// Where pinned maps and links live.
const BPFFS: &str = "/sys/fs/bpf";

/// Options of `cargo xtask setup`
#[derive(Args)]
pub(crate) struct Options {
    /// Only report what is missing; ends with 1 if anything is
    #[arg(long)]
    check: bool,
    /// Also build a real kube-apiserver, for the tests of the Kubernetes agent, into the cache
    #[arg(long)]
    kube_server: bool,
    /// Also install helm and kubectl, which render what `deploy` installs, into the cache
    #[arg(long)]
    helm: bool,
}

/// How much of a set-up a command needs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The eBPF compiler and linker
    Build,
    /// Also the programs and the bpffs that the laboratory uses
    Lab,
}

pub(crate) fn run(options: &Options, _root: &Path) -> Result<()> {
    if !options.check {
        ensure(Scope::Lab)?;
        if options.helm {
            helm::ensure()?;
        }
        return if options.kube_server { kube_server::ensure() } else { Ok(()) };
    }
    let mut missing = survey(Scope::Lab);
    let mut words = Vec::new();
    if options.helm && helm::find().is_none() {
        missing.push(Need::Helm);
        words.push(" --helm");
    }
    if options.kube_server && kube_server::find().is_none() {
        missing.push(Need::KubeServer);
        words.push(" --kube-server");
    }
    for need in &missing {
        println!("missing: {need}");
    }
    if !missing.is_empty() {
        bail!("{} missing; `cargo xtask setup{}` installs it", missing.len(), words.concat());
    }
    report()
}

/// Installs what is missing and says which eBPF toolchain is used.
pub(crate) fn ensure(scope: Scope) -> Result<()> {
    let missing = survey(scope);
    if !missing.is_empty() {
        for need in &missing {
            eprintln!("setup: missing: {need}");
        }
        install(&missing)?;
        let left = survey(scope);
        if !left.is_empty() {
            let left: Vec<String> = left.iter().map(ToString::to_string).collect();
            bail!("still missing after the installation: {}", left.join("; "));
        }
    }
    report()
}

/// Installs Debian packages, if any; fails with what to type where that is not ours to do.
pub(crate) fn install_packages(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let arguments = ["install", "--yes", "--no-install-recommends"];
    if !is_debian() {
        bail!(
            "this is not Debian: install by your own package manager what Debian calls {}",
            packages.join(" ")
        );
    }
    if !is_root() {
        bail!(
            "not root: run `apt-get update` and `apt-get {} {}` as root",
            arguments.join(" "),
            packages.join(" ")
        );
    }
    command::run(&mut apt_get(&["update"]))?;
    command::run(apt_get(&arguments).args(packages))
}

/// True where commands may change the system, namespaces and BPF programs.
pub(crate) fn is_root() -> bool {
    // /proc/self belongs to the effective user of this process.
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}

/// One thing that is not there.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    /// Neither compiler is complete; says what each lacks
    Compiler(String),
    /// No linker, or not the one that goes with the compiler
    Linker(String),
    /// A program of the laboratory, and its Debian package
    Program(&'static str, &'static str),
    /// bpffs is not mounted
    Bpffs,
    /// A real kube-apiserver, where one was asked for
    KubeServer,
    /// What renders charts and kustomizations, where it was asked for
    Helm,
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Compiler(why) | Self::Linker(why) => f.write_str(why),
            Self::Program(program, package) => write!(f, "{program} (Debian: {package})"),
            Self::Bpffs => write!(f, "bpffs at {BPFFS}"),
            Self::KubeServer => f.write_str("kube-apiserver and etcd"),
            Self::Helm => f.write_str("helm and kubectl"),
        }
    }
}

fn survey(scope: Scope) -> Vec<Need> {
    let mut missing = Vec::new();
    let series = match Compiler::find() {
        Ok(compiler) => compiler.linker_series(),
        Err(why) => {
            missing.push(Need::Compiler(why));
            // The one that goes with the compiler that will be installed.
            if is_debian() { DEBIAN_LINKER_SERIES } else { "" }
        }
    };
    missing.extend(Linker::find(series).err().map(Need::Linker));
    if scope == Scope::Lab {
        let absent = |(program, _): &(&str, _)| command::find_program(program).is_none();
        let programs = LAB_PROGRAMS.into_iter().filter(absent);
        missing.extend(programs.map(|(program, package)| Need::Program(program, package)));
        if !is_bpffs_mounted() {
            missing.push(Need::Bpffs);
        }
    }
    missing
}

fn report() -> Result<()> {
    let toolchain = Toolchain::find().map_err(|why| anyhow!(why))?;
    eprintln!("eBPF toolchain: {toolchain}");
    Ok(())
}

/// Packages come first where apt brings the compiler; elsewhere they are the user's to install,
/// and that is said after all else is done.
fn install(missing: &[Need]) -> Result<()> {
    let packages = packages(missing);
    if is_debian() {
        install_packages(&packages)?;
    } else if missing.iter().any(|need| matches!(need, Need::Compiler(_))) {
        install_nightly()?;
    }
    if missing.iter().any(|need| matches!(need, Need::Linker(_))) {
        install_linker()?;
    }
    if missing.contains(&Need::Bpffs) {
        mount_bpffs()?;
    }
    if is_debian() { Ok(()) } else { install_packages(&packages) }
}

/// The Debian packages that meet the needs; compiler and linker only where apt brings them.
fn packages(missing: &[Need]) -> Vec<&'static str> {
    let debian = is_debian();
    let mut packages = Vec::new();
    for need in missing {
        match need {
            Need::Compiler(_) if debian => packages.extend(DEBIAN_COMPILER),
            Need::Linker(_)
                if debian && !matches!(Compiler::find(), Ok(Compiler::Nightly { .. })) =>
            {
                packages.extend(DEBIAN_LINKER.iter().filter(|package| !is_installed(package)));
            }
            Need::Program(_, package) => packages.push(package),
            Need::Compiler(_) | Need::Linker(_) | Need::Bpffs | Need::KubeServer | Need::Helm => {}
        }
    }
    packages
}

fn install_nightly() -> Result<()> {
    if command::find_program("rustup").is_none() {
        bail!(
            "no eBPF compiler: either install rustup, then `rustup toolchain install nightly \
             --component rust-src`, or on Debian `apt-get install {}`",
            DEBIAN_COMPILER.join(" ")
        );
    }
    let arguments = ["toolchain", "install", "nightly", "--profile", "minimal"];
    command::run(Command::new("rustup").args(arguments).args(["--component", "rust-src"]))
}

fn install_linker() -> Result<()> {
    // The packages may have been all it lacked: a shared library of LLVM's.
    let compiler = Compiler::find().map_err(|why| anyhow!(why))?;
    if Linker::find(compiler.linker_series()).is_ok() {
        return Ok(());
    }
    // --force: one that is there but of another version or does not run is to be replaced.
    let mut cargo = Command::new("cargo");
    cargo.args(["install", "bpf-linker", "--force", "--locked"]);
    if matches!(compiler, Compiler::Debian { .. }) {
        cargo.env("LLVM_PREFIX", "/usr/lib/llvm-22").args(["--version", LINKER_VERSION]).args([
            "--no-default-features",
            "--features",
            "llvm-22",
        ]);
    }
    command::run(&mut cargo)
}

fn mount_bpffs() -> Result<()> {
    if !is_root() {
        bail!("not root: run `mount -t bpf bpf {BPFFS}` as root");
    }
    command::run(Command::new("mount").args(["-t", "bpf", "bpf", BPFFS]))
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    // Another installation may be under way: wait for it rather than fail.
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-o", "DPkg::Lock::Timeout=600"])
        .args(arguments);
    command
}

fn is_debian() -> bool {
    command::find_program("apt-get").is_some() && Path::new("/etc/debian_version").exists()
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat", "${db:Status-Status}", package])
        .output()
        .is_ok_and(|output| output.stdout == b"installed")
}

fn is_bpffs_mounted() -> bool {
    fs::read_to_string("/proc/self/mounts").is_ok_and(|mounts| has_bpffs(&mounts))
}

fn has_bpffs(mounts: &str) -> bool {
    mounts.lines().any(|mount| {
        let mut fields = mount.split(' ').skip(1);
        fields.next() == Some(BPFFS) && fields.next() == Some("bpf")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bpffs_is_told_from_other_mounts() {
        assert!(has_bpffs("none /proc proc rw 0 0\nbpf /sys/fs/bpf bpf rw,relatime 0 0\n"));
        assert!(!has_bpffs("sysfs /sys/fs/bpf sysfs rw 0 0\nbpf /mnt bpf rw 0 0\n"));
    }

    #[test]
    fn each_missing_program_names_its_package() {
        let missing = [Need::Program("ping", "iputils-ping"), Need::Bpffs];
        assert_eq!(packages(&missing), ["iputils-ping"]);
        assert_eq!(missing[0].to_string(), "ping (Debian: iputils-ping)");
        assert_eq!(missing[1].to_string(), "bpffs at /sys/fs/bpf");
    }
}
