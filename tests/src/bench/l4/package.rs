//! Fetches what the bench compiles and never keeps in the repository: the kernel's benchmark
//! program, from Debian's kernel source package, into a cache folder of the user.
//!
//! The package comes from a newer suite than the machine's own, so apt gets a one-line source list
//! and list and cache folders of ours; nothing of that suite is installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::bench::command;

const PACKAGE: &str = "linux-source-7.2";
const SUITE: &str = "sid";
/// Where the kernel keeps the program, below the top folder of its source.
const FOLDER: &str = "tools/testing/selftests/bpf";
/// The program and the headers it includes, below [`FOLDER`].
const FILES: [&str; 5] = [
    "progs/xdp_lb_bench.c",
    "progs/bench_bpf_timing.bpf.h",
    "progs/bpf_compiler.h",
    "xdp_lb_bench_common.h",
    "libarena/include/bpf_may_goto.h",
];
const VERSION_FILE: &str = "package-version";

/// The unpacked sources of the rival.
#[derive(Debug)]
pub struct Sources {
    /// The folder that holds the program's own `progs` folder.
    pub folder: PathBuf,
    /// Name and version of the package they came from.
    pub package: String,
}

/// The folder everything fetched or compiled goes to, created if it is missing.
pub fn cache_folder() -> Result<PathBuf> {
    let chosen = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty());
    let base = if let Some(folder) = chosen {
        PathBuf::from(folder)
    } else {
        let home = std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?;
        PathBuf::from(home).join(".cache")
    };
    let folder = base.join("lb/bench");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Installs the compiler and the BPF headers if they are missing.
pub fn install_compiler() -> Result<()> {
    if command::exists("clang-22") && Path::new("/usr/include/bpf/bpf_helpers.h").is_file() {
        return Ok(());
    }
    if !command::exists("apt-get") {
        bail!("clang-22 and libbpf's headers are needed, and there is no apt-get to install them");
    }
    command::run(Command::new("apt-get").args(["-qq", "update"]), "read the package lists")?;
    let packages = ["clang-22", "libbpf-dev", "linux-libc-dev", "xz-utils"];
    command::run(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-qq", "install", "-y", "--no-install-recommends"])
            .args(packages),
        "install the compiler",
    )
}

/// The rival's sources, fetched if the cache does not have them.
pub fn sources(cache: &Path) -> Result<Sources> {
    let folder = cache.join(PACKAGE);
    if let Ok(version) = fs::read_to_string(folder.join(VERSION_FILE)) {
        return Ok(Sources { folder, package: format!("{PACKAGE} {version}") });
    }
    let work = tempfile::tempdir_in(cache).context("cannot create a work folder in the cache")?;
    let version = fetch(work.path()).with_context(|| format!("cannot get {PACKAGE} of {SUITE}"))?;
    let unpacked = work.path().join("out");
    fs::write(unpacked.join(VERSION_FILE), &version)?;
    if let Err(error) = fs::rename(&unpacked, &folder) {
        // A second run may have put the same files there in the meantime.
        if !folder.join(VERSION_FILE).is_file() {
            return Err(error).with_context(|| format!("cannot fill {}", folder.display()));
        }
    }
    Ok(Sources { folder, package: format!("{PACKAGE} {version}") })
}

/// Downloads and unpacks below `work`, the wanted files into `work/out`; returns the version.
fn fetch(work: &Path) -> Result<String> {
    let options = apt_options(work)?;
    let apt = |verb: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.current_dir(work).args(&options).args(verb);
        apt
    };
    command::run(&mut apt(&["-qq", "update"]), "read the suite's package list")?;
    command::run(&mut apt(&["-qq", "download", PACKAGE]), "download the package")?;
    let package = find(work, "deb")?;
    let mut ask = Command::new("dpkg-deb");
    let version =
        command::read(ask.arg("-f").arg(&package).arg("Version"), "read the package's version")?;
    let tree = work.join("tree");
    command::run(Command::new("dpkg").arg("-x").arg(&package).arg(&tree), "unpack the package")?;
    let archive = find(&tree.join("usr/src"), "xz")?;
    let out = work.join("out");
    fs::create_dir(&out)?;
    let depth = 1 + FOLDER.split('/').count();
    command::run(
        Command::new("tar")
            .arg("-xf")
            .arg(&archive)
            .arg("-C")
            .arg(&out)
            .arg(format!("--strip-components={depth}"))
            .arg("--occurrence=1")
            .args(FILES.map(|file| format!("{PACKAGE}/{FOLDER}/{file}"))),
        "unpack the benchmark program",
    )?;
    Ok(version)
}

/// The apt options that make it see [`SUITE`] only, with all its state below `work`.
fn apt_options(work: &Path) -> Result<Vec<String>> {
    let list = work.join("suite.list");
    fs::write(&list, suite_line(&machine_sources()?)?)?;
    let lists = work.join("lists");
    let cache = work.join("cache");
    fs::create_dir_all(lists.join("partial"))?;
    fs::create_dir_all(cache.join("archives/partial"))?;
    let options = [
        format!("Dir::Etc::sourcelist={}", list.display()),
        "Dir::Etc::sourceparts=-".to_owned(),
        format!("Dir::State::Lists={}", lists.display()),
        format!("Dir::Cache={}", cache.display()),
        // The work folder belongs to root, so apt's own user could not write there.
        "APT::Sandbox::User=root".to_owned(),
        "Acquire::Languages=none".to_owned(),
    ];
    Ok(options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect())
}

/// The text of the machine's own Debian source files.
fn machine_sources() -> Result<String> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    [Path::new("/etc/apt/sources.list.d/debian.sources"), Path::new("/etc/apt/sources.list")]
        .into_iter()
        .filter_map(read)
        .find(|text| text.contains("URIs:") || text.contains("deb "))
        .context("this machine has no Debian package source to take the mirror from")
}

/// The one-line source for [`SUITE`] at the first mirror that `sources` names, trusted by the same
/// keyring.
fn suite_line(sources: &str) -> Result<String> {
    let field = |name: &str| {
        let mut lines = sources.lines();
        lines.find_map(|line| line.strip_prefix(name)?.split_whitespace().next())
    };
    let signed_by = field("Signed-By:").map_or(String::new(), |key| format!("[signed-by={key}] "));
    let classic = || {
        let mut lines = sources.lines().filter_map(|line| line.strip_prefix("deb "));
        lines.find_map(|line| line.split_whitespace().find(|word| word.contains("://")))
    };
    let mirror = field("URIs:").or_else(classic).context("no mirror in the package sources")?;
    Ok(format!("deb {signed_by}{mirror} {SUITE} main\n"))
}

/// The file in `folder` whose name ends so.
fn find(folder: &Path, extension: &str) -> Result<PathBuf> {
    fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|found| found == extension))
        .with_context(|| format!("no .{extension} file in {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suite_comes_from_the_machines_own_mirror() {
        let stanza = "Types: deb\nURIs: mirror://one\nSuites: here\nSigned-By: /keys/a.gpg\n";
        assert_eq!(
            suite_line(stanza).unwrap(),
            "deb [signed-by=/keys/a.gpg] mirror://one sid main\n"
        );
        let classic = "# mirror\ndeb [arch=amd64] mirror://two here main\n";
        assert_eq!(suite_line(classic).unwrap(), "deb mirror://two sid main\n");
        assert!(suite_line("# nothing\n").is_err());
    }
}
