//! Children that die with this process, however it ends.

use std::ffi::OsString;
use std::process::Command;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use anyhow::{Context as _, Result};

use crate::lab::Process;

/// A command and where its process goes.
type Order = (Command, Sender<Result<Process>>);

/// Starts a command whose process is killed also when this process is.
///
/// The kernel kills it at the end of the *thread* that has started it (prctl(2),
/// `PR_SET_PDEATHSIG`), and a test's thread ends with the test: so one thread starts them all.
#[expect(clippy::needless_pass_by_value, reason = "it is used up")]
pub(super) fn spawn(command: Command) -> Result<Process> {
    static KEEPER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in orders {
                // Who asked waits for this and for nothing else.
                answer.send(Process::spawn(&mut command)).ok();
            }
        });
        Mutex::new(sender)
    });
    let (answer, started) = mpsc::channel();
    let order = (mortal(&command), answer);
    keeper.lock().unwrap_or_else(PoisonError::into_inner).send(order).ok();
    started.recv().context("the thread that starts processes is gone")?
}

fn mortal(command: &Command) -> Command {
    let mut mortal = Command::new("setpriv");
    let program: OsString = command.get_program().to_owned();
    mortal.args(["--pdeathsig", "KILL"]).arg(program).args(command.get_args());
    mortal
}
