//! The time, looked at once a turn: what a task does between two waits takes microseconds, and asks
//! for the time a handful of times.

use std::{cell::Cell, future::poll_fn, pin::Pin};
use tokio::time::Instant;

thread_local! {
    static TURN: Cell<Turn> = const { Cell::new(Turn::None) };
}

/// What is known about the time.
#[derive(Clone, Copy)]
enum Turn {
    /// Nothing: there is no turn.
    None,
    /// Nobody asked for it in this turn.
    Begun,
    /// It was first asked for then.
    At(Instant),
}

/// Now: within a task of [`turns`] the time at which it was first asked for in this turn.
pub(crate) fn now() -> Instant {
    match TURN.get() {
        Turn::At(now) => now,
        Turn::Begun => {
            let now = Instant::now();
            TURN.set(Turn::At(now));
            now
        }
        Turn::None => Instant::now(),
    }
}

/// The task, with one time for each of its turns.
pub(crate) fn turns<F: Future + ?Sized>(mut task: Pin<Box<F>>) -> impl Future<Output = F::Output> {
    poll_fn(move |context| {
        let _until_end = Before(TURN.replace(Turn::Begun));
        task.as_mut().poll(context)
    })
}

/// What was before a turn; it is so again when this is dropped.
struct Before(Turn);

impl Drop for Before {
    fn drop(&mut self) {
        TURN.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{task::Poll, time::Duration};
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
