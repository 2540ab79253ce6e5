//! Users: create, rename, disable, delete, list; their names in an index.

use bytes::Bytes;
use cairn_types::Timestamp;

use super::lockout::Change;
use super::{AuthService, places};
use crate::audit::{Subject, What};
use crate::error::{Error, Result};
use crate::mac::mac;
use crate::names::Username;
use crate::record::{MAX_METADATA_LEN, Record, UserId, UserRecord};
use crate::secret::Secret;
use crate::store::{Batch, Expect, KvStore, Stamp};

/// What is told of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInfo {
    /// Number of the user.
    pub id: UserId,
    /// The name as it was written.
    pub name: Username,
    /// Whether the user may not do anything at present.
    pub disabled: bool,
    /// When the user was created.
    pub created_at: Timestamp,
    /// When the password was last changed.
    pub password_changed_at: Timestamp,
    /// Whatever the application keeps with a user; encrypted in the store.
    pub metadata: Secret,
}

impl From<UserRecord> for UserInfo {
    fn from(record: UserRecord) -> Self {
        let UserRecord { id, name, disabled, created_at, password_changed_at, metadata, .. } =
            record;
        Self { id, name, disabled, created_at, password_changed_at, metadata }
    }
}

impl<S: KvStore> AuthService<S> {
    /// Creates a user with a password and metadata (at most 16 KiB, encrypted in the store).
    ///
    /// # Errors
    /// [`Error::Exists`] when the name is taken, [`Error::Invalid`] when the password is too
    /// short or too long, [`Error::Full`] for metadata above 16 KiB, [`Error::Busy`] when too many
    /// passwords are being hashed.
    pub fn create_user(
        &self,
        name: &Username,
        password: &Secret,
        metadata: &Secret,
    ) -> Result<UserId> {
        let created = self
            .new_password(password, Some(name))
            .and_then(|stored| self.retried(|| self.try_create(name, stored.clone(), metadata)));
        self.audit_creation(created)
    }

    /// Creates a user whose password was hashed elsewhere: Argon2id within the caps, or bcrypt,
    /// which is replaced at the first login.
    ///
    /// # Errors
    /// As [`create_user`](Self::create_user); [`Error::Invalid`] when the hash could not be
    /// checked later.
    pub fn import_user(&self, name: &Username, stored: &str, metadata: &Secret) -> Result<UserId> {
        let created = self
            .parts
            .hasher
            .accepts(stored)
            .and_then(|()| self.retried(|| self.try_create(name, stored.to_owned(), metadata)));
        self.audit_creation(created)
    }

    fn audit_creation(&self, created: Result<UserId>) -> Result<UserId> {
        let subject = created.as_ref().map_or(Subject::Nobody, |id| Subject::User(*id));
        self.audited(subject, What::CreateUser, created)
    }

    fn try_create(&self, name: &Username, password: String, metadata: &Secret) -> Result<UserId> {
        check_metadata(metadata)?;
        let index = self.name_key(name);
        self.name_is_free(&index)?;
        let mut batch = Batch::new();
        let id = UserId(self.take_number(&mut batch)?);
        let now = self.now();
        let user = UserRecord {
            id,
            name: name.clone(),
            disabled: false,
            epoch: 1,
            created_at: now,
            password_changed_at: now,
            password,
            roles: Vec::new(),
            metadata: metadata.clone(),
        };
        batch.expect(index.clone(), Expect::Absent).put(index, places::index_value(id.0));
        let key = places::user(id);
        batch.expect(key.clone(), Expect::Absent);
        self.put(&mut batch, key, &user)?;
        self.store.commit(batch)?;
        Ok(id)
    }

    /// Gives a user another name; also the same one in other capitals. Sessions go on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Exists`] when another user has the name.
    pub fn rename_user(&self, id: UserId, name: &Username) -> Result<()> {
        let renamed = self.retried(|| {
            let (mut user, stamp) = self.known_user(id)?;
            let (old, new) = (self.name_key(&user.name), self.name_key(name));
            let mut batch = Batch::new();
            if old != new {
                self.name_is_free(&new)?;
                batch.expect(new.clone(), Expect::Absent).put(new, places::index_value(id.0));
                batch.delete(old);
            }
            user.name = name.clone();
            self.replace(&mut batch, places::user(id), &user, stamp)?;
            Ok(self.store.commit(batch)?)
        });
        self.audited(Subject::User(id), What::RenameUser, renamed)
    }

    /// Disables a user: no logins, and sessions and API keys are refused. Sessions do not come
    /// back when the user is enabled again; API keys do.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::LastAdministrator`].
    pub fn disable_user(&self, id: UserId) -> Result<()> {
        let disabled = self.weaken_user(id, Change::Disable(id), |user| {
            user.disabled = true;
            user.epoch += 1;
            Ok(())
        });
        self.audited(Subject::User(id), What::DisableUser, disabled)
    }

