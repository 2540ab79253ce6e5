//! The changes that came while interactive transactions are open: what a commit is checked
//! against. Derived.
//!
//! Nothing is kept while no transaction is open, and never more than a bound of changes and of
//! bytes: who needs older changes than there are asks the index instead.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cairn_types::StreamId;

/// Changes kept at most.
const COUNT_MAX: usize = 65_536;

/// Bytes of their keys kept at most.
const LEN_MAX: usize = 8 << 20;

/// How many transactions are open.
#[derive(Debug, Default)]
pub(crate) struct OpenCount(Arc<AtomicUsize>);

/// Held by an open transaction.
#[derive(Debug)]
pub(crate) struct Open(Arc<AtomicUsize>);

impl OpenCount {
    /// Counts one more. To be called before its snapshot is chosen: who chooses it first may
    /// miss changes, and then asks the index.
    pub(crate) fn open(&self) -> Open {
        self.0.fetch_add(1, Ordering::SeqCst);
        Open(self.0.clone())
    }

    fn is_zero(&self) -> bool {
        self.0.load(Ordering::SeqCst) == 0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A recent change.
#[derive(Debug, Clone)]
pub(crate) struct Recent {
    pub(crate) revision: u64,
    pub(crate) space: StreamId,
    pub(crate) key: Bytes,
}

/// The newest changes.
#[derive(Debug, Default)]
pub(crate) struct Recents {
    changes: VecDeque<Recent>,
    /// Bytes of their keys.
    len: usize,
    /// Every change after this revision is here.
    after: u64,
}

impl Recents {
    /// Notes a change; `revision` does not go down.
    pub(crate) fn note(&mut self, revision: u64, space: StreamId, key: &[u8], open: &OpenCount) {
        if open.is_zero() {
            self.start_after(revision);
            return;
        }
        // A copy: a key may be a piece of something large.
        let key = Bytes::copy_from_slice(key);
        self.len += key.len();
        self.changes.push_back(Recent { revision, space, key });
        while self.changes.len() > COUNT_MAX || self.len > LEN_MAX {
            let Some(forgotten) = self.changes.pop_front() else { break };
            self.len -= forgotten.key.len();
            self.after = forgotten.revision;
        }
    }

    /// Forgets all changes, of which the last was in `revision`.
    pub(crate) fn start_after(&mut self, revision: u64) {
        self.changes.clear();
        self.len = 0;
        self.after = revision;
    }

    /// The changes after a revision, newest first; `None` when not all of them are here.
    pub(crate) fn since(&self, revision: u64) -> Option<impl Iterator<Item = &Recent>> {
        let newest_first = self.changes.iter().rev();
        (self.after <= revision)
            .then(|| newest_first.take_while(move |change| change.revision > revision))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: StreamId = StreamId::new(9);

    fn revisions(recents: &Recents, after: u64) -> Option<Vec<u64>> {
        Some(recents.since(after)?.map(|change| change.revision).collect())
    }

    #[test]
    fn changes_are_kept_only_while_a_transaction_is_open() {
        let (mut recents, count) = (Recents::default(), OpenCount::default());
        recents.note(2, SPACE, b"a", &count);
        assert_eq!(revisions(&recents, 1), None, "nobody may take it for complete");
        assert_eq!(revisions(&recents, 2), Some(vec![]));
        let open = count.open();
        recents.note(3, SPACE, b"a", &count);
        recents.note(4, SPACE, b"b", &count);
        assert_eq!(revisions(&recents, 2), Some(vec![4, 3]));
        assert_eq!(revisions(&recents, 3), Some(vec![4]));
        drop(open);
        recents.note(5, SPACE, b"a", &count);
        assert_eq!(revisions(&recents, 4), None);
        assert_eq!(revisions(&recents, 5), Some(vec![]));
    }

    #[test]
    fn keys_of_any_length_stay_within_the_bound() {
        let (mut recents, count) = (Recents::default(), OpenCount::default());
        let _open = count.open();
        let key = vec![7; 1 << 20];
        for revision in 1..40 {
            recents.note(revision, SPACE, &key, &count);
            assert!(recents.len <= LEN_MAX);
        }
        assert_eq!(revisions(&recents, 30), None);
        assert_eq!(revisions(&recents, 31).map(|found| found.len()), Some(8));
    }
}
