//! `lbctl`, the daemon's tool.

fn main() -> std::process::ExitCode {
    lb_userspace::ctl::lbctl()
}
