//! Locks and sessions on a disk that loses whatever was not synced, crash after crash.
//! Every failure prints its seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cairn_cache::{Error, SessionManager, SessionToken, TokenGate};
use cairndb::engine::Engine;
use cairndb::keys::{Put, Range};
use cairndb::log::{Log, LogConfig};
use cairndb::vfs::{ManualClock, SeededRng, SimConfig, SimVfs};

use crate::locks::locks;
use crate::sessions::{Cart, sessions};

const CRASHES_A_LIFE: u32 = 6;

fn lives() -> u64 {
    let crashes = std::env::var("CAIRN_CRASHES").ok().and_then(|text| text.parse().ok());
    (crashes.unwrap_or(100_000_u64) / 1000).clamp(1, 2000)
}

fn open(disk: &SimVfs, seed: u64) -> Result<Engine, cairndb::engine::Error> {
    let config = LogConfig { segment_size: 64 << 10, background: false, ..LogConfig::default() };
    let log = Log::options()
        .vfs(Arc::new(disk.clone()))
        .clock(Arc::new(ManualClock::default()))
        .rng(Arc::new(SeededRng::new(seed)))
        .config(config);
    Engine::options().log(log).open()
}

/// A session as the test knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Known {
    /// Acknowledged with this count, and the next one may be there, too.
    Lives(u64),
    /// Ended, and that was acknowledged.
    Ended,
    /// Its end was asked for and not acknowledged.
    Unsure,
}

#[derive(Default)]
struct World {
    sessions: BTreeMap<String, Known>,
    gate: TokenGate,
    writes: u64,
}

fn work(disk: &SimVfs, seed: u64, rng: &SeededRng, world: &mut World) -> Result<(), Error> {
    let engine = open(disk, seed)?;
    engine.create_keyspace("data")?;
    let data = engine.keyspace("data")?;
    // Another sequence than the log's, or lease numbers would meet.
    let manager = sessions_of(&engine, seed ^ (0xfeed << 32))?;
    let locks = cairn_cache::Locks::open(&engine, cairn_cache::LockConfig::default())?;
    loop {
        match rng.below(5) {
            0 => {
                let issued = manager.store("alice", &Cart::new("tea"));
                // The store holds at most three: which ones went is not followed here.
                let issued = issued?;
                for known in world.sessions.values_mut() {
                    if let Known::Lives(_) = known {
                        *known = Known::Unsure;
                    }
                }
                let text = issued.token.expose();
                let text = text.expose_str().expect("digits").to_owned();
                world.sessions.insert(text, Known::Lives(0));
            }
            1 | 2 => {
                let Some((text, known)) = world.sessions.iter_mut().next_back() else { continue };
                let token = SessionToken::parse(text).expect("digits");
                let Known::Lives(count) = *known else { continue };
                manager.update(&token, |cart| cart.count = count + 1)?.expect("it lives");
                *known = Known::Lives(count + 1);
            }
            3 => {
                let Some((text, known)) = world.sessions.iter_mut().next_back() else { continue };
                let token = SessionToken::parse(text).expect("digits");
                if *known == Known::Ended {
                    continue;
                }
                *known = Known::Unsure;
                manager.revoke(&token)?;
                *known = Known::Ended;
            }
            _ => {
                // A lock of an earlier life is held until its lease is over; here time stands
                // still, so each life has a lock of its own to take, and all share a gate.
                let Some(guard) = locks.try_lock(&format!("job {}", rng.below(40)))? else {
                    continue;
                };
                guard.with_fence(|planner| {
                    planner.put(&Put::new(data.stream(), "k", guard.token().to_string()))
                })?;
                assert!(world.gate.admit(guard.token()), "tokens grow across crashes");
                world.writes += 1;
                guard.release()?;
            }
        }
    }
}

fn sessions_of(engine: &Engine, seed: u64) -> Result<SessionManager<Cart>, Error> {
    engine.create_keyspace("sessions")?;
    SessionManager::open_with_rng(
        engine,
        &crate::sessions::key(1),
        cairn_cache::SessionConfig { per_user_max: 3, ..Default::default() },
        Arc::new(SeededRng::new(seed)),
    )
}

