//! Users over a disk that fails: whatever step a crash meets, indexes fit their records, what
//! was acknowledged is there, and what was revoked stays revoked.

use std::sync::Arc;
use std::time::Duration;

use cairn_auth::password::{SecretHasher, Verdict};
use cairn_auth::{
    ApiKeyId, ApiKeyRequest, Error, GivenKey, KvStore, Permission, RoleName, Secret, UserId,
    Username,
};
use cairn_engine::Engine;
use cairn_engine::auth::{AUDIT_TOPIC, AuthOptions, Service};
use cairn_segment::{Log, LogConfig, VerifyOptions};
use cairn_vfs::{ManualClock, MemVfs, Rng, SeededRng, SimConfig, SimVfs, Vfs};

/// The password beside a mark: these tests are not about hashing.
#[derive(Debug)]
struct NoHasher;

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

pub fn secret(text: &str) -> Secret {
    text.into()
}

pub fn user(auth: &Service, name: &str, password: &str) -> UserId {
    let name = Username::new(name).expect("a valid name");
    auth.create_user(&name, &secret(password), &secret("metadata")).expect("creates")
}

fn key(seed: u8) -> GivenKey {
    let bytes: Vec<u8> = (0..32).map(|n: u8| n.wrapping_mul(7).wrapping_add(seed)).collect();
    GivenKey::from_bytes(&bytes).expect("strong enough")
}

fn try_open(
    vfs: Arc<dyn Vfs>,
    rng: u64,
    master: u8,
) -> cairn_engine::Result<(Engine, Arc<Service>)> {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    let log = Log::options()
        .vfs(vfs)
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(rng)))
        .config(config);
    let options = AuthOptions { hasher: Arc::new(NoHasher), ..AuthOptions::default() };
    Engine::options().log(log).open()?.into_auth_service_with(&key(master), options)
}

pub fn open(vfs: &MemVfs) -> (Engine, Arc<Service>) {
    // Another seed for each opening, as with real randomness.
    let seed = vfs.list("log").map_or(0, |names| names.len() as u64);
    try_open(Arc::new(vfs.clone()), 100 + seed, 1).expect("opens")
}

/// What was acknowledged before the crash.
#[derive(Debug, Default)]
struct Done {
    users: Vec<(UserId, String)>,
    gone: Vec<String>,
    live: Vec<(ApiKeyId, Secret)>,
    revoked: Vec<Secret>,
    ended: Vec<Secret>,
    /// Asked for and not acknowledged: it may be either way.
    open: Option<Secret>,
    rotated: bool,
}

const PASSWORD: &str = "a long password";

fn name(text: &str) -> Username {
    Username::new(text).expect("a valid name")
}

/// Users come and go, keys are issued, rotated and revoked, sessions end, the master key
/// changes. Ends at the first error.
fn flow(auth: &Service, done: &mut Done) -> cairn_auth::Result<()> {
    let request = ApiKeyRequest { environment: "live".into(), ..ApiKeyRequest::default() };
    let admin = RoleName::new("admin")?;
    auth.create_role(&admin, &Permission::everything())?;
    for round in 0..3 {
        let text = format!("user{round}");
        let id = auth.create_user(&name(&text), &secret(PASSWORD), &secret("metadata"))?;
        done.users.push((id, text.clone()));
        auth.grant_role(id, &admin)?;
        let session = auth.login(&text, &secret(PASSWORD), None)?;
        let first = auth.issue_api_key(id, &request)?;
        done.open = Some(first.key.clone());
        let second = auth.rotate_api_key(first.id, Duration::ZERO)?;
        done.open = None;
        done.revoked.push(first.key);
        let third = auth.issue_api_key(id, &request)?;
        done.open = Some(third.key.clone());
        auth.revoke_api_key(third.id)?;
        done.open = None;
        done.revoked.push(third.key);
        done.live.push((second.id, second.key));
        auth.revoke_session(session.id)?;
        done.ended.push(session.token);
        let other = auth.login(&text, &secret(PASSWORD), None)?;
        auth.revoke_all_sessions(id)?;
        done.ended.push(other.token);
    }
    auth.rename_user(done.users[0].0, &name("renamed"))?;
    done.gone.push("user0".into());
    done.users[0].1 = "renamed".into();
    let (id, text) = done.users.pop().expect("three users");
    let (_, key) = done.live.pop().expect("three keys");
    done.open = Some(key.clone());
    auth.delete_user(id)?;
    done.open = None;
    done.gone.push(text);
    done.revoked.push(key);
    auth.rotate_master_key(&self::key(2))?;
    done.rotated = true;
    Ok(())
}

