//! `lb-strict`: how exactly ours and its rivals take HTTP, asked over real sockets.

use std::process::ExitCode;

fn main() -> ExitCode {
    lb_tests::strict::main(std::env::args().skip(1))
}
