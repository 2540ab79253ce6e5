//! A hash of the whole state at a revision: two stores with the same keys, values and facts
//! have the same one, however they came to it, compacted or not.

use cairn_types::StreamId;
use sha2::{Digest, Sha256};

use crate::{Range, Result, Store};

impl Store {
    /// SHA-256 over every key that exists at a revision (0 for the current one), keyspace by
    /// keyspace in order: keyspace u32, key length u32, key, value length u64, value, create
    /// revision, mod revision, version, lease (8 bytes each), all little-endian.
    ///
    /// # Errors
    /// [`Error::Compacted`](crate::Error::Compacted),
    /// [`Error::FutureRevision`](crate::Error::FutureRevision), the log's.
    pub fn state_hash(&self, revision: u64) -> Result<[u8; 32]> {
        let revision = self.readable(revision)?;
        let mut hasher = Sha256::new();
        for space in self.spaces()? {
            self.hash_space(space, revision, &mut hasher)?;
        }
        Ok(hasher.finalize().into())
    }

    fn hash_space(&self, space: StreamId, revision: u64, hasher: &mut Sha256) -> Result<()> {
        for kv in self.scan(space, Range::all(), revision)? {
            let kv = kv?;
            hasher.update(space.get().to_le_bytes());
            let key_len = u32::try_from(kv.key.len()).expect("keys are limited to less");
            hasher.update(key_len.to_le_bytes());
            hasher.update(&kv.key);
            hasher.update((kv.value.len() as u64).to_le_bytes());
            hasher.update(&kv.value);
            for number in [kv.create_revision, kv.mod_revision, kv.version] {
                hasher.update(number.to_le_bytes());
            }
            hasher.update(kv.lease.get().to_le_bytes());
        }
        Ok(())
    }
}
