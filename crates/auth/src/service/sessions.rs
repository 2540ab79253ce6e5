//! Sessions: issue, validate, revoke, list.
//!
//! A session carries the epoch its user had. Whatever must end all sessions (another password,
//! another role, disabling) raises the epoch in the user's record, in one commit of one record:
//! no list of sessions has to be found and deleted first. The time is the time of day, because
//! a session outlives a restart; a clock that is set back makes sessions last that much longer,
//! one that is set forward ends them.

use std::sync::Arc;

use cairn_types::Timestamp;

use super::check::{Principal, Via};
use super::remembered::UserFacts;
use super::{AuthService, places};
use crate::audit::{Cause, Subject, What};
use crate::error::{Error, Result};
use crate::record::{SessionId, SessionRecord, UserId, UserRecord};
use crate::secret::Secret;
use crate::store::{Batch, Expect, KvStore, Stamp};
use crate::token::SessionText;

/// A session that was just issued.
#[derive(Debug)]
pub struct IssuedSession {
    /// What the caller shows from now on; the store has only a hash of it.
    pub token: Secret,
    /// The session, to revoke it.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// When it ends, whatever happens.
    pub expires_at: Timestamp,
}

/// What is told of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// The session, to revoke it.
    pub id: SessionId,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it ends, whatever happens.
    pub expires_at: Timestamp,
    /// When it was last used, to some minutes.
    pub last_seen_at: Timestamp,
}

impl<S: KvStore> AuthService<S> {
    /// Issues a session for a user who proved to be it by other means than a password.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unauthenticated`] when the user is disabled.
    pub fn issue_session(&self, user: UserId) -> Result<IssuedSession> {
        let issued = self.retried(|| {
            let (record, stamp) = self.known_user(user)?;
            if record.disabled {
                return Err(Error::Unauthenticated);
            }
            self.issue(&record, stamp)
        });
        self.audited(Subject::User(user), What::IssueSession, issued)
    }

    /// Issues a session under the condition that the user is as it was read.
    pub(super) fn issue(&self, user: &UserRecord, read: Stamp) -> Result<IssuedSession> {
        let token = SessionText::random(&*self.parts.rng);
        let (id, now) = (token.id(&self.keys.sessions), self.now());
        let record = SessionRecord {
            id,
            user: user.id,
            epoch: user.epoch,
            issued_at: now,
            expires_at: now.saturating_add(self.config.session_lifetime),
            last_seen_at: now,
            idle: self.config.session_idle,
        };
        let mut batch = Batch::new();
        batch.expect(places::user(user.id), Expect::Unchanged(read));
        self.make_room(user, &mut batch)?;
        let key = places::session(id);
        batch.expect(key.clone(), Expect::Absent);
        self.put(&mut batch, key, &record)?;
        batch.put(places::session_of(user.id, id), places::PRESENT);
        self.store.commit(batch)?;
        Ok(IssuedSession {
            token: token.to_text(),
            id,
            user: user.id,
            expires_at: record.expires_at,
        })
    }

    /// Deletes dead sessions of a user who has many, and the one unused for longest if need be.
    fn make_room(&self, user: &UserRecord, batch: &mut Batch) -> Result<()> {
        let most = self.config.sessions_max;
        let index = places::sessions_of(user.id);
        // Issued at the same time, a few more than `most` can come to be.
        let entries = self.store.scan(&index, None, 2 * most)?;
        if entries.len() < most {
            return Ok(());
        }
        let facts = self.facts(user.id)?.ok_or(Error::NotFound { what: "user" })?;
        let (mut alive, mut dead) = (Vec::new(), Vec::new());
        for entry in &entries {
            let id = SessionId(places::tail(&entry.key, &index)?);
            match self.read::<SessionRecord>(&places::session(id))? {
                Some((session, _)) if self.death_of(&session, &facts).is_none() => {
                    alive.push(session)
                }
                _ => dead.push(id),
            }
        }
        alive.sort_by_key(|session| session.last_seen_at);
        let surplus = (alive.len() + 1).saturating_sub(most);
        dead.extend(alive.iter().take(surplus).map(|session| session.id));
        for id in dead {
            batch.delete(places::session(id)).delete(places::session_of(user.id, id));
        }
        Ok(())
    }

    /// Whose session a token is.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] whatever is wrong with it.
    pub fn validate_session(&self, token: impl AsRef<[u8]>) -> Result<Principal> {
        let Some(token) = SessionText::parse(token.as_ref()) else {
            self.audit(Subject::Nobody, What::ValidateSession, Err(Cause::Malformed));
            return Err(Error::Unauthenticated);
        };
        let id = token.id(&self.keys.sessions);
        let (subject, found) = match self.live_session(id) {
            Ok((subject, found)) => (subject, found),
            Err(error) => return self.audited(Subject::Nobody, What::ValidateSession, Err(error)),
        };
        self.audit(
            subject,
            What::ValidateSession,
            found.as_ref().map(drop).map_err(|cause| *cause),
        );
        let (session, stamp, user) = found.map_err(|_| Error::Unauthenticated)?;
        self.touch_session(&session, stamp);
        Ok(Principal { user: user.id, via: Via::Session(id) })
    }

