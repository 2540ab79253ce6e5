//! Sessions: they live as long as they should and not a moment longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cairn_cache::{Error, SessionConfig, SessionManager, SessionToken};
use cairndb::auth::GivenKey;
use cairndb::engine::Engine;
use cairndb::keys::Range;
use cairndb::types::Timestamp;
use cairndb::vfs::{ManualClock, MemVfs, SeededRng};
use serde::{Deserialize, Serialize};

use crate::locks::{engine, engine_on};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cart {
    pub items: Vec<String>,
    pub count: u64,
}

impl Cart {
    pub fn new(item: &str) -> Self {
        Self { items: vec![item.to_owned()], count: 0 }
    }
}

pub fn key(seed: u8) -> GivenKey {
    let bytes = std::array::from_fn::<u8, 32, _>(|n| (n as u8).wrapping_mul(7).wrapping_add(seed));
    GivenKey::from_bytes(&bytes).expect("not weak")
}

pub const IDLE: Duration = Duration::from_secs(80);
const LIFETIME: Duration = Duration::from_secs(400);

pub fn sessions(engine: &Engine, seed: u64) -> SessionManager<Cart> {
    let config = SessionConfig {
        idle: IDLE,
        lifetime: LIFETIME,
        per_user_max: 3,
        data_len_max: 1000,
        ..SessionConfig::default()
    };
    SessionManager::open_with_rng(engine, &key(1), config, Arc::new(SeededRng::new(seed)))
        .expect("opens")
}

#[test]
fn a_session_is_stored_found_changed_and_ended() {
    let (engine, _) = engine();
    let sessions = sessions(&engine, 1);
    let issued = sessions.store("alice", &Cart::new("tea")).expect("stores");
    let found = sessions.get(&issued.token).expect("reads").expect("lives");
    assert_eq!((&*found.user, found.id, &*found.data), ("alice", issued.id, &Cart::new("tea")));
    assert_eq!(found.expires_at, issued.expires_at);
    let changed = sessions.update(&issued.token, |cart| cart.count = 5).expect("writes");
    assert_eq!(changed, Some(()));
    assert_eq!(sessions.get(&issued.token).expect("reads").expect("lives").data.count, 5);
    let stranger = SessionToken::parse(&"0".repeat(64)).expect("digits");
    assert!(sessions.get(&stranger).expect("reads").is_none());
    assert!(!sessions.revoke(&stranger).expect("asks"));
    assert!(sessions.revoke(&issued.token).expect("ends"));
    assert!(sessions.get(&issued.token).expect("reads").is_none());
    assert!(!sessions.revoke(&issued.token).expect("asks"));
    assert_eq!(sessions.update(&issued.token, |cart| cart.count = 6).expect("asks"), None);
    assert!(sessions.touch(&issued.token).expect("asks").is_none());
    assert!(engine.keys().lease_ids().is_empty());
}

#[test]
fn what_is_read_again_is_not_opened_again_and_is_always_the_newest() {
    let (engine, _) = engine();
    let (sessions, other) = (sessions(&engine, 1), sessions(&engine, 2));
    let token = sessions.store("alice", &Cart::new("tea")).expect("stores").token;
    for count in 1..20 {
        // Through another manager, of which the first one is told nothing.
        other.update(&token, |cart| cart.count = count).expect("writes").expect("lives");
        for _ in 0..3 {
            let found = sessions.get(&token).expect("reads").expect("lives");
            assert_eq!(found.data.count, count);
        }
    }
    assert_eq!(sessions.stats().misses, 19);
    assert_eq!(sessions.stats().hits, 38);
    assert!(other.revoke(&token).expect("ends"));
    assert!(sessions.get(&token).expect("reads").is_none(), "cached, and not served");
}

#[test]
fn no_reader_sees_a_session_after_its_revocation_returned() {
    let (engine, _) = engine();
    let (manager, revoker) = (sessions(&engine, 1), sessions(&engine, 2));
    for round in 0..60 {
        let token = manager.store("alice", &Cart::new("tea")).expect("stores").token;
        let revoked = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    loop {
                        let known = revoked.load(Ordering::SeqCst);
                        let found = manager.get(&token).expect("reads");
                        if known {
                            assert!(found.is_none(), "round {round}: stale");
                            return;
                        }
                    }
                });
            }
            scope.spawn(|| {
                while let Some(()) = manager.update(&token, |cart| cart.count += 1).expect("asks") {
                }
            });
            let ended = if round % 2 == 0 {
                u64::from(revoker.revoke(&token).expect("ends"))
            } else {
                revoker.revoke_all("alice").expect("ends")
            };
            assert_eq!(ended, 1);
            revoked.store(true, Ordering::SeqCst);
        });
        assert!(manager.get(&token).expect("reads").is_none(), "no update brought it back");
    }
    assert!(engine.keys().lease_ids().is_empty());
}

