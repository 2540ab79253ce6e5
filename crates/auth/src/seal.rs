//! Envelope encryption: a master key wraps data keys, data keys seal records.
//!
//! ```text
//! KeyProvider ─▶ MasterKey ──wraps──▶ data key 1, 2, .. (wrapped, in the store)
//!                                       │ HKDF, 16 random bytes of salt each time
//!                                       ▼
//!                  plaintext ──AES-256-GCM──▶ envelope, bound to store, kind and identity
//! ```
//!
//! Changing the master key rewraps the data keys (a few dozen bytes each) and leaves every
//! envelope as it is. Wrapped keys and envelopes are **truth**: nothing can rebuild them.
//! An envelope names in its associated data which store, which kind of record and which record
//! it belongs to, so one that is moved does not open.

mod aead;
mod envelope;
mod master;
mod provider;
mod wrap;

pub(crate) use envelope::MAX_DATA_KEYS;
pub use envelope::{ENVELOPE_OVERHEAD, EnvelopeEncryptor, MAX_SEALED_LEN, RecordKind};
pub use master::{MASTER_KEY_LEN, MasterKey, MasterKeyId};
pub use provider::{CommandKey, FileKey, GivenKey, KeyProvider};
pub use wrap::{DataKeyId, WRAPPED_KEY_LEN};

use std::fmt;

use cairn_vfs::Rng;

/// Which store something belongs to: 16 random bytes, given once.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreId([u8; 16]);

impl StoreId {
    /// The identity with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// A new identity.
    #[must_use]
    pub fn random(rng: &dyn Rng) -> Self {
        let mut bytes = [0; 16];
        rng.fill(&mut bytes);
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreId(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}
