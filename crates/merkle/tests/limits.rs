//! Sizes up to 2^63 - 1: a tree of equal leaves, whose nodes depend on their height alone, can be
//! asked for any proof without existing.

use cairn_merkle::Result;
use cairn_merkle::hash::{Hash, leaf_hash, node_hash};
use cairn_merkle::log::{
    NodeId, NodeReader, SIZE_MAX, TileId, Tree, TreeHead, consistency, inclusion, prove, state,
};
use cairn_vfs::SeededRng;

struct Equal {
    size: u64,
    by_height: Vec<Hash>,
}

impl Equal {
    fn new(size: u64) -> Self {
        let next = |hash: &Hash| Some(node_hash(hash, hash));
        let by_height = std::iter::successors(Some(leaf_hash(b"same")), next).take(64).collect();
        Self { size, by_height }
    }

    fn head(&self, size: u64) -> TreeHead {
        TreeHead { size, root: prove::root(self, size).expect("in range") }
    }

    fn tree(&self, size: u64) -> Tree {
        let heights = (0..63).rev().filter(|height| size >> height & 1 == 1);
        let peaks = heights.map(|height: usize| self.by_height[height]).collect();
        Tree::from_peaks(size, peaks).expect("one for each bit")
    }
}

impl NodeReader for Equal {
    fn node(&self, node: NodeId) -> Result<Hash> {
        node.check_within(self.size)?;
        Ok(self.by_height[usize::from(node.height)])
    }
}

/// Sizes near powers of two up to the limit, and random ones.
fn sizes() -> Vec<u64> {
    let rng = SeededRng::new(63);
    let near = (0..63).flat_map(|bit| {
        let power = 1_u64 << bit;
        [power - 1, power, power + 1, power + power / 2]
    });
    let random = (0..60).map(|bit| 1 + rng.below(1 << bit));
    let mut sizes: Vec<u64> =
        near.chain(random).chain([SIZE_MAX - 1, SIZE_MAX]).filter(|size| *size > 0).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

#[test]
fn proofs_of_every_magnitude_verify() {
    let tree = Equal::new(SIZE_MAX);
    let leaf = leaf_hash(b"same");
    let sizes = sizes();
    for &size in &sizes {
        let head = tree.head(size);
        assert_eq!(tree.tree(size).head(), head);
        for index in [0, size / 3, size / 2, size - 1] {
            let proof = prove::inclusion(&tree, index, size).expect("in range");
            assert!(proof.len() <= inclusion::PROOF_LEN_MAX);
            inclusion::verify(index, size, &leaf, &proof, &head.root).expect("it is there");
        }
        for &old in sizes.iter().filter(|old| **old <= size).step_by(7) {
            let proof = prove::consistency(&tree, old, size).expect("in range");
            assert!(proof.len() <= consistency::PROOF_LEN_MAX);
            consistency::verify(&tree.head(old), &head, &proof).expect("it grew");
        }
    }
}

#[test]
fn numbers_beyond_the_limit_are_errors() {
    let tree = Equal::new(SIZE_MAX);
    let hash = leaf_hash(b"same");
    for size in [0, SIZE_MAX + 1, u64::MAX - 1, u64::MAX] {
        assert!(prove::inclusion(&tree, 0, size).is_err());
        assert!(prove::inclusion(&tree, size, size).is_err());
        assert!(inclusion::verify(0, size, &hash, &[], &hash).is_err());
        assert!(inclusion::verify(u64::MAX, size, &hash, &[hash; 64], &hash).is_err());
        assert!(prove::consistency(&tree, 1, size).is_err());
        let [old, new] = [1, size].map(|size| TreeHead { size, root: hash });
        for proof in [vec![], vec![hash; 1], vec![hash; 64], vec![hash; 65]] {
            assert!(consistency::verify(&old, &new, &proof).is_err());
            assert!(consistency::verify(&new, &old, &proof).is_err());
            assert!(consistency::verify(&new, &new, &proof).is_err() || size == 0);
            assert!(consistency::verify_as_witness(&new, &new, &proof).is_err());
        }
    }
    assert!(inclusion::verify(SIZE_MAX, SIZE_MAX, &hash, &[hash; 63], &hash).is_err());
    assert!(TileId::hashes(0, u64::MAX, 1).is_err());
    assert!(TileId::hashes(64, 0, 1).is_err());
    assert!(TileId::hashes(0, 0, 0).is_err());
    assert!(TileId::hashes(0, 0, 257).is_err());
}

#[test]
fn a_full_tree_takes_no_more_leaves() {
    let equal = Equal::new(SIZE_MAX);
    let mut tree = equal.tree(SIZE_MAX - 1);
    assert_eq!(tree.push(leaf_hash(b"same")).expect("room for one"), SIZE_MAX - 1);
    let bytes = state::encode(&tree);
    assert_eq!(bytes.len(), state::STATE_LEN_MAX);
    assert_eq!(state::decode(&bytes).expect("as written"), tree);
    assert!(tree.push(leaf_hash(b"same")).is_err());
    assert!(tree.extend(&[leaf_hash(b"same")]).is_err());
    assert_eq!(tree.head(), equal.head(SIZE_MAX));
}
