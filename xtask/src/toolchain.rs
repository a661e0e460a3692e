//! Finds a compiler and a linker for eBPF and builds `lb-ebpf` with them.
//!
//! Shared by `cargo xtask` and by lb-userspace's build script, so it uses the standard library
//! only. Two ways are supported:
//!
//! 1. Debian's `rustc-web` with `libstd-rust-web-dev-bpf`: a compiler that has a prebuilt `core`
//!    for the BPF target. Nothing is taken from outside the distribution's archive.
//! 2. rustup's nightly with `rust-src`: `core` is built along (`-Z build-std`).
//!
//! The first that is complete is used, in this order: a prebuilt `core` builds faster and does
//! not change from one night to the next.

use std::{
    env,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The BPF target of every kernel this project runs on: little-endian.
pub(crate) const TARGET: &str = "bpfel-unknown-none";

/// Where Debian puts its compiler.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// The series of `bpf-linker` that goes with LLVM 22, which Debian's compiler is built on.
pub(crate) const DEBIAN_LINKER_SERIES: &str = "0.13.";

/// What the environment of an outer cargo, clippy or rustup would otherwise decide for us.
const OUTER_ENVIRONMENT: [&str; 10] = [
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CLIPPY_ARGS",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTDOCFLAGS",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// A compiler that can build for BPF; `version` is its name and release.
#[derive(Debug)]
pub(crate) enum Compiler {
    /// Debian's, with a prebuilt `core`
    Debian { version: String },
    /// rustup's nightly, which builds `core` from `rust-src`
    Nightly { version: String },
}

/// `bpf-linker`; `version` is its name and release.
#[derive(Debug)]
pub(crate) struct Linker {
    version: String,
}

/// A compiler and a linker that go together.
#[derive(Debug)]
pub(crate) struct Toolchain {
    compiler: Compiler,
    linker: Linker,
}

impl Toolchain {
    /// Finds what is installed; the error says, one line each, what is missing.
    pub(crate) fn find() -> Result<Self, String> {
        let compiler = Compiler::find()?;
        let linker = Linker::find(compiler.linker_series())?;
        Ok(Self { compiler, linker })
    }

    /// The command that builds the package at `manifest_dir` into `target_dir`, where
    /// its object is then in [`TARGET`]`/release`. `lints` are further compiler flags.
    pub(crate) fn build(&self, manifest_dir: &Path, target_dir: &Path, lints: &[&str]) -> Command {
        let mut command = match self.compiler {
            Compiler::Debian { .. } => {
                Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            }
            Compiler::Nightly { .. } => Command::new("rustup"),
        };
        for name in OUTER_ENVIRONMENT {
            command.env_remove(name);
        }
        match self.compiler {
            // aya-ebpf enables `asm_experimental_arch`, which a released compiler must be told
            // to accept.
            Compiler::Debian { .. } => {
                command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
            }
            Compiler::Nightly { .. } => {
                command.env_remove("CARGO").args(["run", "nightly", "cargo"]);
            }
        }
        if let Some(path) = longer_path() {
            command.env("PATH", path);
        }
        let mut flags = vec!["-Cdebuginfo=2", "-Clink-arg=--btf"];
        flags.extend(lints);
        command
            .current_dir(manifest_dir)
            .env("RUSTFLAGS", flags.join(" "))
            .args(["build", "--release", "--target", TARGET, "--target-dir"])
            .arg(target_dir);
        if matches!(self.compiler, Compiler::Nightly { .. }) {
            command.args(["-Z", "build-std=core"]);
        }
        command
    }
}

impl fmt::Display for Toolchain {
    /// One line: what was picked and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.compiler {
            Compiler::Debian { version } => {
                write!(f, "Debian's {version} (has a prebuilt core for {TARGET})")?;
            }
            Compiler::Nightly { version } => {
                write!(
                    f,
                    "rustup's {version} with rust-src (no {DEBIAN_RUSTC} with a prebuilt \
                     core for {TARGET}: core is built along)"
                )?;
            }
        }
        write!(f, ", {}", self.linker.version)
    }
}

impl Compiler {
    /// The first complete one; the error says what each of them lacks.
    pub(crate) fn find() -> Result<Self, String> {
        let debian = match Self::find_debian() {
            Ok(compiler) => return Ok(compiler),
            Err(why) => why,
        };
        match Self::find_nightly() {
            Ok(compiler) => Ok(compiler),
            Err(nightly) => Err(format!("no eBPF compiler: {debian}; {nightly}")),
        }
    }

    /// How the version of a fitting `bpf-linker` begins: rustup's nightly takes what is newest.
    pub(crate) fn linker_series(&self) -> &'static str {
        match self {
            Self::Debian { .. } => DEBIAN_LINKER_SERIES,
            Self::Nightly { .. } => "",
        }
    }

    fn find_debian() -> Result<Self, String> {
        let sysroot = first_line(Command::new(DEBIAN_RUSTC).args(["--print", "sysroot"]))
            .ok_or_else(|| format!("no {DEBIAN_RUSTC}"))?;
        if !has_core(&Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("lib")) {
            return Err(format!("{DEBIAN_RUSTC} has no prebuilt core for {TARGET}"));
        }
        let version = first_line(Command::new(DEBIAN_RUSTC).arg("--version"))
            .map(|line| release(&line))
            .ok_or_else(|| format!("{DEBIAN_RUSTC} does not tell its version"))?;
        Ok(Self::Debian { version })
    }

    fn find_nightly() -> Result<Self, String> {
        let nightly = |argument: &[&str]| {
            first_line(Command::new("rustup").args(["run", "nightly", "rustc"]).args(argument))
        };
        let sysroot = nightly(&["--print", "sysroot"]).ok_or("no nightly compiler of rustup's")?;
        if !Path::new(&sysroot).join("lib/rustlib/src/rust/library/core").is_dir() {
            return Err("rustup's nightly lacks the component rust-src".to_owned());
        }
        let version = nightly(&["--version"])
            .map(|line| release(&line))
            .ok_or("rustup's nightly tells no version")?;
        Ok(Self::Nightly { version })
    }
}

impl Linker {
    /// A `bpf-linker` of the series that runs; the error says what is wrong.
    pub(crate) fn find(series: &str) -> Result<Self, String> {
        let mut linker = Command::new("bpf-linker");
        if let Some(path) = longer_path() {
            linker.env("PATH", path);
        }
        let version = first_line(linker.arg("--version")).ok_or("no bpf-linker that runs")?;
        if !version.trim_start_matches("bpf-linker ").starts_with(series) {
            return Err(format!("{version} is there, {series}x is needed"));
        }
        Ok(Self { version })
    }
}

/// `PATH` with cargo's own `bin` in front, where `cargo install` puts the linker; nothing if it
/// is in there already.
fn longer_path() -> Option<OsString> {
    let home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => Path::new(&env::var_os("HOME")?).join(".cargo"),
    };
    let bin = home.join("bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = env::split_paths(&path).collect();
    if directories.contains(&bin) {
        return None;
    }
    directories.insert(0, bin);
    env::join_paths(directories).ok()
}

fn has_core(directory: &Path) -> bool {
    directory.read_dir().is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| {
                entry.file_name().to_string_lossy().starts_with("libcore-")
                    && entry.path().extension().is_some_and(|extension| extension == "rlib")
            })
        })
    })
}

/// Name and release, without the commit and the build that may follow.
fn release(version: &str) -> String {
    version.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// What a program prints first, if it can be started and ends with 0.
fn first_line(command: &mut Command) -> Option<String> {
    for name in OUTER_ENVIRONMENT {
        command.env_remove(name);
    }
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}