#[test]
fn concurrent_updates_of_a_session_lose_nothing() {
    let (engine, _) = engine();
    let sessions = sessions(&engine, 1);
    let token = sessions.store("alice", &Cart::new("tea")).expect("stores").token;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    sessions.update(&token, |cart| cart.count += 1).expect("writes");
                }
            });
        }
    });
    assert_eq!(sessions.get(&token).expect("reads").expect("lives").data.count, 200);
}

#[test]
fn sessions_end_when_idle_and_after_their_lifetime_also_when_the_clock_jumps() {
    let (engine, clock) = engine();
    let sessions = sessions(&engine, 1);
    let idle = sessions.store("idle", &Cart::new("tea")).expect("stores").token;
    let used = sessions.store("used", &Cart::new("tea")).expect("stores").token;
    let step = IDLE * 3 / 4;
    for _ in 0..6 {
        // The time of day goes back before each step: nothing lives longer for it.
        clock.set(Timestamp::from_secs(0));
        assert!(sessions.touch(&used).expect("reads").is_some());
        clock.advance(step);
    }
    assert!(sessions.get(&idle).expect("reads").is_none(), "nobody has ended its lease yet");
    assert!(sessions.touch(&used).expect("reads").is_some());
    clock.advance(LIFETIME - step * 6);
    assert!(sessions.touch(&used).expect("reads").is_none(), "touched, and over all the same");
    clock.advance(IDLE);
    engine.maintain().expect("ends leases");
    let space = engine.keyspace("sessions").expect("there");
    let left = space.scan(Range::prefix("s/"), 0).expect("scans").count();
    assert_eq!(left, 0, "what is over goes by itself");
    let forward = sessions.store("forward", &Cart::new("tea")).expect("stores").token;
    clock.set(Timestamp::MAX);
    assert!(sessions.get(&forward).expect("reads").is_none(), "set forward: sooner, never later");
}

#[test]
fn touching_writes_at_most_once_in_an_eighth_of_the_idle_time() {
    let (engine, clock) = engine();
    let sessions = sessions(&engine, 1);
    let token = sessions.store("alice", &Cart::new("tea")).expect("stores").token;
    let before = engine.log().visible_end().get();
    for _ in 0..160 {
        clock.advance(Duration::from_millis(500));
        assert!(sessions.touch(&token).expect("reads").is_some());
    }
    let written = engine.log().visible_end().get() - before;
    assert_eq!(written, 8, "80 seconds of use, one renewal in 10 seconds");
}

#[test]
fn a_user_has_a_bounded_number_of_sessions_and_loses_all_at_once() {
    let (engine, _) = engine();
    let sessions = sessions(&engine, 1);
    let tokens: Vec<_> =
        (0..5).map(|_| sessions.store("alice", &Cart::new("tea")).expect("stores").token).collect();
    let other = sessions.store("alice2", &Cart::new("tea")).expect("stores").token;
    let lives = |token: &SessionToken| sessions.get(token).expect("reads").is_some();
    assert_eq!(tokens.iter().map(lives).collect::<Vec<_>>(), [false, false, true, true, true]);
    let listed: Vec<_> = sessions.list("alice").expect("lists").iter().map(|it| it.id).collect();
    assert_eq!(listed, tokens[2..].iter().map(SessionToken::id).collect::<Vec<_>>());
    let before = engine.revision();
    assert_eq!(sessions.revoke_all("alice").expect("ends"), 3);
    assert_eq!(engine.revision(), before + 1, "one transaction");
    assert!(!tokens.iter().any(lives));
    assert!(lives(&other));
    assert_eq!(sessions.revoke_all("alice").expect("ends"), 0);
    assert!(sessions.revoke_id(other.id()).expect("ends"));
    assert!(sessions.list("alice2").expect("lists").is_empty());
}

