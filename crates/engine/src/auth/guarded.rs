//! The engine as one principal may use it: every call is checked where it is made. Derived: it
//! remembers the principal's permissions for one auth revision.

use std::sync::{Arc, PoisonError, RwLock};

use cairn_auth::audit::Cause;
use cairn_auth::{Action, Authority, Decision, Principal, Resource};
use cairn_types::{KeyspaceName, Topic};

use super::audit::resource_of;
use super::{AUDIT_TOPIC, GuardedKeyspace, Service};
use crate::{Appended, Engine, Error, NewEvent, Result, TopicConfig};

/// The engine for one principal, or for nobody. Clones are the same principal.
///
/// Nothing is allowed but what the principal's roles allow, and an API key's scopes too. Each
/// call is checked when it is made: a role taken away counts from the next call on. Refusals
/// go to the audit topic.
#[derive(Debug, Clone)]
pub struct Guarded {
    engine: Engine,
    service: Option<Arc<Service>>,
    principal: Option<Principal>,
    known: Arc<RwLock<Option<Known>>>,
}

/// Permissions as they were worked out at an auth revision.
#[derive(Debug)]
struct Known {
    revision: u64,
    authority: Authority,
}

impl Guarded {
    pub(super) fn new(
        engine: Engine,
        service: Option<Arc<Service>>,
        principal: Option<Principal>,
    ) -> Self {
        Self { engine, service, principal, known: Arc::default() }
    }

    /// Who it is; `None` for nobody.
    #[must_use]
    pub const fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    pub(super) const fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(super) const fn service(&self) -> Option<&Arc<Service>> {
        self.service.as_ref()
    }

    /// Whether it may do something now, without doing it. A refusal goes to the audit topic.
    ///
    /// # Errors
    /// [`Error::Denied`]; [`Error::Auth`] when the records cannot be read.
    pub fn check(&self, action: Action, resource: &Resource) -> Result<()> {
        self.admit(action, resource, || Ok(()))
    }

    /// Does something that is allowed; no change of permissions comes between.
    pub(super) fn admit<T>(
        &self,
        action: Action,
        resource: &Resource,
        op: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        self.admit_all(&[(action, resource.clone())], op)
    }

    /// As [`admit`](Self::admit) for several things, all of which must be allowed.
    pub(super) fn admit_all<T>(
        &self,
        asked: &[(Action, Resource)],
        op: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let refused = {
            let _inside = self.engine.shared.auth.admission.enter();
            let mut refused = None;
            for (action, resource) in asked {
                let decision = match resource {
                    // Append-only for everybody, whatever a role says.
                    Resource::Topic(topic)
                        if topic.as_str() == AUDIT_TOPIC && *action != Action::Read =>
                    {
                        Decision::Deny(Cause::NoPermission)
                    }
                    _ => self.decide(|authority| authority.decide(*action, resource))?,
                };
                if !decision.is_allowed() {
                    refused = Some((*action, resource, decision));
                    break;
                }
            }
            match refused {
                None => return op(),
                Some(refused) => refused,
            }
        };
        let (action, resource, decision) = refused;
        Err(self.refuse(action, resource, decision))
    }

    /// As [`admit`](Self::admit) for one key; allocates nothing when it is allowed.
    pub(super) fn admit_key<T>(
        &self,
        action: Action,
        keyspace: &KeyspaceName,
        key: &[u8],
        op: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let decision = {
            let _inside = self.engine.shared.auth.admission.enter();
            let decision =
                self.decide(|authority| authority.decide_key(action, keyspace.as_str(), key))?;
            if decision.is_allowed() {
                return op();
            }
            decision
        };
        let resource = super::requests::key(keyspace, key)?;
        Err(self.refuse(action, &resource, decision))
    }

