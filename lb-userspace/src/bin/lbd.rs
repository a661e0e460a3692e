//! `lbd`, the daemon.

fn main() -> std::process::ExitCode {
    lb_userspace::ctl::lbd()
}
