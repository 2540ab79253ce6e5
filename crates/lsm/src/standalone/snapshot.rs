//! Reading a standalone store as it was at one moment. Derived.

use std::collections::VecDeque;
use std::ops::{Bound, RangeBounds};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::LsmTree;
use crate::Result;

/// The store at one moment. While it lives, what it sees is not dropped.
#[derive(Debug)]
pub struct Snapshot {
    tree: LsmTree,
    sequence: u64,
}

impl Snapshot {
    pub(super) fn new(tree: &LsmTree) -> Self {
        let mut snapshots = tree.shared.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = tree.shared.published.load(Ordering::Acquire);
        *snapshots.entry(sequence).or_default() += 1;
        drop(snapshots);
        Self { tree: tree.clone(), sequence }
    }

    /// The value of a key.
    ///
    /// # Errors
    /// Of the file system; [`Error::Corrupt`](crate::Error::Corrupt).
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        let tree = &self.tree.shared.tree;
        tree.get_with(key, self.sequence, |found| found.and_then(|found| found.value.clone()))
    }

    /// The keys of a range in order, from both ends; errors of reading come with the keys.
    pub fn scan<'k>(&self, range: impl RangeBounds<&'k [u8]>) -> Scan {
        let owned = |bound: Bound<&&[u8]>| bound.map(|key| Bytes::copy_from_slice(key));
        Scan {
            snapshot: self.clone(),
            start: owned(range.start_bound()),
            end: owned(range.end_bound()),
            ready: VecDeque::new(),
            done: false,
        }
    }
}

impl Clone for Snapshot {
    fn clone(&self) -> Self {
        let mut snapshots =
            self.tree.shared.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        *snapshots.entry(self.sequence).or_default() += 1;
        drop(snapshots);
        Self { tree: self.tree.clone(), sequence: self.sequence }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let mut snapshots =
            self.tree.shared.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = snapshots.get_mut(&self.sequence) {
            *count -= 1;
            if *count == 0 {
                snapshots.remove(&self.sequence);
            }
        }
    }
}

/// Keys and values of a range, from both ends. Read in pieces: nothing is held in between.
#[derive(Debug)]
#[must_use = "nothing is read until it is asked for keys"]
pub struct Scan {
    snapshot: Snapshot,
    start: Bound<Bytes>,
    end: Bound<Bytes>,
    ready: VecDeque<(Bytes, Bytes)>,
    done: bool,
}

/// Keys fetched at a time.
const PIECE: usize = 256;

impl Scan {
    fn fetch(&mut self) -> Result<()> {
        let tree = &self.snapshot.tree.shared.tree;
        let bounds = (as_slice(&self.start), as_slice(&self.end));
        let ready = &mut self.ready;
        tree.walk(bounds, self.snapshot.sequence, false, |key, value| {
            let value = value.value.clone().unwrap_or_default();
            ready.push_back((Bytes::copy_from_slice(key), value));
            ready.len() < PIECE
        })?;
        match self.ready.back() {
            Some((last, _)) if self.ready.len() == PIECE => {
                self.start = Bound::Excluded(last.clone());
            }
            _ => self.done = true,
        }
        Ok(())
    }

    /// The last key that is left. Costs O(log n).
    fn last(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        let tree = &self.snapshot.tree.shared.tree;
        loop {
            let below = match &self.end {
                Bound::Unbounded => None,
                Bound::Excluded(end) => Some(end.to_vec()),
                Bound::Included(end) => Some(crate::bounds::successor(end)),
            };
            let Some(key) = tree.last_key_below(below.as_deref())? else { return Ok(None) };
            let bounds = (as_slice(&self.start), Bound::Unbounded);
            if !crate::bounds::contains(&bounds, &key) {
                return Ok(None);
            }
            self.end = Bound::Excluded(key.clone());
            if let Some(value) = self.snapshot.get(&key)? {
                return Ok(Some((key, value)));
            }
        }
    }
}

fn as_slice(bound: &Bound<Bytes>) -> Bound<&[u8]> {
    bound.as_ref().map(|key| &**key)
}

impl Iterator for Scan {
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ready.is_empty()
            && !self.done
            && let Err(error) = self.fetch()
        {
            self.done = true;
            return Some(Err(error));
        }
        self.ready.pop_front().map(Ok)
    }
}

impl DoubleEndedIterator for Scan {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.done {
            return self.ready.pop_back().map(Ok);
        }
        match self.last() {
            Ok(Some(found)) => Some(Ok(found)),
            Ok(None) => {
                self.done = true;
                self.ready.pop_back().map(Ok)
            }
            Err(error) => {
                self.done = true;
                Some(Err(error))
            }
        }
    }
}
