//! Which signatures of a note count, as in C2SP `signed-note`. Pure.
//!
//! 1. A line counts only when name **and** id are those of a known key; others are passed over.
//! 2. A line of a known key that is wrong makes the whole note worthless.
//! 3. A note without a good line of a known key is worthless.

use crate::error::{Error, Result};
use crate::note::key::{KeyId, KeyName, SignatureKind, Verifier};
use crate::note::text::Note;

/// A good signature of a known key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSignature {
    /// Name of the key.
    pub name: KeyName,
    /// Its id.
    pub id: KeyId,
    /// What it signed.
    pub kind: SignatureKind,
    /// Seconds since 1970 that a cosignature states.
    pub time: Option<u64>,
}

impl Note {
    /// Checks the signatures of the keys that are known; each key counts once.
    ///
    /// # Errors
    /// [`Error::BadSignature`] when one of them is wrong, [`Error::NotSigned`] when there is none,
    /// [`Error::Malformed`] when two known keys have the same name and id.
    pub fn verify(&self, known: &[Verifier]) -> Result<Vec<VerifiedSignature>> {
        let good = self.verify_present(known)?;
        if good.is_empty() {
            return Err(Error::NotSigned { who: "keys", found: 0, needed: 1 });
        }
        Ok(good)
    }

    /// As [`verify`](Self::verify), but none is fine.
    pub(crate) fn verify_present(&self, known: &[Verifier]) -> Result<Vec<VerifiedSignature>> {
        let mut good: Vec<VerifiedSignature> = Vec::new();
        for line in self.signatures() {
            let mut keys =
                known.iter().filter(|key| key.name() == line.name() && key.id() == line.id());
            let Some(key) = keys.next() else { continue };
            if keys.any(|other| other != key) {
                let cause = "two known keys have the same name and id";
                return Err(Error::Malformed { what: "list of keys", cause });
            }
            let time = key.verify(self.text(), line.signature())?;
            let (name, id, kind) = (key.name().clone(), key.id(), key.kind());
            if !good.iter().any(|before| before.name == name && before.id == id) {
                good.push(VerifiedSignature { name, id, kind, time });
            }
        }
        Ok(good)
    }
}
