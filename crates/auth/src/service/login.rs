//! Logins and passwords.
//!
//! The order matters: limits by what was given, then a place to hash, and only then a look at
//! the store. So a refusal before the hash says nothing about the account, and after it every
//! refusal took the time of one hash and is the same error.

use std::net::IpAddr;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::sessions::IssuedSession;
use super::{AuthService, cause_of, places};
use crate::audit::{Cause, Subject, What};
use crate::error::{Error, Result};
use crate::mac::mac;
use crate::names::{MAX_USERNAME_LEN, Username};
use crate::password::{MAX_PASSWORD_LEN, Verdict, check_new_password};
use crate::record::{UserId, UserRecord};
use crate::secret::Secret;
use crate::store::{Batch, KvStore, Stamp};

/// Why a login failed: for the caller, and for the sink.
struct Refused {
    error: Error,
    subject: Subject,
    cause: Cause,
}

impl<S: KvStore> AuthService<S> {
    /// Logs a user in and issues a session.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`] whatever is wrong; [`Error::Throttled`] after too many
    /// failures of the account or from the address, whether or not the account exists;
    /// [`Error::Busy`] when too many passwords are being hashed.
    pub fn login(
        &self,
        name: &str,
        password: &Secret,
        from: Option<IpAddr>,
    ) -> Result<IssuedSession> {
        let session = self.authenticate(name, password, from).and_then(|(user, stamp)| {
            let issued = self.issue(&user, stamp).map_err(|error| Refused {
                cause: cause_of(&error),
                // The user changed while the password was checked: disabled, deleted, renamed or
                // with another password. Better to ask again than to guess.
                error: match error {
                    Error::Conflict { .. } => Error::Unauthenticated,
                    error => error,
                },
                subject: Subject::User(user.id),
            });
            Ok((user.id, issued?))
        });
        match session {
            Ok((id, session)) => {
                self.audit(Subject::User(id), What::Login { from }, Ok(()));
                Ok(session)
            }
            Err(refused) => {
                self.audit(refused.subject, What::Login { from }, Err(refused.cause));
                Err(refused.error)
            }
        }
    }

    /// Changes a password when the old one is given, and ends all sessions of the user.
    ///
    /// # Errors
    /// As [`login`](Self::login); [`Error::Invalid`] when the new one is too short or too long.
    pub fn change_password(
        &self,
        id: UserId,
        old: &Secret,
        new: &Secret,
        from: Option<IpAddr>,
    ) -> Result<()> {
        let changed = check_new_password(new).and_then(|()| {
            let name = self.known_user(id)?.0.name;
            let checked = self.authenticate(name.as_str(), old, from);
            let (user, _) = checked.map_err(|refused| refused.error)?;
            if user.id != id {
                // Renamed, and the name given to another, between the two reads.
                return Err(Error::Conflict { what: "user" });
            }
            let stored = self.new_password(new, None)?;
            // Under the condition that the password that was checked is still the one.
            let before = user.password;
            self.store_password(id, &stored, Some(&before))
        });
        self.audited(Subject::User(id), What::ChangePassword, changed)
    }

    /// Sets a password without the old one, and ends all sessions of the user.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`], [`Error::Busy`].
    pub fn set_password(&self, id: UserId, new: &Secret) -> Result<()> {
        let stored = self.new_password(new, None);
        let set = stored.and_then(|stored| self.store_password(id, &stored, None));
        self.audited(Subject::User(id), What::ChangePassword, set)
    }

    fn store_password(&self, id: UserId, stored: &str, before: Option<&str>) -> Result<()> {
        self.change_user(id, |user| {
            if before.is_some_and(|before| before != user.password) {
                return Err(Error::Unauthenticated);
            }
            user.password = stored.to_owned();
            user.password_changed_at = self.now();
            user.epoch += 1;
            Ok(())
        })
    }

    /// Hashes a new password, after the checks that cost less.
    pub(super) fn new_password(
        &self,
        password: &Secret,
        name: Option<&Username>,
    ) -> Result<String> {
        check_new_password(password)?;
        if let Some(name) = name {
            self.name_is_free(&self.name_key(name))?;
        }
        let _place = self.gate.enter()?;
        self.parts.hasher.hash(password, &*self.parts.rng)
    }

