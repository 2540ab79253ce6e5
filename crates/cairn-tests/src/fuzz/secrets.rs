//! Targets about secrets: tokens, stored password hashes, envelopes, key rings. None of them may
//! take for genuine what was not made here.

use std::sync::{Arc, OnceLock};

use cairn_auth::password::{SecretHasher, Verdict};
use cairn_auth::{
    ApiKeyRequest, AuthConfig, AuthService, EnvelopeEncryptor, Error, GivenKey, MasterKey,
    MemoryStore, NoAudit, Parts, RecordKind, Secret, StoreId, Username,
};
use cairn_codec::seal::{KeyRing, OuterKey};
use cairn_segment::{Log, LogConfig};
use cairn_types::Timestamp;
use cairn_vfs::{ManualClock, MemVfs, OpenMode, Rng, SeededRng, Vfs};

const STORE: [u8; 16] = [5; 16];
const RECORD: RecordKind = RecordKind(1000);
const IDENTITY: &[u8] = b"patient 7";
const OUTER: [u8; 32] = [42; 32];

/// A password hasher that does no work.
#[derive(Debug)]
struct NoHasher;

impl SecretHasher for NoHasher {
    fn hash(&self, _: &Secret, _: &dyn Rng) -> cairn_auth::Result<String> {
        Ok("none".into())
    }

    fn verify(&self, _: &Secret, _: &str) -> cairn_auth::Result<Verdict> {
        Ok(Verdict::Wrong)
    }

    fn accepts(&self, _: &str) -> cairn_auth::Result<()> {
        Ok(())
    }
}

/// A service with one user, and the API key and session token that were issued.
struct Desk {
    auth: AuthService<Arc<MemoryStore>>,
    key: Secret,
    token: Secret,
}

fn master() -> MasterKey {
    let bytes: Vec<u8> = (0..32_u8).map(|n| n.wrapping_mul(7).wrapping_add(3)).collect();
    MasterKey::from_bytes(&bytes).expect("many different bytes")
}

fn desk() -> &'static Desk {
    static DESK: OnceLock<Desk> = OnceLock::new();
    DESK.get_or_init(|| {
        let parts = Parts {
            clock: Arc::new(ManualClock::default()),
            rng: Arc::new(SeededRng::new(1)),
            hasher: Arc::new(NoHasher),
            // One that keeps events would be out of memory after some millions of inputs.
            audit: Arc::new(NoAudit),
        };
        let (store, key) = (Arc::new(MemoryStore::default()), GivenKey::from(master()));
        let auth = AuthService::open(store, &key, parts, AuthConfig::default()).expect("opens");
        let name = Username::new("ada").expect("valid");
        let ada = auth.create_user(&name, &"a password".into(), &"".into()).expect("creates");
        let request = ApiKeyRequest { environment: "live".into(), ..ApiKeyRequest::default() };
        let key = auth.issue_api_key(ada, &request).expect("issues").key;
        let token = auth.issue_session(ada).expect("issues").token;
        Desk { auth, key, token }
    })
}

/// Bytes as an API key and as a session token: only what was issued counts, and every refusal is
/// one error.
pub fn tokens(bytes: &[u8]) {
    let desk = desk();
    match desk.auth.verify_api_key(bytes) {
        Ok(_) => assert_eq!(bytes, desk.key.expose(), "a key that was not issued counts"),
        Err(error) => assert!(matches!(error, Error::Unauthenticated), "{error:?}"),
    }
    match desk.auth.validate_session(bytes) {
        Ok(_) => assert_eq!(bytes, desk.token.expose(), "a token that was not issued counts"),
        Err(error) => assert!(matches!(error, Error::Unauthenticated), "{error:?}"),
    }
}

/// Bytes as a stored password hash: its parameters are believed within the caps alone, and no
/// work is done to find out.
pub fn password_hashes(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let argon = cairn_auth::Argon2idHasher::new(cairn_auth::HashParams::FLOOR).expect("the floor");
    if argon.accepts(text).is_ok() {
        assert!(text.len() <= cairn_auth::password::MAX_PHC_LEN, "longer than is looked at");
        assert!(text.starts_with("$argon2id$") || text.starts_with("$2"), "{text}");
    }
}

