//! The store in memory keeps the promises of the trait; records and indexes agree.

use crate::world::*;
use bytes::Bytes;
use cairn_auth::{Batch, Expect, KvStore, MemoryStore, Stamp, StoreError};
use proptest::prelude::*;

#[test]
fn a_batch_whose_expectation_fails_writes_nothing() {
    let store = MemoryStore::default();
    let mut batch = Batch::new();
    batch.put("a".into(), "1").put("b".into(), "1");
    store.commit(batch).expect("no conditions");
    let stamp = store.get(b"a").expect("reads").expect("there").stamp;
    let try_with = |key: &'static str, what: Expect| {
        let mut batch = Batch::new();
        batch.expect(key.into(), what).put("c".into(), "1").delete("b".into());
        store.commit(batch)
    };
    for (key, what) in [
        ("a", Expect::Absent),
        ("a", Expect::Unchanged(Stamp::new(stamp.get() + 1))),
        ("z", Expect::Unchanged(stamp)),
    ] {
        assert!(matches!(try_with(key, what), Err(StoreError::Conflict)));
        assert!(store.get(b"c").expect("reads").is_none() && store.len() == 2);
    }
    try_with("a", Expect::Unchanged(stamp)).expect("it holds");
    assert!(store.get(b"b").expect("reads").is_none() && store.len() == 2);
}

#[test]
fn a_scan_is_in_order_within_its_prefix_and_goes_on_after_a_key() {
    let store = MemoryStore::default();
    let mut batch = Batch::new();
    for key in ["a", "b", "b/", "b/1", "b/2", "b/3", "b0", "c"] {
        batch.put(key.into(), key);
    }
    store.commit(batch).expect("no conditions");
    let scan = |after: Option<&[u8]>, limit| -> Vec<Bytes> {
        let entries = store.scan(b"b/", after, limit).expect("reads");
        entries.into_iter().map(|entry| entry.key).collect()
    };
    assert_eq!(scan(None, 9), ["b/", "b/1", "b/2", "b/3"]);
    assert_eq!(scan(None, 2), ["b/", "b/1"]);
    assert_eq!(scan(Some(b"b/1"), 9), ["b/2", "b/3"]);
    assert_eq!(scan(Some(b"a"), 1), ["b/"]);
    assert!(scan(Some(b"c"), 9).is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Create(u8),
    Rename(u8, u8),
    Delete(u8),
    Login(u8),
    Issue(u8),
    Logout(u8),
    RevokeKey(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let small = || 0_u8..5;
    prop_oneof![
        4 => small().prop_map(Step::Create),
        2 => (small(), small()).prop_map(|(user, name)| Step::Rename(user, name)),
        2 => small().prop_map(Step::Delete),
        3 => small().prop_map(Step::Login),
        2 => small().prop_map(Step::Issue),
        1 => small().prop_map(Step::Logout),
        1 => small().prop_map(Step::RevokeKey),
    ]
}

/// What should be true of a user.
#[derive(Debug, Default)]
struct Model {
    users: Vec<(cairn_auth::UserId, String)>,
    sessions: Vec<(cairn_auth::UserId, cairn_auth::Secret)>,
    keys: Vec<(cairn_auth::UserId, cairn_auth::ApiKeyId, cairn_auth::Secret)>,
    dead: Vec<cairn_auth::Secret>,
}

fn run(world: &World, model: &mut Model, step: &Step) {
    let name = |n: u8| cairn_auth::Username::new(format!("User{n}")).expect("valid");
    let taken =
        |model: &Model, n: u8| model.users.iter().any(|(_, held)| *held == format!("User{n}"));
    let nth = |model: &Model, n: u8| model.users.get(usize::from(n)).cloned();
    match *step {
        Step::Create(n) => {
            let created = world.auth.create_user(&name(n), &PASSWORD.into(), &"".into());
            assert_eq!(created.is_ok(), !taken(model, n));
            model.users.extend(created.ok().map(|id| (id, format!("User{n}"))));
        }
        Step::Rename(user, n) => {
            let Some((id, held)) = nth(model, user) else { return };
            let free = !taken(model, n) || held == format!("User{n}");
            assert_eq!(world.auth.rename_user(id, &name(n)).is_ok(), free);
            if free {
                model.users[usize::from(user)].1 = format!("User{n}");
            }
        }
        Step::Delete(user) => {
            let Some((id, _)) = nth(model, user) else { return };
            world.auth.delete_user(id).expect("exists");
            model.users.remove(usize::from(user));
            let (gone, sessions) = model.sessions.drain(..).partition(|(owner, _)| *owner == id);
            model.sessions = sessions;
            let gone: Vec<_> = gone;
            model.dead.extend(gone.into_iter().map(|(_, token)| token));
            let (gone, keys): (Vec<_>, Vec<_>) =
                model.keys.drain(..).partition(|(owner, ..)| *owner == id);
            model.keys = keys;
            model.dead.extend(gone.into_iter().map(|(_, _, key)| key));
        }
        Step::Login(n) => {
            let session = world.login(&format!("uSER{n}"), PASSWORD);
            assert_eq!(session.is_ok(), taken(model, n));
            model.sessions.extend(session.ok().map(|session| (session.user, session.token)));
        }
        Step::Issue(user) => {
            let Some((id, _)) = nth(model, user) else { return };
            let key = world.auth.issue_api_key(id, &live_key()).expect("exists");
            model.keys.push((id, key.id, key.key));
        }
        Step::Logout(n) => {
            if usize::from(n) < model.sessions.len() {
                let (_, token) = model.sessions.remove(usize::from(n));
                world.auth.logout(&token).expect("a token");
                model.dead.push(token);
            }
        }
        Step::RevokeKey(n) => {
            if usize::from(n) < model.keys.len() {
                let (_, id, key) = model.keys.remove(usize::from(n));
                world.auth.revoke_api_key(id).expect("exists");
                model.dead.push(key);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_calls_does_what_a_model_does_and_keeps_indexes_whole(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let (world, mut model) = (world(), Model::default());
        steps.iter().for_each(|step| run(&world, &mut model, step));
        for (owner, token) in &model.sessions {
            prop_assert_eq!(world.auth.validate_session(token).expect("alive").user(), *owner);
        }
        for (owner, _, key) in &model.keys {
            prop_assert_eq!(world.auth.verify_api_key(key).expect("alive").user(), *owner);
        }
        for dead in &model.dead {
            prop_assert!(!world.is_alive(dead) && !world.key_works(dead));
        }
        let listed: Vec<_> = world.auth.list_users(None, 99).expect("reads")
            .into_iter().map(|user| (user.id, user.name.as_str().to_owned())).collect();
        prop_assert_eq!(&listed, &model.users);
        // One row of an index for each record, and none without.
        let count = |prefix: &str| world.store.scan(prefix.as_bytes(), None, 999).expect("reads").len();
        prop_assert_eq!((count("u/"), count("n/")), (listed.len(), listed.len()));
        prop_assert_eq!((count("s/"), count("s/")), (model.sessions.len(), count("t/")));
        prop_assert_eq!(count("k/"), count("o/"));
    }
}
