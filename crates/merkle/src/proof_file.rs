//! A proof that anybody can check offline, in one small text file: C2SP `tlog-proof`, version 1.
//!
//! ```text
//! c2sp.org/tlog-proof@v1
//! extra aGVsbG8=                                   optional: base64, believed by nobody
//! index 73894                                      place of the entry in the log
//! gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=     siblings, from the leaf up
//! AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=
//!                                                  empty line
//! example.com/log                                  the signed checkpoint, as it is
//! 109482
//! sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=
//!
//! — example.com/log hI2DJw...1roloI=
//! ```
//!
//! Checking takes four steps, in [`ProofFile::verify`]: the leaf is computed from the entry, the
//! checkpoint's origin and signatures are checked, the witnesses are counted, and the siblings must
//! lead from the leaf to the checkpoint's root. Pure: no files, no clock, no database.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::log::inclusion::{self, PROOF_LEN_MAX};
use crate::log::tree::TreeHead;
use crate::note::checkpoint::parse_decimal;
use crate::note::text::NOTE_LEN_MAX;
use crate::note::{Checkpoint, Cosignature, Note, Policy, Verifier};

/// The first line.
pub const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Bytes of extra data at most; the format itself has no limit.
pub const EXTRA_LEN_MAX: usize = 64 << 10;
/// Bytes of the longest file that is read.
pub const PROOF_FILE_LEN_MAX: usize = NOTE_LEN_MAX + 2 * EXTRA_LEN_MAX;

fn malformed(cause: &'static str) -> Error {
    Error::Malformed { what: "proof file", cause }
}

/// What a proof file says, not checked.
///
/// Text that is parsed is formatted to the same bytes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    extra: Vec<u8>,
    index: u64,
    proof: Vec<Hash>,
    checkpoint: Note,
}

/// What a proof file that was checked has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Which log.
    pub origin: String,
    /// Place of the entry in it.
    pub index: u64,
    /// Size and root of the tree that has it.
    pub head: TreeHead,
    /// Known witnesses that signed that tree, and when.
    pub cosignatures: Vec<Cosignature>,
    /// Data that came with the proof and that **nothing** vouches for.
    pub unauthenticated_extra: Vec<u8>,
}

impl ProofFile {
    /// A proof without extra data.
    ///
    /// # Errors
    /// [`Error::ProofLength`] when it is longer than any proof, [`Error::Malformed`] when the note
    /// is no checkpoint.
    pub fn new(index: u64, proof: Vec<Hash>, checkpoint: Note) -> Result<Self> {
        Checkpoint::from_str(checkpoint.text())?;
        if proof.len() > PROOF_LEN_MAX {
            let (found, expected) = (proof.len() as u64, PROOF_LEN_MAX as u64);
            return Err(Error::ProofLength { found, expected });
        }
        Ok(Self { extra: Vec::new(), index, proof, checkpoint })
    }

    /// Adds data that helps a reader and that nothing vouches for; none when it is empty.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] over [`EXTRA_LEN_MAX`].
    pub fn with_extra(mut self, extra: Vec<u8>) -> Result<Self> {
        if extra.len() > EXTRA_LEN_MAX {
            let (found, limit) = (extra.len() as u64, EXTRA_LEN_MAX as u64);
            return Err(Error::OutOfRange { what: "extra data of a proof", found, limit });
        }
        self.extra = extra;
        Ok(self)
    }

    /// Place of the entry in the log, as the file says.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The siblings, from the leaf up.
    #[must_use]
    pub fn proof(&self) -> &[Hash] {
        &self.proof
    }

    /// Extra data, empty for none.
    #[must_use]
    pub fn extra(&self) -> &[u8] {
        &self.extra
    }

    /// The signed checkpoint.
    #[must_use]
    pub const fn checkpoint(&self) -> &Note {
        &self.checkpoint
    }

    /// Reads a proof file.
    ///
    /// # Errors
    /// [`Error::Malformed`] unless it has its exact form, [`Error::OutOfRange`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > PROOF_FILE_LEN_MAX {
            let (found, limit) = (bytes.len() as u64, PROOF_FILE_LEN_MAX as u64);
            return Err(Error::OutOfRange { what: "length of a proof file", found, limit });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        let (head, note) = text.split_once("\n\n").ok_or(malformed("no empty line"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(malformed("another first line"));
        }
        let extra = lines.next_if(|line| line.starts_with("extra "));
        let extra = extra.map(parse_extra).transpose()?.unwrap_or_default();
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = parse_decimal(index.ok_or(malformed("no index"))?, "proof file")?;
        if lines.clone().count() > PROOF_LEN_MAX {
            return Err(malformed("more hashes than any proof has"));
        }
        let proof = lines.map(Hash::from_base64).collect::<Result<_>>()?;
        Self::new(index, proof, Note::parse(note.as_bytes())?)?.with_extra(extra)
    }

    /// Checks that the log of the policy has this leaf at the index of the file.
    ///
    /// # Errors
    /// As [`Policy::check`]; [`Error::OutOfRange`] when the tree has no such index,
    /// [`Error::ProofLength`] and [`Error::RootMismatch`] when the siblings do not lead there.
    pub fn verify(&self, leaf: &Hash, policy: &Policy) -> Result<Verified> {
        let verified = policy.check(&self.checkpoint)?;
        let head = *verified.checkpoint.head();
        inclusion::verify(self.index, head.size, leaf, &self.proof, &head.root)?;
        Ok(Verified {
            origin: verified.checkpoint.origin().to_owned(),
            index: self.index,
            head,
            cosignatures: verified.cosignatures,
            unauthenticated_extra: self.extra.clone(),
        })
    }
}

fn parse_extra(line: &str) -> Result<Vec<u8>> {
    let encoded = line.strip_prefix("extra ").unwrap_or_default();
    let extra = STANDARD.decode(encoded).map_err(|_| malformed("extra: no canonical base64"))?;
    if extra.is_empty() {
        return Err(malformed("an extra line without data"));
    }
    Ok(extra)
}

impl fmt::Display for ProofFile {
    /// The file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if !self.extra.is_empty() {
            writeln!(f, "extra {}", STANDARD.encode(&self.extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{}", hash.to_base64()))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Checks a proof file against one log: its origin and the keys it signs with.
///
/// For witnesses, and for a leaf that comes with the extra data, use [`ProofFile`] and [`Policy`].
///
/// # Errors
/// As [`ProofFile::parse`] and [`ProofFile::verify`].
pub fn verify(bytes: &[u8], leaf: &Hash, log_keys: &[Verifier], origin: &str) -> Result<Verified> {
    ProofFile::parse(bytes)?.verify(leaf, &Policy::new(origin, log_keys.to_vec()))
}
