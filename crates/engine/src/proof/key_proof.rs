//! A proof about a key's versions, in one text file. Derived; checked offline.
//!
//! ```text
//! cairn/key-proof@v1
//! keyspace 3                                       number of the keyspace
//! key aGVsbG8=                                     base64
//! question at 12                                   or: newest, history
//! head AQAAAA...                                   base64 of the map head, 64 bytes
//! proof AQIAAA...                                  base64 of the key proof
//!                                                  empty line
//! c2sp.org/tlog-proof@v1                           proof that the log has the record which states
//! ...                                              the map head; its extra data is the leaf
//! ```
//!
//! There is one form of each file: what is parsed is formatted to the same bytes. A keyspace is
//! named by number; which name it has stands in the record that created it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cairn_merkle::map::{
    Claim, KeyProof, MAX_PROOF_LEN, MapHead, PathHash, Question, Verdict, verify,
};
use cairn_merkle::note::Verifier;
use cairn_merkle::proof_file::{PROOF_FILE_LEN_MAX, ProofFile};
use cairn_segment::RecordKind;
use cairn_types::limits::MAX_KEY_LEN;

use super::check::{self, Checked};
use super::{Error, Result};

/// The first line.
pub const HEADER: &str = "cairn/key-proof@v1";
/// Bytes of the longest file.
pub const KEY_PROOF_FILE_LEN_MAX: usize =
    MAX_PROOF_LEN.div_ceil(3) * 4 + 2 * MAX_KEY_LEN + 1024 + PROOF_FILE_LEN_MAX;

/// What a key proof file says, not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyProofFile {
    /// Number of the keyspace.
    pub keyspace: u64,
    /// The key.
    pub key: Vec<u8>,
    /// The question that it answers.
    pub question: Question,
    /// The map head that it leads to.
    pub head: MapHead,
    /// The key proof, encoded.
    pub proof: Vec<u8>,
    /// The proof that the log states the map head.
    pub record: ProofFile,
}

/// What a key proof file shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChecked {
    /// The record that states the map head.
    pub record: Checked,
    /// The map head.
    pub head: MapHead,
    /// The answer.
    pub verdict: Verdict,
}

fn malformed(cause: &'static str) -> Error {
    Error::Malformed { what: "key proof file", cause }
}

impl KeyProofFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Malformed`] unless it has its exact form.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > KEY_PROOF_FILE_LEN_MAX {
            return Err(malformed("it is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        let (about, record) = text.split_once("\n\n").ok_or(malformed("no empty line"))?;
        let mut lines = about.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(malformed("another first line"));
        }
        let mut field = |name| {
            let rest = lines.next().and_then(|line| line.strip_prefix(name));
            rest.and_then(|rest| rest.strip_prefix(' ')).ok_or(malformed("a line is missing"))
        };
        let base64 =
            |text: &str| STANDARD.decode(text).map_err(|_| malformed("it is not canonical base64"));
        let keyspace = number(field("keyspace")?)?;
        let key = base64(field("key")?)?;
        let question = match field("question")? {
            "newest" => Question::Newest,
            "history" => Question::History,
            at => {
                let revision = at.strip_prefix("at ").ok_or(malformed("an unknown question"))?;
                Question::At(number(revision)?)
            }
        };
        let file = Self {
            keyspace,
            key,
            question,
            head: MapHead::decode(&base64(field("head")?)?)?,
            proof: base64(field("proof")?)?,
            record: ProofFile::parse(record.as_bytes())?,
        };
        // One form: spellings, lines and numbers that mean the same are refused.
        if file.to_string() == text { Ok(file) } else { Err(malformed("it has another form")) }
    }

    /// Checks the file against the keys of one log, and gives the answer.
    ///
    /// # Errors
    /// As [`check::record`]; [`Error::Refused`] when the record states another map head;
    /// [`Error::Map`] when the proof does not answer the question.
    pub fn check(&self, keys: &[Verifier]) -> Result<KeyChecked> {
        let record = check::checked(&self.record, None, keys)?;
        if record.kind != RecordKind::MAP_ROOT {
            return Err(Error::Refused("the record states no map root"));
        }
        record.check_payload(&self.head.encode())?;
        if self.head.lsn_end > record.lsn {
            return Err(Error::Refused("the map claims records after its own"));
        }
        let path = PathHash::of_key(self.keyspace, &self.key);
        let claim = Claim { path, question: self.question };
        let verdict = verify(&self.head, &claim, &KeyProof::decode(&self.proof)?)?;
        Ok(KeyChecked { record, head: self.head, verdict })
    }
}

fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|_| malformed("a number"))
}

impl fmt::Display for KeyProofFile {
    /// The file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (keyspace, key) = (self.keyspace, STANDARD.encode(&self.key));
        writeln!(f, "{HEADER}\nkeyspace {keyspace}\nkey {key}")?;
        match self.question {
            Question::At(revision) => writeln!(f, "question at {revision}")?,
            Question::Newest => writeln!(f, "question newest")?,
            Question::History => writeln!(f, "question history")?,
        }
        let (head, proof) = (STANDARD.encode(self.head.encode()), STANDARD.encode(&self.proof));
        write!(f, "head {head}\nproof {proof}\n\n{}", self.record)
    }
}
