//! The service: every operation on users, roles, keys and sessions.
//!
//! ```text
//! name, password ─▶ limits ─▶ gate ─▶ hash ─▶ session ─┐
//! session token ───────────▶ hash at rest ─────────────┼▶ Principal ─▶ check ─▶ Decision
//! API key ─▶ CRC ──────────▶ HMAC, constant time ──────┘                 │
//!            everything reads and writes sealed records       AuditSink ◀┘
//! ```
//!
//! The records in the store are **truth**; in memory are only keys, limits,
//! counters and opened records that are checked against the store at each use.
//! Every change of a record and of its indexes is one commit under the condition that nothing
//! was changed since it was read. One service at a time works on a store: a second one would
//! not learn of data keys that the first one adds.

mod api_keys;
mod authority;
mod check;
mod lockout;
mod login;
mod places;
mod remembered;
mod roles;
mod rotation;
mod sessions;
mod sweep;
mod users;
mod vault;

pub use api_keys::{ApiKeyInfo, ApiKeyRequest, IssuedApiKey};
pub use authority::Authority;
pub use check::{Decision, Principal, Via};
pub use roles::RoleInfo;
pub use sessions::{IssuedSession, SessionInfo};
pub use sweep::Swept;
pub use users::UserInfo;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use cairn_types::Timestamp;
use cairn_vfs::{Clock, Rng};
use zeroize::Zeroizing;

use crate::attempts::{AttemptLimit, AttemptTable};
use crate::audit::{AuditEvent, AuditSink, Cause, Subject, What};
use crate::error::{Error, Result};
use crate::mac::DerivedKeys;
use crate::password::{HashGate, SecretHasher};
use crate::record::RootSecret;
use crate::seal::{EnvelopeEncryptor, KeyProvider, MAX_DATA_KEYS, StoreId};
use crate::secret::Secret;
use crate::store::{Batch, Expect, KvStore};

/// What a service is given: time, randomness, a hasher and a listener.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random bytes; it must not be predictable.
    pub rng: Arc<dyn Rng>,
    /// Hashes passwords.
    pub hasher: Arc<dyn SecretHasher>,
    /// Is told every decision.
    pub audit: Arc<dyn AuditSink>,
}

/// Times and limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    /// A session ends when it was not used for so long.
    pub session_idle: Duration,
    /// A session ends after so long, whatever happens.
    pub session_lifetime: Duration,
    /// Most sessions of a user, 1 to 1,024; a new one ends the one unused for longest.
    pub sessions_max: usize,
    /// How coarse the times of last use are: a use is written down when the last one that was
    /// is older. At most a quarter of the idle time is used for sessions.
    pub last_used_step: Duration,
    /// Most API keys of a user, 1 to 1,024, dead ones that were not swept included.
    pub api_keys_max: usize,
    /// How long revoked and expired API keys stay listed before a sweep takes them.
    pub keep_dead_keys: Duration,
    /// Failed logins of one account.
    pub account_limit: AttemptLimit,
    /// Failed logins from one address.
    pub address_limit: AttemptLimit,
    /// Passwords hashed at once, at least one; each takes 64 MiB with the default costs.
    pub hashes_max: usize,
    /// Callers that may wait for one of those places.
    pub hashes_waiting_max: usize,
    /// Refuse what would leave nobody who may manage users and roles.
    pub keep_administrator: bool,
}

impl Default for AuthConfig {
    fn default() -> Self {
        const HOUR: u64 = 3600;
        Self {
            session_idle: Duration::from_secs(HOUR / 2),
            session_lifetime: Duration::from_secs(12 * HOUR),
            sessions_max: 64,
            last_used_step: Duration::from_secs(300),
            api_keys_max: 64,
            keep_dead_keys: Duration::from_secs(30 * 24 * HOUR),
            account_limit: AttemptLimit::ACCOUNT,
            address_limit: AttemptLimit::ADDRESS,
            hashes_max: 4,
            hashes_waiting_max: 32,
            keep_administrator: false,
        }
    }
}

impl AuthConfig {
    /// Most rows that one user may own of each kind: all of them go in one commit.
    const ROWS_MAX: usize = 1024;

    fn check(&self) -> Result<()> {
        let rows = 1..=Self::ROWS_MAX;
        if !rows.contains(&self.sessions_max) || !rows.contains(&self.api_keys_max) {
            return Err(Error::invalid("configuration", "1 to 1,024 sessions and API keys a user"));
        }
        if self.session_idle.is_zero() || self.session_lifetime.is_zero() {
            return Err(Error::invalid("configuration", "a session must last"));
        }
        Ok(())
    }
}

/// Users, roles, API keys, sessions and decisions over a [`KvStore`]. See the crate's example.
pub struct AuthService<S> {
    store: S,
    parts: Parts,
    config: AuthConfig,
    sealer: RwLock<EnvelopeEncryptor>,
    keys: DerivedKeys,
    gate: HashGate,
    accounts: AttemptTable,
    addresses: AttemptTable,
    memory: remembered::Memory,
    /// What the password of nobody is checked against, so that it takes as long.
    dummy: String,
}

/// How often a change is tried again that another one crossed.
const RETRIES: usize = 64;

