//! Nobody locks everybody out: what would leave no administrator is refused. Derived from the
//! records; the answer is made part of the commit as expectations.
//!
//! An administrator is a user who is not disabled and whose roles allow managing users and
//! managing roles: such a user can give everything else back. Two administrators who remove
//! each other at the same time each rest on the record of the other, so one of them is refused.

use super::{AuthService, places};
use crate::error::{Error, Result};
use crate::policy::{self, Action, AdminArea, Permission, Resource};
use crate::record::{UserId, UserRecord};
use crate::store::{Batch, Expect, KvStore, Stamp};

/// Users looked at together.
const PAGE: usize = 256;

/// A change that may take an administrator away.
pub enum Change<'a> {
    Disable(UserId),
    Delete(UserId),
    Revoke(UserId, u64),
    Define(u64, &'a [Permission]),
    DeleteRole(u64),
}

impl Change<'_> {
    fn takes_user(&self, user: UserId) -> bool {
        matches!(self, Self::Disable(id) | Self::Delete(id) if *id == user)
    }

    fn takes_role(&self, user: UserId, role: u64) -> bool {
        match self {
            Self::Revoke(id, taken) => *id == user && *taken == role,
            Self::DeleteRole(deleted) => *deleted == role,
            _ => false,
        }
    }
}

impl<S: KvStore> AuthService<S> {
    /// Makes a batch rest on an administrator who is left after the change.
    ///
    /// # Errors
    /// [`Error::LastAdministrator`] when there is none left and there was one before.
    pub(super) fn keep_administrator(&self, change: &Change<'_>, batch: &mut Batch) -> Result<()> {
        if !self.config.keep_administrator {
            return Ok(());
        }
        if let Some(rests_on) = self.administrator(Some(change))? {
            for (key, stamp) in rests_on {
                batch.expect(key, Expect::Unchanged(stamp));
            }
            return Ok(());
        }
        match self.administrator(None)? {
            Some(_) => Err(Error::LastAdministrator),
            None => Ok(()),
        }
    }

    /// Whether anybody may manage users and roles.
    ///
    /// # Errors
    /// When the store fails or a record is damaged.
    pub fn has_administrator(&self) -> Result<bool> {
        Ok(self.administrator(None)?.is_some())
    }

    /// The records that make somebody an administrator after a change.
    fn administrator(
        &self,
        change: Option<&Change<'_>>,
    ) -> Result<Option<Vec<(bytes::Bytes, Stamp)>>> {
        let mut after = None;
        loop {
            let page = self.store.scan(places::USERS, after.as_deref(), PAGE)?;
            for entry in &page {
                let user: UserRecord = self.unseal(&entry.key, &entry.value)?;
                if let Some(mut rests_on) = self.as_administrator(&user, change)? {
                    rests_on.push((entry.key.clone(), entry.stamp));
                    return Ok(Some(rests_on));
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
                _ => return Ok(None),
            }
        }
    }

    fn as_administrator(
        &self,
        user: &UserRecord,
        change: Option<&Change<'_>>,
    ) -> Result<Option<Vec<(bytes::Bytes, Stamp)>>> {
        if user.disabled || change.is_some_and(|change| change.takes_user(user.id)) {
            return Ok(None);
        }
        let (mut permissions, mut rests_on) = (Vec::new(), Vec::new());
        for id in &user.roles {
            if change.is_some_and(|change| change.takes_role(user.id, *id)) {
                continue;
            }
            if let Some(Change::Define(defined, replaced)) = change
                && defined == id
            {
                permissions.extend_from_slice(replaced);
                continue;
            }
            if let Some((role, stamp)) = self.role(*id)? {
                permissions.extend_from_slice(&role.permissions);
                rests_on.push((places::role(*id), stamp));
            }
        }
        let manages = |area| policy::allows(&permissions, Action::Manage, &Resource::Admin(area));
        let is_one = manages(AdminArea::Users) && manages(AdminArea::Roles);
        Ok(is_one.then_some(rests_on))
    }
}
