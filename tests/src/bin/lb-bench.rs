//! `lb-bench`: measures the packet path. `lb-bench l4` against the kernel's own benchmark program.

use std::process::ExitCode;

fn main() -> ExitCode {
    match lb_tests::bench::run(std::env::args().skip(1)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lb-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
