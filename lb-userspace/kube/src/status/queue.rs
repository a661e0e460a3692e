//! Objects whose status is to be written, each when it is due.

use crate::ObjectId;
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// Objects in the order of when they are due, those due at one time in the order they came: no
/// object waits for one that comes again and again. Each is in it once.
#[derive(Debug, Default)]
pub(super) struct Queue {
    order: BTreeSet<(Instant, u64, ObjectId)>,
    places: BTreeMap<ObjectId, (Instant, u64)>,
    next: u64,
}

impl Queue {
    /// Puts an object in; if it is in, it keeps the earlier time.
    pub(super) fn push(&mut self, id: ObjectId, due: Instant) {
        if let Some((before, place)) = self.places.get(&id).copied() {
            if before <= due {
                return;
            }
            self.order.remove(&(before, place, id.clone()));
        }
        let place = self.next;
        self.next = self.next.wrapping_add(1);
        self.places.insert(id.clone(), (due, place));
        self.order.insert((due, place, id));
    }

    /// The next object that is due at `now`.
    pub(super) fn pop(&mut self, now: Instant) -> Option<ObjectId> {
        if self.due()? > now {
            return None;
        }
        let (_, _, id) = self.order.pop_first()?;
        self.places.remove(&id);
        Some(id)
    }

    /// When the next object is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.order.first().map(|it| it.0)
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.order.clear();
        self.places.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ObjectKey, ObjectKind};
    use std::time::Duration;

    fn id(name: &str) -> ObjectId {
        let key = ObjectKey::new("a", name);
        ObjectId { cluster: "one".into(), kind: ObjectKind::HttpRoute, key }
    }

    #[tokio::test(start_paused = true)]
    async fn objects_come_when_due_in_the_order_they_were_put_in() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut queue = Queue::default();
        queue.push(id("z"), now);
        queue.push(id("late"), later);
        queue.push(id("a"), now);
        queue.push(id("z"), now);
        queue.push(id("a"), later);
        assert_eq!(queue.pop(now), Some(id("z")));
        assert_eq!(queue.pop(now), Some(id("a")));
        assert_eq!(queue.pop(now), None);
        assert_eq!(queue.due(), Some(later));
        queue.push(id("late"), now);
        assert_eq!(queue.pop(now), Some(id("late")));
        assert_eq!(queue.due(), None);
    }
}
