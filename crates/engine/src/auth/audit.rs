//! Audit events as events of the topic `_audit`. The topic is truth of what was decided, not of
//! what is allowed.
//!
//! An event is a JSON object: `at`, `who` (the user that acted, null for nobody known), `about`
//! (the user it is about), `what`, `object`, `outcome` (`ok` or `refused`), `cause`, `revision`.
//! It holds no password, token, key, hash or metadata; a name that is no user's is a keyed hash.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use cairn_auth::{
    Action, AdminArea, AuditEvent, AuditSink, Cause, KeyRange, Resource, Subject, What,
};
use serde_json::{Value, json};

use super::{AUDIT_TOPIC, acting};
use crate::engine::Shared;
use crate::{Engine, Error, NewEvent, Result, TopicConfig};

/// Refusals wait for the disk at most once in this time, so that a flood of refused calls
/// cannot make a flood of syncs; the others go with the next write.
const SYNC_REFUSALS_EVERY: Duration = Duration::from_millis(100);
/// Bytes of a key that are shown.
const SHOWN_KEY_LEN: usize = 64;

/// What goes into the audit topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuditDetail {
    /// Changes, logins, and everything that was refused.
    #[default]
    ChangesAndRefusals,
    /// Also sessions and API keys that were found valid, and permissions found by
    /// [`AuthService::check`](cairn_auth::AuthService::check).
    Everything,
}

/// Writes audit events.
#[derive(Debug)]
pub struct AuditLog {
    /// Weak, because the engine holds the service that holds this.
    engine: Weak<Shared>,
    detail: AuditDetail,
    dropped: AtomicU64,
    /// When a refusal was last waited for, in milliseconds from 1.
    synced_at: AtomicU64,
}

impl AuditLog {
    pub(super) fn new(shared: &Arc<Shared>, detail: AuditDetail) -> Self {
        let (dropped, synced_at) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { engine: Arc::downgrade(shared), detail, dropped, synced_at }
    }

    /// Events that could not be written: the store is read-only, full or failed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn wants(&self, event: &AuditEvent) -> bool {
        let routine = matches!(
            event.what,
            What::ValidateSession | What::VerifyApiKey { .. } | What::Check { .. }
        );
        event.outcome.is_err() || !routine || self.detail == AuditDetail::Everything
    }

    fn write(&self, engine: &Engine, event: &AuditEvent) -> Result<()> {
        let body = body_of(event, engine.revision()).to_string();
        let events = [NewEvent::json(body).at(event.at)];
        let pending = match engine.begin_append(AUDIT_TOPIC, &events, None, None) {
            Err(Error::NoTopic { .. }) => {
                engine.create_topic(AUDIT_TOPIC, TopicConfig::default())?;
                engine.begin_append(AUDIT_TOPIC, &events, None, None)?
            }
            pending => pending?,
        };
        if event.outcome.is_ok() || self.may_sync(engine) {
            engine.finish_append(pending)?;
        }
        Ok(())
    }

    fn may_sync(&self, engine: &Engine) -> bool {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX - 1);
        let now = millis(engine.log().clock().monotonic()).saturating_add(1);
        let last = self.synced_at.load(Ordering::Relaxed);
        let due = last == 0 || now.saturating_sub(last) >= millis(SYNC_REFUSALS_EVERY);
        due && self
            .synced_at
            .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