impl<S: KvStore> AuthService<S> {
    /// Opens the service on a store; an empty store gets its identity and keys first.
    /// Computes one password hash.
    ///
    /// # Errors
    /// [`Error::Invalid`] for settings that cannot be; [`Error::WeakKey`],
    /// [`Error::KeyUnavailable`] from the provider; [`Error::Decrypt`] when it gives another
    /// master key than the store's; when the store fails or what is in it is damaged.
    pub fn open(
        store: S,
        provider: &dyn KeyProvider,
        parts: Parts,
        config: AuthConfig,
    ) -> Result<Self> {
        config.check()?;
        let master = provider.master_key()?;
        let rng = &*parts.rng;
        if store.get(places::IDENTITY)?.is_none() {
            match create(&store, &master, rng) {
                // Another one created it at the same time: open what is there.
                Ok(()) | Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let sealer = load(&store, &master)?;
        let root = vault::read::<RootSecret, S>(&store, &sealer, places::ROOT)?;
        let (root, _) = root.ok_or(Error::corrupt("root secret", "it is missing"))?;
        let mut nobody = Zeroizing::new([0; 32]);
        rng.fill(nobody.as_mut_slice());
        let dummy = parts.hasher.hash(&Secret::from(nobody.as_slice()), rng)?;
        Ok(Self {
            sealer: RwLock::new(sealer),
            keys: DerivedKeys::of(root.0.as_slice()),
            gate: HashGate::new(config.hashes_max, config.hashes_waiting_max),
            accounts: AttemptTable::new(config.account_limit, rng),
            addresses: AttemptTable::new(config.address_limit, rng),
            memory: remembered::Memory::default(),
            dummy,
            store,
            parts,
            config,
        })
    }

    /// The identity that everything sealed in the store is bound to.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.sealer.read().unwrap_or_else(PoisonError::into_inner).store_id()
    }

    /// The store underneath.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    fn audit(&self, subject: Subject, what: What, outcome: Result<(), Cause>) {
        self.parts.audit.record(&AuditEvent { at: self.now(), subject, what, outcome });
    }

    /// Tells the sink that something was done, or why not, and passes the result on.
    fn audited<T>(&self, subject: Subject, what: What, result: Result<T>) -> Result<T> {
        self.audit(subject, what, result.as_ref().map(drop).map_err(cause_of));
        result
    }
}

impl<S> fmt::Debug for AuthService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthService").field("config", &self.config).finish_non_exhaustive()
    }
}

/// How an error is told to the audit sink where no closer cause is known.
fn cause_of(error: &Error) -> Cause {
    match error {
        Error::Unauthenticated => Cause::WrongSecret,
        Error::Throttled { .. } => Cause::Throttled,
        Error::Busy => Cause::Busy,
        Error::LastAdministrator => Cause::LastAdministrator,
        Error::NotFound { .. } => Cause::Unknown,
        Error::Invalid { .. } | Error::Exists { .. } | Error::Full { .. } => Cause::Malformed,
        _ => Cause::Failed,
    }
}

/// Gives a new store its identity, its first data key and its root secret.
fn create<S: KvStore>(store: &S, master: &crate::MasterKey, rng: &dyn Rng) -> Result<()> {
    let id = StoreId::random(rng);
    let (sealer, wrapped) = EnvelopeEncryptor::create(id, master, rng);
    let mut secret = Zeroizing::new([0; DerivedKeys::ROOT_LEN]);
    rng.fill(secret.as_mut_slice());
    let root = vault::seal(&sealer, places::ROOT, &RootSecret(secret), rng)?;
    let key = places::data_key(sealer.active_key());
    let mut batch = Batch::new();
    let fixed = |key: &'static [u8]| bytes::Bytes::from_static(key);
    batch.expect(fixed(places::IDENTITY), Expect::Absent);
    batch.expect(key.clone(), Expect::Absent);
    batch.put(fixed(places::IDENTITY), places::identity_value(id));
    batch.put(fixed(places::ROOT), root);
    batch.put(key, wrapped);
    Ok(store.commit(batch)?)
}

/// The encryptor with all data keys of the store.
fn load<S: KvStore>(store: &S, master: &crate::MasterKey) -> Result<EnvelopeEncryptor> {
    let identity = store.get(places::IDENTITY)?;
    let identity = identity.ok_or(Error::corrupt("store identity", "it is missing"))?;
    let id = places::identity_of(&identity.value)?;
    let wrapped = store.scan(places::DATA_KEYS, None, MAX_DATA_KEYS)?;
    let sealer = EnvelopeEncryptor::open(id, master, wrapped.iter().map(|entry| &entry.value))?;
    // Wrapped keys hold their numbers little-endian, their places big-endian.
    let in_place = |entry: &crate::Entry| {
        let number = entry.value.get(4..8).and_then(|bytes| bytes.try_into().ok());
        let number = number.map(|bytes| u32::from_le_bytes(bytes).to_be_bytes());
        number.is_some()
            && number.as_ref().map(|n| &n[..]) == entry.key.strip_prefix(places::DATA_KEYS)
    };
    if !wrapped.iter().all(in_place) {
        return Err(Error::corrupt("data keys", "one stands in the place of another"));
    }
    Ok(sealer)
}
