//! Keys of sessions at rest: the store's identity, wrapped data keys, the secret behind the index
//! of users. Truth: without them no session opens.

use std::fmt;

use bytes::Bytes;
use cairndb::auth::{EnvelopeEncryptor, KeyProvider, RecordKind, Secret, StoreId};
use cairndb::engine::{Engine, Keyspace};
use cairndb::keys::{Put, Range, RangeRequest};
use cairndb::vfs::Rng;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::token::{SessionId, to_hex};
use crate::{Error, Result};

const STORE: &[u8] = b"k/store";
const INDEX: &[u8] = b"k/index";
const DATA_KEYS: &[u8] = b"k/data/";

/// Kinds of what is sealed here; those below 256 belong to users and roles.
const SESSION: RecordKind = RecordKind(0x0301);
const INDEX_SECRET: RecordKind = RecordKind(0x0302);

/// Bytes of a user's tag that are kept.
const TAG_LEN: usize = 16;

/// Seals and opens, and names keys.
pub(super) struct Vault {
    sealer: EnvelopeEncryptor,
    index: Secret,
}

impl Vault {
    /// Opens the keys of a keyspace; makes them in a new one.
    pub(super) fn open(
        engine: &Engine,
        space: &Keyspace,
        provider: &dyn KeyProvider,
        rng: &dyn Rng,
    ) -> Result<Self> {
        let master = provider.master_key().map_err(engine_error)?;
        if space.get(STORE)?.is_none() {
            let store = StoreId::random(rng);
            let (sealer, wrapped) = EnvelopeEncryptor::create(store, &master, rng);
            let mut secret = vec![0; 32];
            rng.fill(&mut secret);
            let secret = Secret::from(secret);
            let sealed = sealer.seal(INDEX_SECRET, INDEX, secret.expose(), rng);
            let puts = [
                (STORE.to_vec(), store.as_bytes().to_vec()),
                (data_key(sealer.active_key().get()), wrapped),
                (INDEX.to_vec(), sealed.map_err(engine_error)?),
            ];
            engine.keys().write(|planner| {
                // Another opener may have been faster: its keys count.
                let found = planner.range(&RangeRequest::key(space.stream(), STORE))?;
                if found.kvs.is_empty() {
                    for (key, value) in puts {
                        planner.put(&Put::new(space.stream(), key, value))?;
                    }
                }
                Ok(())
            })?;
        }
        let damaged = |what: &str| Error::SessionRecord { cause: format!("{what} is missing") };
        let store = space.get(STORE)?.ok_or_else(|| damaged("the store's identity"))?;
        let store = <[u8; 16]>::try_from(&store[..]);
        let store = StoreId::from_bytes(store.map_err(|_| damaged("the store's identity"))?);
        let wrapped = RangeRequest::prefix(space.stream(), DATA_KEYS);
        let wrapped = space.range(&wrapped)?.kvs.into_iter().map(|kv| kv.value);
        let sealer = EnvelopeEncryptor::open(store, &master, wrapped).map_err(engine_error)?;
        let index = space.get(INDEX)?.ok_or_else(|| damaged("the secret of the index"))?;
        let index = sealer.unseal(INDEX_SECRET, INDEX, &index).map_err(engine_error)?;
        Ok(Self { sealer, index })
    }

    /// Wraps the data keys with another master key; no session changes.
    pub(super) fn rewrap(
        &self,
        space: &Keyspace,
        provider: &dyn KeyProvider,
        rng: &dyn Rng,
    ) -> Result<()> {
        let master = provider.master_key().map_err(engine_error)?;
        let wrapped = self.sealer.rewrap(&master, rng).into_iter();
        space.put_all(wrapped.map(|(id, wrapped)| (data_key(id.get()), wrapped)))?;
        Ok(())
    }

    pub(super) fn seal(&self, id: SessionId, plain: &[u8], rng: &dyn Rng) -> Result<Vec<u8>> {
        self.sealer.seal(SESSION, &record_key(id), plain, rng).map_err(engine_error)
    }

    pub(super) fn unseal(&self, id: SessionId, sealed: &[u8]) -> Result<Secret> {
        self.sealer.unseal(SESSION, &record_key(id), sealed).map_err(engine_error)
    }

    /// All sessions of a user. The name cannot be read from it, nor tried without the secret.
    pub(super) fn user_range(&self, user: &str) -> Range {
        Range::prefix(self.user_prefix(user))
    }

    pub(super) fn user_key(&self, user: &str, id: SessionId) -> Bytes {
        format!("{}{id}", self.user_prefix(user)).into()
    }

    fn user_prefix(&self, user: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(self.index.expose());
        let mut mac = mac.expect("a MAC takes keys of any length");
        mac.update(user.as_bytes());
        let tag = mac.finalize().into_bytes();
        format!("u/{}/", to_hex(&tag[..TAG_LEN]))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("sealer", &self.sealer).finish_non_exhaustive()
    }
}

/// Where a session's record stands.
pub(super) fn record_key(id: SessionId) -> Bytes {
    format!("s/{id}").into()
}

/// The session that an index entry names.
pub(super) fn id_in(index_key: &[u8]) -> Option<SessionId> {
    let digits = index_key.rsplit(|byte| *byte == b'/').next()?;
    SessionId::parse(std::str::from_utf8(digits).ok()?)
}

fn data_key(id: u32) -> Vec<u8> {
    [DATA_KEYS, format!("{id:08x}").as_bytes()].concat()
}

fn engine_error(error: cairndb::auth::Error) -> Error {
    Error::Engine(error.into())
}