    /// Decides inside the admission: the auth revision does not move meanwhile.
    fn decide(&self, by: impl FnOnce(&Authority) -> Decision) -> Result<Decision> {
        let (Some(service), Some(principal)) = (&self.service, &self.principal) else {
            let denied = self.engine.auth_enabled()?;
            return Ok(if denied { Decision::Deny(Cause::Unknown) } else { Decision::Allow });
        };
        let revision = self.engine.shared.auth.admission.revision();
        let over = |authority: &Authority| {
            authority.until().is_some_and(|until| self.engine.log().clock().now() >= until)
        };
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = &*known
                && known.revision == revision
                && !over(&known.authority)
            {
                return Ok(by(&known.authority));
            }
        }
        let authority = service.authority(principal)?;
        let decision = by(&authority);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Known { revision, authority });
        Ok(decision)
    }

    /// The auth revision at which something was just allowed.
    pub(super) fn allowed_at(&self, action: Action, resource: &Resource) -> Result<u64> {
        self.admit(action, resource, || Ok(self.engine.shared.auth.admission.revision()))
    }

    pub(super) fn refuse(&self, action: Action, resource: &Resource, decision: Decision) -> Error {
        if let Some(service) = &self.service {
            service.tell_decision(self.principal.as_ref(), action, resource, decision);
        }
        let verb = match action {
            Action::Read => "read",
            Action::Write => "write",
            Action::Manage => "manage",
        };
        Error::Denied { what: format!("{verb} {}", resource_of(resource)) }
    }

    /// Creates a keyspace; needs `Manage` on it.
    ///
    /// # Errors
    /// [`Error::Denied`]; as [`Engine::create_keyspace`].
    pub fn create_keyspace(&self, name: &str) -> Result<bool> {
        let resource = Resource::Keyspace(KeyspaceName::new(name)?);
        self.admit(Action::Manage, &resource, || self.engine.create_keyspace(name))
    }

    /// Drops a keyspace; needs `Manage` on it.
    ///
    /// # Errors
    /// [`Error::Denied`]; as [`Engine::drop_keyspace`].
    pub fn drop_keyspace(&self, name: &str) -> Result<()> {
        let resource = Resource::Keyspace(KeyspaceName::new(name)?);
        self.admit(Action::Manage, &resource, || self.engine.drop_keyspace(name))
    }

    /// A keyspace by name; needs no permission itself, every call on it does.
    ///
    /// # Errors
    /// As [`Engine::keyspace`].
    pub fn keyspace(&self, name: &str) -> Result<GuardedKeyspace> {
        Ok(GuardedKeyspace::new(self.clone(), self.engine.keyspace(name)?))
    }

    /// Names of the keyspaces that may be read as a whole.
    ///
    /// # Errors
    /// [`Error::Auth`] when the records cannot be read.
    pub fn keyspaces(&self) -> Result<Vec<KeyspaceName>> {
        let names = self.engine.keyspaces().into_iter().map(|keyspace| keyspace.name().clone());
        self.readable(names, Resource::Keyspace)
    }

    /// Names of the topics that may be read.
    ///
    /// # Errors
    /// [`Error::Auth`] when the records cannot be read.
    pub fn topics(&self) -> Result<Vec<Topic>> {
        self.readable(self.engine.topics().into_iter().map(|(name, _)| name), Resource::Topic)
    }

    fn readable<N: Clone>(
        &self,
        names: impl Iterator<Item = N>,
        resource: impl Fn(N) -> Resource,
    ) -> Result<Vec<N>> {
        let _inside = self.engine.shared.auth.admission.enter();
        let mut readable = Vec::new();
        for name in names {
            let asked = resource(name.clone());
            if self.decide(|authority| authority.decide(Action::Read, &asked))?.is_allowed() {
                readable.push(name);
            }
        }
        Ok(readable)
    }

    /// Creates a topic; needs `Manage` on it.
    ///
    /// # Errors
    /// [`Error::Denied`]; as [`Engine::create_topic`].
    pub fn create_topic(&self, name: &str, config: TopicConfig) -> Result<bool> {
        let resource = Self::topic(name)?;
        self.admit(Action::Manage, &resource, || self.engine.create_topic(name, config))
    }

    /// Drops a topic; needs `Manage` on it. Nobody may drop the audit topic.
    ///
    /// # Errors
    /// [`Error::Denied`]; as [`Engine::drop_topic`].
    pub fn drop_topic(&self, name: &str) -> Result<()> {
        let resource = Self::topic(name)?;
        self.admit(Action::Manage, &resource, || self.engine.drop_topic(name))
    }

    /// Changes how long events are kept; needs `Manage` on the topic. Nobody may shorten the
    /// audit topic. `change` must not call this handle: changes of permissions wait for it.
    ///
    /// # Errors
    /// [`Error::Denied`]; as [`Engine::set_retention`].
    pub fn set_retention(
        &self,
        topic: &str,
        change: impl FnOnce(&mut TopicConfig),
    ) -> Result<TopicConfig> {
        let resource = Self::topic(topic)?;
        self.admit(Action::Manage, &resource, || self.engine.set_retention(topic, change))
    }

    /// Appends one event; needs `Write` on the topic. Only the audit log itself writes to the
    /// audit topic.
    ///
    /// # Errors
    /// [`Error::Denied`]; as [`Engine::append`].
    pub fn append(&self, topic: &str, event: NewEvent) -> Result<Appended> {
        let resource = Self::topic(topic)?;
        self.admit(Action::Write, &resource, || self.engine.append(topic, event))
    }

    /// Appends events, all or none.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn append_batch(&self, topic: &str, events: &[NewEvent]) -> Result<Vec<Appended>> {
        let resource = Self::topic(topic)?;
        self.admit(Action::Write, &resource, || self.engine.append_batch(topic, events))
    }

    pub(super) fn topic(topic: &str) -> Result<Resource> {
        Ok(Resource::Topic(Topic::new(topic)?))
    }
}
