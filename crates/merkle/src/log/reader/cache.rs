//! Checked tiles, up to a number: the one not used for longest goes first, more or less (second
//! chance: a tile that was used since it was last looked at is looked at again later).

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Nodes;

/// Level and index of a full tile.
type Place = (u8, u64);

#[derive(Debug)]
pub(super) struct Cache {
    limit: usize,
    tiles: HashMap<Place, Slot>,
    /// In the order in which they may go.
    queue: VecDeque<Place>,
}

#[derive(Debug)]
struct Slot {
    nodes: Arc<Nodes>,
    used: bool,
}

impl Cache {
    pub(super) fn new(limit: usize) -> Self {
        assert!(limit > 0, "a tile is kept at least until the next");
        Self { limit, tiles: HashMap::new(), queue: VecDeque::new() }
    }

    pub(super) fn get(&mut self, place: Place) -> Option<Arc<Nodes>> {
        let slot = self.tiles.get_mut(&place)?;
        slot.used = true;
        Some(Arc::clone(&slot.nodes))
    }

    pub(super) fn insert(&mut self, place: Place, nodes: Arc<Nodes>) {
        if self.tiles.insert(place, Slot { nodes, used: false }).is_none() {
            self.queue.push_back(place);
        }
        while self.tiles.len() > self.limit {
            let oldest = self.queue.pop_front().expect("every tile is in the queue");
            match self.tiles.get_mut(&oldest) {
                Some(slot) if slot.used => {
                    slot.used = false;
                    self.queue.push_back(oldest);
                }
                _ => drop(self.tiles.remove(&oldest)),
            }
        }
        debug_assert_eq!(self.tiles.len(), self.queue.len());
    }

    pub(super) fn clear(&mut self) {
        self.tiles.clear();
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_and_what_is_used_stays() {
        let mut cache = Cache::new(3);
        for index in 0..100 {
            cache.insert((0, index), Arc::default());
            assert!(cache.get((0, 0)).is_some(), "{index}");
            assert!(cache.tiles.len() <= 3);
        }
    }
}
