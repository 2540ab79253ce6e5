//! Changes that cross another one exactly between its reads and its commit.

use crate::world::*;
use cairn_auth::{AuthConfig, Batch, Entry, Error, KvStore, MemoryStore, Stamped, StoreError};
use std::sync::{Arc, Mutex};

type Hook = Box<dyn FnOnce() + Send>;

/// Runs something once, right before the next commit.
struct Crossed {
    store: Arc<MemoryStore>,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl KvStore for Crossed {
    fn get(&self, key: &[u8]) -> Result<Option<Stamped>, StoreError> {
        self.store.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.store.scan(prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let hook = self.hook.lock().expect("no panic").take();
        if let Some(hook) = hook {
            hook();
        }
        self.store.commit(batch)
    }
}

/// A service that is crossed, another one on the same store, and the hook.
fn crossed() -> (World<Crossed>, Arc<World>, Arc<Mutex<Option<Hook>>>) {
    let (store, hook) = (Arc::<MemoryStore>::default(), Arc::new(Mutex::new(None)));
    let on = Crossed { store: Arc::clone(&store), hook: Arc::clone(&hook) };
    let config = AuthConfig::default;
    let world = world_on(on, Arc::clone(&store), config(), CheapHasher::default());
    (world, Arc::new(world_with(config(), CheapHasher::default(), store)), hook)
}

fn cross(hook: &Mutex<Option<Hook>>, run: impl FnOnce() + Send + 'static) {
    *hook.lock().expect("no panic") = Some(Box::new(run));
}

#[test]
fn no_session_and_no_key_is_born_to_a_user_who_is_being_deleted() {
    let (world, other, hook) = crossed();
    for by_key in [false, true] {
        let ada = other.user("ada");
        let deleter = Arc::clone(&other);
        cross(&hook, move || deleter.auth.delete_user(ada).expect("exists"));
        if by_key {
            let issued = world.auth.issue_api_key(ada, &live_key());
            assert!(matches!(issued, Err(Error::NotFound { .. })));
        } else {
            assert!(is_unauthenticated(&world.login("ada", PASSWORD)));
        }
        for prefix in ["s/", "t/", "k/", "o/"] {
            let rows = world.store.scan(prefix.as_bytes(), None, 9).expect("reads");
            assert!(rows.is_empty(), "{prefix}");
        }
    }
}

#[test]
fn a_change_that_was_crossed_is_made_on_what_is_there_then() {
    let (world, other, hook) = crossed();
    let ada = other.user("ada");
    let (one, two) = (other.role("one", &[]), other.role("two", &[]));
    let (granter, crossing) = (Arc::clone(&other), two.clone());
    cross(&hook, move || granter.auth.grant_role(ada, &crossing).expect("granted"));
    world.auth.grant_role(ada, &one).expect("tried again");
    assert_eq!(world.auth.roles_of(ada).expect("reads"), [one, two]);
}

#[test]
fn a_password_that_was_changed_meanwhile_is_not_overwritten_by_who_knew_the_old_one() {
    let (world, other, hook) = crossed();
    let ada = other.user("ada");
    let admin = Arc::clone(&other);
    cross(&hook, move || admin.auth.set_password(ada, &"set by admin".into()).expect("exists"));
    let changed = world.auth.change_password(ada, &PASSWORD.into(), &"by a thief".into(), None);
    assert!(is_unauthenticated(&changed));
    assert!(world.login("ada", "set by admin").is_ok());
}

#[test]
fn a_role_that_is_deleted_meanwhile_is_not_granted() {
    let (world, other, hook) = crossed();
    let ada = other.user("ada");
    let role = other.role("one", &[]);
    let (deleter, crossing) = (Arc::clone(&other), role.clone());
    cross(&hook, move || deleter.auth.delete_role(&crossing).expect("exists"));
    let granted = world.auth.grant_role(ada, &role);
    assert!(matches!(granted, Err(Error::NotFound { .. })));
}

#[test]
fn a_revoked_session_is_not_revived_by_its_own_use() {
    let (world, other, hook) = crossed();
    other.user("ada");
    let session = other.login("ada", PASSWORD).expect("logs in");
    // Late enough that the use is written down.
    world.clock.advance(std::time::Duration::from_secs(600));
    let (revoker, id) = (Arc::clone(&other), session.id);
    cross(&hook, move || revoker.auth.revoke_session(id).expect("revoked"));
    let _ = world.auth.validate_session(&session.token);
    assert!(!world.is_alive(&session.token));
}