impl AuditSink for AuditLog {
    fn record(&self, event: &AuditEvent) {
        if !self.wants(event) {
            return;
        }
        // An engine that is gone has nowhere to write to.
        let Some(shared) = self.engine.upgrade() else { return };
        if self.write(&Engine { shared }, event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn body_of(event: &AuditEvent, revision: u64) -> Value {
    let about = match event.subject {
        Subject::User(user) => json!({ "user": user.get() }),
        Subject::UnknownName(hash) => {
            let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "unknown_name": hash })
        }
        Subject::Nobody => Value::Null,
    };
    let who = match (acting::actor(), event.subject, &event.what) {
        (Some(actor), ..) => json!({ "user": actor.user }),
        // Whoever logs in, shows a token or asks for something acts for itself.
        (None, Subject::User(user), What::Check { .. } | What::Login { .. })
        | (None, Subject::User(user), What::ValidateSession | What::VerifyApiKey { .. }) => {
            json!({ "user": user.get() })
        }
        _ => Value::Null,
    };
    let (what, object) = what_of(&event.what);
    let cause = event.outcome.err().map(cause_of);
    let outcome = if cause.is_none() { "ok" } else { "refused" };
    json!({
        "at": event.at.to_string(),
        "who": who,
        "about": about,
        "what": what,
        "object": object,
        "outcome": outcome,
        "cause": cause,
        "revision": revision,
    })
}

fn what_of(what: &What) -> (&'static str, Value) {
    let key = |key: &Option<cairn_auth::ApiKeyId>| json!(key.map(|key| key.to_string()));
    match what {
        What::Login { from } => ("login", json!(from.map(|from| from.to_string()))),
        What::ValidateSession => ("validate_session", Value::Null),
        What::VerifyApiKey { key: id } => ("verify_api_key", key(id)),
        What::Check { action, resource } => (verb(*action), resource_of(resource)),
        What::CreateUser => ("create_user", Value::Null),
        What::RenameUser => ("rename_user", Value::Null),
        What::DisableUser => ("disable_user", Value::Null),
        What::EnableUser => ("enable_user", Value::Null),
        What::DeleteUser => ("delete_user", Value::Null),
        What::SetMetadata => ("set_metadata", Value::Null),
        What::ChangePassword => ("change_password", Value::Null),
        What::DefineRole(role) => ("define_role", json!(role.as_str())),
        What::DeleteRole(role) => ("delete_role", json!(role.as_str())),
        What::GrantRole(role) => ("grant_role", json!(role.as_str())),
        What::RevokeRole(role) => ("revoke_role", json!(role.as_str())),
        What::IssueApiKey { key: id } => ("issue_api_key", key(id)),
        What::RotateApiKey { old, new } => {
            ("rotate_api_key", json!({ "old": old.to_string(), "new": key(new) }))
        }
        What::RevokeApiKey(id) => ("revoke_api_key", json!(id.to_string())),
        What::IssueSession => ("issue_session", Value::Null),
        What::RevokeSession => ("revoke_session", Value::Null),
        What::RevokeAllSessions => ("revoke_all_sessions", Value::Null),
        What::RotateMasterKey => ("rotate_master_key", Value::Null),
        What::RotateDataKey { .. } => ("rotate_data_key", Value::Null),
        _ => ("other", Value::Null),
    }
}

const fn verb(action: Action) -> &'static str {
    match action {
        Action::Read => "read",
        Action::Write => "write",
        Action::Manage => "manage",
    }
}

/// A part of the database as events and errors name it.
pub(super) fn resource_of(resource: &Resource) -> Value {
    match resource {
        Resource::Keys(keyspace, range) => {
            json!({ "keyspace": keyspace.as_str(), "keys": range_of(range) })
        }
        Resource::Keyspace(keyspace) => json!({ "keyspace": keyspace.as_str() }),
        Resource::Topic(topic) => json!({ "topic": topic.as_str() }),
        Resource::Admin(area) => json!({ "admin": area_of(*area) }),
    }
}

fn range_of(range: &KeyRange) -> String {
    let shown = |key: &[u8]| key[..key.len().min(SHOWN_KEY_LEN)].escape_ascii().to_string();
    let start = range.start();
    match range.end() {
        Some([head @ .., 0]) if head == start => shown(start),
        Some(end) => format!("{}..{}", shown(start), shown(end)),
        None => format!("{}..", shown(start)),
    }
}

const fn area_of(area: AdminArea) -> &'static str {
    match area {
        AdminArea::Users => "users",
        AdminArea::Roles => "roles",
        AdminArea::ApiKeys => "api-keys",
        AdminArea::Keys => "keys",
        AdminArea::Backup => "backup",
        AdminArea::Maintenance => "maintenance",
        AdminArea::Status => "status",
    }
}

const fn cause_of(cause: Cause) -> &'static str {
    match cause {
        Cause::Malformed => "malformed",
        Cause::Unknown => "unknown",
        Cause::WrongSecret => "wrong_secret",
        Cause::Disabled => "disabled",
        Cause::Expired => "expired",
        Cause::Idle => "idle",
        Cause::Revoked => "revoked",
        Cause::Throttled => "throttled",
        Cause::Busy => "busy",
        Cause::LastAdministrator => "last_administrator",
        Cause::NoPermission => "no_permission",
        Cause::OutOfScope => "out_of_scope",
        _ => "failed",
    }
}
