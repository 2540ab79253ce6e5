//! Who may do what: pure functions on values. Derived from roles and scopes; nothing is read.
//!
//! A [`Permission`] allows [`Actions`] on a [`Scope`]. There are no prohibitions: what nothing
//! allows is denied, so the order of permissions never matters and adding one never takes
//! anything away. A request for a range of keys is allowed when permissions cover the range
//! together, without a gap (as in etcd); each key of it is then allowed.
//!
//! ```
//! use cairn_auth::{Action, Actions, KeyRange, NamePattern, Permission, Resource, Scope, policy};
//! use cairn_types::KeyspaceName;
//! let orders = KeyspaceName::new("orders").expect("a valid name");
//! let may = [Permission::new(
//!     Actions::READ,
//!     Scope::Keys(NamePattern::exact("orders")?, KeyRange::prefix(b"eu/")),
//! )];
//! let ask = |key: &[u8]| Resource::Keys(orders.clone(), KeyRange::key(key));
//! assert!(policy::allows(&may, Action::Read, &ask(b"eu/7")));
//! assert!(!policy::allows(&may, Action::Read, &ask(b"us/7")));
//! assert!(!policy::allows(&may, Action::Write, &ask(b"eu/7")));
//! # Ok::<(), cairn_auth::Error>(())
//! ```

mod range;
mod scope;

pub use range::KeyRange;
pub use scope::{AdminArea, NamePattern, Resource, Scope};

use std::fmt;
use std::ops::BitOr;

/// Most permissions of a role or an API key.
pub const MAX_PERMISSIONS: usize = 256;

/// Something one can do to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Get, scan, watch; read events; look at settings and figures.
    Read,
    /// Put, delete; append events.
    Write,
    /// Create, drop, configure, trim; change settings.
    Manage,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Manage];
}

/// A set of actions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Actions(u8);

impl Actions {
    /// None.
    pub const NONE: Self = Self(0);
    /// [`Action::Read`].
    pub const READ: Self = Self(1);
    /// [`Action::Write`].
    pub const WRITE: Self = Self(2);
    /// [`Action::Manage`].
    pub const MANAGE: Self = Self(4);
    /// All of them.
    pub const ALL: Self = Self(7);

    /// Whether the action is in the set.
    #[must_use]
    pub const fn contains(self, action: Action) -> bool {
        self.0 & (1 << action as u8) != 0
    }

    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// The set with these bits; `None` when there are unknown ones.
    pub(crate) const fn from_bits(bits: u8) -> Option<Self> {
        if bits & !Self::ALL.0 == 0 { Some(Self(bits)) } else { None }
    }
}

impl BitOr for Actions {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Action::ALL.iter().filter(|action| self.contains(**action))).finish()
    }
}

/// Allows some actions on a part of the database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Permission {
    /// What is allowed.
    pub actions: Actions,
    /// On what.
    pub scope: Scope,
}

impl Permission {
    /// Allows these actions there.
    #[must_use]
    pub const fn new(actions: Actions, scope: Scope) -> Self {
        Self { actions, scope }
    }

    /// The permissions of somebody who may do everything.
    #[must_use]
    pub fn everything() -> Vec<Self> {
        let scopes =
            [Scope::Keyspace(NamePattern::Any), Scope::Topic(NamePattern::Any), Scope::Admin(None)];
        scopes.into_iter().map(|scope| Self::new(Actions::ALL, scope)).collect()
    }
}

/// Whether these permissions allow an action on one key. Allocates nothing: it is asked for
/// every key that is read or written.
#[must_use]
pub fn allows_key<'a>(
    permissions: impl IntoIterator<Item = &'a Permission>,
    action: Action,
    keyspace: &str,
    key: &[u8],
) -> bool {
    permissions.into_iter().any(|permission| {
        permission.actions.contains(action)
            && match &permission.scope {
                Scope::Keys(names, range) => range.contains(key) && names.matches(keyspace),
                Scope::Keyspace(names) => names.matches(keyspace),
                Scope::Topic(_) | Scope::Admin(_) => false,
            }
    })
}

/// Whether these permissions together allow an action on a resource.
#[must_use]
pub fn allows<'a>(
    permissions: impl IntoIterator<Item = &'a Permission>,
    action: Action,
    resource: &Resource,
) -> bool {
    let fitting = permissions.into_iter().filter(|permission| permission.actions.contains(action));
    let mut ranges = Vec::new();
    for permission in fitting {
        if permission.scope.covers(resource) {
            return true;
        }
        ranges.extend(permission.scope.range_towards(resource));
    }
    match resource {
        // No range covers it alone; perhaps several do, one after the other.
        Resource::Keys(_, asked) => ranges.len() > 1 && asked.is_covered_by(&mut ranges),
        _ => false,
    }
}
