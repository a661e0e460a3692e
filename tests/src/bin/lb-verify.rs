//! Loads every eBPF program in every shape and prints, one JSON object a line, what the kernel's
//! verifier and JIT made of it.
//!
//! Started as process 1 of a virtual machine it mounts what it needs and switches the machine off
//! when it is done, so that an initramfs needs nothing else. `cargo xtask verify` does that.

use std::{io, process::ExitCode};

use aya::{
    Ebpf, EbpfError, EbpfLoader, VerifierLogLevel,
    programs::{Program, ProgramError},
};
use lb_common::abi::{Features, GLOBAL_FEATURES};
use lb_userspace::EBPF_OBJECT;
use rustix::{
    mount::{MountFlags, mount},
    process::{Resource, Rlimit, getrlimit, setrlimit},
    system::{RebootCommand, reboot, uname},
};
use serde::Serialize;

/// Printed alone on a line before the first and after the last JSON line, so that they can be
/// told from a console's other messages.
const BEGIN: &str = "lb-verify: begin";
const END: &str = "lb-verify: end";

/// The parts of the packet path that are loaded, as the daemon may choose them.
struct Shape {
    name: &'static str,
    /// Nothing leaves the object's own defaults
    features: Option<u32>,
}

impl Shape {
    const fn of(name: &'static str, features: u32) -> Self {
        Self { name, features: Some(features) }
    }
}

/// Every shape the verifier has to take: what it removes as dead differs from one to the other.
const SHAPES: [Shape; 5] = [
    Shape { name: "default", features: None },
    Shape::of("v4-tunnel", Features::IPV4 | Features::TUNNEL),
    Shape::of("dsr", FAMILIES | Features::L2DSR | Features::TUNNEL | Features::AFFINITY),
    Shape::of("all", Features::ALL.0),
    Shape::of("all-log", Features::ALL.0 | Features::LOG),
];

/// Tables of millions that fill at run time. Their size means nothing to the verifier, but an
/// emulated machine takes long to allocate them for each shape.
const FLOW_TABLES: [&str; 5] =
    ["lb_flows_syn", "lb_flows_miss", "lb_nat", "lb_nat_reverse", "lb_fragments"];

const FLOW_ENTRIES: u32 = 1_024;

const FAMILIES: u32 = Features::IPV4 | Features::IPV6;

/// What became of one program in one shape; a size is absent where loading failed.
#[derive(Default, Serialize)]
struct Outcome {
    /// `uname -r`
    kernel: String,
    shape: &'static str,
    program: String,
    /// Instructions the verifier walked over all paths
    processed_count: Option<u32>,
    stack_bytes: Option<u32>,
    /// Instructions left after the verifier removed dead code, in bytes of eBPF
    translated_bytes: Option<u32>,
    /// Machine code
    jited_bytes: Option<u32>,
    /// Why it does not load, with the end of the verifier's log
    error: Option<String>,
}

fn main() -> ExitCode {
    let is_init = std::process::id() == 1;
    if is_init && let Err(error) = mount_kernel_files() {
        eprintln!("lb-verify: {error}");
    }
    let result = verify_all(&mut io::stdout().lock());
    if let Err(error) = &result {
        eprintln!("lb-verify: {error}");
    }
    if is_init {
        // Process 1 must not return: without this the kernel would panic.
        if let Err(error) = reboot(RebootCommand::PowerOff) {
            eprintln!("lb-verify: power off: {error}");
        }
    }
    match result {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) | Err(_) => ExitCode::FAILURE,
    }
}

/// Gives back how many programs failed to load.
fn verify_all(out: &mut impl io::Write) -> io::Result<usize> {
    let kernel = uname().release().to_string_lossy().into_owned();
    let mut failures_count = 0;
    writeln!(out, "{BEGIN}")?;
    for shape in &SHAPES {
        for mut outcome in verify(shape) {
            outcome.kernel.clone_from(&kernel);
            failures_count += usize::from(outcome.error.is_some());
            writeln!(out, "{}", serde_json::to_string(&outcome)?)?;
        }
    }
    writeln!(out, "{END}")?;
    out.flush()?;
    Ok(failures_count)
}

fn verify(shape: &Shape) -> Vec<Outcome> {
    match open(shape, VerifierLogLevel::STATS) {
        Ok(mut ebpf) => {
            names(&ebpf).iter().map(|name| verify_program(&mut ebpf, shape, name)).collect()
        }
        Err(error) => vec![failure(shape, "(maps)", chain(&error))],
    }
}

