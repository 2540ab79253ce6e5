//! Users, roles, keys and sessions over the engine, and a handle that checks permissions.
//!
//! ```text
//! AuthService ─ KvStore ─▶ EngineKv ─▶ keys of a stream no keyspace has
//!      │ AuditSink ─▶ AuditLog ─▶ topic `_audit`, append-only
//! engine.as_principal(p) ─▶ Guarded ─ admission ─▶ the engine's own calls
//! ```
//!
//! The records are truth, kept as keys with revisions like any others. What is remembered of
//! permissions is derived, tied to the revision of the last change of any record.
//!
//! Promises: every commit of the service is one transaction with its expectations checked
//! under the write lock. A change that can take something away waits for guarded calls that
//! were admitted before it, and none that comes after it sees the old permissions. The plain
//! [`Engine`] is the program itself and is never checked.

mod acting;
mod administration;
mod admission;
#[cfg(feature = "tokio")]
mod asynchronous;
mod audit;
mod events;
mod guarded;
mod keyspace;
mod leases;
mod records;
mod requests;
mod transaction;

use std::sync::{Arc, OnceLock};

use cairn_auth::{
    Argon2idHasher, AuthConfig, AuthService, KeyProvider, Parts, Principal, SecretHasher,
};
use cairn_types::StreamId;

#[cfg(feature = "tokio")]
pub use asynchronous::GuardedStream;
pub use audit::{AuditDetail, AuditLog};
pub use events::{GuardedConsumer, GuardedEvents, GuardedSubscription};
pub use guarded::Guarded;
pub use keyspace::{GuardedKeyspace, GuardedWatcher};
pub use records::EngineKv;
pub use requests::range as keys_of;
pub use transaction::GuardedTransaction;

use crate::{Engine, Error, Result};
use admission::Admission;

/// The stream whose keys are the records. Streams are numbered upwards and the last two numbers are
/// never given away, so no keyspace and no partition can have it.
pub const STREAM: StreamId = StreamId::new(u32::MAX);
/// The topic with the audit events.
pub const AUDIT_TOPIC: &str = "_audit";
/// Says that auth is enabled; beside the service's own keys, none of which begins so.
const ENABLED: &[u8] = b"z/enabled";
/// The value of [`ENABLED`]: its version.
const ENABLED_VALUE: &[u8] = &[1];

/// The service over an engine.
pub type Service = AuthService<EngineKv>;

/// How a service is opened over an engine.
#[derive(Debug, Clone)]
pub struct AuthOptions {
    /// Times and limits; the last administrator is protected whatever this says.
    pub config: AuthConfig,
    /// Hashes passwords.
    pub hasher: Arc<dyn SecretHasher>,
    /// What goes into the audit topic.
    pub audit: AuditDetail,
}

impl Default for AuthOptions {
    fn default() -> Self {
        Self {
            config: AuthConfig::default(),
            hasher: Arc::new(Argon2idHasher::default()),
            audit: AuditDetail::default(),
        }
    }
}

/// What an engine knows of auth.
#[derive(Debug, Default)]
pub(crate) struct AuthState {
    pub(crate) admission: Arc<Admission>,
    service: OnceLock<Opened>,
}

#[derive(Debug, Clone)]
struct Opened {
    service: Arc<Service>,
    audit: Arc<AuditLog>,
}

impl AuthState {
    /// Another process changed something.
    pub(crate) fn records_moved(&self) {
        self.admission.moved();
    }
}

/// The key that [`encrypted_by`](crate::EngineOptions::encrypted_by) gives to the log, for
/// programs that verify or repair a log themselves.
///
/// # Errors
/// [`Error::Auth`] when the provider has no key or a weak one.
pub fn encryption_key(provider: &dyn KeyProvider) -> Result<cairn_auth::Secret> {
    let key = provider.master_key()?.derive(b"cairn encryption at rest 1");
    Ok(cairn_auth::Secret::from(key.as_slice()))
}

