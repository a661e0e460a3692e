//! The wish that connections end: what is under way is finished, nothing new is begun.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::watch;

/// How long a connection without a request stays open when draining has begun: its next request
/// may be on the way, and would be lost. It is answered, and told that it was the last.
pub const IDLE_GRACE: Duration = Duration::from_secs(1);

/// Sees whether draining has begun. Cheap to clone; one per connection.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<bool>);

/// Begins draining.
#[derive(Debug)]
pub struct DrainStart(watch::Sender<bool>);

/// A pair of both ends.
pub fn drain() -> (DrainStart, Drain) {
    let (start, drain) = watch::channel(false);
    (DrainStart(start), Drain(drain))
}

impl DrainStart {
    /// Begins. It cannot be taken back.
    pub fn start(&self) {
        self.0.send_replace(true);
    }
}

impl Drain {
    /// Whether it has begun.
    pub fn is_started(&self) -> bool {
        *self.0.borrow()
    }

    /// Whether it has begun, asked in each poll of one task; that is woken when it does. `started`
    /// is [`Self::started`] of a clone, `is_watched` is false at first.
    pub(crate) fn has_started(
        &self,
        started: Pin<&mut impl Future<Output = ()>>,
        is_watched: &mut bool,
        context: &mut Context<'_>,
    ) -> bool {
        if *is_watched {
            // Once polled it wakes the task, whatever that waits for then.
            return self.is_started();
        }
        *is_watched = true;
        matches!(started.poll(context), Poll::Ready(()))
    }

    /// Waits until it begins; forever if its other end is gone.
    pub async fn started(&mut self) {
        if self.0.wait_for(|is_started| *is_started).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
