//! Trees of hashes: ct-merkle beside cairn-merkle's log (RFC 6962), jmt beside its map of keys.
//! All of them with SHA-256 and in memory.

use crate::measure::{Row, in_turn, repeat};
use crate::options::{Options, Sizes};
use crate::payload::Payloads;
use anyhow::{Result, anyhow, ensure};
use cairn_merkle::hash::leaf_hash;
use cairn_merkle::log::{MemTiles, TileReader, TiledTree, TreeHead, consistency, inclusion, prove};
use cairn_merkle::map::{Claim, KeyMap, KeyProof, PathHash, VersionLeaf, verify};
use cairn_types::{Lsn, Revision};
use ct_merkle::RootHash;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use jmt::mock::MockTreeStore;
use jmt::storage::TreeWriter;
use jmt::{KeyHash, Sha256Jmt};
use sha2::Sha256;
use std::sync::Arc;

/// Versions of a key-value tree in one update.
const UPDATE_LEN: u64 = 1000;

/// What is timed of both kinds of tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Append,
    Prove,
    Verify,
    ProveConsistency,
    VerifyConsistency,
    Update,
    ProveKey,
    VerifyKey,
    LogProofLen,
    KeyProofLen,
}

const LOG: [Work; 6] = [
    Work::Append,
    Work::Prove,
    Work::Verify,
    Work::ProveConsistency,
    Work::VerifyConsistency,
    Work::LogProofLen,
];
const MAP: [Work; 4] = [Work::Update, Work::ProveKey, Work::VerifyKey, Work::KeyProofLen];

impl Work {
    fn name(self, sizes: &Sizes) -> String {
        let (leaves, keys) = (sizes.record_count, sizes.key_count);
        match self {
            Self::Append => {
                format!("append {leaves} leaves of {} B, and the root", sizes.payload_len)
            }
            Self::Prove => format!("prove one of {leaves}"),
            Self::Verify => format!("verify one of {leaves}, leaf hashed"),
            Self::ProveConsistency => format!("prove that {leaves} begin with half of them"),
            Self::VerifyConsistency => format!("verify that {leaves} begin with half of them"),
            Self::Update => format!("update {UPDATE_LEN} of {keys} keys, and the root"),
            Self::ProveKey => format!("prove the newest value of one of {keys} keys"),
            Self::VerifyKey => format!("verify the newest value of one of {keys} keys"),
            Self::LogProofLen => format!("proof of one of {leaves}"),
            Self::KeyProofLen => format!("proof of the newest of {keys} keys"),
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Append => "leaves",
            Self::Update => "keys",
            Self::LogProofLen | Self::KeyProofLen => "B",
            _ => "proofs",
        }
    }

    fn row(self, sizes: &Sizes) -> Row {
        let (log, base) = if LOG.contains(&self) {
            (
                ("ct-merkle", Ok("SHA-256, RFC 6962, in memory")),
                "SHA-256, RFC 6962, tiles in memory",
            )
        } else {
            (
                ("jmt", Ok("SHA-256, its store in memory")),
                "SHA-256, in memory; proves revision, history and place in the log, too",
            )
        };
        let mut row = Row::new(self.name(sizes), self.unit(), log, ("cairn-merkle", base));
        row.less = row.unit == "B";
        row.bar = (!row.less).then_some(1.0);
        row.limit = match self {
            Self::LogProofLen => Some(1000.0),
            Self::KeyProofLen => Some(2200.0),
            _ => None,
        };
        row
    }
}

/// Every row.
pub fn run(options: &Options) -> Result<Vec<Row>> {
    let sizes = &options.sizes;
    options.check_names(&["ct-merkle", "jmt"])?;
    let wanted = |work: &Work| work.name(sizes).contains(&options.work);
    let works = |name: &str, works: &[Work]| -> Vec<Work> {
        if options.wants(name) {
            works.iter().copied().filter(wanted).collect()
        } else {
            Vec::new()
        }
    };
    let mut rows = Vec::new();
    let (log, map) = (works("ct-merkle", &LOG), works("jmt", &MAP));
    rows.extend(compare(
        &log,
        options,
        &Ours::new(sizes),
        &CtMerkle::new(sizes),
        Ours::run,
        CtMerkle::run,
    )?);
    if !map.is_empty() {
        let (mut ours, mut theirs) = (OurMap::new(sizes)?, Jmt::new(sizes)?);
        let mut found: Vec<Row> = map.iter().map(|work| work.row(sizes)).collect();
        for round in 0..options.rounds {
            for (work, row) in map.iter().zip(&mut found) {
                let (a, b) = in_turn(round, || ours.run(*work, sizes), || theirs.run(*work, sizes));
                row.record(a, b);
            }
        }
        rows.extend(found);
    }
    Ok(rows)
}

