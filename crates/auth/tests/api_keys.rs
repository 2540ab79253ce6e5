//! API keys: form, scopes, end, rotation.

use crate::world::*;
use cairn_auth::{
    Action, ApiKeyRequest, AuthConfig, Batch, Entry, Error, KvStore, MemoryStore, Permission,
    Secret, Stamped, StoreError, Via,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Counts what is asked of the store.
struct Counting(Arc<MemoryStore>, Arc<AtomicUsize>);

impl KvStore for Counting {
    fn get(&self, key: &[u8]) -> Result<Option<Stamped>, StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.get(key)
    }

    fn scan(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.scan(prefix, after, limit)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.commit(batch)
    }
}

#[test]
fn every_bit_flip_and_every_typing_error_is_refused_before_the_store_is_asked() {
    let (store, asked) = (Arc::<MemoryStore>::default(), Arc::new(AtomicUsize::new(0)));
    let counting = Counting(Arc::clone(&store), Arc::clone(&asked));
    let world = world_on(counting, store, AuthConfig::default(), CheapHasher::default());
    let ada = world.user("ada");
    let key = world.auth.issue_api_key(ada, &live_key()).expect("issued").key;
    let before = asked.load(Ordering::SeqCst);
    let refused = |bytes: &[u8]| is_unauthenticated(&world.auth.verify_api_key(bytes));
    for bit in 0..key.len() * 8 {
        let mut bytes = key.expose().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(&bytes), "bit {bit}");
    }
    for len in 0..key.len() {
        assert!(refused(&key.expose()[..len]));
    }
    for place in 0..key.len() - 1 {
        let mut bytes = key.expose().to_vec();
        if bytes[place] != bytes[place + 1] {
            bytes.swap(place, place + 1);
            assert!(refused(&bytes), "neighbours swapped at {place}");
        }
    }
    assert!(refused(&vec![b'c'; 1 << 20]));
    assert_eq!(asked.load(Ordering::SeqCst), before);
    assert!(world.key_works(&key));
}

#[test]
fn a_forged_key_with_a_right_crc_is_refused() {
    let world = world();
    let ada = world.user("ada");
    let key = world.auth.issue_api_key(ada, &live_key()).expect("issued").key;
    let text = key.expose_str().expect("ASCII");
    let body = &text[..text.len() - 8];
    let with_crc = |body: String| format!("{body}{:08x}", crc32fast::hash(body.as_bytes()));
    assert_eq!(with_crc(body.to_owned()), text);
    let parts: Vec<&str> = body.split('_').collect();
    let (env, id, secret) = (parts[1], parts[2], parts[3]);
    let zeros = "0".repeat(64);
    for body in [
        format!("cairn_test_{id}_{secret}_"),
        format!("cairn_{env}_{id}_{zeros}_"),
        format!("cairn_{env}_{}_{secret}_", "0".repeat(20)),
        format!("cairn_{env}_{id}_{}_", secret.to_uppercase()),
        format!("cairn_{env}_{id}_{secret}_{secret}_"),
        format!("cairn__{id}_{secret}_"),
    ] {
        assert!(is_unauthenticated(&world.auth.verify_api_key(with_crc(body))));
    }
}

#[test]
fn a_key_may_what_its_owner_and_its_scopes_both_allow() {
    let world = world();
    let ada = world.user("ada");
    let role = world.role("reader", &[read_topics("x"), read_topics("y")]);
    world.auth.grant_role(ada, &role).expect("granted");
    let issue = |scopes: Option<Vec<Permission>>| {
        let request = ApiKeyRequest { scopes, ..live_key() };
        let key = world.auth.issue_api_key(ada, &request).expect("issued").key;
        world.auth.verify_api_key(&key).expect("alive")
    };
    let (full, narrow) = (issue(None), issue(Some(vec![read_topics("y"), read_topics("z")])));
    let none = issue(Some(Vec::new()));
    let may = |principal, topic| world.may(principal, Action::Read, topic);
    assert_eq!(["x", "y", "z"].map(|topic| may(&full, topic)), [true, true, false]);
    assert_eq!(["x", "y", "z"].map(|topic| may(&narrow, topic)), [false, true, false]);
    assert_eq!(["x", "y", "z"].map(|topic| may(&none, topic)), [false; 3]);
    world.auth.revoke_role(ada, &role).expect("had it");
    assert!(!may(&full, "x") && !may(&narrow, "y"), "it holds at once");
}