    /// Enables a user again.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn enable_user(&self, id: UserId) -> Result<()> {
        let enabled = self.change_user(id, |user| {
            user.disabled = false;
            Ok(())
        });
        self.audited(Subject::User(id), What::EnableUser, enabled)
    }

    /// Replaces the metadata of a user.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Full`] above 16 KiB.
    pub fn set_metadata(&self, id: UserId, metadata: &Secret) -> Result<()> {
        let set = self.change_user(id, |user| {
            check_metadata(metadata)?;
            user.metadata = metadata.clone();
            Ok(())
        });
        self.audited(Subject::User(id), What::SetMetadata, set)
    }

    /// Deletes a user with all sessions and API keys, in one commit. The name is free again;
    /// the number is never given to another.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::LastAdministrator`].
    pub fn delete_user(&self, id: UserId) -> Result<()> {
        let deleted = self.retried(|| {
            let (user, stamp) = self.known_user(id)?;
            let mut batch = Batch::new();
            self.keep_administrator(&Change::Delete(id), &mut batch)?;
            let key = places::user(id);
            batch.expect(key.clone(), Expect::Unchanged(stamp)).delete(key);
            batch.delete(self.name_key(&user.name));
            let of_sessions = (places::sessions_of(id), places::SESSIONS);
            let of_api_keys = (places::api_keys_of(id), places::API_KEYS);
            for (index, records) in [of_sessions, of_api_keys] {
                // Rows beyond the limit, if there ever are any, are dead without their user and
                // are left to the sweep.
                for entry in self.store.scan(&index, None, super::AuthConfig::ROWS_MAX)? {
                    let tail = entry.key.strip_prefix(&*index).unwrap_or_default();
                    batch.delete([records, tail].concat().into()).delete(entry.key);
                }
            }
            Ok(self.store.commit(batch)?)
        });
        self.audited(Subject::User(id), What::DeleteUser, deleted)
    }

    /// What is known of a user.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn user_info(&self, id: UserId) -> Result<UserInfo> {
        self.known_user(id).map(|(user, _)| user.into())
    }

    /// The user of a name, in any capitals.
    ///
    /// # Errors
    /// When the store fails or a record is damaged.
    pub fn find_user(&self, name: &Username) -> Result<Option<UserId>> {
        Ok(self.user_by_name(name)?.map(|(user, _)| user.id))
    }

    /// At most `limit` users after one, in the order of their numbers.
    ///
    /// # Errors
    /// When the store fails or a record is damaged.
    pub fn list_users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserInfo>> {
        let after = after.map(places::user);
        let entries = self.store.scan(places::USERS, after.as_deref(), limit)?;
        let user = |entry: &crate::Entry| {
            self.unseal::<UserRecord>(&entry.key, &entry.value).map(UserInfo::from)
        };
        entries.iter().map(user).collect()
    }

    /// Changes a user under the condition that nobody else did.
    pub(super) fn change_user(
        &self,
        id: UserId,
        mut change: impl FnMut(&mut UserRecord) -> Result<()>,
    ) -> Result<()> {
        self.retried(|| {
            let (mut user, stamp) = self.known_user(id)?;
            change(&mut user)?;
            let mut batch = Batch::new();
            self.replace(&mut batch, places::user(id), &user, stamp)?;
            Ok(self.store.commit(batch)?)
        })
    }

    /// As [`change_user`](Self::change_user) when an administrator may cease to be one by it.
    pub(super) fn weaken_user(
        &self,
        id: UserId,
        weaker: Change<'_>,
        mut change: impl FnMut(&mut UserRecord) -> Result<()>,
    ) -> Result<()> {
        self.retried(|| {
            let (mut user, stamp) = self.known_user(id)?;
            change(&mut user)?;
            let mut batch = Batch::new();
            self.keep_administrator(&weaker, &mut batch)?;
            self.replace(&mut batch, places::user(id), &user, stamp)?;
            Ok(self.store.commit(batch)?)
        })
    }

    pub(super) fn user_by_name(&self, name: &Username) -> Result<Option<(UserRecord, Stamp)>> {
        let Some(found) = self.store.get(&self.name_key(name))? else { return Ok(None) };
        let id = UserId(places::index_of(&found.value)?);
        match self.user(id)? {
            Some((user, stamp)) if user.name == *name => Ok(Some((user, stamp))),
            // Renamed or deleted between the two reads, or the index was tampered with: in each
            // case nobody has this name.
            _ => Ok(None),
        }
    }

    pub(super) fn name_is_free(&self, index: &Bytes) -> Result<()> {
        match self.store.get(index)? {
            Some(_) => Err(Error::Exists { what: "user name" }),
            None => Ok(()),
        }
    }

    pub(super) fn name_key(&self, name: &Username) -> Bytes {
        places::user_name(&mac(&self.keys.names, &[name.canonical().as_bytes()]))
    }
}

fn check_metadata(metadata: &Secret) -> Result<()> {
    if metadata.len() > MAX_METADATA_LEN {
        return Err(Error::Full { what: UserRecord::WHAT, limit: MAX_METADATA_LEN as u64 });
    }
    Ok(())
}