#[test]
fn nothing_on_the_disk_lets_anybody_in_or_tells_who_is_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let engine = Engine::open(dir.path().join("data")).expect("opens");
    let sessions = sessions(&engine, 1);
    let issued = sessions.store("alice-the-user", &Cart::new("green-tea-42")).expect("stores");
    let text = issued.token.expose();
    drop(sessions);
    engine.close().expect("closes");
    let mut files = vec![dir.path().to_path_buf()];
    let mut seen = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).expect("lists").map(|it| it.expect("it").path()));
            continue;
        }
        let bytes = std::fs::read(&path).expect("reads");
        seen += bytes.len();
        let raw: Vec<u8> = text
            .expose()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let secrets: [&[u8]; 4] = [text.expose(), &raw, b"alice-the-user", b"green-tea-42"];
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{}", path.display());
        }
    }
    assert!(seen > 1000);
}

#[test]
fn records_that_were_moved_or_changed_do_not_open_and_wrong_keys_are_told() {
    let (engine, _) = engine();
    let sessions = sessions(&engine, 1);
    let alice = sessions.store("alice", &Cart::new("tea")).expect("stores");
    let mallory = sessions.store("mallory", &Cart::new("tea")).expect("stores");
    let space = engine.keyspace("sessions").expect("there");
    let at = |id| format!("s/{id}");
    let record = space.get(at(alice.id)).expect("reads").expect("there");
    let put = |value: bytes::Bytes| {
        let put = cairndb::keys::Put::new(space.stream(), at(mallory.id), value);
        space.put_with(cairndb::keys::Put { ignore_lease: true, ..put }).expect("writes");
    };
    put(record.clone());
    assert!(sessions.get(&mallory.token).is_err(), "the record of another session");
    let mut changed = record.to_vec();
    *changed.last_mut().expect("bytes") ^= 1;
    put(changed.into());
    assert!(sessions.get(&mallory.token).is_err());
    put(bytes::Bytes::new());
    assert!(sessions.get(&mallory.token).is_err());
    let config = SessionConfig::default();
    assert!(SessionManager::<Cart>::open(&engine, &key(9), config.clone()).is_err());
    // Another type: an error, not a wrong answer.
    let typed = SessionManager::<u64>::open(&engine, &key(1), config).expect("opens");
    assert!(matches!(typed.get(&alice.token), Err(Error::SessionRecord { .. })));
}

#[test]
fn another_master_key_takes_over_and_sessions_go_on() {
    let (vfs, clock) = (Arc::new(MemVfs::new()), Arc::new(ManualClock::default()));
    let engine = engine_on(vfs.clone(), &clock, 1);
    let manager = sessions(&engine, 1);
    let token = manager.store("alice", &Cart::new("tea")).expect("stores").token;
    manager.rotate_master_key(&key(2)).expect("rewraps");
    assert!(manager.get(&token).expect("reads").is_some());
    drop(manager);
    drop(engine);
    let engine = engine_on(vfs, &clock, 2);
    assert!(SessionManager::<Cart>::open(&engine, &key(1), SessionConfig::default()).is_err());
    let again = SessionManager::<Cart>::open(&engine, &key(2), SessionConfig::default());
    let again = again.expect("opens");
    assert_eq!(again.get(&token).expect("reads").expect("lives").data.items, ["tea"]);
}

#[test]
fn hostile_users_and_oversized_data_are_refused_or_kept_apart() {
    let (engine, _) = engine();
    let sessions = sessions(&engine, 1);
    let cart = Cart::new("tea");
    assert!(matches!(sessions.store("", &cart), Err(Error::Invalid { .. })));
    assert!(matches!(sessions.store(&"x".repeat(1025), &cart), Err(Error::Invalid { .. })));
    let large = Cart::new(&"x".repeat(1000));
    assert!(matches!(sessions.store("alice", &large), Err(Error::Invalid { .. })));
    let token = sessions.store("alice", &cart).expect("stores").token;
    let grown = sessions.update(&token, |cart| cart.items.push("x".repeat(1000)));
    assert!(matches!(grown, Err(Error::Invalid { .. })));
    assert_eq!(sessions.get(&token).expect("reads").expect("lives").data.items.len(), 1);
    for user in ["a/b", "a", "a/", "\0", "..", "u/a", "\u{10ffff}"] {
        sessions.store(user, &cart).expect("stores");
        assert_eq!(sessions.list(user).expect("lists").len(), 1, "{user:?}");
    }
}