/// Bytes as an envelope and as a wrapped data key: only what was sealed here opens.
pub fn envelopes(bytes: &[u8]) {
    static SEALED: OnceLock<(EnvelopeEncryptor, Vec<u8>, Vec<u8>)> = OnceLock::new();
    let store = StoreId::from_bytes(STORE);
    let (sealer, wrapped, envelope) = SEALED.get_or_init(|| {
        let rng = SeededRng::new(2);
        let (sealer, wrapped) = EnvelopeEncryptor::create(store, &master(), &rng);
        let envelope = sealer.seal(RECORD, IDENTITY, b"blood group 0", &rng).expect("short");
        (sealer, wrapped, envelope)
    });
    if let Ok(opened) = sealer.unseal(RECORD, IDENTITY, bytes) {
        assert_eq!(bytes, envelope, "an envelope that was not sealed here opens");
        assert_eq!(opened.expose(), b"blood group 0");
    }
    if EnvelopeEncryptor::open(store, &master(), [bytes]).is_ok() {
        assert_eq!(bytes, wrapped, "a data key that was not wrapped here opens");
    }
}

fn ring() -> KeyRing {
    let rng = SeededRng::new(3);
    let mut random = |bytes: &mut [u8]| rng.fill(bytes);
    let outer = OuterKey::new(&OUTER).expect("a key");
    KeyRing::create(STORE, &outer, Timestamp::from_micros(0), &mut random)
}

/// Bytes as a key ring: one spelling, and only wrapped keys made here open. Then as both copies
/// beside a log, which must refuse or open whole.
pub fn key_ring(bytes: &[u8]) {
    if let Ok(found) = KeyRing::decode(bytes) {
        assert_eq!(found.encode(), bytes, "another spelling");
        let outer = OuterKey::new(&OUTER).expect("a key");
        if *found.store_id() == STORE && found.check(&[outer]).is_ok() {
            assert!(found.keys().eq(ring().keys()), "keys that were not wrapped here open");
        }
    }
    let vfs = encrypted().fork();
    for path in ["KEYRING", "log/keyring"] {
        vfs.remove(path).expect("it was there");
        let file = vfs.open(path, OpenMode::Create).expect("memory takes it");
        file.write_all_at(0, bytes).expect("memory takes it");
    }
    if let Ok(log) = options(&vfs).open() {
        let record = log.read(cairn_types::Lsn::new(0)).expect("it opened");
        assert_eq!(record.payload.as_deref(), Some(&b"sealed"[..]));
    }
}

fn options(vfs: &MemVfs) -> cairn_segment::LogOptions {
    let config = LogConfig { background: false, ..LogConfig::default() };
    let (clock, rng) = (Arc::new(ManualClock::default()), Arc::new(SeededRng::new(1)));
    let vfs = Arc::new(vfs.clone()) as Arc<dyn Vfs>;
    Log::options().vfs(vfs).clock(clock).rng(rng).config(config).sealing_key(&OUTER)
}

fn encrypted() -> &'static MemVfs {
    static STORE: OnceLock<MemVfs> = OnceLock::new();
    STORE.get_or_init(|| {
        let vfs = MemVfs::new();
        let log = options(&vfs).open().expect("an empty disk opens");
        log.append(&super::draft(b"sealed")).expect("memory takes it");
        log.close().expect("memory takes it");
        drop(log);
        vfs
    })
}

/// Valid inputs of these targets, to be changed a little.
#[must_use]
pub fn valid_secrets() -> Vec<Vec<u8>> {
    let desk = desk();
    let rng = SeededRng::new(2);
    let store = StoreId::from_bytes(STORE);
    let (sealer, wrapped) = EnvelopeEncryptor::create(store, &master(), &rng);
    let envelope = sealer.seal(RECORD, IDENTITY, b"blood group 0", &rng).expect("short");
    let file = encrypted().open("KEYRING", OpenMode::Read).expect("it is encrypted");
    let mut live = vec![0; usize::try_from(file.len().expect("a length")).expect("small")];
    file.read_exact_at(0, &mut live).expect("reads");
    let phc = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$\
               AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let bcrypt = "$2b$10$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    vec![
        desk.key.expose().to_vec(),
        desk.token.expose().to_vec(),
        wrapped,
        envelope,
        ring().encode(),
        live,
        phc.as_bytes().to_vec(),
        bcrypt.as_bytes().to_vec(),
    ]
}
