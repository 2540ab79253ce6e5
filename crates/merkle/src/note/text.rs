//! The form of a note, as in C2SP `signed-note`. Every note has exactly one form: what is parsed
//! is formatted to the same bytes.
//!
//! Text and lines are UTF-8 without control characters but the newline. The text ends with a
//! newline; the last empty line parts it from the signatures. At most 1,000,000 bytes and 100
//! signatures, checked before anything is allocated.

use std::fmt::{self, Write as _};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Result};
use crate::note::key::{KeyId, KeyName};

/// Bytes of the longest note.
pub const NOTE_LEN_MAX: usize = 1_000_000;
/// Signatures of a note at most.
pub const SIGNATURES_MAX: usize = 100;

/// Em dash and space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

fn malformed(cause: &'static str) -> Error {
    Error::Malformed { what: "note", cause }
}

fn check_limit(what: &'static str, found: usize, limit: usize) -> Result<()> {
    if found <= limit {
        return Ok(());
    }
    Err(Error::OutOfRange { what, found: found as u64, limit: limit as u64 })
}

/// One signature of a note, not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    name: KeyName,
    id: KeyId,
    signature: Vec<u8>,
}

impl SignatureLine {
    /// A signature by a key.
    #[must_use]
    pub const fn new(name: KeyName, id: KeyId, signature: Vec<u8>) -> Self {
        Self { name, id, signature }
    }

    /// Name of the key.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Id of the key.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// The signature, without the id.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Reads one line, without its newline.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn parse(line: &str) -> Result<Self> {
        let rest = line.strip_prefix(SIGNATURE_PREFIX);
        let rest = rest.ok_or(malformed("a signature begins with an em dash and a space"))?;
        let (name, encoded) =
            rest.split_once(' ').ok_or(malformed("a signature is a name and base64"))?;
        let bytes = STANDARD.decode(encoded).map_err(|_| malformed("signature: no base64"))?;
        match bytes.split_first_chunk() {
            Some((id, signature)) if !signature.is_empty() => {
                Ok(Self::new(KeyName::new(name)?, KeyId::new(*id), signature.to_vec()))
            }
            _ => Err(malformed("a signature has more than its id")),
        }
    }
}

impl fmt::Display for SignatureLine {
    /// The line without its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.id.as_bytes(), self.signature.as_slice()].concat();
        write!(f, "{SIGNATURE_PREFIX}{} {}", self.name, STANDARD.encode(bytes))
    }
}

/// A text and signatures over it. Believe nothing of the text before
/// [`verify`](crate::note::Note::verify).
///
/// ```
/// use cairn_merkle::note::Note;
/// let signed = "This is an example message.\n\n\
///     — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
/// let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".parse()?;
/// let note = Note::parse(signed.as_bytes())?;
/// note.verify(&[key])?;
/// assert_eq!(note.text(), "This is an example message.\n");
/// # Ok::<(), cairn_merkle::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

impl Note {
    /// A text that nobody has signed yet.
    ///
    /// # Errors
    /// [`Error::Malformed`] when it does not end with a newline or has other control characters,
    /// [`Error::OutOfRange`] when it is too long.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        check_limit("length of a note", text.len(), NOTE_LEN_MAX)?;
        check_controls(&text)?;
        if !text.ends_with('\n') {
            return Err(malformed("the text does not end with a newline"));
        }
        Ok(Self { text, signatures: Vec::new() })
    }

    /// Reads a signed note.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::OutOfRange`].
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        check_limit("length of a note", bytes.len(), NOTE_LEN_MAX)?;
        let note = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8"))?;
        check_controls(note)?;
        let end = note.rfind("\n\n").ok_or(malformed("no empty line before the signatures"))?;
        let (text, lines) = (&note[..=end], &note[end + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(malformed("the last line has no newline"))?;
        check_limit("signatures of a note", lines.split('\n').count(), SIGNATURES_MAX)?;
        let signatures = lines.split('\n').map(SignatureLine::parse).collect::<Result<_>>()?;
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// The text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in order.
    #[must_use]
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Adds a signature.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] when the note is full.
    pub fn add(&mut self, signature: SignatureLine) -> Result<()> {
        check_limit("signatures of a note", self.signatures.len() + 1, SIGNATURES_MAX)?;
        let len = self.to_string().len() + signature.to_string().len() + 2;
        check_limit("length of a note", len, NOTE_LEN_MAX)?;
        self.signatures.push(signature);
        Ok(())
    }
}

fn check_controls(text: &str) -> Result<()> {
    if text.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(malformed("control characters other than newline"));
    }
    Ok(())
}

impl fmt::Display for Note {
    /// The whole note.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_char('\n')?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}
