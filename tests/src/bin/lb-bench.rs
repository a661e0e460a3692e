//! `lb-bench`: measures: `l4` the packet path, `l7` the proxy, `kube` the agent of clusters.

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
