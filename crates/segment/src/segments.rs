//! The list of segments that readers see: replaced as a whole, read without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use cairn_types::Lsn;

use crate::segment::Segment;

/// All retained segments in order.
#[derive(Debug)]
pub(crate) struct Segments {
    list: ArcSwap<Vec<Arc<Segment>>>,
    /// Held while the list is replaced: a writer adds a segment while the cleaner replaces one.
    changing: Mutex<()>,
    /// Bytes of all segments but the last, which do not grow.
    len_before_last: AtomicU64,
}

impl Segments {
    pub(crate) fn new(list: Vec<Arc<Segment>>) -> Self {
        let len_before_last = sum_before_last(&list).into();
        Self { list: ArcSwap::from_pointee(list), changing: Mutex::new(()), len_before_last }
    }

    pub(crate) fn load(&self) -> Arc<Vec<Arc<Segment>>> {
        self.list.load_full()
    }

    /// Bytes of all segments but the last.
    pub(crate) fn len_before_last(&self) -> u64 {
        self.len_before_last.load(Ordering::Acquire)
    }

    /// Bytes of the last segment that can be read.
    pub(crate) fn last_len(&self) -> u64 {
        self.list.load().last().map_or(0, |segment| segment.end())
    }

    /// The segment that holds `lsn`, if it is not before the first.
    pub(crate) fn find(&self, lsn: Lsn) -> Option<Arc<Segment>> {
        let list = self.list.load();
        at(&list, lsn).cloned()
    }

    /// Calls `look` with the segment that holds `lsn`, as [`find`](Self::find) finds it.
    pub(crate) fn with<T>(&self, lsn: Lsn, look: impl FnOnce(&Segment) -> T) -> Option<T> {
        let list = self.list.load();
        at(&list, lsn).map(|segment| look(segment))
    }

    /// Adds the newest segment.
    pub(crate) fn push(&self, segment: Arc<Segment>) {
        self.change(|list| list.push(segment));
    }

    /// Drops the first `count` segments.
    pub(crate) fn drop_first(&self, count: usize) {
        self.change(|list| drop(list.drain(..count)));
    }

    /// Puts a cleaned segment in the place of the one with its number.
    pub(crate) fn replace(&self, segment: Arc<Segment>) {
        self.change(|list| {
            let old = list.iter_mut().find(|old| old.header.id == segment.header.id);
            *old.expect("maintenance runs alone, so the segment is still there") = segment;
        });
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Segment>>)) {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list = (**self.list.load()).clone();
        change(&mut list);
        self.len_before_last.store(sum_before_last(&list), Ordering::Release);
        self.list.store(Arc::new(list));
    }
}

fn at(list: &[Arc<Segment>], lsn: Lsn) -> Option<&Arc<Segment>> {
    let after = list.partition_point(|segment| segment.header.base_lsn <= lsn);
    // Of segments with the same base only the last can hold a record.
    list.get(after.checked_sub(1)?)
}

fn sum_before_last(list: &[Arc<Segment>]) -> u64 {
    let complete = list.split_last().map_or(&[][..], |(_, complete)| complete);
    complete.iter().map(|segment| segment.end()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Draft, RecordDraft, RecordKind};
    use cairn_types::StreamId;

    #[test]
    fn a_segment_added_while_another_is_replaced_is_not_lost() {
        const ROUNDS: usize = 2000;
        let log = crate::Log::options().vfs(Arc::new(cairn_vfs::MemVfs::new()));
        let log = log.open().expect("opens");
        let mut draft = Draft::new();
        let record = RecordDraft::new(RecordKind::USER, StreamId::new(1));
        draft.push(record, b"x").expect("fits");
        for _ in 0..2 {
            log.append(&draft).expect("appends");
            log.roll().expect("rolls");
        }
        let segments = &log.shared.segments;
        let list = segments.load();
        let [cleaned, newest] = list.as_slice() else { panic!("{} segments", list.len()) };
        std::thread::scope(|scope| {
            let adding = scope.spawn(|| (0..ROUNDS).for_each(|_| segments.push(newest.clone())));
            while !adding.is_finished() {
                segments.replace(cleaned.clone());
            }
        });
        assert_eq!(segments.load().len(), 2 + ROUNDS);
    }
}
