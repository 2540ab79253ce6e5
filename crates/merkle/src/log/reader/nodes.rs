//! All nodes inside one tile. Derived from the tile's bytes.

use crate::hash::{HASH_LEN, Hash, node_hash};

/// The rows of a tile, from its own hashes up to its root.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    width: usize,
    /// Row after row; row `h` has `width >> h` nodes.
    hashes: Vec<Hash>,
}

impl Nodes {
    /// Computes the rows above the hashes of a tile, whose length was checked.
    pub(crate) fn expand(tile: &[u8]) -> Self {
        let (chunks, rest) = tile.as_chunks::<HASH_LEN>();
        assert!(rest.is_empty(), "the length of a tile is checked before");
        let width = chunks.len();
        let mut hashes = Vec::with_capacity(2 * width);
        hashes.extend(chunks.iter().copied().map(Hash::new));
        let (mut begin, mut end) = (0, width);
        while end - begin > 1 {
            for left in (begin..end - 1).step_by(2) {
                hashes.push(node_hash(&hashes[left], &hashes[left + 1]));
            }
            (begin, end) = (end, hashes.len());
        }
        Self { width, hashes }
    }

    /// The complete nodes of this height within the tile.
    pub(crate) fn row(&self, height: u8) -> &[Hash] {
        let begin: usize = (0..height).map(|below| self.width >> below).sum();
        &self.hashes[begin..begin + (self.width >> height)]
    }

    /// The roots of the complete subtrees that make up the tile, largest first.
    pub(crate) fn peaks(&self) -> impl Iterator<Item = Hash> {
        let odd = (0..=8_u8).rev().filter(|height| self.width >> height & 1 == 1);
        odd.map(|height| *self.row(height).last().expect("an odd number of nodes is not none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_has_its_rows() {
        for width in 0..=256_usize {
            let nodes = Nodes::expand(&vec![7; width * HASH_LEN]);
            let rows: usize = (0..=8).map(|height| nodes.row(height).len()).sum();
            assert_eq!(rows, nodes.hashes.len());
            assert_eq!(nodes.peaks().count(), width.count_ones() as usize);
        }
    }
}
