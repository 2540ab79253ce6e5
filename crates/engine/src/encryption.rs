//! Keys of encryption at rest: rotation, sealing anew, and which keys are still needed. Truth is
//! the log's key ring; this drives the log and the views that keep files of their own.

use cairn_auth::KeyProvider;
use cairn_segment::{Cleaned, KeyStatus, OnDamage};

use crate::auth::encryption_key;
use crate::{Engine, Result};

/// Directories of proofs.
const PROOF_DIRS: [&str; 3] = ["tiles", "proofs", "keys"];

/// What sealing everything anew did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resealed {
    /// Segments.
    pub segments: Cleaned,
    /// Files of proofs; tables are merged into new ones.
    pub file_count: usize,
    /// Data keys that nothing needed any more.
    pub dropped_key_count: usize,
}

impl Engine {
    /// Wraps the store's data keys under the provider's master key (under the same one, when
    /// `None`) and begins to seal with a new data key. No file is rewritten, and the old master
    /// key opens nothing in this store once this returns.
    ///
    /// A crash leaves the keys before the rotation or after it: open with
    /// [`encrypted_by`](crate::EngineOptions::encrypted_by) for both then.
    ///
    /// ```
    /// use cairn_auth::GivenKey;
    /// use cairn_engine::Engine;
    /// use cairn_segment::Log;
    /// use cairn_vfs::MemVfs;
    /// use std::sync::Arc;
    /// let old = GivenKey::from_text("q1Hn4Z8Jd0Yk9cP3uWmT5sVxR7bL2aEoGfKiNwQyX6M=")?;
    /// let new = GivenKey::from_text("8f1d2c3b4a5968778695a4b3c2d1e0f00112233445566778899aabbccddeeff0")?;
    /// let disk = Arc::new(MemVfs::new());
    /// let options = || Engine::options().log(Log::options().vfs(disk.clone()));
    /// let engine = options().encrypted_by(&old)?.open()?;
    /// engine.create_keyspace("k")?;
    /// engine.keyspace("k")?.put("key", "value")?;
    /// engine.rotate_encryption_key(Some(&new))?;
    /// engine.reseal(None)?;
    /// assert!(engine.encryption_status()?.is_settled());
    /// engine.close()?;
    /// # drop(engine);
    /// assert!(options().encrypted_by(&old)?.open().is_err());
    /// let engine = options().encrypted_by(&new)?.open()?;
    /// assert_eq!(engine.keyspace("k")?.get("key")?.as_deref(), Some(&b"value"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Auth`](crate::Error::Auth) when the provider has no key or a weak one; the log's
    /// [`Invalid`](cairn_segment::Error::Invalid) when the store is not encrypted.
    pub fn rotate_encryption_key(&self, new: Option<&dyn KeyProvider>) -> Result<KeyStatus> {
        let outer = new.map(encryption_key).transpose()?;
        self.log().rotate_keys(outer.as_ref().map(cairn_auth::Secret::expose))?;
        self.encryption_status()
    }

    /// Seals everything anew that is not sealed with the newest data key, and forgets the data
    /// keys that nothing needs then. Readers and writers go on. `progress` is called with
    /// segments done and segments in all.
    ///
    /// Interrupted, it goes on where it was when called again.
    ///
    /// # Errors
    /// What cannot be read or written.
    pub fn reseal(&self, progress: Option<&dyn Fn(usize, usize)>) -> Result<Resealed> {
        let segments = self.log().reseal(usize::MAX, progress)?;
        self.keys().merge_tables()?;
        // Tiles and the like are made again from the log, while it is there whole; the signing
        // key is not.
        let is_whole = self.log().start_lsn() == cairn_types::Lsn::ZERO;
        let owned = self.shared.subjects.owned_files()?;
        let reseal = |dir: &&str| {
            let again = is_whole && *dir != "keys";
            let damaged = if again { OnDamage::Remove } else { OnDamage::Refuse };
            self.log().reseal_files(dir, damaged, &owned)
        };
        // Their file is among those of the proofs.
        let no_erasures = self.progress();
        let all = || PROOF_DIRS.iter().map(reseal).sum::<cairn_segment::Result<usize>>();
        let file_count = self.shared.proofs.alone(all)?;
        drop(no_erasures);
        self.shared.subjects.reseal()?;
        // It needs other keys than before.
        let owned = self.shared.subjects.owned_files()?;
        let dropped_key_count = self.log().drop_unneeded_keys(&owned)?;
        Ok(Resealed { segments, file_count, dropped_key_count })
    }

    /// Which keys the store has, and what still needs them.
    ///
    /// # Errors
    /// The log's [`Invalid`](cairn_segment::Error::Invalid) when the store is not encrypted.
    pub fn encryption_status(&self) -> Result<KeyStatus> {
        Ok(self.log().key_status(&self.shared.subjects.owned_files()?)?)
    }
}
