//! Holding the log against what others have: consistency proofs, and checkpoints from before.

use cairn_merkle::Hash;
use cairn_merkle::log::TreeHead;
use cairn_merkle::note::{Checkpoint, Note, Verifier};

use super::{Error, Proofs, Result, signing};

/// How a log stands to a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It begins with what the checkpoint says, and has so many records more.
    Continues {
        /// Records after the checkpoint.
        further: u64,
    },
    /// It ends before the checkpoint: it was rolled back, or lost records.
    RolledBack {
        /// Records that are missing at least.
        missing: u64,
    },
    /// It has another past.
    Forked {
        /// The root its own records lead to at the checkpoint's size.
        found: Hash,
    },
}

/// A checkpoint that the log was held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Against {
    /// What the checkpoint says.
    pub head: TreeHead,
    /// Its origin.
    pub origin: String,
    /// Name and id of the keys that are known here and signed it.
    pub signed_by: Vec<String>,
    /// How the log stands to it.
    pub standing: Standing,
}

impl Against {
    /// Whether the log begins with what the checkpoint says.
    #[must_use]
    pub const fn is_consistent(&self) -> bool {
        matches!(self.standing, Standing::Continues { .. })
    }
}

impl Proofs {
    /// Proves that the log of size `new` begins with the one of size `old`.
    ///
    /// # Errors
    /// [`Error::NoSuchSizes`]; the log's.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>> {
        let mut held = self.held()?;
        held.tree.catch_up()?;
        let size = held.tree.size();
        if old == 0 || old > new || new > size {
            return Err(Error::NoSuchSizes { old, new, size });
        }
        held.tree.consistency(old, new)
    }

    /// Holds the log against a checkpoint from before, from wherever it was kept. Signatures of
    /// keys that are known here, or given, are checked; whoever passes a checkpoint that nobody
    /// known signed sees that in the answer.
    ///
    /// # Errors
    /// For a note that is no checkpoint, and for a wrong signature of a known key.
    pub fn verify_against(&self, note: &Note, keys: &[Verifier]) -> Result<Against> {
        let mut held = self.held()?;
        held.tree.catch_up()?;
        let mut known = signing::known(&held.log, &held.tree)?;
        known.extend(keys.iter().filter(|key| !known.contains(key)).cloned().collect::<Vec<_>>());
        let signed_by = match note.verify(&known) {
            Ok(good) => good.iter().map(|key| format!("{}+{}", key.name, key.id)).collect(),
            Err(cairn_merkle::Error::NotSigned { .. }) if keys.is_empty() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let checkpoint: Checkpoint = note.text().parse()?;
        let (head, size) = (*checkpoint.head(), held.tree.size());
        let standing = if head.size > size {
            Standing::RolledBack { missing: head.size - size }
        } else {
            match held.tree.root_at(head.size)? {
                found if found == head.root => Standing::Continues { further: size - head.size },
                found => Standing::Forked { found },
            }
        };
        Ok(Against { head, origin: checkpoint.origin().to_owned(), signed_by, standing })
    }
}

impl Error {
    /// Whether it says that the log is not the one that was signed.
    #[must_use]
    pub const fn is_alarm(&self) -> bool {
        matches!(self, Self::BelowSigned { .. } | Self::SignedDiffers { .. })
    }
}