/// Creates the maps; programs are not loaded yet.
fn open(shape: &Shape, level: VerifierLogLevel) -> Result<Ebpf, EbpfError> {
    let mut loader = EbpfLoader::new();
    loader.verifier_log_level(level);
    if let Some(features) = &shape.features {
        loader.override_global(GLOBAL_FEATURES, features, true);
    }
    for table in FLOW_TABLES {
        loader.map_max_entries(table, FLOW_ENTRIES);
    }
    loader.load(EBPF_OBJECT)
}

fn names(ebpf: &Ebpf) -> Vec<String> {
    let mut names: Vec<String> = ebpf.programs().map(|(name, _)| name.to_owned()).collect();
    names.sort();
    names
}

fn verify_program(ebpf: &mut Ebpf, shape: &Shape, name: &str) -> Outcome {
    let Some(program) = ebpf.program_mut(name) else {
        return failure(shape, name, "is gone".to_owned());
    };
    let loaded = verifier_log(program).and_then(|log| {
        load(program)?;
        Ok((log, program.info()?))
    });
    let (log, info) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            let explained = explain(shape, name).unwrap_or_else(|| chain(&error));
            return failure(shape, name, explained);
        }
    };
    Outcome {
        shape: shape.name,
        program: name.to_owned(),
        processed_count: info.verified_instruction_count(),
        stack_bytes: stack_bytes(&log),
        translated_bytes: info.size_translated(),
        jited_bytes: Some(info.size_jitted()),
        ..Outcome::default()
    }
}

/// The verifier's statistics of a program that is not loaded yet.
///
/// aya hands out the log only when loading fails. So let it fail at its very last step, after the
/// verifier and the JIT: the kernel finds no free descriptor for the program.
fn verifier_log(program: &mut Program) -> Result<String, ProgramError> {
    let limit = getrlimit(Resource::Nofile);
    // Descriptors that are open stay so; only new ones are refused.
    let none = Rlimit { current: Some(0), maximum: limit.maximum };
    setrlimit(Resource::Nofile, none).map_err(io::Error::from)?;
    let result = load(program);
    setrlimit(Resource::Nofile, limit).map_err(io::Error::from)?;
    match result {
        Err(ProgramError::LoadError { io_error, verifier_log })
            if io_error.raw_os_error() == Some(libc::EMFILE) =>
        {
            Ok(verifier_log.to_string())
        }
        Ok(()) => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// Loads once more, with all the verifier has to say: too much for a program that loads.
fn explain(shape: &Shape, name: &str) -> Option<String> {
    let mut ebpf = open(shape, VerifierLogLevel::default()).ok()?;
    let error = load(ebpf.program_mut(name)?).err()?;
    Some(chain(&error))
}

fn load(program: &mut Program) -> Result<(), ProgramError> {
    match program {
        Program::Xdp(program) => program.load(),
        Program::SchedClassifier(program) => program.load(),
        Program::SkLookup(program) => program.load(),
        Program::SkReuseport(program) => program.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    }
}

/// The program's own frame, which comes first in a line like `stack depth 224+0+16`, and the largest
/// of its functions'. Functions that call others have small frames themselves.
fn stack_bytes(log: &str) -> Option<u32> {
    let depths = log.lines().find_map(|line| line.strip_prefix("stack depth "))?;
    let mut depths = depths.split_whitespace().next()?.split('+').map(str::parse::<u32>);
    let own = depths.next()?.ok()?;
    Some(own + depths.flatten().max().unwrap_or(0))
}

fn failure(shape: &Shape, program: &str, error: String) -> Outcome {
    Outcome {
        shape: shape.name,
        program: program.to_owned(),
        error: Some(error),
        ..Outcome::default()
    }
}

/// The error with its causes, or the end of it where the verifier was long-winded.
fn chain(error: &impl std::error::Error) -> String {
    const LINES_MAX: usize = 40;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(LINES_MAX);
    lines.get(skipped..).unwrap_or_default().join("\n")
}

fn mount_kernel_files() -> rustix::io::Result<()> {
    for (file_system, target) in
        [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("bpf", "/sys/fs/bpf")]
    {
        mount(file_system, target, file_system, MountFlags::empty(), None)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stack_is_that_of_the_program_and_its_largest_function() {
        let log = "verification time 12 usec\nstack depth 224+0+16\nprocessed 3 insns (limit 1)";
        assert_eq!(stack_bytes(log), Some(240));
        assert_eq!(stack_bytes("stack depth 80+0+352+16"), Some(432));
        assert_eq!(stack_bytes("stack depth 8 max 8\n"), Some(8));
        assert_eq!(stack_bytes("processed 3 insns"), None);
    }

    #[test]
    fn a_long_log_keeps_its_end() {
        let log = (0..100).map(|line| line.to_string()).collect::<Vec<_>>().join("\n");
        let text = chain(&io::Error::other(log));
        assert!(text.starts_with("60\n") && text.ends_with("\n99"), "{text}");
    }
}
