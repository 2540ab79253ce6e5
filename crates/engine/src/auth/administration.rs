//! Administration as one principal may do it: the service's calls, each with the area it needs,
//! tied to the auth revision at which it was allowed, and told to the audit topic with who did
//! it. What people do with their own password, sessions and keys needs no area.

use std::time::Duration;

use cairn_auth::{
    Action, AdminArea, ApiKeyId, ApiKeyInfo, ApiKeyRequest, IssuedApiKey, KeyProvider, Permission,
    Resource, RoleInfo, RoleName, Secret, SessionId, SessionInfo, UserId, UserInfo, Username,
};

use super::acting::{Acting, AdmissionLost};
use super::{Guarded, Service};
use crate::{Error, Result};

/// How often an act is checked and tried again when permissions changed meanwhile.
const RETRIES: usize = 64;

impl Guarded {
    /// Acts when an area allows it, or when `own` says that it is the principal's own affair.
    fn act<T>(
        &self,
        action: Action,
        area: AdminArea,
        own: bool,
        mut op: impl FnMut(&Service) -> cairn_auth::Result<T>,
    ) -> Result<T> {
        let resource = Resource::Admin(area);
        let service = self.service().ok_or(Error::AuthNotOpen)?;
        for _ in 0..RETRIES {
            // Read first: a change that comes between it and the check is noticed at the commit.
            let before = self.engine().shared.auth.admission.revision();
            let admitted = if own && self.is_alive_and_whole()? {
                before
            } else {
                self.allowed_at(action, &resource)?
            };
            let _acting = self.principal().map(|principal| Acting::begin(principal, admitted));
            match op(service) {
                Err(cairn_auth::Error::Store(source)) if source.is::<AdmissionLost>() => {}
                result => return Ok(result?),
            }
        }
        Err(Error::from(cairn_auth::Error::Conflict { what: "permissions" }))
    }

    /// Whether the principal still counts and is not an API key with less than all of its
    /// owner's permissions: such a key must not make itself a stronger one.
    fn is_alive_and_whole(&self) -> Result<bool> {
        let (Some(service), Some(principal)) = (self.service(), self.principal()) else {
            return Ok(false);
        };
        let authority = service.authority(principal)?;
        Ok(authority.is_alive() && !authority.is_narrowed())
    }

    fn is_own(&self, user: UserId) -> bool {
        self.principal().is_some_and(|principal| principal.user() == user)
    }

