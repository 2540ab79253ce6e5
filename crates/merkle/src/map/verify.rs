//! Verifies proofs: what others re-implement. Needs the head, the question and the proof, and
//! neither the log nor the map.

use super::entry::entry_hash;
use super::error::{Error, Result};
use super::head::MapHead;
use super::history::range_root;
use super::node::{EMPTY, inner};
use super::path::PathHash;
use super::proof::{Ending, KeyProof};
use super::version::VersionLeaf;
use crate::hashing::Hash;

/// What is asked about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The key's path.
    pub path: PathHash,
    /// The question.
    pub question: Question,
}

/// A question about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Question {
    /// What was it at the end of this main revision?
    At(u64),
    /// What is it as of the head?
    Newest,
    /// What are all its versions as of the head?
    History,
}

/// What a proof shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The key was there, in this version.
    Value(Proven),
    /// The key was not there.
    Absent(Absence),
    /// These are all its versions, oldest first, tombstones included.
    History(Vec<VersionLeaf>),
}

/// Why a key was not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// It was never written.
    Never,
    /// Its first version, this one, is of a later revision.
    NotYet(VersionLeaf),
    /// It had been deleted.
    Deleted(Proven),
}

/// A version and its place among those of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proven {
    /// The version.
    pub version: VersionLeaf,
    /// Its index, from 0.
    pub index: u64,
    /// How many versions the key has as of the head.
    pub count: u64,
}

impl Claim {
    /// What was the key at the end of a main revision?
    #[must_use]
    pub const fn at(path: PathHash, revision: u64) -> Self {
        Self { path, question: Question::At(revision) }
    }

    /// What is the key as of the head?
    #[must_use]
    pub const fn newest(path: PathHash) -> Self {
        Self { path, question: Question::Newest }
    }

    /// What are all versions of the key as of the head?
    #[must_use]
    pub const fn history(path: PathHash) -> Self {
        Self { path, question: Question::History }
    }
}

/// The answer that a proof gives to a question, or that it gives none. The head must be one that
/// the caller trusts, from a log record that was proven. A few microseconds, without I/O.
///
/// # Errors
/// `FutureRevision` for a revision that the head does not cover; `Refused` when the proof does
/// not lead to the head's root, or leaves out what the answer depends on.
pub fn verify(head: &MapHead, claim: &Claim, proof: &KeyProof) -> Result<Verdict> {
    if let Question::At(asked) = claim.question
        && asked > head.revision
    {
        return Err(Error::FutureRevision { asked, newest: head.revision });
    }
    if trie_root(&claim.path, proof)? != head.root {
        return refuse("it does not lead to the head's root");
    }
    let Ending::Key { count, first, versions, .. } = &proof.ending else {
        return Ok(Verdict::Absent(Absence::Never));
    };
    check_versions(head, versions)?;
    match claim.question {
        Question::At(revision) => at(revision, *count, *first, versions),
        Question::Newest => match versions.as_slice() {
            [version] if *first == count - 1 => Ok(answer(*version, *first, *count)),
            _ => refuse("it is not about the last version"),
        },
        Question::History if *first == 0 && versions.len() as u64 == *count => {
            Ok(Verdict::History(versions.clone()))
        }
        Question::History => refuse("it leaves out versions"),
    }
}

fn refuse<T>(cause: &'static str) -> Result<T> {
    Err(Error::Refused { cause })
}

/// The root that a proof leads to.
fn trie_root(path: &PathHash, proof: &KeyProof) -> Result<Hash> {
    let depth = proof.siblings.len();
    if depth > 256 {
        return refuse("it is deeper than a path");
    }
    let end = match &proof.ending {
        Ending::Nothing => EMPTY,
        Ending::Other { path: other, .. } if other == path => {
            return refuse("the other key is this one");
        }
        Ending::Other { path: other, .. } if other.shared_bits(path) < depth => {
            return refuse("the other key stands elsewhere");
        }
        Ending::Other { path: other, count, root } => entry_hash(other, *count, root),
        Ending::Key { count, first, versions, hashes } => {
            let leaves: Vec<Hash> = versions.iter().map(VersionLeaf::leaf_hash).collect();
            let Some(root) = range_root(*count, *first, &leaves, hashes) else {
                return refuse("its versions do not fit their count");
            };
            entry_hash(path, *count, &root)
        }
    };
    if proof.siblings.last() == Some(&EMPTY) {
        return refuse("an entry stands deeper than it must");
    }
    let above = proof.siblings.iter().enumerate().rev();
    Ok(above.fold(end, |below, (depth, sibling)| {
        if path.bit(depth) { inner(sibling, &below) } else { inner(&below, sibling) }
    }))
}

/// What the head itself says of every version.
fn check_versions(head: &MapHead, versions: &[VersionLeaf]) -> Result<()> {
    let covered = |version: &VersionLeaf| {
        version.modified.main <= head.revision
            && version.lsn < head.lsn_end
            && version.fault().is_none()
    };
    if !versions.iter().all(covered) {
        return refuse("a version that the head does not cover");
    }
    if !versions.is_sorted_by(VersionLeaf::is_before) {
        return refuse("versions out of order");
    }
    Ok(())
}

/// What the key was at a revision: the last version up to it, and the one after it as a witness
/// unless there is none.
fn at(revision: u64, count: u64, first: u64, versions: &[VersionLeaf]) -> Result<Verdict> {
    let until = |version: &VersionLeaf| version.modified.main <= revision;
    match versions {
        [next] if first == 0 && !until(next) => Ok(Verdict::Absent(Absence::NotYet(*next))),
        [last] if first == count - 1 && until(last) => Ok(answer(*last, first, count)),
        [version, next] if until(version) && !until(next) => Ok(answer(*version, first, count)),
        _ => refuse("it is not about the version of that revision"),
    }
}

fn answer(version: VersionLeaf, index: u64, count: u64) -> Verdict {
    let proven = Proven { version, index, count };
    if version.tombstone {
        Verdict::Absent(Absence::Deleted(proven))
    } else {
        Verdict::Value(proven)
    }
}
