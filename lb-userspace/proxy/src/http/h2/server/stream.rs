//! One stream of a client.

use crate::http::{BodyError, Fields};
use bytes::Bytes;
use std::{
    cell::{RefCell, RefMut},
    task::Waker,
};
use tokio::time::Instant;

/// A stream, shared by the connection, the task that answers it and whoever reads its body.
pub(super) struct Stream {
    pub(super) id: u32,
    state: RefCell<State>,
}

/// What is known about a stream. Windows are signed: a setting can take back what was granted.
pub(super) struct State {
    /// The task that answers it and whoever holds its body. When none is left nobody cares for it.
    pub(super) holder_count: u8,
    /// Both sides are done with it, or one has given it up.
    pub(super) is_closed: bool,
    pub(super) receiving: Receiving,
    pub(super) sending: Sending,
    /// The final response has begun.
    pub(super) is_responding: bool,
    /// The task that answers it.
    pub(super) task: Option<Waker>,
}

/// The client's side.
#[derive(Default)]
pub(super) struct Receiving {
    /// What came and was not taken.
    pub(super) bytes: Vec<u8>,
    pub(super) trailers: Option<Box<Fields>>,
    /// The client has said all.
    pub(super) is_ended: bool,
    /// It will never have.
    pub(super) broken: Option<BodyError>,
    /// Nobody takes what comes.
    pub(super) is_unwanted: bool,
    /// Bytes still to come, if `Content-Length` told.
    pub(super) left: Option<u64>,
    /// Bytes that the client may still send.
    pub(super) window: u32,
    /// Bytes taken that it does not know of yet.
    pub(super) taken: u32,
    /// Bytes taken in all.
    pub(super) taken_bytes: u64,
    pub(super) reader: Option<Waker>,
}

/// Our side.
pub(super) struct Sending {
    /// What waits for windows and room.
    pub(super) pending: Bytes,
    /// The stream ends with it.
    pub(super) is_last: bool,
    /// It is among those that take turns.
    pub(super) is_queued: bool,
    /// We have said all.
    pub(super) is_ended: bool,
    pub(super) window: i64,
    pub(super) sent_bytes: u64,
    /// Bytes that were sent when nothing more went, and since when.
    pub(super) waits_since: Option<(u64, Instant)>,
}

impl Stream {
    pub(super) fn new(id: u32, window: i64, receiving: Receiving) -> Self {
        let sending = Sending {
            pending: Bytes::new(),
            is_last: false,
            is_queued: false,
            is_ended: false,
            window,
            sent_bytes: 0,
            waits_since: None,
        };
        let state = State {
            holder_count: 1,
            is_closed: false,
            is_responding: false,
            receiving,
            sending,
            task: None,
        };
        Self { id, state: RefCell::new(state) }
    }

    pub(super) fn state(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }
}

impl State {
    /// Remembers the task that answers it.
    pub(super) fn remember(&mut self, waker: &Waker) {
        if !self.task.as_ref().is_some_and(|it| it.will_wake(waker)) {
            self.task = Some(waker.clone());
        }
    }

    pub(super) fn wake_task(&self) {
        if let Some(task) = &self.task {
            task.wake_by_ref();
        }
    }

    /// Whether both sides have said all.
    pub(super) fn is_done(&self) -> bool {
        self.receiving.is_ended && self.sending.is_ended
    }

    /// Nothing comes any more, and nothing is sent. A body that came as a whole stays one.
    /// How many bytes of it nobody will take.
    pub(super) fn give_up(&mut self, error: BodyError) -> usize {
        self.is_closed = true;
        self.sending.pending = Bytes::new();
        let receiving = &mut self.receiving;
        let mut lost = 0;
        if !receiving.is_ended {
            receiving.broken.get_or_insert(error);
            lost = std::mem::take(&mut receiving.bytes).len();
        }
        receiving.wake();
        self.wake_task();
        lost
    }
}

impl Receiving {
    pub(super) fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}
