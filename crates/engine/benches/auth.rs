//! What a check costs: a get with and without a guarded handle, and warm keys and sessions.

use std::hint::black_box;
use std::sync::Arc;

use cairn_auth::{
    Actions, ApiKeyRequest, Argon2idHasher, GivenKey, HashParams, KeyRange, NamePattern,
    Permission, RoleName, Scope, Username,
};
use cairn_engine::auth::AuthOptions;
use cairn_engine::{Engine, NewEvent, TopicConfig};
use cairn_segment::{Log, LogConfig};
use cairn_types::EventData;
use cairn_vfs::MemVfs;
use criterion::{Criterion, criterion_group, criterion_main};

fn checks(criterion: &mut Criterion) {
    let config = LogConfig { background: false, ..LogConfig::default() };
    let log = Log::options().vfs(Arc::new(MemVfs::new())).config(config);
    let engine = Engine::options().log(log).open().expect("opens");
    let key = GivenKey::from_text("q1Hn4Z8Jd0Yk9cP3uWmT5sVxR7bL2aEoGfKiNwQyX6M=").expect("strong");
    let hasher = Arc::new(Argon2idHasher::new(HashParams::FLOOR).expect("the floor"));
    let options = AuthOptions { hasher, ..AuthOptions::default() };
    let (engine, auth) = engine.into_auth_service_with(&key, options).expect("opens");
    engine.create_keyspace("k").expect("creates");
    let plain = engine.keyspace("k").expect("there");
    for number in 0..1000 {
        plain.put(format!("key/{number:04}"), vec![7; 64]).expect("puts");
    }
    let name = Username::new("ada").expect("valid");
    let ada = auth.create_user(&name, &"correct horse".into(), &"".into()).expect("creates");
    let role = RoleName::new("reader").expect("valid");
    let scope = Scope::Keys(NamePattern::exact("k").expect("valid"), KeyRange::prefix(b"key/"));
    auth.create_role(&role, &[Permission::new(Actions::READ, scope)]).expect("creates");
    auth.grant_role(ada, &role).expect("grants");
    let request = ApiKeyRequest { environment: "live".into(), ..ApiKeyRequest::default() };
    let issued = auth.issue_api_key(ada, &request).expect("issues");
    let session = auth.login("ada", &"correct horse".into(), None).expect("logs in");
    let principal = auth.verify_api_key(&issued.key).expect("valid");
    let handle = engine.as_principal(principal).expect("open");
    let guarded = handle.keyspace("k").expect("there");
    let mut group = criterion.benchmark_group("auth");
    group.bench_function("get", |b| b.iter(|| black_box(plain.get("key/0500").expect("reads"))));
    group.bench_function("guarded get", |b| {
        b.iter(|| black_box(guarded.get("key/0500").expect("allowed")));
    });
    group.bench_function("verify an API key", |b| {
        b.iter(|| black_box(auth.verify_api_key(&issued.key).expect("valid")));
    });
    group.bench_function("validate a session", |b| {
        b.iter(|| black_box(auth.validate_session(&session.token).expect("valid")));
    });
    group.finish();
}

/// Appends of 1 KiB to a disk in memory, where nothing hides the cost of the cipher.
fn appends(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("append 1 KiB x 100");
    let key = GivenKey::from_text("q1Hn4Z8Jd0Yk9cP3uWmT5sVxR7bL2aEoGfKiNwQyX6M=").expect("strong");
    let payload: Vec<u8> = (0..1024_u32).map(|n| n.wrapping_mul(31).to_le_bytes()[0]).collect();
    let events = vec![NewEvent::new(EventData::binary(payload)); 100];
    for encrypted in [false, true] {
        let config = LogConfig { background: false, ..LogConfig::default() };
        let log = Log::options().vfs(Arc::new(MemVfs::new())).config(config);
        let mut options = Engine::options().log(log);
        if encrypted {
            options = options.encrypted_by(&key).expect("a key");
        }
        let engine = options.open().expect("opens");
        engine.create_topic("t", TopicConfig::default()).expect("creates");
        let name = if encrypted { "encrypted" } else { "plain" };
        group.bench_function(name, |b| {
            b.iter(|| black_box(engine.append_batch("t", &events).expect("appends")));
        });
    }
    group.finish();
}

/// Gets and reads of events, once each batch was touched, from files that are mapped where they
/// can be.
fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read after first touch");
    let key = GivenKey::from_text("q1Hn4Z8Jd0Yk9cP3uWmT5sVxR7bL2aEoGfKiNwQyX6M=").expect("strong");
    for encrypted in [false, true] {
        let dir = tempfile::tempdir().expect("a directory");
        let open = || {
            let vfs = cairn_vfs::StdVfs::create(dir.path().join("data")).expect("opens");
            let durability = cairn_types::Durability::Buffered;
            let config = LogConfig { durability, ..LogConfig::default() };
            let options = Engine::options().log(Log::options().vfs(Arc::new(vfs)).config(config));
            let options =
                if encrypted { options.encrypted_by(&key).expect("a key") } else { options };
            options.open().expect("opens")
        };
        let engine = open();
        engine.create_keyspace("k").expect("creates");
        engine.create_topic("t", TopicConfig::default()).expect("creates");
        let keys = engine.keyspace("k").expect("there");
        for number in 0..2000_u64 {
            keys.put(format!("key/{number:04}"), vec![7; 1024]).expect("puts");
            let event = NewEvent::new(EventData::binary(vec![7; 1024]));
            engine.append("t", event).expect("appends");
        }
        engine.keys().flush().expect("flushes");
        engine.close().expect("closes");
        drop((keys, engine));
        let engine = open();
        let keys = engine.keyspace("k").expect("there");
        let names: Vec<String> = (0..2000).map(|number| format!("key/{number:04}")).collect();
        for (number, name) in names.iter().enumerate() {
            keys.get(name).expect("reads").expect("there");
            engine.event("t", 0, number as u64).expect("reads");
        }
        let mut place = 0;
        let mut next = || {
            place = (place + 7) % 2000;
            place
        };
        let kind = if encrypted { "encrypted" } else { "plain" };
        group.bench_function(format!("get/{kind}"), |b| {
            b.iter(|| black_box(keys.get(&names[next()]).expect("reads")));
        });
        group.bench_function(format!("event/{kind}"), |b| {
            b.iter(|| black_box(engine.event("t", 0, next() as u64).expect("reads")));
        });
    }
    group.finish();
}

criterion_group!(benches, checks, appends, reads);
criterion_main!(benches);
