//! Users and permissions over the engine: what is refused, from when on, and what is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cairn_auth::password::{SecretHasher, Verdict};
use cairn_auth::{
    Action, Actions, AdminArea, ApiKeyRequest, Batch, Expect, GivenKey, KeyRange, KvStore,
    NamePattern, Permission, Principal, Resource, RoleName, Scope, Secret, StoreError, UserId,
    Username,
};
use cairn_engine::auth::{AUDIT_TOPIC, AuthOptions, EngineKv, Guarded, STREAM, Service};
use cairn_engine::{Engine, Error, NewEvent, TopicConfig};
use cairn_mvcc::{Compare, CompareOp, CompareTarget, Put, Range, RangeRequest, Txn, TxnOp};
use cairn_mvcc::{Isolation, WatchRequest};
use cairn_segment::{Log, LogConfig};
use cairn_types::{KeyspaceName, StreamId};
use cairn_vfs::{MemVfs, Rng, Vfs};
use proptest::prelude::*;

const PASSWORD: &str = "correct horse";

/// The password beside a mark: these tests are not about hashing.
#[derive(Debug)]
pub struct NoHasher;

impl SecretHasher for NoHasher {
    fn hash(&self, password: &Secret, _: &dyn Rng) -> cairn_auth::Result<String> {
        Ok(format!("none${}", String::from_utf8_lossy(password.expose())))
    }

    fn verify(&self, password: &Secret, stored: &str) -> cairn_auth::Result<Verdict> {
        let right = stored.strip_prefix("none$").map(str::as_bytes) == Some(password.expose());
        Ok(if right { Verdict::Right } else { Verdict::Wrong })
    }

    fn accepts(&self, _: &str) -> cairn_auth::Result<()> {
        Ok(())
    }
}

pub fn key(seed: u8) -> GivenKey {
    let bytes: Vec<u8> = (0..32).map(|n: u8| n.wrapping_mul(7).wrapping_add(seed)).collect();
    GivenKey::from_bytes(&bytes).expect("strong enough")
}

fn plain(vfs: &MemVfs) -> Engine {
    let config = LogConfig { background: false, ..LogConfig::default() };
    let log = Log::options().vfs(Arc::new(vfs.clone()) as Arc<dyn Vfs>).config(config);
    Engine::options().log(log).open().expect("opens")
}

fn open(vfs: &MemVfs) -> (Engine, Arc<Service>) {
    let options = AuthOptions { hasher: Arc::new(NoHasher), ..AuthOptions::default() };
    plain(vfs).into_auth_service_with(&key(1), options).expect("opens")
}

pub fn role(name: &str) -> RoleName {
    RoleName::new(name).expect("a valid name")
}

pub fn user(auth: &Service, name: &str) -> UserId {
    let name = Username::new(name).expect("a valid name");
    auth.create_user(&name, &PASSWORD.into(), &"".into()).expect("creates")
}

pub fn login(auth: &Service, name: &str) -> Principal {
    let session = auth.login(name, &PASSWORD.into(), None).expect("logs in");
    auth.validate_session(&session.token).expect("valid")
}

/// Keyspace `k`, topic `t`, an administrator `root`, and a user `ada` with these permissions.
pub fn world(permissions: &[Permission]) -> (Engine, Arc<Service>, UserId, Guarded) {
    let (engine, auth) = open(&MemVfs::new());
    engine.create_keyspace("k").expect("creates");
    engine.create_topic("t", TopicConfig::default()).expect("creates");
    let root = user(&auth, "root");
    auth.create_role(&role("admin"), &Permission::everything()).expect("creates");
    auth.grant_role(root, &role("admin")).expect("grants");
    engine.enable_auth().expect("enables");
    let ada = user(&auth, "ada");
    if !permissions.is_empty() {
        auth.create_role(&role("role"), permissions).expect("creates");
        auth.grant_role(ada, &role("role")).expect("grants");
    }
    let handle = engine.as_principal(login(&auth, "ada")).expect("open");
    (engine, auth, ada, handle)
}

pub fn on_keys(actions: Actions, prefix: &str) -> Permission {
    let names = NamePattern::exact("k").expect("a valid name");
    Permission::new(actions, Scope::Keys(names, KeyRange::prefix(prefix.as_bytes())))
}

pub fn on_topic(actions: Actions) -> Permission {
    Permission::new(actions, Scope::Topic(NamePattern::exact("t").expect("a valid name")))
}

