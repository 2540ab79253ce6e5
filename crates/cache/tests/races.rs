//! Writers, readers, short lives, and a Redis that is killed, paused and started again: nobody
//! reads what was overwritten before the call.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cairn_cache::backend::*;
use cairn_cache::*;
use cairndb::prelude::*;
use cairndb::vfs::{Rng, SeededRng};

use crate::block_on;
use crate::hybrid::{PATIENT, engine, until};
use crate::redis_server::RedisServer;

const KEYS: u64 = 16;

/// What is known of a key: its writer does step 1, 2, 3 ...; every seventh is a deletion.
#[derive(Default)]
struct Truth {
    begun: AtomicU64,
    done: AtomicU64,
    /// When each step was acknowledged.
    acknowledged: Mutex<Vec<Instant>>,
}

fn deletes(step: u64) -> bool {
    step.is_multiple_of(7)
}

fn key(number: u64) -> Bytes {
    format!("key {number}").into()
}

struct Race {
    keyspace: Keyspace,
    cached: HybridStore,
    truths: Vec<Truth>,
    stop: AtomicBool,
    reads: AtomicU64,
    known: AtomicU64,
    longest_us: AtomicU64,
}

impl Race {
    async fn write(&self, writer: u64, rng: &SeededRng) {
        let number = rng.below(KEYS / 2) * 2 + writer;
        let truth = &self.truths[number as usize];
        let step = truth.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let value = step.to_string();
        match (deletes(step), rng.below(2)) {
            (true, 0) => drop(self.keyspace.delete(key(number)).expect("deletes")),
            (true, _) => drop(self.cached.delete(key(number)).await.expect("deletes")),
            (false, 0) => drop(self.keyspace.put(key(number), value).expect("writes")),
            (false, _) => drop(self.cached.put(key(number), value).await.expect("writes")),
        }
        truth.acknowledged.lock().expect("not poisoned").push(Instant::now());
        truth.done.store(step, Ordering::SeqCst);
    }

    /// Panics when the value cannot be that of a moment after `least` was done.
    fn judge(&self, number: u64, least: u64, value: Option<&Bytes>) {
        let most = self.truths[number as usize].begun.load(Ordering::SeqCst);
        match value {
            Some(value) => {
                let step: u64 = std::str::from_utf8(value).expect("text").parse().expect("a step");
                assert!((least..=most).contains(&step), "stale: {step}, not {least}..={most}");
            }
            None => {
                let is_possible = least == 0 || (least..=most).any(deletes);
                assert!(is_possible, "stale: absent, not {least}..={most}");
            }
        }
    }

    async fn read(&self, rng: &SeededRng) {
        let number = rng.below(KEYS);
        let least = self.truths[number as usize].done.load(Ordering::SeqCst);
        let start = Instant::now();
        let value = self.cached.get(&key(number)).await.expect("a cache gives no errors");
        let took = u64::try_from(start.elapsed().as_micros()).expect("short");
        self.longest_us.fetch_max(took, Ordering::Relaxed);
        self.judge(number, least, value.as_ref());
        self.reads.fetch_add(1, Ordering::Relaxed);
        if rng.below(4) == 0 {
            self.cached.clear_local();
        }
    }

    /// A reader without an engine: within the bound, or an error.
    async fn read_elsewhere(&self, reader: &CacheReader, bound: Duration, rng: &SeededRng) {
        let number = rng.below(KEYS);
        let must_be_in = Instant::now().checked_sub(bound);
        let Ok(known) = reader.get(&key(number)).await else { return };
        let acknowledged = self.truths[number as usize].acknowledged.lock().expect("not poisoned");
        let least = acknowledged.iter().take_while(|at| Some(**at) < must_be_in).count() as u64;
        drop(acknowledged);
        match known.answer {
            Lookup::Unknown => return,
            Lookup::Absent => self.judge(number, least, None),
            Lookup::Value(value) => self.judge(number, least, Some(&value)),
        }
        self.known.fetch_add(1, Ordering::Relaxed);
    }
}

