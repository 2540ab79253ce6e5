//! From a key's hash to the number of its slot. Derived.
//!
//! A table of 8 bytes a cell with linear probing, half to three quarters full. It knows no keys:
//! a cell has 32 bits of a key's hash and a number, and who asks compares the key of the slot. The
//! hash also says where a cell belongs, so neither growing nor taking out looks at keys.

/// Cells of a new table.
const CELLS_MIN: usize = 16;

/// A cell: the hash in the upper half, one more than the number in the lower; 0 when empty.
type Cell = u64;

#[derive(Debug)]
pub(super) struct Numbers {
    cells: Box<[Cell]>,
    len: usize,
}

fn number_of(cell: Cell) -> Option<u32> {
    (cell as u32).checked_sub(1)
}

impl Numbers {
    pub(super) fn new() -> Self {
        Self { cells: vec![0; CELLS_MIN].into(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn mask(&self) -> usize {
        self.cells.len() - 1
    }

    /// The number under a hash that `is_it` confirms.
    #[inline]
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = hash as usize & self.mask();
        loop {
            let cell = self.cells[at];
            let number = number_of(cell)?;
            if (cell >> 32) as u32 == hash && is_it(number) {
                return Some(number);
            }
            at = (at + 1) & self.mask();
        }
    }

    /// Adds a number that is not there.
    pub(super) fn insert(&mut self, hash: u32, number: u32) {
        if (self.len + 1) * 4 > self.cells.len() * 3 {
            let grown = vec![0; self.cells.len() * 2].into();
            let old = std::mem::replace(&mut self.cells, grown);
            old.into_iter().filter(|cell| *cell != 0).for_each(|cell| self.put(cell));
        }
        self.put(u64::from(hash) << 32 | (u64::from(number) + 1));
        self.len += 1;
    }

    fn put(&mut self, cell: Cell) {
        let mut at = (cell >> 32) as usize & self.mask();
        while self.cells[at] != 0 {
            at = (at + 1) & self.mask();
        }
        self.cells[at] = cell;
    }

    /// Takes a number out.
    pub(super) fn remove(&mut self, hash: u32, number: u32) {
        let gone = u64::from(hash) << 32 | (u64::from(number) + 1);
        let mut hole = hash as usize & self.mask();
        while self.cells[hole] != gone {
            if self.cells[hole] == 0 {
                return;
            }
            hole = (hole + 1) & self.mask();
        }
        self.len -= 1;
        // Cells behind the hole that belong before it move up, so that no search ends at it.
        let mut at = hole;
        loop {
            at = (at + 1) & self.mask();
            let cell = self.cells[at];
            if cell == 0 {
                self.cells[hole] = 0;
                return;
            }
            let home = (cell >> 32) as usize & self.mask();
            let is_behind =
                (at.wrapping_sub(home) & self.mask()) < (at.wrapping_sub(hole) & self.mask());
            if !is_behind {
                self.cells[hole] = cell;
                hole = at;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn numbers_are_found_like_in_a_map_however_hashes_collide() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |end: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % end
        };
        // All hashes near the end of the table, so that runs go around it.
        for spread in [1, 7, 300, u64::from(u32::MAX)] {
            let (mut numbers, mut map) = (Numbers::new(), HashMap::new());
            for _ in 0..20_000 {
                let number = next(500) as u32;
                let hash = u32::MAX - (u64::from(number) * 77 % spread) as u32;
                if map.insert(number, hash).is_none() {
                    numbers.insert(hash, number);
                } else {
                    map.remove(&number);
                    numbers.remove(hash, number);
                }
                assert_eq!(numbers.len(), map.len());
                let asked = next(500) as u32;
                let hash = u32::MAX - (u64::from(asked) * 77 % spread) as u32;
                let found = numbers.find(hash, |number| number == asked);
                assert_eq!(found, map.contains_key(&asked).then_some(asked), "{spread}");
            }
        }
    }
}
