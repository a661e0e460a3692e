//! Sessions by client and address, and which of them goes when there are too many.

use super::socket::Arrived;
use foldhash::HashMap;
use std::{collections::VecDeque, rc::Rc};
use tokio::time::Instant;

/// What is known of when a session was used.
pub(super) trait Used {
    /// When it was used last.
    fn last(&self) -> Instant;
}

/// Sessions, at most so many.
pub(super) struct Table<S> {
    sessions: HashMap<Arrived, (u64, Rc<S>)>,
    keys: HashMap<u64, Arrived>,
    /// Numbers of sessions with the time that they were used at when they were put here. A session
    /// that was used since goes to the end when its turn comes, so that each datagram costs
    /// nothing.
    turns: VecDeque<(Instant, u64)>,
    next: u64,
    sessions_max: usize,
}

impl<S: Used> Table<S> {
    pub(super) fn new(sessions_max: usize) -> Self {
        Self {
            sessions: HashMap::default(),
            keys: HashMap::default(),
            turns: VecDeque::new(),
            next: 0,
            sessions_max,
        }
    }

    pub(super) fn find(&self, key: &Arrived) -> Option<Rc<S>> {
        self.sessions.get(key).map(|(_, session)| Rc::clone(session))
    }

    /// Adds a session: its number, and the one that had to go.
    pub(super) fn insert(&mut self, key: Arrived, session: Rc<S>) -> (u64, Option<Rc<S>>) {
        let full = self.sessions.len() >= self.sessions_max;
        let evicted = if full { self.evict() } else { None };
        if self.turns.len() >= self.sessions_max.saturating_mul(2) {
            self.turns.retain(|(_, number)| self.keys.contains_key(number));
        }
        let number = self.next;
        self.next += 1;
        self.turns.push_back((session.last(), number));
        self.keys.insert(number, key);
        self.sessions.insert(key, (number, session));
        (number, evicted)
    }

    /// Forgets a session that is over.
    pub(super) fn remove(&mut self, number: u64) {
        if let Some(key) = self.keys.remove(&number) {
            self.sessions.remove(&key);
        }
    }

    /// Takes out a session that was not used since its last turn: the one that had the longest
    /// time to be.
    fn evict(&mut self) -> Option<Rc<S>> {
        // One round is enough: whatever was used since its turn has its new time afterwards.
        for _ in 0..=self.turns.len() {
            let (turn, number) = self.turns.pop_front()?;
            let Some(key) = self.keys.get(&number) else {
                continue;
            };
            let (_, session) = self.sessions.get(key)?;
            let last = session.last();
            if last > turn {
                self.turns.push_back((last, number));
                continue;
            }
            let evicted = Rc::clone(session);
            self.remove(number);
            return Some(evicted);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{cell::Cell, time::Duration};

    struct At(Cell<Instant>);

    impl Used for At {
        fn last(&self) -> Instant {
            self.0.get()
        }
    }

    #[test]
    fn the_one_that_was_not_used_goes_and_the_queue_stays_small() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let key = |port| Arrived {
            client: ([127, 0, 0, 1], port).into(),
            local: ([127, 0, 0, 1], 1).into(),
        };
        let mut table = Table::new(3);
        let sessions: Vec<_> = (0..4).map(|number| Rc::new(At(Cell::new(at(number))))).collect();
        for port in 0..3 {
            let (_, evicted) = table.insert(key(port), Rc::clone(&sessions[usize::from(port)]));
            assert!(evicted.is_none());
        }
        sessions[0].0.set(at(9));
        let (number, evicted) = table.insert(key(3), Rc::clone(&sessions[3]));
        assert!(Rc::ptr_eq(&evicted.unwrap(), &sessions[1]));
        assert!(table.find(&key(0)).is_some() && table.find(&key(1)).is_none());
        table.remove(number);
        assert!(table.find(&key(3)).is_none());
        for _ in 0..100 {
            let (number, evicted) = table.insert(key(3), Rc::clone(&sessions[3]));
            assert!(evicted.is_none());
            table.remove(number);
        }
        assert!(table.turns.len() <= 6);
    }
}