fn spawn<F>(
    race: &Arc<Race>,
    seed: u64,
    step: impl Fn(Arc<Race>, Arc<SeededRng>) -> F + Send + 'static,
) -> tokio::task::JoinHandle<()>
where
    F: Future<Output = ()> + Send,
{
    let race = race.clone();
    tokio::spawn(async move {
        let rng = Arc::new(SeededRng::new(seed));
        while !race.stop.load(Ordering::Relaxed) {
            step(race.clone(), rng.clone()).await;
            tokio::task::yield_now().await;
        }
    })
}

async fn trouble(server: &mut RedisServer, rng: &SeededRng) {
    let pause = async |most: u64| tokio::time::sleep(Duration::from_millis(rng.below(most))).await;
    for round in 0..8 {
        pause(300).await;
        if round % 2 == 0 {
            server.kill();
            pause(300).await;
            server.restart();
        } else {
            server.pause();
            pause(400).await;
            server.resume();
        }
    }
}

fn race(misses: Misses, seed: u64) {
    let Some(mut server) = RedisServer::start() else { return };
    println!("seed {seed}");
    let (_dir, _engine, keyspace) = engine();
    block_on(async {
        let config = RedisConfig { timeout: Duration::from_millis(200) };
        let backend = Arc::new(RedisCache::new(&server.url(), config).expect("an address"));
        let rng: Arc<dyn Rng> = Arc::new(SeededRng::new(seed));
        let ttl = Duration::from_millis(20);
        let heartbeat = Duration::from_millis(20);
        let pause_max = Duration::from_millis(100);
        let breaker = BreakerConfig { pause_max, ..BreakerConfig::default() };
        let options =
            HybridOptions { misses, ttl, heartbeat, breaker, rng, ..HybridOptions::default() };
        let cached = HybridStore::new(keyspace.clone(), backend.clone(), options);
        let truths = (0..KEYS).map(|_| Truth::default()).collect();
        let race = Arc::new(Race {
            keyspace,
            cached,
            truths,
            stop: AtomicBool::new(false),
            reads: AtomicU64::new(0),
            known: AtomicU64::new(0),
            longest_us: AtomicU64::new(0),
        });
        let mut tasks = Vec::new();
        for writer in 0..2 {
            tasks.push(spawn(&race, seed + writer, move |race, rng| async move {
                race.write(writer, &rng).await;
                tokio::time::sleep(Duration::from_micros(rng.below(2000))).await;
            }));
        }
        for reader in 0..3 {
            tasks.push(spawn(&race, seed + 10 + reader, |race, rng| async move {
                race.read(&rng).await;
            }));
        }
        let bound = Duration::from_millis(300);
        let elsewhere = CacheReader::new(backend, "default", "k", bound);
        tasks.push(spawn(&race, seed + 20, move |race, rng| {
            let elsewhere = elsewhere.clone();
            async move { race.read_elsewhere(&elsewhere, bound, &rng).await }
        }));
        trouble(&mut server, &SeededRng::new(seed + 30)).await;
        let before = race.known.load(Ordering::Relaxed);
        until("readers elsewhere are served again", || {
            race.known.load(Ordering::Relaxed) > before + 10
        })
        .await;
        race.stop.store(true, Ordering::Relaxed);
        for task in tasks {
            task.await.expect("nobody saw anything stale");
        }
        let longest = Duration::from_micros(race.longest_us.load(Ordering::Relaxed));
        println!(
            "{} reads, longest {longest:?}, {:?}",
            race.reads.load(Ordering::Relaxed),
            race.cached.stats()
        );
        assert!(race.cached.stats().epochs > 1, "the server forgot everything now and then");
        assert!(longest < PATIENT, "{longest:?}");
    });
}

#[test]
fn no_read_is_stale_while_redis_dies_and_the_engine_answers_misses() {
    race(Misses::Engine, 101);
}

#[test]
fn no_read_is_stale_while_redis_dies_and_redis_answers_misses() {
    race(Misses::Backend, 202);
}

