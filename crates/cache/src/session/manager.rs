//! Storing, finding and ending sessions. The cache in front is derived: it is checked against the
//! engine's index at each use and can be dropped at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cairndb::auth::KeyProvider;
use cairndb::engine::{Engine, Keyspace};
use cairndb::keys::{self, KeyValue, LeaseId, Planner, Put, RangeRequest};
use cairndb::types::Timestamp;
use cairndb::vfs::{OsRng, Rng};
use quick_cache::sync::Cache;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::{Record, USER_LEN_MAX};
use super::time::ForwardTime;
use super::vault::{Vault, id_in, record_key};
use super::{IssuedSession, Session, SessionConfig, SessionId, SessionStats, SessionToken};
use crate::{Error, Result};

/// Sessions of one type in one engine.
///
/// ```
/// use cairn_cache::{SessionConfig, SessionManager};
/// use cairndb::auth::GivenKey;
/// use cairndb::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Clone)]
/// struct Cart { items: Vec<String> }
///
/// let dir = tempfile::tempdir()?;
/// let engine = Engine::open(dir.path().join("data"))?;
/// let key = GivenKey::from_bytes(&std::array::from_fn::<u8, 32, _>(|n| n as u8 * 7))?;
/// let sessions = SessionManager::<Cart>::open(&engine, &key, SessionConfig::default())?;
///
/// let issued = sessions.store("alice", &Cart { items: vec!["tea".into()] })?;
/// let session = sessions.get(&issued.token)?.expect("it lives");
/// assert_eq!((&*session.user, session.data.items.len()), ("alice", 1));
/// sessions.update(&issued.token, |cart| cart.items.push("milk".into()))?;
/// assert_eq!(sessions.revoke_all("alice")?, 1);
/// assert!(sessions.get(&issued.token)?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct SessionManager<T> {
    engine: Engine,
    space: Keyspace,
    config: SessionConfig,
    vault: Vault,
    rng: Arc<dyn Rng>,
    time: ForwardTime,
    /// Opened before, with the lease. A session keeps its lease.
    opened: Cache<SessionId, (Session<T>, LeaseId)>,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl<T: Serialize + DeserializeOwned> SessionManager<T> {
    /// Opens the sessions of an engine. Sealing keys are made in a new keyspace and wrapped with
    /// the provider's master key.
    ///
    /// # Errors
    /// [`Error::Invalid`] for settings that cannot be; [`Error::Engine`] for a master key that is
    /// weak or another one than the keyspace's, and what the engine says.
    pub fn open(engine: &Engine, keys: &dyn KeyProvider, config: SessionConfig) -> Result<Self> {
        Self::open_with_rng(engine, keys, config, Arc::new(OsRng))
    }

    /// As [`open`](Self::open), with another source of random bytes. Whoever can predict it can
    /// take over every session.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_rng(
        engine: &Engine,
        keys: &dyn KeyProvider,
        config: SessionConfig,
        rng: Arc<dyn Rng>,
    ) -> Result<Self> {
        config.check()?;
        engine.create_keyspace(&config.keyspace)?;
        let space = engine.keyspace(&config.keyspace)?;
        let vault = Vault::open(engine, &space, keys, &*rng)?;
        let time = ForwardTime::new(engine.log().clock().clone());
        let opened = Cache::new(config.cached_max.max(1));
        let (hits, misses) = (AtomicU64::new(0), AtomicU64::new(0));
        let engine = engine.clone();
        Ok(Self { engine, space, config, vault, rng, time, opened, hits, misses })
    }

    /// Stores a session and hands out its token. When the user has as many as allowed, the
    /// oldest ones end in the same transaction.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a user's name that is empty or longer than 1,024 bytes, and for
    /// data that is too long or no JSON; the engine's.
    pub fn store(&self, user: &str, data: &T) -> Result<IssuedSession> {
        if user.is_empty() || user.len() > USER_LEN_MAX {
            let reason = "a user's name has 1 to 1,024 bytes".to_owned();
            return Err(Error::Invalid { what: "user", reason });
        }
        let token = SessionToken::random(&*self.rng);
        let id = token.id();
        let issued_at = self.time.now();
        let expires_at = issued_at.saturating_add(self.config.lifetime);
        let sealed = self.seal(id, user, issued_at, expires_at, data)?;
        let lease = self.grant()?;
        let (space, others) = (self.space.stream(), self.vault.user_range(user));
        let others = RangeRequest { keys_only: true, ..RangeRequest::new(space, others) };
        self.engine.keys().write(|planner| {
            let mut others = planner.range(&others)?.kvs;
            others.sort_by_key(|kv| kv.create_revision);
            let surplus = (others.len() + 1).saturating_sub(self.config.per_user_max);
            for oldest in others.iter().take(surplus) {
                planner.lease_revoke(oldest.lease, false)?;
            }
            planner.put(&Put::new(space, record_key(id), sealed).lease(lease))?;
            planner.put(&Put::new(space, self.vault.user_key(user, id), "").lease(lease))?;
            Ok(())
        })?;
        Ok(IssuedSession { token, id, expires_at })
    }

    /// The session of a token, if it lives. Its idle time goes on: see [`touch`](Self::touch).
    ///
    /// # Errors
    /// [`Error::SessionRecord`] for a record that is damaged or not of this type; the engine's.
    pub fn get(&self, token: &SessionToken) -> Result<Option<Session<T>>> {
        Ok(self.find(token.id())?.map(|(session, _)| session))
    }

    /// The session of a token, used now: its idle time begins anew. Most calls write nothing,
    /// see [`SessionConfig::idle`].
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn touch(&self, token: &SessionToken) -> Result<Option<Session<T>>> {
        let Some((session, lease)) = self.find(token.id())? else { return Ok(None) };
        let due = self.config.idle - self.config.idle / 8;
        if self.remaining(lease).is_some_and(|left| left > due) {
            return Ok(Some(session));
        }
        match self.engine.keys().lease_keep_alive(lease) {
            Ok(_) => Ok(Some(session)),
            // Revoked or over in this moment.
            Err(keys::Error::LeaseNotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes what is remembered; `None` when the session does not live. `change` may be called
    /// again when somebody else changed it meanwhile: no change is lost, and none brings a
    /// session back that was revoked.
    ///
    /// # Errors
    /// As [`store`](Self::store) and [`get`](Self::get).
    pub fn update(&self, token: &SessionToken, mut change: impl FnMut(&mut T)) -> Result<Option<()>>
    where
        T: Clone,
    {
        let id = token.id();
        let (space, key) = (self.space.stream(), record_key(id));
        let is_conflict = |error: &Error| {
            matches!(
                error,
                Error::Engine(cairndb::engine::Error::Keys(keys::Error::Conflict { .. }))
            )
        };
        let attempt = || {
            let Some((session, _)) = self.find(id)? else { return Ok(None) };
            let mut data = T::clone(&session.data);
            change(&mut data);
            let (issued_at, expires_at) = (session.issued_at, session.expires_at);
            let sealed = self.seal(id, &session.user, issued_at, expires_at, &data)?;
            let written = self.engine.keys().write(|planner| {
                let found = planner.range(&RangeRequest::key(space, key.clone()))?.kvs.pop();
                let Some(found) = found else { return Ok(None) };
                if found.mod_revision != session.revision {
                    let (key, revision) = (key.clone(), found.mod_revision);
                    return Err(keys::Error::Conflict { key, revision });
                }
                let put = Put::new(space, key.clone(), sealed);
                planner.put(&Put { ignore_lease: true, ..put })?;
                Ok(Some(()))
            });
            Ok(written?)
        };
        self.engine.keys().retry(attempt, is_conflict)
    }

    /// Ends the session of a token; whether it lived. Once this returns nobody is served it.
    ///
    /// # Errors
    /// The engine's.
    pub fn revoke(&self, token: &SessionToken) -> Result<bool> {
        self.revoke_id(token.id())
    }

    /// Ends a session by its id.
    ///
    /// # Errors
    /// The engine's.
    pub fn revoke_id(&self, id: SessionId) -> Result<bool> {
        let request = RangeRequest::key(self.space.stream(), record_key(id));
        let request = RangeRequest { keys_only: true, ..request };
        let ended = self.engine.keys().write(|planner| {
            let found = planner.range(&request)?.kvs;
            revoke_leases(planner, &found)
        })?;
        self.opened.remove(&id);
        Ok(ended > 0)
    }

    /// Ends all sessions of a user in one transaction; how many.
    ///
    /// # Errors
    /// The engine's.
    pub fn revoke_all(&self, user: &str) -> Result<u64> {
        let request = self.of_user(user);
        let (ended, ids) = self.engine.keys().write(|planner| {
            let found = planner.range(&request)?.kvs;
            let ids: Vec<_> = found.iter().filter_map(|kv| id_in(&kv.key)).collect();
            Ok((revoke_leases(planner, &found)?, ids))
        })?;
        for id in ids {
            self.opened.remove(&id);
        }
        Ok(ended)
    }

    /// Living sessions of a user, oldest first.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn list(&self, user: &str) -> Result<Vec<Session<T>>> {
        let mut sessions = Vec::new();
        for kv in self.engine.keys().range(&self.of_user(user))?.kvs {
            let Some(id) = id_in(&kv.key) else { continue };
            if let Some((session, _)) = self.find(id)? {
                sessions.push((kv.create_revision, session));
            }
        }
        sessions.sort_by_key(|(created, _)| *created);
        Ok(sessions.into_iter().map(|(_, session)| session).collect())
    }

    /// Wraps the sealing keys with another master key, in one transaction. Sessions go on. The
    /// log keeps the old wrapping: whoever has it and the old master key can still open sessions.
    ///
    /// # Errors
    /// [`Error::Engine`] for a weak key, and what the engine says.
    pub fn rotate_master_key(&self, keys: &dyn KeyProvider) -> Result<()> {
        self.vault.rewrap(&self.space, keys, &*self.rng)
    }

    /// How the cache in front does.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SessionStats { hits: load(&self.hits), misses: load(&self.misses) }
    }

    fn of_user(&self, user: &str) -> RangeRequest {
        let request = RangeRequest::new(self.space.stream(), self.vault.user_range(user));
        RangeRequest { keys_only: true, ..request }
    }

    /// A living session and its lease.
    fn find(&self, id: SessionId) -> Result<Option<(Session<T>, LeaseId)>> {
        let key = record_key(id);
        // The engine's index decides whether there is a session, and which revision is its newest.
        let space = self.space.stream();
        let Some(revision) = self.engine.keys().key_revision(space, &key)? else {
            return Ok(None);
        };
        let cached = self.opened.get(&id).filter(|(session, _)| session.revision == revision);
        let (session, lease) = match cached {
            Some(found) => {
                self.hits.fetch_add(1, Ordering::Relaxed);
                found
            }
            None => {
                let Some(kv) = self.engine.keys().get(space, &key)? else { return Ok(None) };
                self.misses.fetch_add(1, Ordering::Relaxed);
                let found = (self.open_record(id, &kv)?, kv.lease);
                self.opened.insert(id, found.clone());
                found
            }
        };
        if self.remaining(lease).is_none_or(|left| left.is_zero()) {
            return Ok(None);
        }
        let lives = self.time.now() < session.expires_at;
        Ok(lives.then_some((session, lease)))
    }

    fn open_record(&self, id: SessionId, kv: &KeyValue) -> Result<Session<T>> {
        let plain = self.vault.unseal(id, &kv.value)?;
        let record = Record::decode(plain.expose())?;
        let data = serde_json::from_slice(record.data);
        let data = data.map_err(|error| Error::SessionRecord { cause: error.to_string() })?;
        Ok(Session {
            id,
            user: record.user.into(),
            data: Arc::new(data),
            issued_at: record.issued_at,
            expires_at: record.expires_at,
            revision: kv.mod_revision,
        })
    }

    fn seal(
        &self,
        id: SessionId,
        user: &str,
        issued_at: Timestamp,
        expires_at: Timestamp,
        data: &T,
    ) -> Result<Vec<u8>> {
        let refuse = |reason: String| Error::Invalid { what: "session data", reason };
        let json = serde_json::to_vec(data).map_err(|error| refuse(error.to_string()))?;
        if json.len() > self.config.data_len_max {
            let (len, limit) = (json.len(), self.config.data_len_max);
            return Err(refuse(format!("{len} bytes of JSON are over the limit of {limit}")));
        }
        let record = Record { issued_at, expires_at, user, data: &json };
        self.vault.seal(id, &record.encode(), &*self.rng)
    }

    /// Grants the lease of a new session. Not waited for: the record comes after it in the log.
    fn grant(&self) -> Result<LeaseId> {
        let random = self.rng.next_u64() & i64::MAX.unsigned_abs();
        let lease = LeaseId::new(random.max(1).cast_signed());
        let seconds = i64::try_from(self.config.idle.as_secs()).unwrap_or(i64::MAX);
        let grant = |planner: &mut Planner<'_>| planner.lease_grant(lease, seconds, 1);
        let _waited_for_with_the_record = self.engine.keys().submit(&[], grant)?;
        Ok(lease)
    }

    /// What a lease has left by the clock, whether somebody has ended it or not.
    fn remaining(&self, lease: LeaseId) -> Option<Duration> {
        self.engine.keys().lease(lease).map(|info| info.remaining)
    }
}

/// Ends the leases of these keys, and with them records and indexes; how many.
fn revoke_leases(planner: &mut Planner<'_>, keys: &[KeyValue]) -> keys::Result<u64> {
    let mut ended = 0;
    for kv in keys {
        match planner.lease_revoke(kv.lease, false) {
            Ok(_) => ended += 1,
            Err(keys::Error::LeaseNotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(ended)
}
