//! Makes proofs. **Derived**: from the map and the versions that a source gives back.

use super::entry::Entry;
use super::error::{Error, Result};
use super::history::{Gather, HistorySource, range_root, read};
use super::path::PathHash;
use super::proof::{Ending, KeyProof, MAX_PROVEN_VERSIONS};
use super::trie::KeyMap;
use super::verify::{Claim, Question};
use super::version::VersionLeaf;
use crate::hashing::Hash;
use std::ops::Range;

impl KeyMap {
    /// Makes a proof that answers a question about a key against [`head`](Self::head), whatever
    /// the answer is. Reads one or two versions of the key, those for a binary search, and those
    /// under the same peak of its tree unless the source keeps subtrees.
    ///
    /// # Errors
    /// `FutureRevision`; `TooLarge` for a history of more versions than a proof can hold; `Source`;
    /// `SourceDiffers` when the versions given are not those the map took in.
    pub fn prove(&self, claim: &Claim, source: &(impl HistorySource + ?Sized)) -> Result<KeyProof> {
        if let Question::At(asked) = claim.question
            && asked > self.revision
        {
            return Err(Error::FutureRevision { asked, newest: self.revision });
        }
        let place = self.prove_path(&claim.path);
        let ending = match place.entry {
            None => Ending::Nothing,
            Some((path, count, root)) if path != claim.path => Ending::Other { path, count, root },
            Some(_) => self.prove_versions(claim, source)?,
        };
        Ok(KeyProof { siblings: place.siblings, ending })
    }

    fn prove_versions(
        &self,
        claim: &Claim,
        source: &(impl HistorySource + ?Sized),
    ) -> Result<Ending> {
        let entry = self.entry(&claim.path).expect("the path ends at the key");
        let window = window(claim.question, entry, source)?;
        let found = window.end - window.start;
        if found > MAX_PROVEN_VERSIONS as u64 {
            return Err(Error::TooLarge { found, limit: MAX_PROVEN_VERSIONS as u64 });
        }
        let read = window.clone().map(|index| read(source, &claim.path, index));
        let versions = read.collect::<Result<Vec<VersionLeaf>>>()?;
        let hashes = Gather::new(source, entry).beside(&window)?;
        let leaves: Vec<Hash> = versions.iter().map(VersionLeaf::leaf_hash).collect();
        if range_root(entry.count, window.start, &leaves, &hashes) != Some(entry.root) {
            return Err(Error::SourceDiffers);
        }
        Ok(Ending::Key { count: entry.count, first: window.start, versions, hashes })
    }
}

/// The versions that answer a question.
fn window(
    question: Question,
    entry: &Entry,
    source: &(impl HistorySource + ?Sized),
) -> Result<Range<u64>> {
    let count = entry.count;
    match question {
        Question::History => Ok(0..count),
        Question::Newest => Ok(count - 1..count),
        Question::At(revision) => {
            let until = count_until(revision, &entry.path, count, source)?;
            Ok(until.saturating_sub(1)..count.min(until + 1))
        }
    }
}

/// How many versions of a key were written up to a revision.
fn count_until(
    revision: u64,
    path: &PathHash,
    count: u64,
    source: &(impl HistorySource + ?Sized),
) -> Result<u64> {
    let mut found = 0..count;
    while !found.is_empty() {
        let middle = found.start + (found.end - found.start) / 2;
        if read(source, path, middle)?.modified.main <= revision {
            found.start = middle + 1;
        } else {
            found.end = middle;
        }
    }
    Ok(found.start)
}
