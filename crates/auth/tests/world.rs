//! A service on a store in memory with a clock, a random source and a hasher that tests control.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cairn_auth::password::{SecretHasher, Verdict, check_new_password};
use cairn_auth::{
    Action, Actions, ApiKeyRequest, AuditSink, AuthConfig, AuthService, Error, GivenKey, KvStore,
    MemoryAudit, MemoryStore, NamePattern, Parts, Permission, Resource, Result, RoleName, Scope,
    Secret, UserId, Username,
};
use cairn_types::Topic;
use cairn_vfs::{ManualClock, Rng, SeededRng};
use sha2::{Digest, Sha256};

/// One round of SHA-256 in place of Argon2id; counts what is asked of it.
#[derive(Debug, Default)]
pub struct CheapHasher {
    pub hashes: AtomicUsize,
    pub running: AtomicUsize,
    pub running_max: AtomicUsize,
    /// Which of its formats is today's: hashes of another one are outdated.
    pub format: usize,
}

impl CheapHasher {
    fn counted<T>(&self, work: impl FnOnce() -> T) -> T {
        self.hashes.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.running_max.fetch_max(running, Ordering::SeqCst);
        // Lets others come in between, so that a missing limit shows.
        (0..50).for_each(|_| std::thread::yield_now());
        let result = work();
        self.running.fetch_sub(1, Ordering::SeqCst);
        result
    }
}

fn digest(salt: &str, password: &Secret) -> String {
    let hash: [u8; 32] =
        Sha256::new().chain_update(salt).chain_update(password.expose()).finalize().into();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl SecretHasher for CheapHasher {
    fn hash(&self, password: &Secret, rng: &dyn Rng) -> Result<String> {
        check_new_password(password)?;
        let salt = format!("{:016x}", rng.next_u64());
        Ok(self.counted(|| format!("cheap{}${salt}${}", self.format, digest(&salt, password))))
    }

    fn verify(&self, password: &Secret, stored: &str) -> Result<Verdict> {
        self.accepts(stored)?;
        let mut parts = stored.split('$');
        let today = parts.next() == Some(&format!("cheap{}", self.format));
        let salt = parts.next().expect("a salt");
        let right = self.counted(|| parts.next() == Some(&digest(salt, password)));
        Ok(match (right, today) {
            (false, _) => Verdict::Wrong,
            (true, true) => Verdict::Right,
            (true, false) => Verdict::Outdated,
        })
    }

    fn accepts(&self, stored: &str) -> Result<()> {
        let known = stored.starts_with("cheap") && stored.split('$').count() == 3;
        let what = "password hash";
        if known { Ok(()) } else { Err(Error::Invalid { what, cause: "not cheap" }) }
    }
}

pub struct World<S: KvStore = Arc<MemoryStore>> {
    pub auth: AuthService<S>,
    pub store: Arc<MemoryStore>,
    pub clock: Arc<ManualClock>,
    pub hasher: Arc<CheapHasher>,
    pub audit: Arc<MemoryAudit>,
}

pub const KEY: [u8; 32] = *b"0a1b2c3d4e5f6g7h8i9jAkBlCmDnEoFp";
pub const PASSWORD: &str = "correct horse";

pub fn key() -> GivenKey {
    GivenKey::from_bytes(&KEY).expect("strong enough")
}

pub fn world() -> World {
    world_with(AuthConfig::default(), CheapHasher::default(), Arc::default())
}

pub fn world_with(config: AuthConfig, hasher: CheapHasher, store: Arc<MemoryStore>) -> World {
    world_on(Arc::clone(&store), store, config, hasher)
}

/// A service on any store that stands on the one in memory.
pub fn world_on<S: KvStore>(
    on: S,
    store: Arc<MemoryStore>,
    config: AuthConfig,
    hasher: CheapHasher,
) -> World<S> {
    let (clock, hasher) = (Arc::new(ManualClock::default()), Arc::new(hasher));
    let audit = Arc::new(MemoryAudit::default());
    let parts = Parts {
        clock: clock.clone(),
        // Another seed whenever a store is opened again, as a real source would give.
        rng: Arc::new(SeededRng::new(store.len() as u64)),
        hasher: hasher.clone(),
        audit: Arc::clone(&audit) as Arc<dyn AuditSink>,
    };
    let auth = AuthService::open(on, &key(), parts, config).expect("opens");
    World { auth, store, clock, hasher, audit }
}

impl<S: KvStore> World<S> {
    pub fn user(&self, name: &str) -> UserId {
        let name = Username::new(name).expect("valid");
        self.auth.create_user(&name, &PASSWORD.into(), &"metadata".into()).expect("created")
    }

    pub fn login(&self, name: &str, password: &str) -> Result<cairn_auth::IssuedSession> {
        self.auth.login(name, &password.into(), None)
    }

    /// A token of a new session.
    pub fn token(&self, name: &str) -> Secret {
        self.login(name, PASSWORD).expect("logs in").token
    }

    pub fn role(&self, name: &str, permissions: &[Permission]) -> RoleName {
        let name = RoleName::new(name).expect("valid");
        self.auth.create_role(&name, permissions).expect("created");
        name
    }

    pub fn is_alive(&self, token: &Secret) -> bool {
        match self.auth.validate_session(token) {
            Ok(_) => true,
            Err(Error::Unauthenticated) => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    pub fn key_works(&self, key: &Secret) -> bool {
        match self.auth.verify_api_key(key) {
            Ok(_) => true,
            Err(Error::Unauthenticated) => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    pub fn may(&self, principal: &cairn_auth::Principal, action: Action, topic: &str) -> bool {
        self.auth.check(principal, action, &topic_named(topic)).expect("decided").is_allowed()
    }
}

pub fn topic_named(name: &str) -> Resource {
    Resource::Topic(Topic::new(name).expect("valid"))
}

pub fn read_topics(prefix: &str) -> Permission {
    Permission::new(Actions::READ, Scope::Topic(NamePattern::prefix(prefix).expect("valid")))
}

pub fn live_key() -> ApiKeyRequest {
    ApiKeyRequest { environment: "live".into(), label: "ci".into(), ..ApiKeyRequest::default() }
}

pub fn is_unauthenticated<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Unauthenticated))
}
