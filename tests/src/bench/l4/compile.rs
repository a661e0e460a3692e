//! Compiles the two C programs of the bench: the rival and our driver.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::package::Sources;
use crate::bench::command;

const DRIVER: &str = include_str!("driver.c");

/// The kernel's program, taken as it is, with an entry of ours: its own entry brackets the work
/// with two clock readings and a loop, which the measured program must not contain.
/// `lb_bench_lru` is the flow table of the one CPU that runs; see `rival.rs` for its size.
const RIVAL: &str = r#"#include "progs/xdp_lb_bench.c"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 131072);
	__type(key, struct flow_key);
	__type(value, struct real_pos_lru);
} lb_bench_lru SEC(".maps");

SEC("xdp") int lb_rival(struct xdp_md *ctx)
{
	return process_packet(ctx);
}
"#;

/// Compiles the driver; returns the object's bytes.
pub fn driver(work: &Path) -> Result<Vec<u8>> {
    let source = work.join("driver.c");
    fs::write(&source, DRIVER)?;
    compile(&source, &[])
}

/// Compiles the rival from the unpacked sources; returns the object's bytes.
pub fn rival(work: &Path, sources: &Sources) -> Result<Vec<u8>> {
    let source = work.join("rival.c");
    fs::write(&source, RIVAL)?;
    let folder = &sources.folder;
    compile(&source, &[folder.clone(), folder.join("progs"), folder.join("libarena/include")])
}

/// The kernel's own selftest flags: optimised, instruction set v3, with type information.
fn compile(source: &Path, includes: &[PathBuf]) -> Result<Vec<u8>> {
    let object = source.with_extension("o");
    let mut clang = Command::new("clang-22");
    clang.args(["-target", "bpf", "-mcpu=v3", "-O2", "-g"]);
    clang.arg("-Wno-compare-distinct-pointer-types");
    for folder in includes {
        clang.arg("-I").arg(folder);
    }
    // The machine's `asm` headers: the BPF target has none of its own.
    clang.arg("-I").arg(format!("/usr/include/{}-linux-gnu", std::env::consts::ARCH));
    clang.arg("-c").arg(source).arg("-o").arg(&object);
    command::run(&mut clang, &format!("compile {}", source.display()))?;
    fs::read(&object).with_context(|| format!("cannot read {}", object.display()))
}