    /// A session and its user when both are alive, else why not.
    #[expect(clippy::type_complexity, reason = "a name for it would be used once")]
    pub(super) fn live_session(
        &self,
        id: SessionId,
    ) -> Result<(Subject, Result<(Arc<SessionRecord>, Stamp, Arc<UserFacts>), Cause>)> {
        let found = self.recall::<SessionRecord, _>(&self.memory.sessions, places::session(id))?;
        let Some((session, stamp)) = found else {
            return Ok((Subject::Nobody, Err(Cause::Unknown)));
        };
        if session.id != id {
            return Err(Error::corrupt("session record", "it names another session"));
        }
        let subject = Subject::User(session.user);
        let Some(user) = self.facts(session.user)? else {
            return Ok((subject, Err(Cause::Revoked)));
        };
        let death = self.death_of(&session, &user);
        Ok((subject, death.map_or(Ok((session, stamp, user)), Err)))
    }

    /// Why a session is over, if it is.
    pub(super) fn death_of(&self, session: &SessionRecord, user: &UserFacts) -> Option<Cause> {
        let now = self.now();
        if user.disabled {
            Some(Cause::Disabled)
        } else if session.epoch != user.epoch {
            Some(Cause::Revoked)
        } else if now >= session.expires_at {
            Some(Cause::Expired)
        } else if now >= session.last_seen_at.saturating_add(session.idle) {
            Some(Cause::Idle)
        } else {
            None
        }
    }

    /// Writes down that a session was used, when that was not done for a while. Nothing depends
    /// on it but when the session becomes idle, so a failure only makes it end earlier.
    fn touch_session(&self, session: &SessionRecord, read: Stamp) {
        let step = self.config.last_used_step.min(session.idle / 4);
        let now = self.now();
        if now < session.last_seen_at.saturating_add(step) {
            return;
        }
        let session = SessionRecord { last_seen_at: now, ..session.clone() };
        let mut batch = Batch::new();
        if self.replace(&mut batch, places::session(session.id), &session, read).is_ok() {
            let _ = self.store.commit(batch);
        }
    }

    /// Ends one session; one that is over is no error.
    ///
    /// # Errors
    /// When the store fails.
    pub fn revoke_session(&self, id: SessionId) -> Result<()> {
        let revoked = self.retried(|| {
            let Some((session, stamp)) = self.read::<SessionRecord>(&places::session(id))? else {
                return Ok(None);
            };
            let mut batch = Batch::new();
            let key = places::session(id);
            batch.expect(key.clone(), Expect::Unchanged(stamp)).delete(key);
            batch.delete(places::session_of(session.user, id));
            self.store.commit(batch)?;
            Ok(Some(session.user))
        });
        let subject =
            revoked.as_ref().ok().copied().flatten().map_or(Subject::Nobody, Subject::User);
        self.audited(subject, What::RevokeSession, revoked.map(drop))
    }

    /// Ends the session of a token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] when it is no token.
    pub fn logout(&self, token: impl AsRef<[u8]>) -> Result<()> {
        let Some(token) = SessionText::parse(token.as_ref()) else {
            self.audit(Subject::Nobody, What::RevokeSession, Err(Cause::Malformed));
            return Err(Error::Unauthenticated);
        };
        self.revoke_session(token.id(&self.keys.sessions))
    }

    /// Ends all sessions of a user.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn revoke_all_sessions(&self, user: UserId) -> Result<()> {
        let revoked = self.change_user(user, |user| {
            user.epoch += 1;
            Ok(())
        });
        self.audited(Subject::User(user), What::RevokeAllSessions, revoked)
    }

    /// The sessions of a user that are alive.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn list_sessions(&self, user: UserId) -> Result<Vec<SessionInfo>> {
        let user = self.facts(user)?.ok_or(Error::NotFound { what: "user" })?;
        let index = places::sessions_of(user.id);
        let mut sessions = Vec::new();
        for entry in self.store.scan(&index, None, super::AuthConfig::ROWS_MAX)? {
            let id = SessionId(places::tail(&entry.key, &index)?);
            let found = self.read::<SessionRecord>(&places::session(id))?;
            let alive = found.filter(|(session, _)| self.death_of(session, &user).is_none());
            sessions.extend(alive.map(|(session, _)| SessionInfo {
                id,
                issued_at: session.issued_at,
                expires_at: session.expires_at,
                last_seen_at: session.last_seen_at,
            }));
        }
        Ok(sessions)
    }
}