/// Everything acknowledged holds, and no index is without its record or the other way round.
fn judge(vfs: Arc<dyn Vfs>, done: &Done, context: &str) {
    let opened = match try_open(vfs.clone(), 7, if done.rotated { 2 } else { 1 }) {
        // The rotation may have been written and not acknowledged.
        Err(cairn_engine::Error::Auth(_)) if !done.rotated => try_open(vfs, 8, 2),
        opened => opened,
    };
    let (engine, auth) = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
    for key in &done.revoked {
        assert!(matches!(auth.verify_api_key(key), Err(Error::Unauthenticated)), "{context}");
    }
    for token in &done.ended {
        assert!(matches!(auth.validate_session(token), Err(Error::Unauthenticated)), "{context}");
    }
    let all = auth.list_users(None, 100).expect("reads");
    for (id, text) in &done.users {
        let known = all.iter().any(|user| user.id == *id);
        assert!(known, "{context}: {text} is lost");
    }
    for (_, key) in &done.live {
        let is_open = done.open.as_ref() == Some(key);
        assert!(is_open || auth.verify_api_key(key).is_ok(), "{context}: a key is lost");
    }
    for text in &done.gone {
        assert!(auth.find_user(&name(text)).expect("reads").is_none(), "{context}: {text}");
    }
    // Names lead to their users and nowhere else.
    for user in &all {
        assert_eq!(auth.find_user(&user.name).expect("reads"), Some(user.id), "{context}");
        auth.roles_of(user.id).expect("reads");
        auth.list_sessions(user.id).expect("reads");
    }
    let count = |prefix: &[u8]| auth.store().scan(prefix, None, 1000).expect("reads").len();
    assert_eq!(count(b"u/"), count(b"n/"), "{context}: users and their names");
    assert_eq!(count(b"k/"), count(b"o/"), "{context}: keys and their owners");
    assert_eq!(count(b"s/"), count(b"t/"), "{context}: sessions and their users");
    assert_eq!(count(b"r/"), count(b"q/"), "{context}: roles and their names");
    assert!(engine.verify(&VerifyOptions::default()).expect("verifies").is_intact(), "{context}");
    // Life goes on.
    user(&auth, "afterwards", PASSWORD);
}

#[test]
fn a_crash_at_any_step_leaves_indexes_whole_and_revoked_things_revoked() {
    let mut crashes = 0_u32;
    for seed in [1, 2] {
        for operations in 1.. {
            let vfs = SimVfs::new(seed * 10_000 + operations, SimConfig::default());
            let mut done = Done::default();
            vfs.crash_after(operations);
            if let Ok((_engine, auth)) = try_open(Arc::new(vfs.clone()), 3, 1) {
                let _until_the_crash = flow(&auth, &mut done);
            }
            if !vfs.is_down() {
                break;
            }
            vfs.power_crash();
            judge(Arc::new(vfs), &done, &format!("seed {seed}, operation {operations}"));
            crashes += 1;
        }
    }
    println!("{crashes} crashes were lived through");
    assert!(crashes > 100, "{crashes}");
}

#[test]
fn the_audit_topic_outlives_a_restart_with_what_was_told() {
    let vfs = MemVfs::new();
    let (engine, auth) = open(&vfs);
    let ada = user(&auth, "ada", PASSWORD);
    auth.disable_user(ada).expect("disables");
    assert!(auth.login("ada", &secret(PASSWORD), None).is_err());
    engine.close().expect("closes");
    drop((auth, engine));
    let (engine, _auth) = open(&vfs);
    let events: Vec<_> = engine
        .events(AUDIT_TOPIC, 0, 0)
        .expect("there")
        .map(|event| event.expect("reads").data.as_str().expect("text").to_owned())
        .collect();
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(events[2].contains(r#""cause":"disabled""#), "{events:?}");
}