/// Holds what came back against what was acknowledged.
fn judge(engine: &Engine, seed: u64, world: &mut World) {
    let manager = sessions_of(engine, seed ^ (0xbeef << 32)).expect("opens");
    for (text, known) in &mut world.sessions {
        let token = SessionToken::parse(text).expect("digits");
        let found = manager.get(&token).expect("reads").map(|session| session.data.count);
        match (*known, found) {
            (Known::Lives(count), Some(there)) => {
                assert!(there == count || there == count + 1, "{there} instead of {count}");
                *known = Known::Lives(there);
            }
            (Known::Ended, None) | (Known::Unsure, _) => {}
            // A session that was pushed out by one whose token never came back.
            (Known::Lives(_), None) => *known = Known::Unsure,
            (Known::Ended, Some(_)) => panic!("a session came back after its revocation"),
        }
        if found.is_none() {
            *known = Known::Ended;
        }
    }
    // Record and index agree, and both have a lease that lives.
    let space = engine.keyspace("sessions").expect("there");
    let keys = |prefix: &'static str| -> Vec<_> {
        let scan = space.scan(Range::prefix(prefix), 0).expect("scans");
        let mut found: Vec<_> = scan.map(|kv| kv.expect("reads")).collect();
        for kv in &found {
            assert!(engine.keys().lease(kv.lease).is_some(), "a key without its lease");
        }
        let name = |key: &[u8]| String::from_utf8_lossy(key).rsplit('/').next().map(str::to_owned);
        let mut names: Vec<_> = found.drain(..).map(|kv| name(&kv.key)).collect();
        names.sort();
        names
    };
    let (records, index) = (keys("s/"), keys("u/"));
    assert_eq!(records, index, "records and index are written together");
    assert!(records.len() <= 3);
    let written = engine.keyspace("data").ok().and_then(|data| data.get("k").expect("reads"));
    let written = written.map_or(0, |text| {
        std::str::from_utf8(&text).expect("digits").parse::<u64>().expect("digits")
    });
    assert!(written >= world.gate.greatest(), "an acknowledged fenced write is gone");
}

#[test]
fn after_any_crash_ended_sessions_stay_ended_indexes_agree_and_tokens_grow() {
    let (mut crashes, mut writes, mut known) = (0, 0, 0);
    for seed in 0..lives() {
        println!("seed {seed}");
        let rng = SeededRng::new(seed);
        let disk = SimVfs::new(seed, SimConfig::default());
        let mut world = World::default();
        for life in 0..CRASHES_A_LIFE {
            disk.crash_after(20 + rng.below(400));
            let ended = work(&disk, seed * 100 + u64::from(life), &rng, &mut world);
            let error = ended.expect_err("only the disk ends the work");
            assert!(disk.is_down(), "seed {seed}: {error}");
            if rng.below(4) == 0 {
                disk.process_crash();
            } else {
                disk.power_crash();
            }
            crashes += 1;
            let engine = open(&disk, seed * 100 + 50 + u64::from(life)).expect("opens");
            judge(&engine, seed * 1000 + u64::from(life), &mut world);
        }
        writes += world.writes;
        known += world.sessions.len();
    }
    println!("{crashes} crashes, {writes} fenced writes, {known} sessions");
    assert!(writes > crashes / 4 && known as u64 > crashes / 4, "the lives were long enough");
}

#[test]
fn a_lock_held_through_a_crash_is_still_held_until_its_lease_is_over() {
    let disk = SimVfs::new(3, SimConfig::default());
    let clock = Arc::new(ManualClock::default());
    let engine = crate::locks::engine_on(Arc::new(disk.clone()), &clock, 1);
    let held = locks(&engine).try_lock("job").expect("asks").expect("free").detach();
    disk.power_crash();
    drop(engine);
    let engine = crate::locks::engine_on(Arc::new(disk), &clock, 2);
    let again = locks(&engine);
    assert!(again.try_lock("job").expect("asks").is_none());
    assert!(again.resume(&held).expect("alive").is_first().expect("alive"));
    let _unused = sessions(&engine, 1);
    clock.advance(Duration::from_secs(10));
    assert!(again.try_lock("job").expect("asks").is_none_or(|next| next.token() > held.token));
}
