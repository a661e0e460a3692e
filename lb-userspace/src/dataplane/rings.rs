//! Rings: inner maps, swapped whole.

use super::{
    bulk,
    error::{DataplaneError, Result},
    maps::{absent_is_fine, data},
    pin::Pins,
};
use aya::maps::{Array, ArrayOfMaps, HashOfMaps, IterableMap, Map, MapData, MapError};
use lb_common::limits::RING_SLOTS_MAX;

/// A ring as the kernel holds it: the same bytes as [`lb_common::abi::RingTable`], but an array,
/// which can be made on the heap without passing through the stack.
type RingWords = [u32; RING_SLOTS_MAX as usize];
/// The inner map of a ring.
type RingMap = Array<MapData, RingWords>;

/// An array of rings, by VIP index. The kernel lets an element of an array of maps be deleted, but
/// aya offers that only on a hash of maps; both make the same system calls. Hence three views of
/// the same map: to swap, to delete, to list.
pub(super) struct RingSlots {
    name: &'static str,
    array: ArrayOfMaps<MapData, RingMap>,
    hash: HashOfMaps<MapData, u32, RingMap>,
    data: MapData,
}

impl RingSlots {
    pub(super) fn open(pins: &Pins, name: &'static str) -> Result<Self> {
        let failed = |error| DataplaneError::map(name, "opening")(error);
        let array = ArrayOfMaps::try_from(Map::ArrayOfMaps(data(pins, name)?)).map_err(failed)?;
        let hash = HashOfMaps::try_from(Map::HashOfMaps(data(pins, name)?)).map_err(failed)?;
        Ok(Self { name, array, hash, data: data(pins, name)? })
    }

    /// The first `count` slots of the ring at `index`, if there is a ring.
    pub(super) fn read(&self, index: u32, count: u32) -> Result<Option<Vec<u32>>> {
        let inner = match self.array.get(&index, 0) {
            Ok(inner) => inner,
            Err(MapError::KeyNotFound) => return Ok(None),
            Err(error) => return Err(DataplaneError::map(self.name, "opening a ring")(error)),
        };
        let mut words = bulk::lookup_words(inner.map(), 0, RING_SLOTS_MAX as usize)
            .map_err(DataplaneError::io(format!("reading a ring of {}", self.name)))?;
        words.truncate(count as usize);
        Ok(Some(words))
    }

    /// Indexes that have a ring.
    pub(super) fn indexes(&self) -> Result<Vec<u32>> {
        let mut indexes = Vec::new();
        // The values are ids of inner maps.
        bulk::for_each(&self.data, self.name, |index: u32, _: u32| indexes.push(index))?;
        Ok(indexes)
    }

    /// Writes a new inner map and swaps it in; packets see the old ring or the new one, whole.
    /// A ring shorter than the table is followed by empty slots.
    pub(super) fn swap(&mut self, index: u32, slots: &[u32]) -> Result<()> {
        let mut words = vec![0; RING_SLOTS_MAX as usize];
        for (word, slot) in words.iter_mut().zip(slots) {
            *word = *slot;
        }
        let words: Box<RingWords> = words.into_boxed_slice().try_into().map_err(|_| {
            DataplaneError::Incompatible { what: "a ring of another size".to_owned() }
        })?;
        let mut inner =
            RingMap::create(1, 0).map_err(DataplaneError::map(self.name, "creating a ring"))?;
        inner.set(0, words, 0).map_err(DataplaneError::map(self.name, "filling a ring"))?;
        self.array.set(index, &inner, 0).map_err(DataplaneError::map(self.name, "swapping a ring"))
    }

    /// Removes the ring at `index`; absent is fine.
    pub(super) fn remove(&mut self, index: u32) -> Result<()> {
        absent_is_fine(self.hash.remove(&index))
            .map_err(DataplaneError::map(self.name, "removing a ring"))
    }
}