    /// The user of this name and password.
    fn authenticate(
        &self,
        name: &str,
        password: &Secret,
        from: Option<IpAddr>,
    ) -> Result<(UserRecord, Stamp), Refused> {
        let tags = self.tags(name, from);
        let refused = |error: Error, subject| Refused { cause: cause_of(&error), error, subject };
        let unknown = || self.unknown(name);
        self.charge(&tags).map_err(|error| refused(error, unknown()))?;
        let place = self.gate.enter().map_err(|error| {
            self.refund(&tags);
            refused(error, unknown())
        })?;
        let found = match Username::new(name) {
            Ok(name) => self.user_by_name(&name).map_err(|error| refused(error, unknown()))?,
            Err(_) => None,
        };
        let subject = found.as_ref().map_or_else(unknown, |(user, _)| Subject::User(user.id));
        let unauthenticated =
            |cause| Err(Refused { error: Error::Unauthenticated, subject, cause });
        let stored = found.as_ref().map_or(self.dummy.as_str(), |(user, _)| user.password.as_str());
        let verdict = self.verify(password, stored).map_err(|error| refused(error, subject))?;
        let Some((user, stamp)) = found else { return unauthenticated(Cause::Unknown) };
        if verdict == Verdict::Wrong {
            return unauthenticated(Cause::WrongSecret);
        }
        if user.disabled {
            return unauthenticated(Cause::Disabled);
        }
        self.refund(&tags);
        if verdict != Verdict::Outdated {
            return Ok((user, stamp));
        }
        let renewed = self.renew(user, stamp, password).map_err(|error| refused(error, subject));
        drop(place);
        renewed
    }

    /// Checks a password; one that is too long costs the same as a wrong one.
    fn verify(&self, password: &Secret, stored: &str) -> Result<Verdict> {
        if password.len() <= MAX_PASSWORD_LEN {
            return self.parts.hasher.verify(password, stored);
        }
        let cut = Zeroizing::new(password.expose()[..MAX_PASSWORD_LEN].to_vec());
        self.parts.hasher.verify(&Secret::from(cut), stored).map(|_| Verdict::Wrong)
    }

    /// Hashes a right password again with today's costs. When it is too short for a new one, or
    /// somebody else changed the user, the old hash stays until the next login.
    fn renew(
        &self,
        mut user: UserRecord,
        stamp: Stamp,
        password: &Secret,
    ) -> Result<(UserRecord, Stamp)> {
        let Ok(stored) = self.parts.hasher.hash(password, &*self.parts.rng) else {
            return Ok((user, stamp));
        };
        user.password = stored;
        let (id, mut batch) = (user.id, Batch::new());
        self.replace(&mut batch, places::user(id), &user, stamp)?;
        match self.store.commit(batch).map_err(Error::from) {
            // The stamp is the store's: read it back, and see whether it is still this user.
            Ok(()) | Err(Error::Conflict { .. }) => {
                let (now, stamp) = self.user(id)?.ok_or(Error::Unauthenticated)?;
                let same = now.epoch == user.epoch && !now.disabled;
                if same { Ok((now, stamp)) } else { Err(Error::Unauthenticated) }
            }
            Err(error) => Err(error),
        }
    }

    /// What the limits know an account and an address by.
    fn tags(&self, name: &str, from: Option<IpAddr>) -> (Bytes, Option<Bytes>) {
        // A name that is longer than any is cut, so that this costs the same for every input.
        let name = name.as_bytes();
        let name = name[..name.len().min(MAX_USERNAME_LEN + 1)].to_ascii_lowercase();
        let address = from.map(|address| match address.to_canonical() {
            IpAddr::V4(address) => Bytes::copy_from_slice(&address.octets()),
            // One customer has a whole /64.
            IpAddr::V6(address) => Bytes::copy_from_slice(&address.octets()[..8]),
        });
        (name.into(), address)
    }

    fn charge(&self, (account, address): &(Bytes, Option<Bytes>)) -> Result<()> {
        let now = self.parts.clock.monotonic();
        if let Some(address) = address {
            self.addresses.charge(address, now)?;
        }
        // The address has paid also when this refuses: it goes on trying a throttled account.
        self.accounts.charge(account, now)
    }

    fn refund(&self, (account, address): &(Bytes, Option<Bytes>)) {
        if let Some(address) = address {
            self.addresses.refund(address);
        }
        self.accounts.refund(account);
    }

    /// A name as the sink is told of it while nobody knows whether it exists.
    fn unknown(&self, name: &str) -> Subject {
        let name = name.as_bytes();
        let hash = mac(&self.keys.audit, &[&name[..name.len().min(MAX_USERNAME_LEN + 1)]]);
        Subject::UnknownName(*hash.first_chunk().expect("a hash has 32 bytes"))
    }
}
