//! What a request costs before it does anything: all in memory, audit switched off.

use std::hint::black_box;
use std::sync::Arc;

use cairn_auth::{
    Action, Actions, ApiKeyRequest, Argon2idHasher, AuthConfig, AuthService, EnvelopeEncryptor,
    GivenKey, HashParams, KeyRange, MasterKey, MemoryStore, NamePattern, NoAudit, Parts,
    Permission, RecordKind, Resource, RoleName, Scope, Secret, SecretHasher, StoreId, Username,
    policy,
};
use cairn_types::KeyspaceName;
use cairn_vfs::{OsRng, SystemClock};
use criterion::{Criterion, criterion_group, criterion_main};

const KEY: &[u8; 32] = b"0a1b2c3d4e5f6g7h8i9jAkBlCmDnEoFp";

fn service() -> AuthService<MemoryStore> {
    let parts = Parts {
        clock: Arc::new(SystemClock::default()),
        rng: Arc::new(OsRng),
        hasher: Arc::new(Argon2idHasher::new(HashParams::FLOOR).expect("the floor")),
        audit: Arc::new(NoAudit),
    };
    let key = GivenKey::from_bytes(KEY).expect("strong");
    AuthService::open(MemoryStore::default(), &key, parts, AuthConfig::default()).expect("opens")
}

fn permissions(count: u8) -> Vec<Permission> {
    let range = |n: u8| KeyRange::prefix(&[b'a', n]);
    let scope = |n| Scope::Keys(NamePattern::exact("orders").expect("valid"), range(n));
    (0..count).map(|n| Permission::new(Actions::READ, scope(n))).collect()
}

fn requests(c: &mut Criterion) {
    let auth = service();
    let name = Username::new("ada").expect("valid");
    let ada = auth.create_user(&name, &"correct horse".into(), &"".into()).expect("created");
    let roles = ["one", "two"].map(|name| RoleName::new(name).expect("valid"));
    auth.create_role(&roles[0], &permissions(10)).expect("created");
    auth.create_role(&roles[1], &permissions(20)).expect("created");
    roles.iter().for_each(|role| auth.grant_role(ada, role).expect("granted"));
    let token = auth.issue_session(ada).expect("issued").token;
    let request = ApiKeyRequest { environment: "live".into(), ..ApiKeyRequest::default() };
    let key = auth.issue_api_key(ada, &request).expect("issued").key;
    c.bench_function("session/validate", |b| b.iter(|| auth.validate_session(black_box(&token))));
    c.bench_function("session/unknown", |b| {
        let unknown = [token.expose()[..70].to_vec(), b"0".to_vec()].concat();
        b.iter(|| auth.validate_session(black_box(&unknown)));
    });
    c.bench_function("api key/verify", |b| b.iter(|| auth.verify_api_key(black_box(&key))));
    c.bench_function("api key/typing error", |b| {
        let mut wrong = key.expose().to_vec();
        wrong[40] ^= 1;
        b.iter(|| auth.verify_api_key(black_box(&wrong)));
    });
    let principal = auth.validate_session(&token).expect("alive");
    let orders = KeyspaceName::new("orders").expect("valid");
    let resource = Resource::Keys(orders, KeyRange::key(&[b'a', 19, b'x']));
    c.bench_function("check/session, two roles", |b| {
        b.iter(|| auth.check(black_box(&principal), Action::Read, black_box(&resource)));
    });
    let by_key = auth.verify_api_key(&key).expect("alive");
    c.bench_function("check/api key, two roles", |b| {
        b.iter(|| auth.check(black_box(&by_key), Action::Read, black_box(&resource)));
    });
    for count in [1, 30, 200] {
        let permissions = permissions(count);
        let orders = KeyspaceName::new("orders").expect("valid");
        let resource = Resource::Keys(orders, KeyRange::key(&[b'a', count - 1, b'x']));
        c.bench_function(&format!("policy/{count} permissions, the last allows"), |b| {
            b.iter(|| policy::allows(black_box(&permissions), Action::Read, black_box(&resource)));
        });
    }
}

fn sealing(c: &mut Criterion) {
    let master = MasterKey::from_bytes(KEY).expect("strong");
    let (sealer, _) = EnvelopeEncryptor::create(StoreId::random(&OsRng), &master, &OsRng);
    let kind = RecordKind(1000);
    for len in [100, 4096] {
        let plaintext = vec![7; len];
        let envelope = sealer.seal(kind, b"id", &plaintext, &OsRng).expect("short");
        c.bench_function(&format!("envelope/seal {len} B"), |b| {
            b.iter(|| sealer.seal(kind, b"id", black_box(&plaintext), &OsRng));
        });
        c.bench_function(&format!("envelope/open {len} B"), |b| {
            b.iter(|| sealer.unseal(kind, b"id", black_box(&envelope)));
        });
    }
}

fn passwords(c: &mut Criterion) {
    let mut group = c.benchmark_group("password");
    group.sample_size(10);
    let password = Secret::from("correct horse");
    for (name, params) in [("floor", HashParams::FLOOR), ("default", HashParams::DEFAULT)] {
        let hasher = Argon2idHasher::new(params).expect("within bounds");
        group.bench_function(name, |b| b.iter(|| hasher.hash(black_box(&password), &OsRng)));
    }
}

criterion_group!(benches, requests, sealing, passwords);
criterion_main!(benches);
