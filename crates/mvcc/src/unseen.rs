//! Keys that came and went by writes that readers are not shown yet: how many keys readers may
//! count. Derived.

use std::collections::VecDeque;

use cairn_types::StreamId;

use crate::request::Range;

/// Changes kept although they are shown by now: for who chose a revision a moment ago.
const KEPT: usize = 1024;

/// A key that is there since a revision, or is not any more.
#[derive(Debug)]
struct Change {
    revision: u64,
    space: StreamId,
    key: Box<[u8]>,
    came: bool,
}

/// The newest changes of which keys there are.
#[derive(Debug, Default)]
pub(crate) struct Unseen {
    changes: VecDeque<Change>,
    /// Every change after this revision is here.
    after: u64,
}

impl Unseen {
    /// Notes that a key came or went; `revision` does not go down.
    pub(crate) fn note(&mut self, revision: u64, space: StreamId, key: &[u8], came: bool) {
        // A copy: a key may be a piece of something large.
        self.changes.push_back(Change { revision, space, key: key.into(), came });
    }

    /// Notes that changes up to a revision may be missing here.
    pub(crate) fn start_after(&mut self, revision: u64) {
        self.after = self.after.max(revision);
    }

    /// Lets changes go that readers are shown.
    pub(crate) fn forget(&mut self, shown: u64) {
        while self.changes.len() > KEPT
            && let Some(oldest) = self.changes.pop_front_if(|change| change.revision <= shown)
        {
            self.after = oldest.revision.max(self.after);
        }
    }

    /// How many keys more than at a revision a range has now; `None` when that is not known.
    pub(crate) fn growth_since(
        &self,
        revision: u64,
        space: StreamId,
        range: &Range,
    ) -> Option<i64> {
        if revision < self.after {
            return None;
        }
        let newer = self.changes.iter().rev().take_while(|change| change.revision > revision);
        let within = newer.filter(|change| change.space == space && range.contains(&change.key));
        Some(within.map(|change| if change.came { 1 } else { -1 }).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Put, Store};

    #[test]
    fn what_was_let_go_of_is_not_known_any_more() {
        let (mut unseen, space) = (Unseen::default(), StreamId::new(1));
        let growth =
            |unseen: &Unseen, revision| unseen.growth_since(revision, space, &Range::all());
        for revision in 1..=3000 {
            unseen.note(revision, space, b"k", revision % 3 != 0);
        }
        assert_eq!(growth(&unseen, 0), Some(1000));
        assert_eq!(growth(&unseen, 2999), Some(-1));
        unseen.forget(500);
        assert_eq!((growth(&unseen, 499), growth(&unseen, 501)), (None, Some(833)));
        unseen.forget(3000);
        assert_eq!(unseen.changes.len(), KEPT);
        assert_eq!((growth(&unseen, 1975), growth(&unseen, 3000)), (None, Some(0)));
        unseen.start_after(2998);
        assert_eq!((growth(&unseen, 2997), growth(&unseen, 2998)), (None, Some(0)));
    }

    #[test]
    fn a_write_under_way_does_not_make_counts_look_at_each_key() {
        let vfs = std::sync::Arc::new(cairn_vfs::MemVfs::new());
        let log = cairn_segment::Log::options().vfs(vfs).open().expect("opens");
        let (store, space) = (Store::open(log).expect("opens"), StreamId::new(1));
        let put = |key: &str| Put::new(space, key.to_owned(), "v");
        store.put_all(["a", "b", "c"].map(put).into()).expect("puts");
        let shown = store.revision();
        let count = |revision| {
            let counted = store.index().quick_count(space, &Range::from_key("b"), revision);
            counted.expect("counts")
        };
        let under_way = ["x", "b"].map(|key| {
            let submitted = store.submit(&[], |planner| planner.put(&put(key)).map(drop));
            submitted.expect("submits")
        });
        assert_eq!((store.revision(), count(shown)), (shown, Some(2)));
        under_way.iter().for_each(|one| store.wait(one).expect("waits"));
        assert_eq!((store.revision(), count(shown + 2)), (shown + 2, Some(3)));
        assert_eq!(count(shown - 1), Some(0), "all of them came after it");
    }

    #[test]
    fn only_keys_of_the_range_count() {
        let (mut unseen, space) = (Unseen::default(), StreamId::new(1));
        unseen.note(2, space, b"a", true);
        unseen.note(2, StreamId::new(2), b"b", true);
        unseen.note(3, space, b"c", true);
        let growth = |range| unseen.growth_since(1, space, &range);
        assert_eq!(growth(Range::all()), Some(2));
        assert_eq!(growth(Range::prefix("b")), Some(0));
        assert_eq!(growth(Range::from_key("b")), Some(1));
    }
}
