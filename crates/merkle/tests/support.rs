//! Trees to test with, and bits to flip.

use std::sync::Arc;

use cairn_merkle::hash::{Hash, leaf_hash};
use cairn_merkle::log::{MemTiles, TiledTree, TreeHead};
use cairn_merkle::note::{KeyName, SignatureKind, Signer};
use cairn_vfs::SeededRng;

/// How large the trees of the slower tests are.
pub const LARGE: u64 = if cfg!(debug_assertions) { 3_000 } else { 100_000 };

pub fn entry(n: u64) -> Vec<u8> {
    format!("entry {n}").into_bytes()
}

pub fn leaf(n: u64) -> Hash {
    leaf_hash(&entry(n))
}

pub fn leaves(size: u64) -> Vec<Hash> {
    (0..size).map(leaf).collect()
}

/// A published tree in memory.
pub fn tiled(size: u64) -> (Arc<MemTiles>, TreeHead) {
    let tiles = Arc::new(MemTiles::new());
    let mut tree = TiledTree::new(tiles.clone());
    tree.extend(&leaves(size)).expect("memory takes everything");
    let head = tree.publish().expect("memory takes everything");
    (tiles, head)
}

pub fn signer(name: &str, kind: SignatureKind, seed: u64) -> Signer {
    let name = KeyName::new(name).expect("a good name");
    Signer::generate(name, kind, &SeededRng::new(seed))
}

/// Every copy of the bytes with one bit flipped, and which bit it is.
pub fn flips(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        (bit, flipped)
    })
}
