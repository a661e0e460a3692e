//! The time, looked at once a turn: what a task does between two waits takes microseconds, and asks
//! for the time a handful of times.

use std::{
    cell::Cell,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::time::Instant;

thread_local! {
    /// `None` = no turn; in one, the time once somebody asked for it.
    static TURN: Cell<Option<Option<Instant>>> = const { Cell::new(None) };
}

/// Now: within a task of [`turns`] the time at which it was first asked for in this turn.
pub(crate) fn now() -> Instant {
    match TURN.get() {
        Some(Some(now)) => now,
        Some(None) => {
            let now = Instant::now();
            TURN.set(Some(Some(now)));
            now
        }
        None => Instant::now(),
    }
}

/// The task, with one time for each of its turns.
pub(crate) fn turns<F: Future + ?Sized>(mut task: Pin<Box<F>>) -> impl Future<Output = F::Output> {
    poll_fn(move |context| Turn::begin().poll(task.as_mut(), context))
}

/// A turn; it is over when this is dropped.
struct Turn(Option<Option<Instant>>);

impl Turn {
    fn begin() -> Self {
        Self(TURN.replace(Some(None)))
    }

    fn poll<F: Future + ?Sized>(
        self,
        task: Pin<&mut F>,
        context: &mut Context<'_>,
    ) -> Poll<F::Output> {
        task.poll(context)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TURN.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::{advance, sleep};

    #[tokio::test(start_paused = true)]
    async fn time_stands_still_within_a_turn_and_nowhere_else() {
        let begin = now();
        advance(Duration::from_millis(1)).await;
        assert_eq!(now() - begin, Duration::from_millis(1));
        let task = Box::pin(async {
            let first = now();
            // Moves the clock at once; what it waits for is the next turn.
            let mut moved = std::pin::pin!(advance(Duration::from_millis(5)));
            let in_turn = poll_fn(|context| {
                let polled = moved.as_mut().poll(context);
                Poll::Ready((polled.is_ready(), now()))
            });
            assert_eq!(in_turn.await.1, first);
            sleep(Duration::from_millis(1)).await;
            now() - first
        });
        assert!(turns(task).await >= Duration::from_millis(5));
    }
}
