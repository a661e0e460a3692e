//! `lbd`, the daemon.

/// A request allocates a handful of short-lived pieces: with glibc's allocator that was a
/// twentieth of what it costs outside the kernel.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    lb_userspace::ctl::lbd()
}
