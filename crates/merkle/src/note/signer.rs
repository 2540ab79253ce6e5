//! Private keys. The text of one begins with `PRIVATE+KEY+`, as in Go's `sumdb/note`, so that it is
//! seen for what it is wherever it turns up.

use std::fmt;

use cairn_vfs::Rng;
use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

use crate::error::Result;
use crate::note::cosignature;
use crate::note::key::{
    KEY_LEN, KeyId, KeyName, SIGNATURE_LEN, SignatureKind, Verifier, encode_key, malformed,
    parse_encoded,
};
use crate::note::text::SignatureLine;

const PREFIX: &str = "PRIVATE+KEY+";

/// A private key under its name. It is wiped from memory when dropped, as its text is, and never
/// printed; copies that a caller makes of seed or text are the caller's to wipe.
///
/// ```
/// use cairn_merkle::note::{KeyName, Note, SignatureKind, Signer};
/// use cairn_vfs::OsRng;
/// let signer = Signer::generate(KeyName::new("example.com/log")?, SignatureKind::Ed25519, &OsRng);
/// let mut note = Note::new("Ognuno sta solo sul cuor della terra\n")?;
/// note.add(signer.sign(note.text())?)?;
/// assert_eq!(note.verify(&[signer.verifier()])?.len(), 1);
/// # Ok::<(), cairn_merkle::Error>(())
/// ```
pub struct Signer {
    name: KeyName,
    id: KeyId,
    kind: SignatureKind,
    key: SigningKey,
}

impl Signer {
    /// A new key.
    ///
    /// # Panics
    /// When the random source gives nothing but zeroes.
    #[must_use]
    pub fn generate(name: KeyName, kind: SignatureKind, rng: &dyn Rng) -> Self {
        let mut seed = Zeroizing::new([0; KEY_LEN]);
        rng.fill(seed.as_mut_slice());
        assert_ne!(*seed, [0; KEY_LEN], "a random source that is broken makes no keys");
        Self::of(name, kind, &seed)
    }

    /// The key that a seed of 32 random bytes stands for.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed) for a seed of zeroes: nobody chose it.
    pub fn from_seed(name: KeyName, kind: SignatureKind, seed: &[u8; KEY_LEN]) -> Result<Self> {
        if *seed == [0; KEY_LEN] {
            return Err(malformed("the seed is all zeroes"));
        }
        Ok(Self::of(name, kind, seed))
    }

    /// Reads a private key.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed); the text is not repeated in the message.
    pub fn parse(text: &str) -> Result<Self> {
        let rest = text.strip_prefix(PREFIX).ok_or(malformed("it is no private key"))?;
        let (name, id, kind, seed) = parse_encoded(rest)?;
        let signer = Self::from_seed(name, kind, &seed)?;
        if signer.id == id { Ok(signer) } else { Err(malformed("the id is not that of the key")) }
    }

    fn of(name: KeyName, kind: SignatureKind, seed: &[u8; KEY_LEN]) -> Self {
        let key = SigningKey::from_bytes(seed);
        let id = KeyId::of(&name, kind, key.verifying_key().as_bytes());
        Self { name, id, kind, key }
    }

    /// The text to keep secret: `PRIVATE+KEY+<name>+<id>+base64(kind || seed)`.
    #[must_use]
    pub fn to_secret_text(&self) -> Zeroizing<String> {
        let encoded = encode_key(self.kind, self.key.as_bytes());
        format!("{PREFIX}{}+{}+{}", self.name, self.id, encoded.as_str()).into()
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub const fn kind(&self) -> SignatureKind {
        self.kind
    }

    /// The public key to hand out.
    #[must_use]
    pub fn verifier(&self) -> Verifier {
        Verifier::of(self.name.clone(), self.kind, self.key.verifying_key())
    }

    /// Signs the text of a note as it stands.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed) for a key of a witness, which signs nothing
    /// but checkpoints: see [`cosign`](Self::cosign).
    pub fn sign(&self, text: &str) -> Result<SignatureLine> {
        match self.kind {
            SignatureKind::Ed25519 => Ok(self.line(&self.key.sign(text.as_bytes()).to_bytes())),
            SignatureKind::CosignatureV1 => Err(malformed("it is for cosignatures alone")),
        }
    }

    pub(crate) fn cosign_text(&self, text: &str, time: u64) -> SignatureLine {
        let signature = self.key.sign(&cosignature::message(time, text)).to_bytes();
        let mut bytes = [0; 8 + SIGNATURE_LEN];
        bytes[..8].copy_from_slice(&time.to_be_bytes());
        bytes[8..].copy_from_slice(&signature);
        self.line(&bytes)
    }

    fn line(&self, signature: &[u8]) -> SignatureLine {
        SignatureLine::new(self.name.clone(), self.id, signature.to_vec())
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}+{})", self.name, self.id)
    }
}
