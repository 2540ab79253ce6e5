//! Who somebody is and what they may do: users, roles, API keys, sessions, and the encryption of
//! what is stored about them.
//!
//! ```text
//!   password ─▶ limits ─▶ HashGate ─▶ Argon2id ─┐
//!   session token ─▶ HMAC ──────────────────────┼─▶ Principal ─┐
//!   API key ─▶ CRC ─▶ HMAC, constant time ──────┘              ▼
//!                                                 check(principal, action, resource)
//!   users, roles, keys, sessions                               │ policy: pure
//!        │ sealed: AES-256-GCM, bound to store and record      ▼
//!        ▼                                            Decision ─▶ AuditSink
//!   KvStore: get, scan, commit (whole or not at all)
//!        data keys ◀──wraps── MasterKey ◀── KeyProvider (given, file, command)
//! ```
//!
//! The records are **truth**: nothing can rebuild them. Indexes are written in the same commit
//! as their records. Limits on logins are in memory and derived.
//!
//! Invariants:
//! - The store holds no password, token or key, only slow or keyed hashes of them, and no name,
//!   metadata or permission in the clear but names of roles.
//! - Whatever is wrong with credentials, the caller gets [`Error::Unauthenticated`]; the cause
//!   goes to the [`AuditSink`]. Every decision is told there.
//! - Costs are bounded before work begins: lengths, hashing parameters, hashes at once.
//! - A user's number, and a role's, is never given twice. Deleting, disabling, another password
//!   and another role end sessions in the commit that does it.
//! - A record that was moved, swapped or changed does not open.
//!
//! This crate does **not** know the engine: any [`KvStore`] will do, and [`MemoryStore`] is one.
//! It starts no thread, reads no clock and no random source but those it is given. Against
//! somebody who can write to the store it keeps records secret and whole, but not fresh: old
//! records put back in their places open.
//!
//! Two times are not the same: a user whose imported bcrypt hash was never renewed is checked by
//! bcrypt, and an unknown user by Argon2id.
//!
//! ```
//! use std::sync::Arc;
//! use cairn_auth::*;
//! use cairn_types::Topic;
//! use cairn_vfs::{OsRng, SystemClock};
//!
//! let parts = Parts {
//!     clock: Arc::new(SystemClock::default()),
//!     rng: Arc::new(OsRng),
//!     hasher: Arc::new(Argon2idHasher::new(HashParams::FLOOR)?), // or `default()`: 64 MiB
//!     audit: Arc::new(NoAudit),
//! };
//! // In life from an environment variable, a file or a key service.
//! let key = GivenKey::from_text("q1Hn4Z8Jd0Yk9cP3uWmT5sVxR7bL2aEoGfKiNwQyX6M=")?;
//! let auth = AuthService::open(MemoryStore::default(), &key, parts, AuthConfig::default())?;
//!
//! // Somebody who may read the topics that begin with `orders.`
//! let ada = auth.create_user(&Username::new("Ada")?, &"correct horse".into(), &"".into())?;
//! let reader = RoleName::new("reader")?;
//! let scope = Scope::Topic(NamePattern::prefix("orders.")?);
//! auth.create_role(&reader, &[Permission::new(Actions::READ, scope)])?;
//! auth.grant_role(ada, &reader)?;
//!
//! let session = auth.login("ada", &"correct horse".into(), None)?;
//! let principal = auth.validate_session(&session.token)?;
//! let topic = Resource::Topic(Topic::new("orders.eu").expect("a valid name"));
//! assert!(auth.check(&principal, Action::Read, &topic)?.is_allowed());
//! assert!(!auth.check(&principal, Action::Write, &topic)?.is_allowed());
//!
//! // A key for a program, shown once.
//! let request = ApiKeyRequest { environment: "live".into(), ..ApiKeyRequest::default() };
//! let key = auth.issue_api_key(ada, &request)?;
//! assert_eq!(auth.verify_api_key(&key.key)?.user(), ada);
//! assert!(matches!(auth.verify_api_key("cairn_live_typo"), Err(Error::Unauthenticated)));
//! # Ok::<(), Error>(())
//! ```
#![forbid(unsafe_code)]

mod attempts;
pub mod audit;
pub mod error;
mod hex;
mod mac;
mod names;
pub mod password;
pub mod policy;
mod record;
pub mod seal;
mod secret;
pub mod service;
pub mod store;
mod token;

pub use attempts::AttemptLimit;
pub use audit::{AuditEvent, AuditSink, Cause, MemoryAudit, NoAudit, Subject, What};
pub use error::{Error, Result};
pub use names::{RoleName, Username};
pub use password::{Argon2idHasher, HashGate, HashParams, SecretHasher, Verdict};
pub use policy::{Action, Actions, AdminArea, KeyRange, NamePattern, Permission, Resource, Scope};
pub use record::{ApiKeyId, SessionId, UserId};
pub use seal::{
    CommandKey, EnvelopeEncryptor, FileKey, GivenKey, KeyProvider, MasterKey, RecordKind, StoreId,
};
pub use secret::Secret;
pub use service::{
    ApiKeyInfo, ApiKeyRequest, AuthConfig, AuthService, Authority, Decision, IssuedApiKey,
    IssuedSession, Parts, Principal, RoleInfo, SessionInfo, Swept, UserInfo, Via,
};
pub use store::{Batch, Entry, Expect, KvStore, MemoryStore, Stamp, Stamped, StoreError};