#[test]
fn a_key_expires_and_its_last_use_is_known_coarsely() {
    let world = world();
    let ada = world.user("ada");
    let lifetime = Some(Duration::from_secs(3600));
    let request = ApiKeyRequest { lifetime, ..live_key() };
    let key = world.auth.issue_api_key(ada, &request).expect("issued").key;
    let last_used = || world.auth.list_api_keys(ada).expect("reads")[0].last_used_at;
    assert_eq!(last_used(), None);
    assert!(world.key_works(&key));
    let first = last_used().expect("used");
    world.clock.advance(Duration::from_secs(299));
    assert!(world.key_works(&key));
    assert_eq!(last_used(), Some(first), "not written down for each use");
    world.clock.advance(Duration::from_secs(1));
    assert!(world.key_works(&key));
    assert_eq!(last_used(), Some(first.saturating_add(Duration::from_secs(300))));
    world.clock.advance(Duration::from_secs(3299));
    assert!(world.key_works(&key));
    world.clock.advance(Duration::from_secs(1));
    assert!(!world.key_works(&key));
}

#[test]
fn a_rotated_key_is_replaced_with_or_without_overlap() {
    let world = world();
    let ada = world.user("ada");
    let request = ApiKeyRequest { scopes: Some(vec![read_topics("x")]), ..live_key() };
    let first = world.auth.issue_api_key(ada, &request).expect("issued");
    let second = world.auth.rotate_api_key(first.id, Duration::from_secs(60)).expect("alive");
    assert!(world.key_works(&first.key) && world.key_works(&second.key));
    world.clock.advance(Duration::from_secs(60));
    assert!(!world.key_works(&first.key) && world.key_works(&second.key));
    let third = world.auth.rotate_api_key(second.id, Duration::ZERO).expect("alive");
    assert!(!world.key_works(&second.key) && world.key_works(&third.key));
    let again = world.auth.rotate_api_key(second.id, Duration::ZERO);
    assert!(matches!(again, Err(Error::NotFound { .. })));
    let keys = world.auth.list_api_keys(ada).expect("reads");
    assert!(keys.iter().all(|key| key.scopes == request.scopes && key.label == "ci"));
}

#[test]
fn a_revoked_key_is_dead_at_once_and_stays_listed() {
    let world = world();
    let ada = world.user("ada");
    let issued = world.auth.issue_api_key(ada, &live_key()).expect("issued");
    let principal = world.auth.verify_api_key(&issued.key).expect("alive");
    assert_eq!(principal.via(), Via::ApiKey(issued.id));
    world.auth.revoke_api_key(issued.id).expect("exists");
    assert!(!world.key_works(&issued.key) && !world.may(&principal, Action::Read, "x"));
    let keys = world.auth.list_api_keys(ada).expect("reads");
    assert!(keys[0].revoked_at.is_some() && keys[0].id == issued.id);
    let token = world.token("ada");
    world.auth.set_password(ada, &"another password".into()).expect("exists");
    assert!(!world.is_alive(&token));
}

#[test]
fn a_password_change_does_not_end_api_keys() {
    let world = world();
    let ada = world.user("ada");
    let key = world.auth.issue_api_key(ada, &live_key()).expect("issued").key;
    world.auth.set_password(ada, &"another password".into()).expect("exists");
    assert!(world.key_works(&key));
}

#[test]
fn a_user_has_at_most_the_allowed_keys_and_dead_ones_make_room() {
    let config = AuthConfig { api_keys_max: 3, ..AuthConfig::default() };
    let world = world_with(config, CheapHasher::default(), Arc::default());
    let ada = world.user("ada");
    let keys: Vec<_> =
        (0..3).map(|_| world.auth.issue_api_key(ada, &live_key()).expect("room")).collect();
    let full = world.auth.issue_api_key(ada, &live_key());
    assert!(matches!(full, Err(Error::Full { .. })));
    world.auth.revoke_api_key(keys[1].id).expect("exists");
    let new = world.auth.issue_api_key(ada, &live_key()).expect("room again");
    let alive = [&keys[0], &keys[1], &keys[2], &new].map(|key| world.key_works(&key.key));
    assert_eq!(alive, [true, false, true, true]);
    assert_eq!(world.auth.list_api_keys(ada).expect("reads").len(), 3);
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let world = world();
    let ada = world.user("ada");
    for environment in ["", "Live", "a_b", "seventeen-letters", "ä"] {
        let request = ApiKeyRequest { environment: environment.into(), ..live_key() };
        assert!(world.auth.issue_api_key(ada, &request).is_err(), "{environment:?}");
    }
    for label in ["x".repeat(65), "a\nb".to_owned()] {
        let request = ApiKeyRequest { label, ..live_key() };
        assert!(world.auth.issue_api_key(ada, &request).is_err());
    }
    let ghost = cairn_auth::UserId::new(999);
    assert!(matches!(world.auth.issue_api_key(ghost, &live_key()), Err(Error::NotFound { .. })));
    assert!(is_unauthenticated(&world.auth.verify_api_key(Secret::from(""))));
}