    /// Creates a user; needs `Manage` on [`AdminArea::Users`].
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`] as the service says.
    pub fn create_user(
        &self,
        name: &Username,
        password: &Secret,
        metadata: &Secret,
    ) -> Result<UserId> {
        let create = |auth: &Service| auth.create_user(name, password, metadata);
        self.act(Action::Manage, AdminArea::Users, false, create)
    }

    /// Gives a user another name; needs `Manage` on users.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn rename_user(&self, id: UserId, name: &Username) -> Result<()> {
        self.act(Action::Manage, AdminArea::Users, false, |auth| auth.rename_user(id, name))
    }

    /// Disables a user; needs `Manage` on users.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`], also for the last administrator.
    pub fn disable_user(&self, id: UserId) -> Result<()> {
        self.act(Action::Manage, AdminArea::Users, false, |auth| auth.disable_user(id))
    }

    /// Enables a user again; needs `Manage` on users.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn enable_user(&self, id: UserId) -> Result<()> {
        self.act(Action::Manage, AdminArea::Users, false, |auth| auth.enable_user(id))
    }

    /// Deletes a user; needs `Manage` on users.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`], also for the last administrator.
    pub fn delete_user(&self, id: UserId) -> Result<()> {
        self.act(Action::Manage, AdminArea::Users, false, |auth| auth.delete_user(id))
    }

    /// Sets a password without the old one; needs `Manage` on users.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn set_password(&self, id: UserId, new: &Secret) -> Result<()> {
        self.act(Action::Manage, AdminArea::Users, false, |auth| auth.set_password(id, new))
    }

    /// Changes the principal's own password.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn change_own_password(&self, old: &Secret, new: &Secret) -> Result<()> {
        let id = self.principal().map(cairn_auth::Principal::user);
        let id = id.ok_or_else(|| Error::Denied { what: "a password of nobody".into() })?;
        let change = |auth: &Service| auth.change_password(id, old, new, None);
        self.act(Action::Manage, AdminArea::Users, true, change)
    }

    /// What is known of a user; needs `Read` on users, but not for oneself.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn user_info(&self, id: UserId) -> Result<UserInfo> {
        self.act(Action::Read, AdminArea::Users, self.is_own(id), |auth| auth.user_info(id))
    }

    /// The user of a name; needs `Read` on users.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn find_user(&self, name: &Username) -> Result<Option<UserId>> {
        self.act(Action::Read, AdminArea::Users, false, |auth| auth.find_user(name))
    }

    /// Users in the order of their numbers; needs `Read` on users.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn list_users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<UserInfo>> {
        self.act(Action::Read, AdminArea::Users, false, |auth| auth.list_users(after, limit))
    }

    /// Creates a role; needs `Manage` on [`AdminArea::Roles`].
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn create_role(&self, name: &RoleName, permissions: &[Permission]) -> Result<()> {
        let create = |auth: &Service| auth.create_role(name, permissions);
        self.act(Action::Manage, AdminArea::Roles, false, create)
    }

    /// Replaces what a role allows; needs `Manage` on roles.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn set_role_permissions(&self, name: &RoleName, permissions: &[Permission]) -> Result<()> {
        let set = |auth: &Service| auth.set_role_permissions(name, permissions);
        self.act(Action::Manage, AdminArea::Roles, false, set)
    }

    /// Deletes a role; needs `Manage` on roles.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`], also for the last administrator's.
    pub fn delete_role(&self, name: &RoleName) -> Result<()> {
        self.act(Action::Manage, AdminArea::Roles, false, |auth| auth.delete_role(name))
    }

    /// What a role allows; needs `Read` on roles.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn role_info(&self, name: &RoleName) -> Result<RoleInfo> {
        self.act(Action::Read, AdminArea::Roles, false, |auth| auth.role_info(name))
    }

    /// Names of roles; needs `Read` on roles.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn list_roles(&self, after: Option<&RoleName>, limit: usize) -> Result<Vec<RoleName>> {
        self.act(Action::Read, AdminArea::Roles, false, |auth| auth.list_roles(after, limit))
    }

    /// Gives a user a role; needs `Manage` on roles.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn grant_role(&self, user: UserId, name: &RoleName) -> Result<()> {
        self.act(Action::Manage, AdminArea::Roles, false, |auth| auth.grant_role(user, name))
    }

    /// Takes a role from a user; needs `Manage` on roles.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`], also for the last administrator.
    pub fn revoke_role(&self, user: UserId, name: &RoleName) -> Result<()> {
        self.act(Action::Manage, AdminArea::Roles, false, |auth| auth.revoke_role(user, name))
    }

    /// Roles of a user; needs `Read` on roles, but not for oneself.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn roles_of(&self, user: UserId) -> Result<Vec<RoleName>> {
        self.act(Action::Read, AdminArea::Roles, self.is_own(user), |auth| auth.roles_of(user))
    }

    /// Issues an API key; needs `Manage` on [`AdminArea::ApiKeys`], but not for oneself.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn issue_api_key(&self, owner: UserId, request: &ApiKeyRequest) -> Result<IssuedApiKey> {
        let own = self.is_own(owner);
        let issue = |auth: &Service| auth.issue_api_key(owner, request);
        self.act(Action::Manage, AdminArea::ApiKeys, own, issue)
    }

    /// API keys of a user; needs `Read` on API keys, but not for oneself.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn list_api_keys(&self, owner: UserId) -> Result<Vec<ApiKeyInfo>> {
        let own = self.is_own(owner);
        self.act(Action::Read, AdminArea::ApiKeys, own, |auth| auth.list_api_keys(owner))
    }

    /// Replaces an API key; needs `Manage` on API keys, but not for one's own.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn rotate_api_key(&self, id: ApiKeyId, overlap: Duration) -> Result<IssuedApiKey> {
        let own = self.owns_api_key(id)?;
        let rotate = |auth: &Service| auth.rotate_api_key(id, overlap);
        self.act(Action::Manage, AdminArea::ApiKeys, own, rotate)
    }

    /// Ends an API key; needs `Manage` on API keys, but not for one's own.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn revoke_api_key(&self, id: ApiKeyId) -> Result<()> {
        let own = self.owns_api_key(id)?;
        self.act(Action::Manage, AdminArea::ApiKeys, own, |auth| auth.revoke_api_key(id))
    }

    /// Puts the data keys under another master key; needs `Manage` on [`AdminArea::Keys`].
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn rotate_master_key(&self, new: &dyn KeyProvider) -> Result<()> {
        self.act(Action::Manage, AdminArea::Keys, false, |auth| auth.rotate_master_key(new))
    }

    fn owns_api_key(&self, id: ApiKeyId) -> Result<bool> {
        let (Some(service), Some(principal)) = (self.service(), self.principal()) else {
            return Ok(false);
        };
        Ok(service.list_api_keys(principal.user())?.iter().any(|key| key.id == id))
    }

    /// Living sessions of a user; needs `Read` on users, but not for oneself.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn list_sessions(&self, user: UserId) -> Result<Vec<SessionInfo>> {
        let own = self.is_own(user);
        self.act(Action::Read, AdminArea::Users, own, |auth| auth.list_sessions(user))
    }

    /// Ends a session; needs `Manage` on users, but not for one's own.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn revoke_session(&self, id: SessionId) -> Result<()> {
        let own = match (self.service(), self.principal()) {
            (Some(service), Some(principal)) => {
                service.list_sessions(principal.user())?.iter().any(|session| session.id == id)
            }
            _ => false,
        };
        self.act(Action::Manage, AdminArea::Users, own, |auth| auth.revoke_session(id))
    }

    /// Ends all sessions of a user; needs `Manage` on users, but not for oneself.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`].
    pub fn revoke_all_sessions(&self, user: UserId) -> Result<()> {
        let own = self.is_own(user);
        self.act(Action::Manage, AdminArea::Users, own, |auth| auth.revoke_all_sessions(user))
    }
}