#[test]
fn many_who_miss_at_once_read_once() {
    let Some(server) = RedisServer::start() else { return };
    let (_dir, _engine, keyspace) = engine();
    keyspace.put("cold", "1").expect("writes");
    block_on(async {
        let backend =
            Arc::new(RedisCache::new(&server.url(), RedisConfig::default()).expect("an address"));
        let options = HybridOptions { misses: Misses::Backend, ..HybridOptions::default() };
        let cached = HybridStore::new(keyspace, backend, options);
        until("the backend is up", || cached.is_backend_up()).await;
        server.pause();
        let reads: Vec<_> = (0..50)
            .map(|_| {
                let cached = cached.clone();
                tokio::spawn(async move { cached.get(b"cold").await })
            })
            .collect();
        for read in reads {
            assert_eq!(read.await.expect("no panic").expect("reads"), Some("1".into()));
        }
        server.resume();
        let stats = cached.stats();
        assert_eq!(stats.misses, 1, "{stats:?}");
        assert_eq!(stats.joined + stats.local_hits, 49, "{stats:?}");
    });
}

#[test]
fn a_dead_redis_costs_a_few_time_limits_and_then_nothing() {
    let Some(mut server) = RedisServer::start() else { return };
    let (_dir, _engine, keyspace) = engine();
    let keys: Vec<String> = (0..2000).map(|number| format!("k{number}")).collect();
    keyspace.put_all(keys.iter().map(|key| (key.clone(), "v"))).expect("writes");
    for phase in ["killed", "paused"] {
        block_on(async {
            let backend = Arc::new(
                RedisCache::new(&server.url(), RedisConfig::default()).expect("an address"),
            );
            let options = HybridOptions { misses: Misses::Backend, ..HybridOptions::default() };
            let cached = HybridStore::new(keyspace.clone(), backend, options);
            until("the backend is up", || cached.is_backend_up()).await;
            match phase {
                "killed" => server.kill(),
                _ => server.pause(),
            }
            let start = Instant::now();
            for key in &keys {
                let value = cached.get(key.as_bytes()).await.expect("no error of the cache");
                assert_eq!(value, Some("v".into()));
            }
            let took = start.elapsed();
            println!("{phase}: 2000 reads in {took:?}, {:?}", cached.stats());
            assert!(cached.stats().skipped > 1500, "{:?}", cached.stats());
            assert!(took < PATIENT, "{took:?}");
            match phase {
                "killed" => server.restart(),
                _ => server.resume(),
            }
            until("it is used again", || cached.is_backend_up()).await;
            let revision = cached.put("again", "1").await.expect("writes");
            assert!(cached.settled(revision, PATIENT).await);
        });
    }
}

#[test]
fn a_forged_or_broken_entry_is_not_served_instead_of_a_newer_one() {
    let Some(server) = RedisServer::start() else { return };
    let (_dir, _engine, keyspace) = engine();
    block_on(async {
        let config = RedisConfig { timeout: PATIENT };
        let backend = Arc::new(RedisCache::new(&server.url(), config).expect("an address"));
        let options = HybridOptions { misses: Misses::Backend, ..HybridOptions::default() };
        let cached = HybridStore::new(keyspace, backend.clone(), options);
        until("the backend is up", || cached.is_backend_up()).await;
        let revision = cached.put("a", "right").await.expect("writes");
        assert!(cached.settled(revision, PATIENT).await);
        let head =
            backend.get_plain(b"cairn:default:k:head").await.expect("answers").expect("there");
        let epoch = std::str::from_utf8(&head[..32]).expect("text");
        let name = format!("cairn:default:k:{epoch}:a");
        assert!(backend.get(name.as_bytes()).await.expect("answers").is_some(), "{name}");
        for forged in ["+wrong", "-", "", "nonsense", "\0"] {
            for at in [revision - 1, revision + 1] {
                cached.clear_local();
                let entry = format!("{at:020}v{forged}");
                backend.set_plain(name.as_bytes(), entry.into(), None).await.expect("writes");
                assert_eq!(cached.get(b"a").await.expect("reads"), Some("right".into()));
            }
        }
        cached.clear_local();
        assert!(cached.stats().stale_refused >= 2);
    });
}
