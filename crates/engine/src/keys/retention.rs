//! What the log keeps of a keyspace: everything, or only what can be read. The setting is a
//! record; dropping is upkeep of one store, which changes no answer and no proof.

use cairn_mvcc::CleanKeys;
use cairn_segment::{Cleaned, RecordKind};
use cairn_types::{KeyspaceName, StreamId};

use crate::metadata::{KeyspaceCreated, KeyspaceRetention};
use crate::{Engine, Error, Result};

/// Files that show that a tree or a key map was made over the log. The tree's may be removed by
/// hand, those of the signing key are truth.
const PROOF_FILES: [&str; 4] =
    ["proofs/tree", "proofs/key-map", "keys/checkpoint.key", "keys/signed"];

impl Engine {
    /// Changes what the log keeps of a keyspace from now on. What went does not come back.
    ///
    /// # Errors
    /// [`Error::NoKeyspace`]; the log's.
    pub fn set_keyspace_retention(&self, name: &str, retention: KeyspaceRetention) -> Result<()> {
        let mut view = self.shared.view.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let keyspace = KeyspaceName::new(name)?;
        let Some(stream) = view.keyspaces.get(&keyspace).copied() else {
            return Err(Error::NoKeyspace { keyspace });
        };
        if view.retention(stream) != retention {
            let by_subject = view.subjects.has_stream(stream);
            let created = KeyspaceCreated { stream, retention, by_subject, name: keyspace };
            self.append_system(&mut view, RecordKind::STREAM_CREATED, &created.encode(), None)?;
            // A cleaning that is under way is waited for, which nobody else need do.
            drop(view);
            self.keep(stream, retention);
        }
        Ok(())
    }

    /// Drops from complete segments what no reader can ask for in keyspaces that keep only the
    /// latest. The background does so, too, after compactions, but not in a store with proofs:
    /// there the key map has to be written down before.
    ///
    /// # Errors
    /// As [`cairn_mvcc::Store::clean`]; those of the proofs.
    pub fn clean_keyspaces(&self, options: &CleanKeys<'_>) -> Result<Cleaned> {
        if self.view().latest_only.is_empty() {
            return Ok(Cleaned::default());
        }
        if self.has_proofs()? {
            // The map commits to versions of which only the leaf will be left.
            self.prepare_proofs_for_retention()?;
        }
        Ok(self.keys().clean(options)?)
    }

    /// Tells the keys what the log keeps of a keyspace.
    pub(super) fn keep(&self, stream: StreamId, retention: KeyspaceRetention) {
        match retention {
            KeyspaceRetention::LatestOnly => self.keys().keep_latest_only(stream),
            KeyspaceRetention::Forever => self.keys().keep_everything(stream),
        }
    }

    /// Tells the keys of all keyspaces, after the log was replayed.
    pub(crate) fn apply_key_retention(&self) -> Result<()> {
        self.keys().clean_by_owner(self.has_proofs()?);
        let view = self.view();
        for stream in &view.latest_only {
            self.keep(*stream, KeyspaceRetention::LatestOnly);
            if !view.has_keyspace(*stream) {
                self.keys().forget_space(*stream);
            }
        }
        Ok(())
    }

    fn has_proofs(&self) -> Result<bool> {
        for path in PROOF_FILES {
            if self.log().vfs().exists(path).map_err(cairn_segment::Error::from)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