pub fn denied<T: std::fmt::Debug>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Denied { .. })), "{result:?}");
}

fn audit(engine: &Engine) -> Vec<serde_json::Value> {
    engine.log().sync().expect("syncs");
    let events = engine.events(AUDIT_TOPIC, 0, 0).expect("there");
    events
        .map(|event| {
            let event = event.expect("reads");
            serde_json::from_str(event.data.as_str().expect("text")).expect("JSON")
        })
        .collect()
}

#[test]
fn nothing_is_allowed_but_what_a_role_allows() {
    let (engine, _, _, handle) = world(&[on_keys(Actions::READ | Actions::WRITE, "a/")]);
    let keys = handle.keyspace("k").expect("there");
    keys.put("a/1", "one").expect("allowed");
    assert_eq!(keys.get("a/1").expect("allowed").as_deref(), Some(&b"one"[..]));
    assert_eq!(keys.history("a/1").expect("allowed").len(), 1);
    denied(keys.get("b/1"));
    denied(keys.get_at("a", 0));
    denied(keys.put("b/1", "x"));
    denied(keys.put_all([("a/2", "x"), ("b/2", "x")]));
    denied(keys.delete("a"));
    denied(keys.delete_range(Range::all()));
    let stream = engine.keyspace("k").expect("there").stream();
    denied(keys.range(&RangeRequest::new(stream, Range::all())));
    keys.range(&RangeRequest::prefix(stream, "a/")).expect("allowed");
    denied(keys.watch(WatchRequest::new(stream, Range::from_key("a/"))));
    denied(handle.append("t", NewEvent::json("{}")));
    denied(handle.events("t", 0, 0));
    denied(handle.newest("t", 0, None, 1));
    denied(handle.subscribe("t", None, cairn_engine::ReadFrom::Earliest));
    denied(handle.consumer("g", "t"));
    denied(handle.create_topic("u", TopicConfig::default()));
    denied(handle.drop_topic("t"));
    denied(handle.create_keyspace("l"));
    denied(handle.drop_keyspace("k"));
    assert!(handle.topics().expect("reads").is_empty());
    assert!(handle.keyspaces().expect("reads").is_empty());
    assert_eq!(engine.keyspace("k").expect("there").key_count().expect("counts"), 1);
}

#[test]
fn a_transaction_needs_what_both_branches_need_and_stays_in_its_keyspace() {
    let (engine, _, _, handle) = world(&[on_keys(Actions::ALL, "a/")]);
    let keys = handle.keyspace("k").expect("there");
    let stream = engine.keyspace("k").expect("there").stream();
    let put = |space, key: &'static str| TxnOp::Put(Put::new(space, key, "x"));
    let txn = |success, failure| Txn { compare: Vec::new(), success, failure };
    keys.txn(&txn(vec![put(stream, "a/1")], Vec::new())).expect("allowed");
    denied(keys.txn(&txn(vec![put(stream, "a/1")], vec![put(stream, "b")])));
    denied(keys.txn(&txn(vec![put(STREAM, "z/enabled")], Vec::new())));
    let nested = TxnOp::Txn(txn(vec![put(StreamId::new(99), "a/1")], Vec::new()));
    denied(keys.txn(&txn(vec![nested], Vec::new())));
    let target = CompareTarget::Version(0);
    let compare = vec![Compare::key(stream, "b", CompareOp::Equal, target)];
    denied(keys.txn(&Txn { compare, ..Txn::default() }));
    denied(handle.transact(|tx| tx.put(&keys, "b", "x")));
    denied(handle.transact(|tx| {
        tx.put(&keys, "a/2", "x")?;
        tx.append("t", NewEvent::json("{}"))
    }));
    assert!(keys.get("a/2").expect("allowed").is_none());
}

