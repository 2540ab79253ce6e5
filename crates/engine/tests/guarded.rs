//! Guarded handles: leases, async, and a model of users, roles, keys and time that decides.

use std::sync::Arc;
use std::time::Duration;

use cairn_auth::{Action, Actions, ApiKeyId, ApiKeyRequest, KeyRange, Resource, UserId};
use cairn_engine::auth::{AuthOptions, Guarded, Service};
use cairn_engine::{Engine, Error};
use cairn_mvcc::{LeaseId, Put, Range};
use cairn_segment::{Log, LogConfig};
use cairn_types::{KeyspaceName, Lsn};
use cairn_vfs::{ManualClock, MemVfs, Vfs};
use proptest::prelude::*;

use crate::auth::{NoHasher, denied, key, on_keys, role, user, world};

#[test]
fn a_lease_takes_what_deleting_its_keys_takes() {
    let (engine, auth, _, ada) = world(&[on_keys(Actions::READ | Actions::WRITE, "a/")]);
    let root = engine.as_principal(crate::auth::login(&auth, "root")).expect("open");
    let (own, all) = (Range::prefix(&b"a/"[..]), Range::all());
    denied(ada.grant_lease("k", &all, 60));
    denied(ada.grant_lease("other", &own, 60));
    let lease = ada.grant_lease("k", &own, 60).expect("allowed").id;
    let keys = ada.keyspace("k").expect("there");
    let stream = engine.keyspace("k").expect("there").stream();
    let with = |key: &'static str, lease: LeaseId| Put { lease, ..Put::new(stream, key, "x") };
    keys.put_with(with("a/1", lease)).expect("allowed");
    denied(keys.put_with(with("b/1", lease)));
    assert_eq!(ada.keep_lease_alive(lease).expect("allowed"), 60);
    assert_eq!(ada.lease(lease).expect("allowed").expect("there").keys.len(), 1);
    // With a key of somebody else's on it, it is not hers alone any more.
    root.keyspace("k").expect("there").put_with(with("b/1", lease)).expect("allowed");
    denied(ada.keep_lease_alive(lease));
    denied(ada.revoke_lease(lease));
    denied(ada.lease(lease));
    root.revoke_lease(lease).expect("allowed");
    assert_eq!(keys.get("a/1").expect("allowed"), None);
    let nobody = engine.as_anonymous();
    denied(nobody.grant_lease("k", &own, 60));
    let empty = ada.grant_lease("k", &own, 60).expect("allowed").id;
    denied(nobody.revoke_lease(empty));
    denied(nobody.lease(empty));
    auth.revoke_role(ada.principal().expect("ada").user(), &role("role")).expect("revokes");
    denied(ada.grant_lease("k", &own, 60));
    denied(ada.revoke_lease(empty));
}

#[test]
fn a_key_that_is_attached_while_a_lease_is_ended_does_not_go_unasked() {
    let (engine, auth, _, ada) = world(&[on_keys(Actions::READ | Actions::WRITE, "a/")]);
    let root = engine.as_principal(crate::auth::login(&auth, "root")).expect("open");
    let (own, roots) = (Range::prefix(&b"a/"[..]), root.keyspace("k").expect("there"));
    let stream = engine.keyspace("k").expect("there").stream();
    let mut ends = [0, 0];
    for round in 0..200 {
        let lease = ada.grant_lease("k", &own, 60).expect("allowed").id;
        let secret = format!("b/{round}");
        let put = Put { lease, ..Put::new(stream, secret.clone(), "x") };
        let (attached, ended) = std::thread::scope(|scope| {
            let attached = scope.spawn(|| roots.put_with(put).is_ok());
            (0..round % 20).for_each(|_| std::thread::yield_now());
            let ended = ada.revoke_lease(lease).is_ok();
            (attached.join().expect("ends"), ended)
        });
        assert!(attached != ended, "round {round}: one of the two came first: {attached} {ended}");
        assert_eq!(roots.get(&secret).expect("allowed").is_some(), attached, "round {round}");
        ends[usize::from(ended)] += 1;
    }
    println!("{ends:?}");
    let lease = ada.grant_lease("k", &own, 60).expect("allowed").id;
    let keys = engine.keys();
    let others = [(stream, bytes::Bytes::from("a/1"))];
    assert_eq!(keys.lease_revoke_of(lease, &others).expect("is there"), None);
    assert_eq!(keys.lease_keep_alive_of(lease, &others).expect("is there"), None);
    assert_eq!(keys.lease_keep_alive_of(lease, &[]).expect("is there"), Some(60));
    assert_eq!(keys.lease_revoke_of(lease, &[]).expect("is there"), Some(0));
}

