//! The list of segments that readers see: replaced as a whole, read without a lock.

use std::sync::Arc;

use arc_swap::ArcSwap;
use cairn_types::Lsn;

use crate::segment::Segment;

/// All retained segments in order.
#[derive(Debug)]
pub(crate) struct Segments {
    list: ArcSwap<Vec<Arc<Segment>>>,
}

impl Segments {
    pub(crate) fn new(list: Vec<Arc<Segment>>) -> Self {
        Self { list: ArcSwap::from_pointee(list) }
    }

    pub(crate) fn load(&self) -> Arc<Vec<Arc<Segment>>> {
        self.list.load_full()
    }

    /// The segment that holds `lsn`, if it is not before the first.
    pub(crate) fn find(&self, lsn: Lsn) -> Option<Arc<Segment>> {
        let list = self.list.load();
        let after = list.partition_point(|segment| segment.header.base_lsn <= lsn);
        // Of segments with the same base only the last can hold a record.
        list.get(after.checked_sub(1)?).cloned()
    }

    /// The segment after the one that begins at or before `lsn` and ends at `lsn`.
    pub(crate) fn push(&self, segment: Arc<Segment>) {
        self.change(|list| list.push(segment));
    }

    /// Replaces the last segment by its sealed form.
    pub(crate) fn replace_last(&self, segment: Arc<Segment>) {
        self.change(|list| {
            let last = list.last_mut().expect("the sealed segment is in the list");
            assert_eq!(last.header.id, segment.header.id, "only the last segment is sealed");
            *last = segment;
        });
    }

    /// Replaces one segment by its cleaned form.
    pub(crate) fn replace(&self, segment: Arc<Segment>) {
        self.change(|list| {
            if let Some(place) = list.iter_mut().find(|old| old.header.id == segment.header.id) {
                *place = segment;
            }
        });
    }

    /// Drops the first `count` segments.
    pub(crate) fn drop_first(&self, count: usize) {
        self.change(|list| drop(list.drain(..count)));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Segment>>)) {
        let mut list = (**self.list.load()).clone();
        change(&mut list);
        self.list.store(Arc::new(list));
    }
}
