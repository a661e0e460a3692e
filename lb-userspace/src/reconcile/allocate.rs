//! Array indexes: stable while what they stand for stays, reused as late as possible.

use super::Image;
use lb_common::{
    abi::BackendId,
    limits::{BACKENDS_MAX, VIPS_MAX},
};
use std::collections::BTreeSet;

/// Hands out indexes that nothing in the running image occupies: a plan writes the new before it
/// removes the old.
pub(super) struct Allocator<'a> {
    free_vips: Box<dyn Iterator<Item = u32> + 'a>,
    free_backends: Box<dyn Iterator<Item = BackendId> + 'a>,
}

impl<'a> Allocator<'a> {
    pub(super) fn new(running: &'a Image) -> Self {
        let vips: BTreeSet<u32> = running.vips.values().map(|vip| vip.entry.index).collect();
        let occupied: BTreeSet<u32> = running
            .vips
            .values()
            .flat_map(|vip| vip.backends.values().map(|backend| backend.entry.id.index()))
            .collect();
        let used = &running.generations;
        let is_unused = |index: &u32| !used.contains_key(index);
        // Longest free last used: a generation counts the occupants an index has had.
        let freed = used.iter().filter(move |(index, _)| !occupied.contains(index));
        let mut freed: Vec<(u32, u32)> = freed.map(|(index, last)| (*last, *index)).collect();
        freed.sort_unstable();
        let reused = freed.into_iter().map(|(last, index)| BackendId::new(index, after(last)));
        let unused = (1..=BACKENDS_MAX).filter(is_unused).map(|index| BackendId::new(index, 1));
        Self {
            free_vips: Box::new((0..VIPS_MAX).filter(move |index| !vips.contains(index))),
            free_backends: Box::new(unused.chain(reused)),
        }
    }

    /// An index for a new VIP, if one is left.
    pub(super) fn vip(&mut self) -> Option<u32> {
        self.free_vips.next()
    }

    /// An id for a new backend, if an index is left.
    pub(super) fn backend(&mut self) -> Option<BackendId> {
        self.free_backends.next()
    }
}

/// The id of the same index for what is to count as its next occupant.
pub(super) const fn successor(id: BackendId) -> BackendId {
    BackendId::new(id.index(), after(id.generation()))
}

/// The generation after `last`; 0 is left out, so that an entry with an id was used.
const fn after(last: u32) -> u32 {
    last % (BackendId::GENERATIONS - 1) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_index_gets_the_next_generation_and_wraps_past_zero() {
        let generations = (1..=BACKENDS_MAX).map(|index| (index, 7)).collect();
        let mut running = Image { generations, ..Image::default() };
        running.generations.insert(9, 3);
        running.generations.insert(8, BackendId::GENERATIONS - 1);
        let mut allocator = Allocator::new(&running);
        assert_eq!(allocator.backend(), Some(BackendId::new(9, 4)));
        assert_eq!(allocator.backend(), Some(BackendId::new(1, 8)));
        let last = std::iter::from_fn(|| allocator.backend()).last();
        assert_eq!(last, Some(BackendId::new(8, 1)));
    }

    #[test]
    fn fresh_indexes_come_first() {
        let running = Image { generations: [(1, 1), (2, 5)].into(), ..Image::default() };
        let mut allocator = Allocator::new(&running);
        assert_eq!(allocator.backend(), Some(BackendId::new(3, 1)));
        assert_eq!(allocator.vip(), Some(0));
        assert_eq!(allocator.vip(), Some(1));
    }
}
