//! Maps of keys: jmt beside the key map of cairn-merkle.

use super::{UPDATE_LEN, Work, step};
use crate::measure::repeat;
use crate::options::Sizes;
use anyhow::{Result, ensure};
use cairn_merkle::map::{Claim, KeyMap, KeyProof, PathHash, VersionLeaf, verify};
use cairn_types::{Lsn, Revision};
use jmt::mock::MockTreeStore;
use jmt::storage::TreeWriter;
use jmt::{KeyHash, Sha256Jmt};

fn map_key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Cairn's map of keys.
pub(super) struct OurMap {
    map: KeyMap,
    /// The versions of each key, as the engine keeps them in its log.
    versions: Vec<Vec<VersionLeaf>>,
    revision: u64,
    state: u64,
}

impl OurMap {
    pub(super) fn new(sizes: &Sizes) -> Result<Self> {
        let mut map = Self { map: KeyMap::new(), versions: Vec::new(), revision: 1, state: 1 };
        let value = vec![7; sizes.payload_len];
        for first in (0..sizes.key_count).step_by(100_000) {
            map.revision += 1;
            let keys = first..(first + 100_000).min(sizes.key_count);
            let put = |n| VersionLeaf::put(Revision::new(map.revision), Lsn::new(n), &value);
            let batch: Vec<_> = keys.map(|n| (PathHash::of_key(1, &map_key(n)), put(n))).collect();
            map.versions.extend(batch.iter().map(|(_, version)| vec![*version]));
            let end = Lsn::new(map.versions.len() as u64);
            map.map.update(&batch, map.revision, end)?;
        }
        Ok(map)
    }

    pub(super) fn run(&mut self, work: Work, sizes: &Sizes) -> Result<f64> {
        let count = sizes.key_count;
        match work {
            Work::Update => {
                let rate = repeat(sizes.budget, |round| self.update(sizes, round))?;
                Ok(rate * UPDATE_LEN as f64)
            }
            Work::ProveKey => repeat(sizes.budget, |_| {
                let number = step(&mut self.state, count);
                self.prove(number)?;
                Ok(())
            }),
            Work::VerifyKey => {
                let number = step(&mut self.state, count);
                let (claim, bytes) = self.prove(number)?;
                let head = self.map.head();
                repeat(sizes.budget, |_| {
                    verify(&head, &claim, &KeyProof::decode(&bytes)?)?;
                    Ok(())
                })
            }
            Work::KeyProofLen => {
                let number = step(&mut self.state, count);
                Ok(self.prove(number)?.1.len() as f64)
            }
            _ => unreachable!("of the log"),
        }
    }

    fn update(&mut self, sizes: &Sizes, round: u64) -> Result<()> {
        self.revision += 1;
        let begin = self.map.head().lsn_end.get();
        let mut value = vec![7; sizes.payload_len];
        value[..8].copy_from_slice(&round.to_le_bytes());
        // Neighbours by number, which are strangers by hash: no key twice.
        let first = step(&mut self.state, sizes.key_count - UPDATE_LEN);
        let mut batch = Vec::new();
        for at in 0..UPDATE_LEN {
            let versions = &mut self.versions[usize::try_from(first + at)?];
            let newest = versions.last().expect("each key was put");
            let next = newest.next_put(Revision::new(self.revision), Lsn::new(begin + at), &value);
            versions.push(next);
            batch.push((PathHash::of_key(1, &map_key(first + at)), next));
        }
        self.map.update(&batch, self.revision, Lsn::new(begin + UPDATE_LEN))?;
        Ok(())
    }

    /// A proof as it is sent.
    fn prove(&self, number: u64) -> Result<(Claim, Vec<u8>)> {
        let claim = Claim::newest(PathHash::of_key(1, &map_key(number)));
        let versions = Versions(&self.versions[usize::try_from(number)?]);
        Ok((claim, self.map.prove(&claim, &versions)?.encode()))
    }
}

/// Gives the versions of one key.
struct Versions<'a>(&'a [VersionLeaf]);

impl cairn_merkle::map::HistorySource for Versions<'_> {
    fn version(
        &self,
        _: &PathHash,
        index: u64,
    ) -> Result<VersionLeaf, Box<dyn std::error::Error + Send + Sync>> {
        let index = usize::try_from(index)?;
        Ok(*self.0.get(index).ok_or("it has no such version")?)
    }
}

/// The other map.
pub(super) struct Jmt {
    store: MockTreeStore,
    version: u64,
    state: u64,
}

impl Jmt {
    pub(super) fn new(sizes: &Sizes) -> Result<Self> {
        let mut map = Self { store: MockTreeStore::default(), version: 0, state: 1 };
        let value = vec![7; sizes.payload_len];
        for first in (0..sizes.key_count).step_by(100_000) {
            let keys = first..(first + 100_000).min(sizes.key_count);
            map.put(keys, &value)?;
        }
        Ok(map)
    }

    fn put(&mut self, keys: std::ops::Range<u64>, value: &[u8]) -> Result<()> {
        let values =
            keys.map(|n| (KeyHash::with::<jmt_sha2::Sha256>(map_key(n)), Some(value.to_vec())));
        let tree = Sha256Jmt::new(&self.store);
        let (_, batch) = tree.put_value_set(values, self.version)?;
        self.store.write_node_batch(&batch.node_batch)?;
        self.version += 1;
        Ok(())
    }

    pub(super) fn run(&mut self, work: Work, sizes: &Sizes) -> Result<f64> {
        let count = sizes.key_count;
        let newest = self.version - 1;
        match work {
            Work::Update => {
                let mut value = vec![7; sizes.payload_len];
                let rate = repeat(sizes.budget, |round| {
                    value[..8].copy_from_slice(&round.to_le_bytes());
                    let first = step(&mut self.state, count - UPDATE_LEN);
                    self.put(first..first + UPDATE_LEN, &value)
                })?;
                Ok(rate * UPDATE_LEN as f64)
            }
            Work::ProveKey => {
                let tree = Sha256Jmt::new(&self.store);
                repeat(sizes.budget, |_| {
                    let key =
                        KeyHash::with::<jmt_sha2::Sha256>(map_key(step(&mut self.state, count)));
                    let (value, proof) = tree.get_with_proof(key, newest)?;
                    ensure!(value.is_some(), "a key is missing");
                    std::hint::black_box(borsh::to_vec(&proof)?);
                    Ok(())
                })
            }
            Work::VerifyKey => {
                let tree = Sha256Jmt::new(&self.store);
                let key = KeyHash::with::<jmt_sha2::Sha256>(map_key(step(&mut self.state, count)));
                let (value, proof) = tree.get_with_proof(key, newest)?;
                let (value, root) = (value.unwrap_or_default(), tree.get_root_hash(newest)?);
                repeat(sizes.budget, |_| proof.verify_existence(root, key, &value))
            }
            Work::KeyProofLen => {
                let tree = Sha256Jmt::new(&self.store);
                let key = KeyHash::with::<jmt_sha2::Sha256>(map_key(step(&mut self.state, count)));
                Ok(borsh::to_vec(&tree.get_with_proof(key, newest)?.1)?.len() as f64)
            }
            _ => unreachable!("of the log"),
        }
    }
}