fn compare<A, B>(
    works: &[Work],
    options: &Options,
    ours: &A,
    theirs: &B,
    run_ours: fn(&A, Work, &Sizes) -> Result<f64>,
    run_theirs: fn(&B, Work, &Sizes) -> Result<f64>,
) -> Result<Vec<Row>> {
    let sizes = &options.sizes;
    let mut rows: Vec<Row> = works.iter().map(|work| work.row(sizes)).collect();
    for round in 0..options.rounds {
        for (work, row) in works.iter().zip(&mut rows) {
            let (a, b) = in_turn(
                round,
                || run_ours(ours, *work, sizes),
                || run_theirs(theirs, *work, sizes),
            );
            row.record(a, b);
        }
    }
    Ok(rows)
}

/// A number below a count, from one before.
fn step(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    (*state >> 20) % below
}

fn leaf(payloads: &Payloads, index: u64) -> &[u8] {
    payloads.one(index)
}

/// Cairn's tree with its tiles.
struct Ours {
    payloads: Payloads,
    tiles: Arc<MemTiles>,
    head: TreeHead,
    half: TreeHead,
}

impl Ours {
    fn new(sizes: &Sizes) -> Self {
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

    fn run(&self, work: Work, sizes: &Sizes) -> Result<f64> {
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
struct CtMerkle {
    payloads: Payloads,
    tree: MemoryBackedTree<Sha256, Vec<u8>>,
    half: RootHash<Sha256>,
}

impl CtMerkle {
    fn new(sizes: &Sizes) -> Self {
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

    fn run(&self, work: Work, sizes: &Sizes) -> Result<f64> {
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

fn map_key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Cairn's map of keys.
struct OurMap {
    map: KeyMap,
    /// The newest version of each key and how many it has, as the engine keeps them in its log.
    newest: Vec<VersionLeaf>,
    revision: u64,
    state: u64,
}

impl OurMap {
    fn new(sizes: &Sizes) -> Result<Self> {
        let mut map = Self { map: KeyMap::new(), newest: Vec::new(), revision: 1, state: 1 };
        let value = vec![7; sizes.payload_len];
        for first in (0..sizes.key_count).step_by(100_000) {
            map.revision += 1;
            let keys = first..(first + 100_000).min(sizes.key_count);
            let put = |n| VersionLeaf::put(Revision::new(map.revision), Lsn::new(n), &value);
            let batch: Vec<_> = keys.map(|n| (PathHash::of_key(1, &map_key(n)), put(n))).collect();
            map.newest.extend(batch.iter().map(|(_, version)| *version));
            let end = Lsn::new(map.newest.len() as u64);
            map.map.update(&batch, map.revision, end)?;
        }
        Ok(map)
    }

    fn run(&mut self, work: Work, sizes: &Sizes) -> Result<f64> {
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
            let known = &mut self.newest[usize::try_from(first + at)?];
            *known = known.next_put(Revision::new(self.revision), Lsn::new(begin + at), &value);
            batch.push((PathHash::of_key(1, &map_key(first + at)), *known));
        }
        self.map.update(&batch, self.revision, Lsn::new(begin + UPDATE_LEN))?;
        Ok(())
    }

    /// A proof as it is sent.
    fn prove(&self, number: u64) -> Result<(Claim, Vec<u8>)> {
        let claim = Claim::newest(PathHash::of_key(1, &map_key(number)));
        let newest = Newest(self.newest[usize::try_from(number)?]);
        Ok((claim, self.map.prove(&claim, &newest)?.encode()))
    }
}

/// Gives the newest version of a key, which is all that a proof of it reads where a key has one.
struct Newest(VersionLeaf);

impl cairn_merkle::map::HistorySource for Newest {
    fn version(
        &self,
        _: &PathHash,
        index: u64,
    ) -> Result<VersionLeaf, Box<dyn std::error::Error + Send + Sync>> {
        if index + 1 == self.0.version { Ok(self.0) } else { Err("only the newest is kept".into()) }
    }
}

/// The other map.
struct Jmt {
    store: MockTreeStore,
    version: u64,
    state: u64,
}

impl Jmt {
    fn new(sizes: &Sizes) -> Result<Self> {
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

    fn run(&mut self, work: Work, sizes: &Sizes) -> Result<f64> {
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
