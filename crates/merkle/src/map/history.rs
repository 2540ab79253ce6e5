//! The tree over the versions of one key, and proofs that some versions stand side by side in
//! it. **Derived**: the versions are read from the log.
//!
//! A proof for the leaves `first..end` of `count` holds the hashes of the subtrees beside them,
//! from left to right, as RFC 6962 divides a tree of `count` leaves. The count says how many
//! there must be, so one version more or less, or at another place, gives another root.

use super::entry::Entry;
use super::error::{Error, Result};
use super::path::PathHash;
use super::version::VersionLeaf;
use crate::hashing::{self, Hash};
use std::ops::Range;

/// Gives back the versions of a key when something is to be proven. The engine reads them from
/// its log.
pub trait HistorySource {
    /// Version number `index` of a key, from 0, oldest first, tombstones counted too. It is asked
    /// only for versions that the map took in.
    ///
    /// # Errors
    /// Whatever kept it from reading the version.
    fn version(
        &self,
        path: &PathHash,
        index: u64,
    ) -> Result<VersionLeaf, Box<dyn std::error::Error + Send + Sync>>;

    /// Hash of the subtree over versions `range`, if the source keeps such. Without it every
    /// version outside the last few may have to be read. A wrong one is noticed.
    fn subtree(&self, path: &PathHash, range: Range<u64>) -> Option<[u8; 32]> {
        let _ = (path, range);
        None
    }
}

/// The versions of a single key, whichever is asked for.
impl HistorySource for [VersionLeaf] {
    fn version(
        &self,
        _: &PathHash,
        index: u64,
    ) -> Result<VersionLeaf, Box<dyn std::error::Error + Send + Sync>> {
        let version = usize::try_from(index).ok().and_then(|index| self.get(index));
        version.copied().ok_or_else(|| format!("there is no version {index}").into())
    }
}

/// Reads a version.
pub(super) fn read(
    source: &(impl HistorySource + ?Sized),
    path: &PathHash,
    index: u64,
) -> Result<VersionLeaf> {
    source.version(path, index).map_err(Error::Source)
}

/// Collects the hashes beside a window of a key's versions.
#[derive(Debug)]
pub(super) struct Gather<'a, S: ?Sized> {
    source: &'a S,
    entry: &'a Entry,
    peaks: Vec<(Range<u64>, Hash)>,
    hashes: Vec<Hash>,
}

impl<'a, S: HistorySource + ?Sized> Gather<'a, S> {
    pub(super) fn new(source: &'a S, entry: &'a Entry) -> Self {
        let mut start = 0;
        let mut peaks = Vec::new();
        let sizes = (0..64).rev().map(|bit| entry.count & (1 << bit)).filter(|size| *size > 0);
        for (size, hash) in sizes.zip(entry.peaks()) {
            peaks.push((start..start + size, *hash));
            start += size;
        }
        Self { source, entry, peaks, hashes: Vec::new() }
    }

    pub(super) fn beside(mut self, window: &Range<u64>) -> Result<Vec<Hash>> {
        self.descend(0..self.entry.count, window)?;
        Ok(self.hashes)
    }

    fn descend(&mut self, range: Range<u64>, window: &Range<u64>) -> Result<()> {
        if range.end <= window.start || window.end <= range.start {
            let hash = self.hash(&range)?;
            self.hashes.push(hash);
            return Ok(());
        }
        if window.start <= range.start && range.end <= window.end {
            return Ok(());
        }
        let middle = range.start + hashing::split(range.end - range.start);
        self.descend(range.start..middle, window)?;
        self.descend(middle..range.end, window)
    }

    /// Hash of a subtree: a peak, or what the source keeps, or from the versions.
    fn hash(&self, range: &Range<u64>) -> Result<Hash> {
        if let Some((_, hash)) = self.peaks.iter().find(|(peak, _)| peak == range) {
            return Ok(*hash);
        }
        if let Some(hash) = self.source.subtree(&self.entry.path, range.clone()) {
            return Ok(hash);
        }
        let mut peaks = Vec::new();
        for index in range.clone() {
            let leaf = read(self.source, &self.entry.path, index)?.leaf_hash();
            hashing::push(&mut peaks, index - range.start, leaf);
        }
        hashing::fold(&peaks).ok_or(Error::SourceDiffers)
    }
}

/// Root of a tree of `count` leaves from those at `first` on and the hashes beside them; `None`
/// when they do not fit or the hashes are too few or too many.
pub(super) fn range_root(count: u64, first: u64, leaves: &[Hash], hashes: &[Hash]) -> Option<Hash> {
    let end = first.checked_add(leaves.len() as u64)?;
    if leaves.is_empty() || end > count {
        return None;
    }
    let mut walk = Walk { window: first..end, leaves: leaves.iter(), hashes: hashes.iter() };
    let root = walk.root(0..count)?;
    (walk.leaves.len() == 0 && walk.hashes.len() == 0).then_some(root)
}

struct Walk<'a> {
    window: Range<u64>,
    leaves: std::slice::Iter<'a, Hash>,
    hashes: std::slice::Iter<'a, Hash>,
}

impl Walk<'_> {
    /// Goes down at most 64 levels, and only towards the window.
    fn root(&mut self, range: Range<u64>) -> Option<Hash> {
        if range.end <= self.window.start || self.window.end <= range.start {
            return self.hashes.next().copied();
        }
        let len = range.end - range.start;
        if len == 1 {
            return self.leaves.next().copied();
        }
        let middle = range.start + hashing::split(len);
        let left = self.root(range.start..middle)?;
        let right = self.root(middle..range.end)?;
        Some(hashing::node(&left, &right))
    }
}