#[cfg(feature = "tokio")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_calls_are_checked_and_a_stream_that_waits_ends_with_a_revocation() {
    use cairn_engine::{NewEvent, ReadFrom};
    let (engine, auth, id, ada) = world(&[crate::auth::on_topic(Actions::READ | Actions::WRITE)]);
    ada.append_async("t", NewEvent::text("one")).await.expect("allowed");
    denied(engine.as_anonymous().append_async("t", NewEvent::text("two")).await);
    denied(engine.as_anonymous().stream("t", 0, ReadFrom::Earliest));
    let mut stream = ada.stream("t", 0, ReadFrom::Earliest).expect("allowed");
    assert_eq!(stream.next().await.expect("allowed").data.as_str(), Some("one"));
    let waiting = tokio::spawn(async move { stream.next().await });
    let revoke = tokio::task::spawn_blocking(move || auth.revoke_role(id, &role("role")));
    revoke.await.expect("ends").expect("revokes");
    let ended = tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("in time");
    denied(ended.expect("ends"));
    denied(ada.append_async("t", NewEvent::text("three")).await);
    denied(ada.append_batch_async("t", &[NewEvent::text("three")]).await);
}

#[test]
fn a_watch_that_waits_ends_with_a_revocation_and_says_so() {
    let (engine, auth, id, ada) = world(&[on_keys(Actions::READ, "a/")]);
    let keys = ada.keyspace("k").expect("there");
    let stream = engine.keyspace("k").expect("there").stream();
    let request = cairn_mvcc::WatchRequest::new(stream, Range::prefix(&b"a/"[..]));
    let mut watch = keys.watch(request).expect("allowed");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || watch.next(Duration::from_secs(60)));
        auth.revoke_role(id, &role("role")).expect("revokes");
        denied(waiting.join().expect("ends"));
    });
}

/// A write is visible in the log before it is published, and publishing it wakes nobody.
#[test]
fn a_watch_that_waits_sees_what_was_visible_before_it_was_published() {
    let (engine, _auth, _, ada) = world(&[on_keys(Actions::READ, "")]);
    let keys = ada.keyspace("k").expect("there");
    let stream = engine.keyspace("k").expect("there").stream();
    let request = cairn_mvcc::WatchRequest::new(stream, Range::all());
    let mut watch = keys.watch(request).expect("allowed");
    let put = Put::new(stream, "a", "1");
    let submitted = engine.keys().submit(&[], |planner| planner.put(&put)).expect("submits");
    engine.log().sync().expect("syncs");
    assert!(engine.revision() < submitted.revision);
    std::thread::scope(|scope| {
        let begin = std::time::Instant::now();
        let waiting = scope.spawn(move || watch.next(Duration::from_secs(60)));
        // Meanwhile it looks, finds nothing that it may show, and waits.
        assert!(!engine.log().wait_for(Lsn::new(u64::MAX), Duration::from_millis(50)));
        engine.keys().wait(&submitted).expect("waits");
        let batch = waiting.join().expect("ends").expect("allowed").expect("comes");
        assert_eq!(batch.revision, submitted.revision);
        assert!(begin.elapsed() < Duration::from_secs(30), "not when its time was over");
    });
}

#[test]
fn keeping_a_part_of_what_is_there_takes_reading_it() {
    let (engine, _auth, _, ada) = world(&[on_keys(Actions::WRITE, "a/")]);
    let stream = engine.keyspace("k").expect("there").stream();
    let keys = ada.keyspace("k").expect("there");
    let put = || Put::new(stream, "a/1", "");
    keys.put_with(put()).expect("allowed");
    denied(keys.put_with(Put { prev_kv: true, ..put() }));
    denied(keys.put_with(Put { ignore_value: true, ..put() }));
    denied(keys.put_with(Put { ignore_lease: true, ..put() }));
}

