//! Builds `lb-ebpf` and tells the crate where the object is, so that it is embedded in `lbd`.

#[path = "../xtask/src/toolchain.rs"]
mod toolchain;

use std::{
    env,
    path::PathBuf,
    process::{ExitCode, Stdio},
};

use toolchain::{TARGET, Toolchain};

/// Of these the object is made; all are relative to this package.
const SOURCES: [&str; 6] = [
    "../lb-ebpf/src",
    "../lb-ebpf/Cargo.toml",
    "../lb-ebpf/Cargo.lock",
    "../lb-common/src",
    "../lb-common/Cargo.toml",
    "../xtask/src/toolchain.rs",
];

fn main() -> ExitCode {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // cargo shows each such line as an error of this package.
            for line in why.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn embed() -> Result<(), String> {
    let toolchain = Toolchain::find()
        .map_err(|why| format!("{why}\nrun `cargo xtask setup`, which installs what is missing"))?;
    let directory = |name: &str| {
        env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("cargo did not set {name}"))
    };
    let manifest_dir = directory("CARGO_MANIFEST_DIR")?.join("../lb-ebpf");
    let target_dir = directory("OUT_DIR")?.join("ebpf");

    let mut build = toolchain.build(&manifest_dir, &target_dir, &[]);
    // What is printed to our standard output is taken for instructions. The compiler's messages
    // go to standard error, which cargo shows when this fails.
    build.stdout(Stdio::null());
    let status = build.status().map_err(|error| format!("could not start {build:?}: {error}"))?;
    if !status.success() {
        return Err(format!("lb-ebpf does not build with {toolchain}"));
    }

    let object = target_dir.join(TARGET).join("release/lb");
    println!("cargo::rustc-env=LB_EBPF_OBJECT={}", object.display());
    println!("cargo::rustc-env=LB_EBPF_TOOLCHAIN={toolchain}");
    Ok(())
}
