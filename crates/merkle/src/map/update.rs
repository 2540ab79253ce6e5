//! Takes the versions of a stretch of the log into the map. **Derived**: the same stretch gives
//! the same map, however it is cut into batches.

use super::error::{Error, Result};
use super::head::MapHead;
use super::node::KEYS_MAX;
use super::path::PathHash;
use super::trie::{Fresh, KeyMap};
use super::version::VersionLeaf;
use cairn_types::Lsn;

/// A change of the batch: the beginning of its path, and its place.
type Place = (u64, usize);

impl KeyMap {
    /// Takes in the versions, in any order, of **all** puts and deletes from the last head's
    /// end to `lsn_end`; `revision` is the newest main revision before that end. Gives the new
    /// head. Nothing is changed by an update that is refused.
    ///
    /// At a million keys about four microseconds a version in batches of a thousand, two in
    /// batches of a hundred thousand.
    ///
    /// # Errors
    /// `OutOfOrder` when a version lies outside that stretch or its revision is not between the
    /// last head's and `revision`, when two versions of a key do not follow each other, or
    /// when the new head would be before the last; `Full` over 2^30 keys.
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
        if (self.entries.len() + batch.len()) as u64 > KEYS_MAX {
            return Err(Error::Full { limit: KEYS_MAX });
        }
        let order = sorted(batch)?;
        let fresh: Vec<Fresh> = order
            .iter()
            .map(|(_, place)| &batch[*place])
            .map(|(path, version)| Fresh { path: *path, leaf: version.leaf_hash() })
            .collect();
        self.root = self.take_in(self.root, 0, &fresh);
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
