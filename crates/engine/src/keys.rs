//! Keyspaces: named sets of keys with revisions, over the same log as the events. The names
//! are records of the system stream; keys, leases and revisions are kept by `cairn-mvcc`.

mod keyspace;
mod retention;
mod transaction;

use cairn_mvcc::{LeaseInfo, Store, Txn, TxnResponse};
use cairn_segment::RecordKind;
use cairn_types::{KeyspaceName, StreamId};

pub use keyspace::Keyspace;
pub use transaction::{Committed, Transaction};

use crate::engine::Mark;
use crate::metadata::{KeyspaceCreated, KeyspaceRetention, encode_keyspace_dropped};
use crate::{Engine, Error, Result};

impl Engine {
    /// The keys of all keyspaces by stream number: revisions, transactions and leases as
    /// `cairn-mvcc` offers them.
    #[must_use]
    pub fn keys(&self) -> &Store {
        &self.shared.keys
    }

    /// Creates a keyspace; says whether it is new.
    ///
    /// # Errors
    /// [`Error::InvalidName`]; the log's.
    pub fn create_keyspace(&self, name: &str) -> Result<bool> {
        self.create_keyspace_marked(KeyspaceName::new(name)?, false, None, None)
    }

    /// Creates a keyspace of which the log keeps as much as `retention` says; says whether it is
    /// new.
    ///
    /// ```
    /// use cairn_engine::{CleanKeys, Engine, KeyspaceRetention};
    /// let dir = tempfile::tempdir()?;
    /// let engine = Engine::open(dir.path().join("data"))?;
    /// engine.create_keyspace_with("cache", KeyspaceRetention::LatestOnly)?;
    /// let cache = engine.keyspace("cache")?;
    /// for round in 0..10 {
    ///     cache.put("page", format!("round {round}, {}", "x".repeat(500)))?;
    /// }
    /// engine.keys().compact(engine.revision())?;
    /// let all = CleanKeys { dead_share: 0.0, roll: true, ..CleanKeys::default() };
    /// assert_eq!(engine.clean_keyspaces(&all)?.dropped_count, 9);
    /// assert!(cache.get("page")?.expect("there").starts_with(b"round 9"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceExists`] when it has another retention, [`Error::InvalidName`]; the log's.
    pub fn create_keyspace_with(&self, name: &str, retention: KeyspaceRetention) -> Result<bool> {
        self.create_keyspace_marked(KeyspaceName::new(name)?, false, Some(retention), None)
    }

    /// Creates a keyspace whose values are sealed, each with the key of its subject: what stands
    /// before the first `/` of its key. Says whether it is new.
    ///
    /// # Errors
    /// [`Error::KeyspaceExists`] when it is there and not so; [`Error::InvalidName`]; the log's.
    pub fn create_keyspace_by_subject(&self, name: &str) -> Result<bool> {
        self.create_keyspace_marked(KeyspaceName::new(name)?, true, None, None)
    }

    /// Who creates what is there already need not know how it is kept: without a retention, and
    /// not by subject, any that exists will do.
    pub(crate) fn create_keyspace_marked(
        &self,
        name: KeyspaceName,
        by_subject: bool,
        retention: Option<KeyspaceRetention>,
        mark: Mark,
    ) -> Result<bool> {
        let mut view = self.shared.view.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(stream) = view.keyspaces.get(&name) {
            let there = view.retention(*stream);
            let is_by_subject = view.subjects.has_stream(*stream);
            let differs =
                retention.is_some_and(|wanted| wanted != there) || (by_subject && !is_by_subject);
            let exists = Error::KeyspaceExists {
                keyspace: name,
                retention: there,
                by_subject: is_by_subject,
            };
            return if differs { Err(exists) } else { Ok(false) };
        }
        let stream = view.fresh_streams(1)?;
        let retention = retention.unwrap_or_default();
        let created = KeyspaceCreated { stream, retention, by_subject, name };
        self.append_system(&mut view, RecordKind::STREAM_CREATED, &created.encode(), mark)?;
        // A new one is kept whole without a word: taking that back would wait for a cleaning under
        // way, and with it everybody who looks a name up.
        if retention == KeyspaceRetention::LatestOnly {
            self.keep(stream, retention);
        }
        Ok(true)
    }

