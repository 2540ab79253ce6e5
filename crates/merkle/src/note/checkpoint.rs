//! The text that stands for a tree, as in C2SP `tlog-checkpoint`.
//!
//! ```text
//! example.com/log                                  origin: which log
//! 109482                                           size of the tree
//! sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=     its root
//! anything                                         extension lines, if any; better none
//! ```
//!
//! A log must never sign two checkpoints of which the one tree does not begin with the other.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::hash::{Hash, empty_root};
use crate::log::tree::{SIZE_MAX, TreeHead};
use crate::note::signer::Signer;
use crate::note::text::{NOTE_LEN_MAX, Note};

fn malformed(cause: &'static str) -> Error {
    Error::Malformed { what: "checkpoint", cause }
}

/// What a log says of itself at one size.
///
/// ```
/// use cairn_merkle::log::TreeHead;
/// use cairn_merkle::note::Checkpoint;
/// let checkpoint = Checkpoint::new("example.com/log", TreeHead::empty())?;
/// let text = "example.com/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
/// assert_eq!(checkpoint.to_string(), text);
/// assert_eq!(text.parse::<Checkpoint>()?, checkpoint);
/// # Ok::<(), cairn_merkle::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    head: TreeHead,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extension lines.
    ///
    /// # Errors
    /// [`Error::Malformed`] when the origin is not one non-empty line, or an empty tree has another
    /// root than RFC 6962 gives it; [`Error::OutOfRange`] for an impossible size.
    pub fn new(origin: impl Into<String>, head: TreeHead) -> Result<Self> {
        let origin = origin.into();
        check_line(&origin, "the origin is empty or has control characters")?;
        crate::log::tree::check_size(head.size)?;
        if head.size == 0 && head.root != empty_root() {
            return Err(malformed("an empty tree with another root"));
        }
        Ok(Self { origin, head, extensions: Vec::new() })
    }

    /// Adds an extension line. Witnesses do not check what it says.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it is not one non-empty line.
    pub fn with_extension(mut self, line: impl Into<String>) -> Result<Self> {
        let line = line.into();
        check_line(&line, "an extension line is empty or has control characters")?;
        self.extensions.push(line);
        Ok(self)
    }

    /// Which log it is of.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Size and root of the tree.
    #[must_use]
    pub const fn head(&self) -> &TreeHead {
        &self.head
    }

    /// The extension lines.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The note with the signature of the log.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the lines are longer than a note can be, [`Error::Malformed`] for
    /// a key of a witness.
    pub fn sign(&self, signer: &Signer) -> Result<Note> {
        let mut note = Note::new(self.to_string())?;
        note.add(signer.sign(note.text())?)?;
        Ok(note)
    }
}

fn check_line(line: &str, cause: &'static str) -> Result<()> {
    if line.is_empty() || line.bytes().any(|byte| byte < b' ') {
        return Err(malformed(cause));
    }
    Ok(())
}

/// Reads a number that has one form: decimal digits, no zeroes before it.
pub(crate) fn parse_decimal(digits: &str, what: &'static str) -> Result<u64> {
    let wrong = Error::Malformed { what, cause: "a number is not decimal without leading zeroes" };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || digits.is_empty() || (digits.starts_with('0') && digits != "0") {
        return Err(wrong);
    }
    match digits.parse() {
        Ok(number) if number <= SIZE_MAX => Ok(number),
        _ => Err(Error::OutOfRange { what: "number", found: u64::MAX, limit: SIZE_MAX }),
    }
}

impl fmt::Display for Checkpoint {
    /// The text of the note.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.head.size, self.head.root.to_base64())?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > NOTE_LEN_MAX {
            return Err(malformed("it is too long"));
        }
        let text = text.strip_suffix('\n').ok_or(malformed("the last line has no newline"))?;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed("fewer than three lines"));
        };
        let size = parse_decimal(size, "checkpoint")?;
        let checkpoint = Self::new(origin, TreeHead { size, root: Hash::from_base64(root)? })?;
        lines.try_fold(checkpoint, |checkpoint, line| checkpoint.with_extension(line))
    }
}
