//! Runs the loader, on this kernel or on another in an emulated machine.

use std::{
    io::{self, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::command;

/// The program that emulates a machine.
pub(super) const EMULATOR: &str = "qemu-system-x86_64";

/// Of the emulated machine. Maps are allocated in full; pages it never touches cost nothing here.
const MEMORY: &str = "4G";

/// A boot takes seconds; emulated verification of large programs may take longer.
const BOOT_MAX: Duration = Duration::from_mins(20);

/// What the loader printed here; its exit status only repeats what the lines say.
pub(super) fn run_here(loader: &Path) -> Result<String> {
    let mut run = Command::new(loader);
    eprintln!("+ {}", command::line(&run));
    let output =
        run.output().with_context(|| format!("could not start: {}", command::line(&run)))?;
    String::from_utf8(output.stdout).context("the loader's output is not UTF-8")
}

/// What the machine's console showed until it switched itself off.
pub(super) fn boot(image: &Path, initramfs: &Path) -> Result<String> {
    let mut qemu = Command::new(EMULATOR);
    qemu.args(["-accel", "tcg", "-cpu", "max", "-m", MEMORY, "-nodefaults", "-no-user-config"])
        .args(["-display", "none", "-serial", "stdio", "-no-reboot"])
        .arg("-kernel")
        .arg(image)
        .arg("-initrd")
        .arg(initramfs)
        // A panic reboots at once, and -no-reboot turns that into an end.
        .args(["-append", "console=ttyS0 quiet loglevel=1 panic=-1 mitigations=off"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let text = command::line(&qemu);
    eprintln!("+ {text}");
    let child = qemu.spawn().with_context(|| format!("could not start: {text}"))?;
    console(child).with_context(|| text)
}

/// Reads the console to its end, within [`BOOT_MAX`].
fn console(mut child: Child) -> Result<String> {
    let mut stdout = child.stdout.take().context("the console is not connected")?;
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let result: io::Result<usize> = stdout.read_to_end(&mut bytes);
        // The receiver is gone only after it gave up waiting.
        sender.send(result.map(|_| bytes)).ok();
    });
    let received = receiver.recv_timeout(BOOT_MAX);
    if matches!(received, Err(RecvTimeoutError::Timeout)) {
        child.kill().context("could not end the machine")?;
    }
    let status = child.wait().context("could not wait for the machine")?;
    reader.join().map_err(|_| anyhow!("the console's reader panicked"))?;
    let Ok(bytes) = received else {
        bail!("did not end within {BOOT_MAX:?}");
    };
    if !status.success() {
        bail!("{status}");
    }
    Ok(String::from_utf8_lossy(&bytes?).into_owned())
}