    /// A keyspace by name.
    ///
    /// # Errors
    /// [`Error::NoKeyspace`], [`Error::InvalidName`].
    pub fn keyspace(&self, name: &str) -> Result<Keyspace> {
        let stream = self.view().keyspaces.get(name).copied();
        let name = KeyspaceName::new(name)?;
        match stream {
            Some(stream) => Ok(Keyspace::new(self.clone(), name, stream)),
            None => Err(Error::NoKeyspace { keyspace: name }),
        }
    }

    /// All keyspaces by name.
    #[must_use]
    pub fn keyspaces(&self) -> Vec<Keyspace> {
        let view = self.view();
        let keyspaces = view.keyspaces.iter();
        keyspaces.map(|(name, stream)| Keyspace::new(self.clone(), name.clone(), *stream)).collect()
    }

    /// Drops a keyspace with all its keys. A keyspace created later under the same name is
    /// another one; whoever still holds this one finds nothing in it, and cannot put anything.
    ///
    /// # Errors
    /// [`Error::NoKeyspace`]; the log's.
    pub fn drop_keyspace(&self, name: &str) -> Result<()> {
        self.drop_keyspace_marked(name, None)
    }

    pub(crate) fn drop_keyspace_marked(&self, name: &str, mark: Mark) -> Result<()> {
        let mut view = self.shared.view.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(stream) = view.keyspaces.get(name).copied() else {
            return Err(Error::NoKeyspace { keyspace: KeyspaceName::new(name)? });
        };
        let payload = encode_keyspace_dropped(stream);
        self.append_system(&mut view, RecordKind::STREAM_DROPPED, &payload, mark)?;
        self.shared.keys.forget_space(stream);
        Ok(())
    }

    /// The current revision of all keyspaces together: 1 before the first change.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.shared.keys.revision()
    }

    /// Compare, then, else, as one step, over any keyspaces.
    ///
    /// # Errors
    /// As [`Store::txn`].
    pub fn txn(&self, txn: &Txn) -> Result<TxnResponse> {
        self.shared.figures.key_writes.increment(1);
        Ok(self.shared.keys.txn(txn)?)
    }

    /// Grants a lease for `ttl` seconds under a random number.
    ///
    /// # Errors
    /// As [`Store::lease_grant`].
    pub fn grant_lease(&self, ttl: i64) -> Result<LeaseInfo> {
        Ok(self.shared.keys.lease_grant(None, ttl)?)
    }

    /// Does what is due: ends leases whose time is over, carries out erasures that were
    /// interrupted, and once proofs were asked for lets their tree catch up. Owners call it now and
    /// then, or when [`Store::next_expiry`] is reached; how many leases were ended. A store that
    /// [applies](Self::apply) commands ends leases by [`due_commands`](Self::due_commands)
    /// instead.
    ///
    /// # Errors
    /// The log's.
    #[cfg_attr(feature = "tracing", tracing::instrument(name = "cairn_maintain", skip_all, err))]
    pub fn maintain(&self) -> Result<usize> {
        let ended = self.shared.keys.expire_leases()?;
        self.shared.figures.leases_expired.increment(ended as u64);
        self.finish_erasures()?;
        self.finish_shredding()?;
        if self.shared.proofs.is_open() && !self.log().is_read_only() {
            let caught_up = self.proofs().and_then(|proofs| proofs.catch_up());
            caught_up.map_err(|error| Error::Proof(std::sync::Arc::new(error)))?;
        }
        self.publish_metrics()?;
        Ok(ended)
    }

    /// Forgets the keys of keyspaces that were dropped, after the log was replayed.
    pub(crate) fn forget_dropped(&self) -> Result<()> {
        let live: Vec<StreamId> = self.view().keyspaces.values().copied().collect();
        for space in self.shared.keys.spaces()? {
            if !live.contains(&space) && space != crate::auth::STREAM {
                self.shared.keys.forget_space(space);
            }
        }
        Ok(())
    }
}
