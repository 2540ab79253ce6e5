//! What of a table leads to its blocks: filter, sparse index, sums. Derived. Read and checked when
//! the table is first asked, so that opening a store costs the same however much it holds.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cairn_codec::SaltedCrc;
use cairn_index::{Filter, SparseIndex};

use super::Footer;
use crate::{Error, Result};

/// The parts behind the frames.
#[derive(Debug)]
pub(super) struct Parts {
    filter: Filter,
    sparse: SparseIndex,
    sums: Bytes,
    frames_len: u64,
    weight: i64,
    /// A bit for each group whose one frame was checked since the table was opened.
    checked: Vec<AtomicU64>,
}

impl Parts {
    /// Reads the parts by `read`, which takes a position and a length, and checks them.
    pub(super) fn load(
        path: &str,
        footer: &Footer,
        crc: &SaltedCrc,
        read: impl Fn(u64, u64) -> Result<Bytes>,
    ) -> Result<Self> {
        let filter_at = footer.frames_len;
        let sparse_at = filter_at + footer.filter_len;
        let sums_at = sparse_at + footer.sparse_len;
        let filter = Filter::open(read(filter_at, footer.filter_len)?)?;
        let sparse = SparseIndex::open(read(sparse_at, footer.sparse_len)?)?;
        let sums = read(sums_at, footer.groups * 8)?;
        if crc.checksum(&sums) != footer.sums_crc {
            return Err(Error::corrupt(path, sums_at, "the CRC of the sums is wrong"));
        }
        let groups = sparse.view().len();
        if groups as u64 != footer.groups || sparse.view().end() != footer.frames_len {
            return Err(Error::corrupt(path, sparse_at, "the sparse index is of another table"));
        }
        let checked = (0..groups.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let (frames_len, weight) = (footer.frames_len, footer.weight);
        Ok(Self { filter, sparse, sums, frames_len, weight, checked })
    }

    /// Whether the table may hold a key, by the hash of the key; `false` is certain.
    pub(super) fn may_contain(&self, hash: u64) -> bool {
        self.filter.may_contain_hash(hash)
    }

    pub(super) fn group_count(&self) -> usize {
        self.sparse.view().len()
    }

    /// The group that a key is in, if it is in the table at all.
    pub(super) fn find_group(&self, key: &[u8]) -> Option<usize> {
        self.sparse.view().find(key)
    }

    /// Where the frames of a group are.
    pub(super) fn group_span(&self, group: usize) -> Option<(u64, u64)> {
        let view = self.sparse.view();
        let start = view.position(group)?;
        Some((start, view.position(group + 1).unwrap_or(self.frames_len)))
    }

    /// All weights before a group; of the whole table for the group behind the last.
    pub(super) fn sum_before(&self, group: usize) -> i64 {
        let sum = self.sums.as_chunks::<8>().0.get(group);
        sum.map_or(self.weight, |sum| i64::from_le_bytes(*sum))
    }

    pub(super) fn is_checked(&self, group: usize) -> bool {
        let word = self.checked.get(group / 64).map_or(0, |word| word.load(Ordering::Relaxed));
        word & (1 << (group % 64)) != 0
    }

    pub(super) fn set_checked(&self, group: usize) {
        if let Some(word) = self.checked.get(group / 64) {
            word.fetch_or(1 << (group % 64), Ordering::Relaxed);
        }
    }

    pub(super) fn forget_checks(&self) {
        self.checked.iter().for_each(|word| word.store(0, Ordering::Relaxed));
    }
}