#[test]
fn what_is_revoked_is_refused_from_the_next_call_on() {
    let all = [on_keys(Actions::ALL, ""), on_topic(Actions::ALL)];
    let (engine, auth, ada, handle) = world(&all);
    let keys = handle.keyspace("k").expect("there");
    let stream = engine.keyspace("k").expect("there").stream();
    keys.put("a", "1").expect("allowed");
    handle.append("t", NewEvent::json("1")).expect("allowed");
    handle.append("t", NewEvent::json("2")).expect("allowed");
    let mut events = handle.events("t", 0, 0).expect("allowed");
    assert!(events.next().expect("one").is_ok());
    let mut watcher = keys.watch(WatchRequest::new(stream, Range::all()).from(2)).expect("allowed");
    let mut open = handle.begin(Isolation::Serializable);
    open.put(&keys, "late", "x").expect("allowed");
    auth.set_role_permissions(&role("role"), &[on_keys(Actions::READ, "zzz")]).expect("sets");
    denied(keys.get("a"));
    denied(keys.put("a", "2"));
    denied(events.next().expect("an answer"));
    denied(watcher.try_next());
    denied(open.commit());
    auth.set_role_permissions(&role("role"), &all).expect("sets");
    keys.get("a").expect("allowed again");
    auth.disable_user(ada).expect("disables");
    denied(keys.get("a"));
    assert!(engine.keyspace("k").expect("there").get("late").expect("reads").is_none());
}

