//! Tells systemd (or whoever set `NOTIFY_SOCKET`) how the daemon is.

use sd_notify::NotifyState;

/// The service manager, if there is one.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceManager;

impl ServiceManager {
    /// The first configuration is in force.
    pub fn ready(self) {
        send(&[NotifyState::Ready]);
    }

    /// A reload began; [`Self::ready`] ends it.
    pub fn reloading(self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => send(&[NotifyState::Reloading, now]),
            Err(error) => tracing::debug!(%error, "monotonic clock"),
        }
    }

    /// The daemon is about to exit.
    pub fn stopping(self) {
        send(&[NotifyState::Stopping]);
    }

    /// One line for `systemctl status`.
    pub fn status(self, line: &str) {
        send(&[NotifyState::Status(line)]);
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "service manager not told");
    }
}
