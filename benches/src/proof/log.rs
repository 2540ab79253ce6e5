//! Trees of records: ct-merkle beside the log of cairn-merkle.

use super::{Work, step};
use crate::measure::repeat;
use crate::options::Sizes;
use crate::payload::Payloads;
use anyhow::{Result, anyhow, ensure};
use cairn_merkle::hash::leaf_hash;
use cairn_merkle::log::{MemTiles, TileReader, TiledTree, TreeHead, consistency, inclusion, prove};
use ct_merkle::RootHash;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;
use std::sync::Arc;

fn leaf(payloads: &Payloads, index: u64) -> &[u8] {
    payloads.one(index)
}

/// Cairn's tree with its tiles.
pub(super) struct Ours {
    payloads: Payloads,
    tiles: Arc<MemTiles>,
    head: TreeHead,
    half: TreeHead,
}

impl Ours {
    pub(super) fn new(sizes: &Sizes) -> Self {
        let payloads = Payloads::new(sizes.payload_len, 1000);
        let tiles = Arc::new(MemTiles::new());
        let mut tree = TiledTree::new(tiles.clone());
        let (mut half, count) = (tree.head(), sizes.record_count);
        for index in 0..count {
            if index == count / 2 {
                half = tree.head();
            }
            tree.push(leaf_hash(leaf(&payloads, index))).expect("tiles in memory");
        }
        let head = tree.publish().expect("tiles in memory");
        Self { payloads, tiles, head, half }
    }

    pub(super) fn run(&self, work: Work, sizes: &Sizes) -> Result<f64> {
        let (count, mut state) = (sizes.record_count, 1);
        let reader = TileReader::open(self.tiles.clone(), self.head)?;
        let proof = prove::inclusion(&reader, count / 3, count)?;
        let both = prove::consistency(&reader, count / 2, count)?;
        let third = leaf(&self.payloads, count / 3);
        match work {
            Work::Append => Ok(count as f64
                * repeat(sizes.budget, |_| {
                    let mut tree = TiledTree::new(MemTiles::new());
                    for index in 0..count {
                        tree.push(leaf_hash(leaf(&self.payloads, index)))?;
                    }
                    ensure!(tree.publish()?.root == self.head.root, "another root");
                    Ok(())
                })?),
            Work::Prove => repeat(sizes.budget, |_| {
                prove::inclusion(&reader, step(&mut state, count), count)?;
                Ok(())
            }),
            Work::Verify => repeat(sizes.budget, |_| {
                let hash = leaf_hash(third);
                Ok(inclusion::verify(count / 3, count, &hash, &proof, &self.head.root)?)
            }),
            Work::ProveConsistency => repeat(sizes.budget, |_| {
                prove::consistency(&reader, count / 2, count)?;
                Ok(())
            }),
            Work::VerifyConsistency => {
                repeat(sizes.budget, |_| Ok(consistency::verify(&self.half, &self.head, &both)?))
            }
            Work::LogProofLen => Ok(proof.len() as f64 * 32.0),
            _ => unreachable!("of the map"),
        }
    }
}

/// The other tree, all of whose nodes lie in one vector.
pub(super) struct CtMerkle {
    payloads: Payloads,
    tree: MemoryBackedTree<Sha256, Vec<u8>>,
    half: RootHash<Sha256>,
}

impl CtMerkle {
    pub(super) fn new(sizes: &Sizes) -> Self {
        let payloads = Payloads::new(sizes.payload_len, 1000);
        let (mut tree, mut half) = (MemoryBackedTree::new(), None);
        for index in 0..sizes.record_count {
            if index == sizes.record_count / 2 {
                half = Some(tree.root());
            }
            tree.push(leaf(&payloads, index).to_vec());
        }
        Self { payloads, tree, half: half.expect("it has two leaves") }
    }

    pub(super) fn run(&self, work: Work, sizes: &Sizes) -> Result<f64> {
        let (count, mut state, root) = (sizes.record_count, 1, self.tree.root());
        let third = usize::try_from(count / 3)?;
        let proof = self.tree.prove_inclusion(third);
        let both = self.tree.prove_consistency(usize::try_from(count - count / 2)?);
        match work {
            Work::Append => Ok(count as f64
                * repeat(sizes.budget, |_| {
                    let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
                    for index in 0..count {
                        tree.push(leaf(&self.payloads, index).to_vec());
                    }
                    ensure!(tree.root().as_bytes() == root.as_bytes(), "another root");
                    Ok(())
                })?),
            Work::Prove => repeat(sizes.budget, |_| {
                let index = usize::try_from(step(&mut state, count))?;
                std::hint::black_box(self.tree.prove_inclusion(index));
                Ok(())
            }),
            Work::Verify => repeat(sizes.budget, |_| {
                let leaf = leaf(&self.payloads, count / 3);
                root.verify_inclusion(&leaf, count / 3, &proof).map_err(|e| anyhow!("{e:?}"))
            }),
            Work::ProveConsistency => repeat(sizes.budget, |_| {
                let added = usize::try_from(count - count / 2)?;
                std::hint::black_box(self.tree.prove_consistency(added));
                Ok(())
            }),
            Work::VerifyConsistency => repeat(sizes.budget, |_| {
                root.verify_consistency(&self.half, &both).map_err(|e| anyhow!("{e:?}"))
            }),
            Work::LogProofLen => Ok(proof.as_bytes().len() as f64),
            _ => unreachable!("of the map"),
        }
    }
}
