//! Roles: named lists of permissions, and who has them.
//!
//! A user's record lists numbers of roles. A role that is deleted leaves its number behind in
//! records, where it means nothing; a new role of the same name has another number.

use std::sync::Arc;

use super::lockout::Change;
use super::{AuthService, places};
use crate::audit::{Subject, What};
use crate::error::{Error, Result};
use crate::names::RoleName;
use crate::policy::Permission;
use crate::record::{MAX_ROLES, RoleRecord, UserId, UserRecord};
use crate::store::{Batch, Expect, KvStore, Stamp};

/// What is told of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleInfo {
    /// Its name.
    pub name: RoleName,
    /// What it allows.
    pub permissions: Vec<Permission>,
}

impl<S: KvStore> AuthService<S> {
    /// Creates a role.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::Full`] when there are too many permissions or they are too
    /// long; [`Error::Invalid`] when one allows nothing.
    pub fn create_role(&self, name: &RoleName, permissions: &[Permission]) -> Result<()> {
        let created = self.retried(|| {
            RoleRecord::check(permissions)?;
            let index = places::role_name(name);
            if self.store.get(&index)?.is_some() {
                return Err(Error::Exists { what: "role name" });
            }
            let mut batch = Batch::new();
            let id = self.take_number(&mut batch)?;
            let role = RoleRecord { id, name: name.clone(), permissions: permissions.to_vec() };
            batch.expect(index.clone(), Expect::Absent).put(index, places::index_value(id));
            let key = places::role(id);
            batch.expect(key.clone(), Expect::Absent);
            self.put(&mut batch, key, &role)?;
            Ok(self.store.commit(batch)?)
        });
        self.audited(Subject::Nobody, What::DefineRole(name.clone()), created)
    }

    /// Replaces what a role allows. It holds at once for everybody who has it; sessions go on.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::LastAdministrator`]; as [`create_role`](Self::create_role).
    pub fn set_role_permissions(&self, name: &RoleName, permissions: &[Permission]) -> Result<()> {
        let set = self.retried(|| {
            RoleRecord::check(permissions)?;
            let (role, stamp) = self.known_role(name)?;
            let (name, permissions) = (name.clone(), permissions.to_vec());
            let changed = RoleRecord { id: role.id, name, permissions };
            let mut batch = Batch::new();
            let weaker = Change::Define(role.id, &changed.permissions);
            self.keep_administrator(&weaker, &mut batch)?;
            self.replace(&mut batch, places::role(role.id), &changed, stamp)?;
            Ok(self.store.commit(batch)?)
        });
        self.audited(Subject::Nobody, What::DefineRole(name.clone()), set)
    }

    /// Deletes a role; at once nobody has it any more.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::LastAdministrator`].
    pub fn delete_role(&self, name: &RoleName) -> Result<()> {
        let deleted = self.retried(|| {
            let (role, stamp) = self.known_role(name)?;
            let key = places::role(role.id);
            let mut batch = Batch::new();
            self.keep_administrator(&Change::DeleteRole(role.id), &mut batch)?;
            batch.expect(key.clone(), Expect::Unchanged(stamp)).delete(key);
            batch.delete(places::role_name(name));
            Ok(self.store.commit(batch)?)
        });
        self.audited(Subject::Nobody, What::DeleteRole(name.clone()), deleted)
    }

    /// What a role allows.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn role_info(&self, name: &RoleName) -> Result<RoleInfo> {
        let (role, _) = self.known_role(name)?;
        Ok(RoleInfo { name: role.name.clone(), permissions: role.permissions.clone() })
    }

    /// At most `limit` names of roles after one, in order.
    ///
    /// # Errors
    /// When the store fails or an index is damaged.
    pub fn list_roles(&self, after: Option<&RoleName>, limit: usize) -> Result<Vec<RoleName>> {
        let after = after.map(places::role_name);
        let entries = self.store.scan(places::ROLES, after.as_deref(), limit)?;
        let name = |entry: &crate::Entry| {
            let name = entry.key.strip_prefix(places::ROLES).and_then(|n| str::from_utf8(n).ok());
            let name = name.and_then(|name| RoleName::new(name).ok());
            name.ok_or(Error::corrupt("index", "it has no name of a role"))
        };
        entries.iter().map(name).collect()
    }

    /// Gives a user a role, and ends the user's sessions. A role the user has changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] for user or role; [`Error::Full`] after 64 roles.
    pub fn grant_role(&self, user: UserId, name: &RoleName) -> Result<()> {
        let granted = self.retried(|| {
            let (role, stamp) = self.known_role(name)?;
            let (mut record, read) = self.known_user(user)?;
            let Err(place) = record.roles.binary_search(&role.id) else { return Ok(()) };
            if record.roles.len() >= MAX_ROLES {
                self.forget_dead_roles(&mut record)?;
            }
            if record.roles.len() >= MAX_ROLES {
                return Err(Error::Full { what: "roles of a user", limit: MAX_ROLES as u64 });
            }
            record.roles.insert(place.min(record.roles.len()), role.id);
            record.roles.sort_unstable();
            record.epoch += 1;
            let mut batch = Batch::new();
            // The role must still be there when the grant is written.
            batch.expect(places::role(role.id), Expect::Unchanged(stamp));
            self.replace(&mut batch, places::user(user), &record, read)?;
            Ok(self.store.commit(batch)?)
        });
        self.audited(Subject::User(user), What::GrantRole(name.clone()), granted)
    }

    /// Takes a role from a user, and ends the user's sessions.
    ///
    /// # Errors
    /// [`Error::NotFound`] for user or role, also when the user does not have it;
    /// [`Error::LastAdministrator`].
    pub fn revoke_role(&self, user: UserId, name: &RoleName) -> Result<()> {
        let revoked = self.known_role(name).and_then(|(role, _)| {
            self.weaken_user(user, Change::Revoke(user, role.id), |record| {
                let place = record.roles.binary_search(&role.id);
                record.roles.remove(place.map_err(|_| Error::NotFound { what: "grant" })?);
                record.epoch += 1;
                Ok(())
            })
        });
        self.audited(Subject::User(user), What::RevokeRole(name.clone()), revoked)
    }

    /// The roles of a user.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn roles_of(&self, user: UserId) -> Result<Vec<RoleName>> {
        let (record, _) = self.known_user(user)?;
        let mut names = Vec::new();
        for id in record.roles {
            names.extend(self.role(id)?.map(|(role, _)| role.name.clone()));
        }
        names.sort();
        Ok(names)
    }

    pub(super) fn role(&self, id: u64) -> Result<Option<(Arc<RoleRecord>, Stamp)>> {
        let found = self.recall::<RoleRecord, _>(&self.memory.roles, places::role(id))?;
        if found.as_ref().is_some_and(|(role, _)| role.id != id) {
            return Err(Error::corrupt("role record", "it names another role"));
        }
        Ok(found)
    }

    fn known_role(&self, name: &RoleName) -> Result<(Arc<RoleRecord>, Stamp)> {
        let missing = Error::NotFound { what: "role" };
        let Some(found) = self.store.get(&places::role_name(name))? else { return Err(missing) };
        match self.role(places::index_of(&found.value)?)? {
            Some((role, stamp)) if role.name == *name => Ok((role, stamp)),
            _ => Err(missing),
        }
    }

    fn forget_dead_roles(&self, record: &mut UserRecord) -> Result<()> {
        let mut alive = Vec::new();
        for id in &record.roles {
            if self.role(*id)?.is_some() {
                alive.push(*id);
            }
        }
        record.roles = alive;
        Ok(())
    }
}
