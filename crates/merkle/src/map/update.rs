//! Takes the versions of a stretch of the log into the map. **Derived**: the same stretch gives
//! the same map, however it is cut into batches.

use super::entry::Entry;
use super::error::{Error, Result};
use super::head::MapHead;
use super::path::PathHash;
use super::trie::{KeyMap, Touched};
use super::version::VersionLeaf;
use cairn_types::Lsn;

/// A change of the batch: the beginning of its path, and its place.
type Place = (u64, usize);

impl KeyMap {
    /// Takes in the versions, in any order, of **all** puts and deletes from the last head's
    /// end to `lsn_end`; `revision` is the newest main revision before that end. Gives the new
    /// head. Nothing is changed by an update that is refused.
    ///
    /// At a million keys about a microsecond and a half a version in batches of a thousand, less
    /// in larger ones.
    ///
    /// # Errors
    /// `OutOfOrder` when a version lies outside that stretch or its revision is not between the
    /// last head's and `revision`, when two versions of a key do not follow each other, or
    /// when the new head would be before the last.
    pub fn update(
        &mut self,
        batch: &[(PathHash, VersionLeaf)],
        revision: u64,
        lsn_end: Lsn,
    ) -> Result<MapHead> {
        if revision < self.revision || lsn_end < self.lsn_end {
            let cause = "the new head would be before the last one";
            return Err(Error::OutOfOrder { lsn: lsn_end.get(), cause });
        }
        for (_, version) in batch {
            self.check(version, revision, lsn_end)?;
        }
        let order = sorted(batch)?;
        let mut touched = Touched::default();
        let mut rest = order.as_slice();
        while let Some((_, first)) = rest.first() {
            let path = batch[*first].0;
            let id = self.page_id(&path);
            let shared = self.pages[id].depth;
            let prefix = path.prefix(shared);
            let len = rest.partition_point(|(head, _)| {
                (shared == 0) || usize::try_from(head >> (64 - shared)).ok() <= Some(prefix)
            });
            let (run, after) = rest.split_at(len);
            rest = after;
            let changed = self.apply(id, run, batch);
            self.settle_page(id, &path, changed, &mut touched);
        }
        self.settle(touched);
        (self.revision, self.lsn_end) = (revision, lsn_end);
        Ok(self.head())
    }

    fn check(&self, version: &VersionLeaf, revision: u64, lsn_end: Lsn) -> Result<()> {
        let lsn = version.lsn.get();
        let refuse = |cause| Err(Error::OutOfOrder { lsn, cause });
        if !(self.lsn_end..lsn_end).contains(&version.lsn) {
            return refuse("its LSN is not between the heads");
        }
        if version.modified.main <= self.revision || version.modified.main > revision {
            return refuse("its revision is not between the heads");
        }
        version.fault().map_or(Ok(()), refuse)
    }

    /// Takes sorted changes into their page; gives the buckets that changed.
    fn apply(&mut self, id: usize, run: &[Place], batch: &[(PathHash, VersionLeaf)]) -> u32 {
        let page = &mut self.pages[id];
        let (mut changed, mut at) = (0, 0);
        for places in run.chunk_by(|a, b| batch[a.1].0 == batch[b.1].0) {
            let path = batch[places[0].1].0;
            let mut leaves = places.iter().map(|(_, place)| batch[*place].1.leaf_hash());
            at += page.entries[at..].partition_point(|entry| entry.path < path);
            match page.entries.get_mut(at) {
                Some(entry) if entry.path == path => entry.append(leaves),
                _ => {
                    let first = leaves.next().expect("a chunk has at least one");
                    let mut entry = Entry::new(path, first);
                    if places.len() > 1 {
                        entry.append(leaves);
                    }
                    page.insert(at, entry);
                    self.key_count += 1;
                }
            }
            changed |= page.bucket_bit(&path);
        }
        changed
    }
}

/// The places of a batch by path, then by LSN.
fn sorted(batch: &[(PathHash, VersionLeaf)]) -> Result<Vec<Place>> {
    let mut order: Vec<Place> =
        batch.iter().enumerate().map(|(place, (path, _))| (path.head(), place)).collect();
    let rest = |place: usize| (batch[place].0, batch[place].1.lsn);
    order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| rest(a.1).cmp(&rest(b.1))));
    for pair in order.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let [(path, version), (next_path, next)] = [pair[0].1, pair[1].1].map(|at| batch[at]);
        if path == next_path && !version.is_before(&next) {
            let cause = "it does not come after the version before it";
            return Err(Error::OutOfOrder { lsn: next.lsn.get(), cause });
        }
    }
    Ok(order)
}
