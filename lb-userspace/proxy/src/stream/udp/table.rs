//! Sessions by client and address, and which of them goes when there are too many.

use super::socket::Arrived;
use foldhash::HashMap;
use std::{collections::BTreeMap, rc::Rc};
use tokio::time::Instant;

/// What is known of when a session was used.
pub(super) trait Used {
    /// When it was used last.
    fn last(&self) -> Instant;
}

/// Sessions, at most so many.
pub(super) struct Table<S> {
    sessions: HashMap<Arrived, Entry<S>>,
    /// Sessions by the time that they were used at when they were put here. One that was used since
    /// gets its new place when its turn comes, so that a datagram costs nothing.
    turns: BTreeMap<(Instant, u64), Arrived>,
    next: u64,
    sessions_max: usize,
}

struct Entry<S> {
    session: Rc<S>,
    turn: (Instant, u64),
}

impl<S: Used> Table<S> {
    pub(super) fn new(sessions_max: usize) -> Self {
        Self { sessions: HashMap::default(), turns: BTreeMap::new(), next: 0, sessions_max }
    }

    pub(super) fn find(&self, key: &Arrived) -> Option<Rc<S>> {
        self.sessions.get(key).map(|entry| Rc::clone(&entry.session))
    }

    /// Adds a session: its number, and the one that had to go.
    pub(super) fn insert(&mut self, key: Arrived, session: Rc<S>) -> (u64, Option<Rc<S>>) {
        let full = self.sessions.len() >= self.sessions_max;
        let evicted = if full { self.evict() } else { None };
        let number = self.next;
        self.next += 1;
        let turn = (session.last(), number);
        self.turns.insert(turn, key);
        self.sessions.insert(key, Entry { session, turn });
        (number, evicted)
    }

    /// Forgets a session that is over, unless another has taken its place.
    pub(super) fn remove(&mut self, key: &Arrived, number: u64) {
        if let Some(entry) = self.sessions.get(key).filter(|entry| entry.turn.1 == number) {
            self.turns.remove(&entry.turn);
            self.sessions.remove(key);
        }
    }

    /// Takes out the session that was not used for the longest time.
    fn evict(&mut self) -> Option<Rc<S>> {
        // Each is moved at most once, so this ends.
        loop {
            let ((turn, number), key) = self.turns.pop_first()?;
            let entry = self.sessions.get_mut(&key)?;
            let last = entry.session.last();
            if last <= turn {
                return self.sessions.remove(&key).map(|entry| entry.session);
            }
            entry.turn = (last, number);
            self.turns.insert(entry.turn, key);
        }
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
    fn the_one_that_was_not_used_for_the_longest_time_goes() {
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
        sessions[1].0.set(at(8));
        sessions[2].0.set(at(10));
        let (number, evicted) = table.insert(key(3), Rc::clone(&sessions[3]));
        assert!(Rc::ptr_eq(&evicted.unwrap(), &sessions[1]));
        assert!(table.find(&key(0)).is_some() && table.find(&key(1)).is_none());
        table.remove(&key(3), number + 1);
        assert!(table.find(&key(3)).is_some());
        table.remove(&key(3), number);
        assert!(table.find(&key(3)).is_none());
        assert_eq!((table.sessions.len(), table.turns.len()), (2, 2));
    }
}