#[derive(Debug, Clone)]
enum Step {
    Grant(usize, usize),
    Revoke(usize, usize),
    Define(usize, u8, bool),
    DropRole(usize),
    Able(usize, bool),
    RevokeKey(usize),
    NewKey(usize, Option<u8>, Option<u8>),
    Pass(u8),
    Restart,
    Try(usize, u8, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (user, role, key) = (0..3_usize, 0..3_usize, 0..3_u8);
    let step = prop_oneof![
        3 => (user.clone(), role.clone()).prop_map(|(user, role)| Step::Grant(user, role)),
        2 => (user.clone(), role.clone()).prop_map(|(user, role)| Step::Revoke(user, role)),
        2 => (role.clone(), key.clone(), any::<bool>())
            .prop_map(|(role, key, write)| Step::Define(role, key, write)),
        1 => role.prop_map(Step::DropRole),
        2 => (user.clone(), any::<bool>()).prop_map(|(user, on)| Step::Able(user, on)),
        1 => user.clone().prop_map(Step::RevokeKey),
        2 => (user.clone(), proptest::option::of(1..60_u8), proptest::option::of(key.clone()))
            .prop_map(|(user, life, scope)| Step::NewKey(user, life, scope)),
        2 => (1..40_u8).prop_map(Step::Pass),
        1 => Just(Step::Restart),
        8 => (user, key, any::<bool>()).prop_map(|(user, key, write)| Step::Try(user, key, write)),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A key as the model has it.
#[derive(Debug, Clone)]
struct ModelKey {
    secret: cairn_auth::Secret,
    id: ApiKeyId,
    ends: Option<u64>,
    scope: Option<u8>,
    revoked: bool,
}

/// What decides: plain tables.
#[derive(Debug, Default)]
struct Model {
    now: u64,
    roles: [Option<(u8, bool)>; 3],
    granted: [[bool; 3]; 3],
    disabled: [bool; 3],
    keys: [Option<ModelKey>; 3],
}

impl Model {
    fn counts(&self, user: usize) -> bool {
        let key = self.keys[user].as_ref();
        !self.disabled[user]
            && key.is_some_and(|key| !key.revoked && key.ends.is_none_or(|ends| self.now < ends))
    }

    fn allows(&self, user: usize, key: u8, write: bool) -> bool {
        let scoped = self.keys[user].as_ref().and_then(|key| key.scope);
        let by_role = (0..3).any(|role| {
            let allows = |(on, writes): (u8, bool)| on == key && (writes || !write);
            self.granted[user][role] && self.roles[role].is_some_and(allows)
        });
        // A scope is for reading one key.
        self.counts(user) && by_role && scoped.is_none_or(|scope| scope == key && !write)
    }
}

fn open(vfs: &MemVfs, clock: &Arc<ManualClock>) -> (Engine, Arc<Service>) {
    let config = LogConfig { background: false, ..LogConfig::default() };
    let log = Log::options()
        .vfs(Arc::new(vfs.clone()) as Arc<dyn Vfs>)
        .clock(clock.clone())
        .config(config);
    let options = AuthOptions { hasher: Arc::new(NoHasher), ..AuthOptions::default() };
    let engine = Engine::options().log(log).encrypted_by(&key(3)).expect("a key");
    engine.open().expect("opens").into_auth_service_with(&key(1), options).expect("opens")
}

fn issue(auth: &Service, user: UserId, life: Option<u8>, scope: Option<u8>, now: u64) -> ModelKey {
    let request = ApiKeyRequest {
        environment: "test".into(),
        lifetime: life.map(|life| Duration::from_secs(life.into())),
        scopes: scope.map(|key| vec![on_keys(Actions::READ, &key.to_string())]),
        ..ApiKeyRequest::default()
    };
    let issued = auth.issue_api_key(user, &request).expect("issues");
    let ends = life.map(|life| now + u64::from(life));
    ModelKey { secret: issued.key, id: issued.id, ends, scope, revoked: false }
}

/// A call through a handle made before and through one made now.
fn tries(
    (engine, auth): &(Engine, Arc<Service>),
    held: Option<&Guarded>,
    secret: &cairn_auth::Secret,
    key: u8,
    write: bool,
) -> Vec<Result<(), Error>> {
    let call = |handle: &Guarded| {
        let keys = handle.keyspace("k")?;
        if write {
            keys.put(key.to_string(), "x").map(drop)
        } else {
            keys.get(key.to_string()).map(drop)
        }
    };
    let fresh = auth.verify_api_key(secret).map_err(Error::from);
    let fresh = fresh.and_then(|principal| engine.as_principal(principal));
    let mut done = vec![fresh.and_then(|handle| call(&handle))];
    done.extend(held.map(call));
    done
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Grants, revokes, role changes, disabled users, revoked and expired keys, narrowed keys and
    /// restarts: a handle allows exactly what plain tables allow, one held for long like a new one.
    #[test]
    fn no_history_leaves_access_that_plain_tables_deny(steps in steps()) {
        let (vfs, clock) = (MemVfs::new(), Arc::new(ManualClock::default()));
        let mut both = open(&vfs, &clock);
        both.0.create_keyspace("k").expect("creates");
        let root = user(&both.1, "root");
        both.1.create_role(&role("admin"), &cairn_auth::Permission::everything()).expect("creates");
        both.1.grant_role(root, &role("admin")).expect("grants");
        both.0.enable_auth().expect("enables");
        let users: Vec<UserId> = (0..3).map(|number| user(&both.1, &format!("u{number}"))).collect();
        let mut model = Model::default();
        let mut held: [Option<Guarded>; 3] = [None, None, None];
        let permission = |key: u8, write: bool| {
            let actions = if write { Actions::READ | Actions::WRITE } else { Actions::READ };
            vec![on_keys(actions, &key.to_string())]
        };
        for step in steps {
            let auth = both.1.clone();
            match step {
                Step::Grant(user, number) => {
                    let name = role(&format!("r{number}"));
                    let granted = auth.grant_role(users[user], &name);
                    prop_assert_eq!(granted.is_ok(), model.roles[number].is_some());
                    model.granted[user][number] |= granted.is_ok();
                }
                Step::Revoke(user, number) => {
                    let _none_was_there = auth.revoke_role(users[user], &role(&format!("r{number}")));
                    model.granted[user][number] = false;
                }
                Step::Define(number, key, write) => {
                    let name = role(&format!("r{number}"));
                    match model.roles[number] {
                        None => auth.create_role(&name, &permission(key, write)).expect("creates"),
                        Some(_) => auth.set_role_permissions(&name, &permission(key, write)).expect("sets"),
                    }
                    model.roles[number] = Some((key, write));
                }
                Step::DropRole(number) => {
                    let _none_was_there = auth.delete_role(&role(&format!("r{number}")));
                    model.roles[number] = None;
                    model.granted.iter_mut().for_each(|granted| granted[number] = false);
                }
                Step::Able(user, on) => {
                    if on { auth.enable_user(users[user]) } else { auth.disable_user(users[user]) }
                        .expect("changes");
                    model.disabled[user] = !on;
                }
                Step::RevokeKey(user) => {
                    if let Some(key) = &mut model.keys[user] {
                        auth.revoke_api_key(key.id).expect("revokes");
                        key.revoked = true;
                    }
                }
                Step::NewKey(user, life, scope) => {
                    let key = issue(&auth, users[user], life, scope, model.now);
                    let principal = auth.verify_api_key(&key.secret);
                    held[user] = principal.ok().and_then(|it| both.0.as_principal(it).ok());
                    model.keys[user] = Some(key);
                }
                Step::Pass(seconds) => {
                    clock.advance(Duration::from_secs(seconds.into()));
                    model.now += u64::from(seconds);
                }
                Step::Restart => {
                    held = [None, None, None];
                    both.0.close().expect("closes");
                    drop((auth, both));
                    both = open(&vfs, &clock);
                }
                Step::Try(user, key, write) => {
                    let Some(shown) = &model.keys[user] else { continue };
                    let expected = model.allows(user, key, write);
                    for done in tries(&both, held[user].as_ref(), &shown.secret, key, write) {
                        prop_assert_eq!(done.is_ok(), expected, "{:?}", done);
                    }
                    if let Some(handle) = &held[user] {
                        let name = KeyspaceName::new("k").expect("valid");
                        let text = key.to_string();
                        let asked = Resource::Keys(name, KeyRange::key(text.as_bytes()));
                        let action = if write { Action::Write } else { Action::Read };
                        prop_assert_eq!(handle.check(action, &asked).is_ok(), expected);
                    }
                }
            }
        }
    }
}