#[test]
fn no_write_is_accepted_after_a_revocation_returned() {
    for _ in 0..10 {
        let (engine, auth, ada, handle) = world(&[on_keys(Actions::ALL, "")]);
        let keys = handle.keyspace("k").expect("there");
        let revoked = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (keys, revoked) = (&keys, &revoked);
                scope.spawn(move || {
                    for number in 0..10_000 {
                        let before = revoked.load(Ordering::SeqCst);
                        match keys.put(format!("{thread}/{number}"), "x") {
                            Ok(_) => assert!(!before, "accepted after the revocation"),
                            Err(Error::Denied { .. }) => return,
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
            while engine.keyspace("k").expect("there").key_count().expect("counts") < 20 {
                std::thread::yield_now();
            }
            auth.revoke_role(ada, &role("role")).expect("revokes");
            revoked.store(true, Ordering::SeqCst);
        });
    }
}

#[test]
fn the_audit_topic_tells_changes_and_refusals_and_is_append_only_for_everybody() {
    let (engine, auth, ada, handle) = world(&[on_keys(Actions::READ, "a/")]);
    let root = engine.as_principal(login(&auth, "root")).expect("open");
    denied(handle.keyspace("k").expect("there").get("b"));
    denied(root.drop_topic(AUDIT_TOPIC));
    denied(root.append(AUDIT_TOPIC, NewEvent::json("{}")));
    denied(root.append_batch(AUDIT_TOPIC, &[NewEvent::json("{}")]));
    denied(root.set_retention(AUDIT_TOPIC, |config| config.max_len = Some(1)));
    denied(root.transact(|tx| tx.append(AUDIT_TOPIC, NewEvent::json("{}"))));
    root.disable_user(ada).expect("allowed");
    assert!(auth.login("nobody-at-all", &"guess my secret".into(), None).is_err());
    let events = audit(&engine);
    let find = |what: &str, outcome: &str| {
        let found =
            events.iter().find(|event| event["what"] == what && event["outcome"] == outcome);
        found.unwrap_or_else(|| panic!("no {what} {outcome} in {events:?}")).clone()
    };
    let refused = find("read", "refused");
    assert_eq!(refused["object"]["keys"], "b");
    assert_eq!(refused["who"]["user"], ada.get());
    assert_eq!(refused["cause"], "no_permission");
    assert!(refused["revision"].as_u64() > Some(1));
    let disabled = find("disable_user", "ok");
    assert_eq!(disabled["about"]["user"], ada.get());
    assert_eq!(disabled["who"]["user"], root.principal().expect("somebody").user().get());
    find("manage", "refused");
    find("login", "refused");
    let text = format!("{events:?}");
    for secret in [PASSWORD, "guess my secret", "nobody-at-all", "none$"] {
        assert!(!text.contains(secret), "{secret} in the audit topic");
    }
    assert_eq!(engine.audit_log().expect("open").dropped(), 0);
}

#[test]
fn anybody_may_everything_until_auth_is_enabled_and_nothing_after() {
    let (engine, auth) = open(&MemVfs::new());
    let anyone = engine.as_anonymous();
    anyone.create_keyspace("k").expect("not enabled");
    let keys = anyone.keyspace("k").expect("there");
    keys.put("a", "1").expect("not enabled");
    // Without an administrator everybody would be locked out.
    assert!(matches!(engine.enable_auth(), Err(Error::Auth(_))));
    let root = user(&auth, "root");
    auth.create_role(&role("admin"), &Permission::everything()).expect("creates");
    auth.grant_role(root, &role("admin")).expect("grants");
    engine.enable_auth().expect("enables");
    assert!(engine.auth_enabled().expect("reads"));
    denied(keys.get("a"));
    denied(anyone.create_user(&Username::new("x").expect("valid"), &PASSWORD.into(), &"".into()));
    assert!(matches!(
        plain(&MemVfs::new()).as_principal(login(&auth, "root")),
        Err(Error::AuthNotOpen)
    ));
}

#[test]
fn the_last_administrator_stays_and_acts_of_others_need_an_area() {
    let (engine, auth, ada, handle) = world(&[]);
    let root = engine.as_principal(login(&auth, "root")).expect("open");
    let id = root.principal().expect("somebody").user();
    for result in
        [root.disable_user(id), root.delete_user(id), root.revoke_role(id, &role("admin"))]
    {
        assert!(matches!(result, Err(Error::Auth(_))), "{result:?}");
    }
    denied(handle.disable_user(id));
    denied(handle.grant_role(ada, &role("admin")));
    denied(handle.list_users(None, 10));
    denied(handle.issue_api_key(id, &ApiKeyRequest::default()));
    // One's own affairs need none.
    handle.user_info(ada).expect("oneself");
    assert_eq!(handle.list_sessions(ada).expect("one's own").len(), 1);
    handle.change_own_password(&PASSWORD.into(), &"another horse".into()).expect("one's own");
    denied(handle.user_info(ada));
}

#[test]
fn a_narrowed_key_cannot_make_itself_a_stronger_one() {
    let (engine, auth, ada, handle) = world(&[on_keys(Actions::ALL, "")]);
    let environment = "test".to_owned();
    let scopes = Some(vec![on_keys(Actions::READ, "a/")]);
    let request = ApiKeyRequest { environment, scopes, ..ApiKeyRequest::default() };
    let issued = handle.issue_api_key(ada, &request).expect("one's own");
    let narrow = auth.verify_api_key(&issued.key).expect("valid");
    let narrow = engine.as_principal(narrow).expect("open");
    let keys = narrow.keyspace("k").expect("there");
    keys.get("a/1").expect("in scope");
    denied(keys.get("b"));
    denied(keys.put("a/1", "x"));
    let stronger = ApiKeyRequest { environment: "test".into(), ..ApiKeyRequest::default() };
    denied(narrow.issue_api_key(ada, &stronger));
    handle.revoke_api_key(issued.id).expect("one's own");
    denied(keys.get("a/1"));
}

#[test]
fn records_are_hidden_and_outlive_a_restart_and_a_wrong_key_changes_nothing() {
    let vfs = MemVfs::new();
    let (engine, auth) = open(&vfs);
    let ada = user(&auth, "ada");
    let issued = auth
        .issue_api_key(ada, &ApiKeyRequest { environment: "live".into(), ..Default::default() })
        .expect("issues");
    assert!(engine.keyspaces().is_empty());
    drop((auth, engine));
    let engine = plain(&vfs);
    let before = engine.revision();
    let wrong = engine.into_auth_service(&key(2));
    assert!(matches!(wrong, Err(Error::Auth(_))), "{wrong:?}");
    drop(wrong);
    let (engine, auth) = open(&vfs);
    assert_eq!(engine.revision(), before);
    assert_eq!(auth.verify_api_key(&issued.key).expect("valid").user(), ada);
    engine.retain(&cairn_segment::Retention::default()).expect("retains");
    drop((auth, engine));
    let (_, auth) = open(&vfs);
    auth.verify_api_key(&issued.key).expect("still valid");
}

fn store() -> (Engine, EngineKv) {
    let (engine, auth) = open(&MemVfs::new());
    let store = auth.store().clone();
    (engine, store)
}

#[test]
fn a_stamp_never_comes_back_also_after_a_deletion() {
    let (_engine, store) = store();
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..10 {
        let mut batch = Batch::new();
        batch.put("x/k".into(), "same value");
        store.commit(batch).expect("commits");
        let stamp = store.get(b"x/k").expect("reads").expect("there").stamp;
        assert!(seen.insert(stamp), "round {round}");
        let mut batch = Batch::new();
        batch.delete("x/k".into());
        store.commit(batch).expect("commits");
        let mut stale = Batch::new();
        stale.expect("x/k".into(), Expect::Unchanged(stamp)).put("x/k".into(), "stale");
        assert!(matches!(store.commit(stale), Err(StoreError::Conflict)));
    }
}

#[test]
fn a_commit_is_one_revision_and_its_expectations_hold_together() {
    let (engine, store) = store();
    let before = engine.revision();
    let mut batch = Batch::new();
    for n in 0..300 {
        batch.put(format!("x/{n:03}").into(), "v");
    }
    store.commit(batch).expect("commits");
    assert_eq!(engine.revision(), before + 1);
    let mut refused = Batch::new();
    refused.expect("x/new".into(), Expect::Absent).expect("x/000".into(), Expect::Absent);
    refused.put("x/new".into(), "v");
    assert!(matches!(store.commit(refused), Err(StoreError::Conflict)));
    assert_eq!(engine.revision(), before + 1);
    let mut after: Option<Vec<u8>> = None;
    let mut count = 0;
    loop {
        let page = store.scan(b"x/", after.as_deref(), 7).expect("scans");
        let Some(last) = page.last() else { break };
        assert!(page.iter().map(|entry| &entry.key).is_sorted());
        count += page.len();
        after = Some(last.key.to_vec());
    }
    assert_eq!(count, 300);
    assert!(store.scan(b"x/", Some(b"x0"), 7).expect("scans").is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Grant(usize, usize),
    Revoke(usize, usize),
    Define(usize, u8, bool),
    Try(usize, u8, bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..3_usize, 0..3_usize).prop_map(|(user, role)| Step::Grant(user, role)),
        (0..3_usize, 0..3_usize).prop_map(|(user, role)| Step::Revoke(user, role)),
        (0..3_usize, 0..4_u8, any::<bool>())
            .prop_map(|(role, key, write)| Step::Define(role, key, write)),
        (0..3_usize, 0..4_u8, any::<bool>())
            .prop_map(|(user, key, write)| Step::Try(user, key, write)),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A handle allows exactly what a table of sets allows, after any grants and revokes.
    #[test]
    fn no_sequence_of_grants_and_revokes_leaves_what_a_model_denies(steps in steps()) {
        let (engine, auth, _, _) = world(&[]);
        let keyspace = KeyspaceName::new("k").expect("valid");
        let permission = |key: u8, write: bool| {
            let actions = if write { Actions::READ | Actions::WRITE } else { Actions::READ };
            vec![on_keys(actions, &key.to_string())]
        };
        let mut roles = [(0_u8, false); 3];
        let mut granted = [[false; 3]; 3];
        for (number, (key, write)) in roles.iter().enumerate() {
            auth.create_role(&role(&format!("r{number}")), &permission(*key, *write)).expect("ok");
        }
        // Keys that keep counting when roles change, unlike sessions.
        let users: Vec<(UserId, Guarded)> = (0..3).map(|number| {
            let id = user(&auth, &format!("u{number}"));
            let request = ApiKeyRequest { environment: "test".into(), ..Default::default() };
            let issued = auth.issue_api_key(id, &request).expect("issues");
            let principal = auth.verify_api_key(&issued.key).expect("valid");
            (id, engine.as_principal(principal).expect("open"))
        }).collect();
        for step in steps {
            match step {
                Step::Grant(user, number) => {
                    auth.grant_role(users[user].0, &role(&format!("r{number}"))).expect("grants");
                    granted[user][number] = true;
                }
                Step::Revoke(user, number) => {
                    let revoked = auth.revoke_role(users[user].0, &role(&format!("r{number}")));
                    prop_assert_eq!(revoked.is_ok(), granted[user][number]);
                    granted[user][number] = false;
                }
                Step::Define(number, key, write) => {
                    let name = role(&format!("r{number}"));
                    auth.set_role_permissions(&name, &permission(key, write)).expect("sets");
                    roles[number] = (key, write);
                }
                Step::Try(user, key, write) => {
                    let action = if write { Action::Write } else { Action::Read };
                    let expected = (0..3).any(|number| {
                        granted[user][number] && roles[number].0 == key && (roles[number].1 || !write)
                    });
                    let text = key.to_string();
                    let asked = Resource::Keys(keyspace.clone(), KeyRange::key(text.as_bytes()));
                    prop_assert_eq!(users[user].1.check(action, &asked).is_ok(), expected);
                    let keys = users[user].1.keyspace("k").expect("there");
                    let done = if write {
                        keys.put(text, "x").map(drop)
                    } else {
                        keys.get(text).map(drop)
                    };
                    prop_assert_eq!(done.is_ok(), expected);
                }
            }
        }
        let admin = Resource::Admin(AdminArea::Users);
        prop_assert!(users.iter().all(|(_, handle)| handle.check(Action::Read, &admin).is_err()));
    }
}
