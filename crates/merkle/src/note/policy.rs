//! Whose signatures a checkpoint needs before it is believed. Pure.
//!
//! The signature of the log says "this is my tree". Signatures of witnesses say "and it shows
//! everybody the same one". A witness never stands in for the log: the two sets of keys are apart.

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::note::checkpoint::Checkpoint;
use crate::note::cosignature::Cosignature;
use crate::note::key::Verifier;
use crate::note::text::Note;
use crate::note::verify::VerifiedSignature;

/// The log that is believed, its keys, and how many of which witnesses must have signed.
///
/// ```
/// use cairn_merkle::log::TreeHead;
/// use cairn_merkle::note::{Checkpoint, KeyName, Policy, SignatureKind, Signer};
/// use cairn_vfs::OsRng;
/// let key = Signer::generate(KeyName::new("log.example")?, SignatureKind::Ed25519, &OsRng);
/// let note = Checkpoint::new("log.example", TreeHead::empty())?.sign(&key)?;
///
/// let policy = Policy::new("log.example", vec![key.verifier()]);
/// assert_eq!(policy.check(&note)?.checkpoint.head().size, 0);
/// let policy = Policy::new("other.example", vec![key.verifier()]);
/// assert!(policy.check(&note).is_err());
/// # Ok::<(), cairn_merkle::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Policy {
    origin: String,
    log_keys: Vec<Verifier>,
    witnesses: Vec<Verifier>,
    quorum: usize,
}

/// A checkpoint that the policy accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCheckpoint {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// Keys of the log that signed it, one at least.
    pub log_signatures: Vec<VerifiedSignature>,
    /// Known witnesses that signed it.
    pub cosignatures: Vec<Cosignature>,
}

impl Policy {
    /// Believes what one of these keys signed for this origin.
    #[must_use]
    pub fn new(origin: impl Into<String>, log_keys: Vec<Verifier>) -> Self {
        Self { origin: origin.into(), log_keys, witnesses: Vec::new(), quorum: 0 }
    }

    /// Also asks for cosignatures of so many of these witnesses. With 0 they are checked and
    /// reported where they are present.
    #[must_use]
    pub fn with_witnesses(mut self, witnesses: Vec<Verifier>, quorum: usize) -> Self {
        (self.witnesses, self.quorum) = (witnesses, quorum);
        self
    }

    /// Checks a note that should be a checkpoint.
    ///
    /// # Errors
    /// [`Error::UnknownOrigin`]; [`Error::BadSignature`] when any known key's signature is wrong;
    /// [`Error::NotSigned`] when the log or too many witnesses did not sign;
    /// [`Error::Malformed`] when the text is no checkpoint.
    pub fn check(&self, note: &Note) -> Result<VerifiedCheckpoint> {
        let log_signatures = note.verify_present(&self.log_keys)?;
        if log_signatures.is_empty() {
            return Err(Error::NotSigned { who: "keys of the log", found: 0, needed: 1 });
        }
        let cosignatures = note.verify_present(&self.witnesses)?;
        let cosignatures: Vec<_> = cosignatures.into_iter().filter_map(Cosignature::of).collect();
        let (found, needed) = (cosignatures.len(), self.quorum);
        if found < needed {
            return Err(Error::NotSigned { who: "witnesses", found, needed });
        }
        // Only now is the text worth reading.
        let checkpoint = Checkpoint::from_str(note.text())?;
        if checkpoint.origin() != self.origin {
            let (found, expected) = (checkpoint.origin().to_owned(), self.origin.clone());
            return Err(Error::UnknownOrigin { found, expected });
        }
        Ok(VerifiedCheckpoint { checkpoint, log_signatures, cosignatures })
    }
}