impl Engine {
    /// Opens the service of users and roles over this engine, with Argon2id for passwords and
    /// the audit topic, and hands back the shared engine beside it. Opened before, it is the
    /// same service again. A new store gets its identity and keys first.
    ///
    /// ```
    /// use cairn_auth::{GivenKey, Permission, RoleName, Username};
    /// use cairn_engine::Engine;
    /// let dir = tempfile::tempdir()?;
    /// let key = GivenKey::from_text("q1Hn4Z8Jd0Yk9cP3uWmT5sVxR7bL2aEoGfKiNwQyX6M=")?;
    /// let (engine, auth) = Engine::open(dir.path().join("data"))?.into_auth_service(&key)?;
    /// let ada = auth.create_user(&Username::new("ada")?, &"correct horse".into(), &"".into())?;
    /// auth.create_role(&RoleName::new("admin")?, &Permission::everything())?;
    /// auth.grant_role(ada, &RoleName::new("admin")?)?;
    /// engine.enable_auth()?;
    ///
    /// let session = auth.login("ada", &"correct horse".into(), None)?;
    /// let handle = engine.as_principal(auth.validate_session(&session.token)?)?;
    /// handle.create_keyspace("users")?;
    /// handle.keyspace("users")?.put("k", "v")?;
    /// assert!(engine.as_anonymous().keyspace("users")?.get("k").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Auth`]: a weak or missing key, or another one than the store's.
    pub fn into_auth_service(self, provider: &dyn KeyProvider) -> Result<(Self, Arc<Service>)> {
        self.into_auth_service_with(provider, AuthOptions::default())
    }

    /// As [`into_auth_service`](Self::into_auth_service) with other settings.
    ///
    /// # Errors
    /// As there.
    pub fn into_auth_service_with(
        self,
        provider: &dyn KeyProvider,
        options: AuthOptions,
    ) -> Result<(Self, Arc<Service>)> {
        if let Some(opened) = self.shared.auth.service.get() {
            // Whoever has the engine has everything, but a wrong key is still an error.
            let _ = provider.master_key()?;
            let service = Arc::clone(&opened.service);
            return Ok((self, service));
        }
        let log = self.log();
        let audit = Arc::new(AuditLog::new(&self.shared, options.audit));
        let parts = Parts {
            clock: log.clock().clone(),
            rng: log.rng().clone(),
            hasher: options.hasher,
            audit: audit.clone(),
        };
        let store = EngineKv::new(self.keys().clone(), self.shared.auth.admission.clone());
        let config = AuthConfig { keep_administrator: true, ..options.config };
        let service = Arc::new(AuthService::open(store, provider, parts, config)?);
        let opened = self.shared.auth.service.get_or_init(|| Opened { service, audit });
        let service = Arc::clone(&opened.service);
        Ok((self, service))
    }

    /// The service, when it was opened.
    #[must_use]
    pub fn auth_service(&self) -> Option<Arc<Service>> {
        self.shared.auth.service.get().map(|opened| Arc::clone(&opened.service))
    }

    /// The writer of the audit topic, when the service was opened.
    #[must_use]
    pub fn audit_log(&self) -> Option<Arc<AuditLog>> {
        self.shared.auth.service.get().map(|opened| Arc::clone(&opened.audit))
    }

    /// Whether auth is enabled in this store. From then on [`as_anonymous`](Self::as_anonymous)
    /// allows nothing, and the command line asks for a credential.
    ///
    /// # Errors
    /// The log's; [`Error::Auth`] when the record says something unknown.
    pub fn auth_enabled(&self) -> Result<bool> {
        match self.keys().value(STREAM, ENABLED)? {
            None => Ok(false),
            Some(value) if value == ENABLED_VALUE => Ok(true),
            Some(value) => Err(Error::from(cairn_auth::Error::UnsupportedVersion {
                what: "mark of enabled auth",
                found: value.first().copied().unwrap_or(0),
            })),
        }
    }

    /// Enables auth, for good.
    ///
    /// # Errors
    /// [`Error::AuthNotOpen`]; [`Error::Auth`] with
    /// [`LastAdministrator`](cairn_auth::Error::LastAdministrator) while nobody may manage users
    /// and roles: everybody would be locked out.
    pub fn enable_auth(&self) -> Result<()> {
        let service = self.auth_service().ok_or(Error::AuthNotOpen)?;
        if !service.has_administrator()? {
            return Err(Error::from(cairn_auth::Error::LastAdministrator));
        }
        if !self.auth_enabled()? {
            let _alone = self.shared.auth.admission.change();
            self.keys().put(cairn_mvcc::Put::new(STREAM, ENABLED, ENABLED_VALUE))?;
            self.shared.auth.admission.moved();
        }
        Ok(())
    }

    /// The engine as somebody who proved who it is may use it. Every call is checked.
    ///
    /// # Errors
    /// [`Error::AuthNotOpen`].
    pub fn as_principal(&self, principal: Principal) -> Result<Guarded> {
        let service = self.auth_service().ok_or(Error::AuthNotOpen)?;
        Ok(Guarded::new(self.clone(), Some(service), Some(principal)))
    }

    /// The engine as somebody may use it who did not say who it is: everything until auth is
    /// enabled, nothing after.
    #[must_use]
    pub fn as_anonymous(&self) -> Guarded {
        Guarded::new(self.clone(), self.auth_service(), None)
    }
}
