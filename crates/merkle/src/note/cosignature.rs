//! What a witness signs, as in C2SP `tlog-cosignature`, version 1 with Ed25519: that at this time
//! this was the largest tree of the log it knew, and that it grew from all it had signed before.
//!
//! | bytes of the signature | what |
//! |---|---|
//! | 8 | time in seconds since 1970, **big-endian**, at most 2^63 - 1 |
//! | 64 | Ed25519 over `cosignature/v1\ntime <time>\n` and the text of the checkpoint |

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::note::checkpoint::Checkpoint;
use crate::note::key::{KeyId, KeyName, SIGNATURE_LEN, SignatureKind};
use crate::note::signer::Signer;
use crate::note::text::{Note, SignatureLine};
use crate::note::verify::VerifiedSignature;

/// The latest time that can be stated.
pub const TIME_MAX: u64 = i64::MAX as u64;

/// A good signature of a known witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// Name of the witness.
    pub name: KeyName,
    /// Id of its key.
    pub id: KeyId,
    /// When it signed, in seconds since 1970.
    pub time: u64,
}

impl Cosignature {
    /// A checked signature as one of a witness; nothing when it is of another kind.
    pub(crate) fn of(signature: VerifiedSignature) -> Option<Self> {
        let VerifiedSignature { name, id, time, .. } = signature;
        Some(Self { name, id, time: time? })
    }
}

/// The bytes that are signed.
#[must_use]
pub fn message(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

/// Time and Ed25519 signature; nothing when the form is wrong.
pub(crate) fn split(signature: &[u8]) -> Option<(u64, &[u8; SIGNATURE_LEN])> {
    let (time, signature) = signature.split_first_chunk()?;
    let time = u64::from_be_bytes(*time);
    (time <= TIME_MAX).then_some((time, signature.try_into().ok()?))
}

impl Signer {
    /// Signs a checkpoint as a witness does. The caller has checked, as
    /// [`verify_as_witness`](crate::log::consistency::verify_as_witness) does, that the tree grew
    /// from the last one this key has signed.
    ///
    /// ```
    /// use cairn_merkle::log::TreeHead;
    /// use cairn_merkle::note::{Checkpoint, KeyName, SignatureKind, Signer};
    /// use cairn_vfs::OsRng;
    /// let log = Signer::generate(KeyName::new("log.example")?, SignatureKind::Ed25519, &OsRng);
    /// let mut note = Checkpoint::new("log.example", TreeHead::empty())?.sign(&log)?;
    ///
    /// let name = KeyName::new("witness.example")?;
    /// let witness = Signer::generate(name, SignatureKind::CosignatureV1, &OsRng);
    /// note.add(witness.cosign(&note, 1_679_315_147)?)?;
    /// assert_eq!(note.verify(&[witness.verifier()])?[0].time, Some(1_679_315_147));
    /// # Ok::<(), cairn_merkle::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Malformed`] when the note is no checkpoint or the key is not for cosignatures,
    /// [`Error::OutOfRange`] for a time that cannot be stated.
    pub fn cosign(&self, note: &Note, time: u64) -> Result<SignatureLine> {
        Checkpoint::from_str(note.text())?;
        if self.kind() != SignatureKind::CosignatureV1 {
            let cause = "it is not for cosignatures";
            return Err(Error::Malformed { what: "key", cause });
        }
        if time > TIME_MAX {
            let what = "time of a cosignature";
            return Err(Error::OutOfRange { what, found: time, limit: TIME_MAX });
        }
        Ok(self.cosign_text(note.text(), time))
    }
}
