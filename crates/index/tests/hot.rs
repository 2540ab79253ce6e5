//! The hot index against a map: same answers, within its budget, through checkpoints, with
//! several threads, and never "absent" for a key that was given.

use bytes::Bytes;
use cairn_index::{AtLimit, HotConfig, HotIndex, Lookup, Upsert};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// A log in which the key at a place is known: what a caller compares with.
#[derive(Default)]
struct Log(Vec<u32>);

impl Log {
    fn append(&mut self, key: u32) -> u64 {
        self.0.push(key);
        self.0.len() as u64 - 1
    }

    fn holds(&self, place: u64, key: u32) -> bool {
        self.0.get(usize::try_from(place).expect("small")) == Some(&key)
    }
}

fn hash(index: &HotIndex, key: u32, clash: bool) -> u64 {
    let hash = index.hash(&key.to_be_bytes());
    if clash { hash & 0xf000_0000_0000_0000 } else { hash }
}

fn saved(index: &HotIndex, position: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let len = index
        .checkpoint(position, |piece| {
            out.extend_from_slice(piece);
            Ok::<_, std::convert::Infallible>(())
        })
        .expect("a vector takes everything");
    assert_eq!(len, out.len() as u64);
    out
}

#[derive(Debug, Clone)]
enum Step {
    Put(u32),
    Remove(u32),
    Find(u32),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || 0_u32..300;
    let step = prop_oneof![
        8 => key().prop_map(Step::Put),
        3 => key().prop_map(Step::Remove),
        4 => key().prop_map(Step::Find),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 1..400)
}

/// Runs the steps on index and model; `exact` when the budget has room for all keys.
fn run(steps: &[Step], config: HotConfig, clash: bool, exact: bool) {
    let mut index = HotIndex::new(config);
    let mut log = Log::default();
    let mut model = HashMap::new();
    for step in steps {
        match *step {
            Step::Put(key) => {
                let place = log.append(key);
                let hash = hash(&index, key, clash);
                let done = index.upsert(hash, place, |at| log.holds(at, key)).expect("in range");
                let old = model.insert(key, place);
                match done {
                    Upsert::Replaced(at) => assert_eq!(Some(at), old),
                    Upsert::Inserted => assert!(!exact || old.is_none()),
                    Upsert::Full => assert!(!exact),
                }
            }
            Step::Remove(key) => {
                let found = index.remove(hash(&index, key, clash), |at| log.holds(at, key));
                let old = model.remove(&key);
                assert!(found == old || (!exact && found.is_none()));
            }
            Step::Find(key) => {
                let found = index.lookup(hash(&index, key, clash), |at| log.holds(at, key));
                match (found, model.get(&key)) {
                    (Lookup::Found(place), Some(right)) => assert_eq!(place, *right),
                    (Lookup::Absent, None) => {}
                    (Lookup::Unknown, _) => assert!(!exact),
                    wrong => panic!("{key}: {wrong:?}"),
                }
            }
            Step::Reopen => {
                let bytes = Bytes::from(saved(&index, 7));
                let before = index.len();
                let end = log.0.len() as u64;
                let (again, position) =
                    HotIndex::restore(bytes, config, end.max(7)).expect("opens");
                assert_eq!((position, again.len()), (7, before));
                index = again;
            }
        }
        assert!(index.memory() <= config.budget.max(64 << 12));
    }
    index.check_invariants();
    assert!(index.len() <= model.len());
    assert!(!exact || index.len() == model.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_roomy_index_answers_as_a_map(steps in steps(), seed: u64) {
        run(&steps, HotConfig { budget: 1 << 20, at_limit: AtLimit::Refuse, seed }, false, true);
    }

    #[test]
    fn a_cramped_index_never_denies_a_key(steps in steps(), budget in 0_usize..3000, refuse: bool) {
        let at_limit = if refuse { AtLimit::Refuse } else { AtLimit::Evict };
        run(&steps, HotConfig { budget, at_limit, seed: 3 }, false, false);
    }

    #[test]
    fn keys_made_to_collide_are_told_apart_or_unknown(steps in steps(), refuse: bool) {
        let at_limit = if refuse { AtLimit::Refuse } else { AtLimit::Evict };
        run(&steps, HotConfig { budget: 1 << 20, at_limit, seed: 3 }, true, false);
    }

    #[test]
    fn arbitrary_bytes_are_no_checkpoint(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let config = HotConfig { budget: 1 << 20, at_limit: AtLimit::Evict, seed: 0 };
        prop_assert!(HotIndex::restore(Bytes::from(bytes), config, 0).is_err());
    }
}

fn filled(budget: usize, at_limit: AtLimit, keys: u32) -> (HotIndex, Log) {
    let index = HotIndex::new(HotConfig { budget, at_limit, seed: 0 });
    let mut log = Log::default();
    for key in 0..keys {
        let place = log.append(key);
        let hash = hash(&index, key, false);
        let done = index.upsert(hash, place, |at| log.holds(at, key)).expect("in range");
        assert!(at_limit == AtLimit::Evict || done == Upsert::Inserted, "{key}: {done:?}");
    }
    (index, log)
}

#[test]
fn a_million_keys_take_at_most_seventeen_bytes_each() {
    let (index, log) = filled(64 << 20, AtLimit::Refuse, 1_000_000);
    let each = index.memory() as f64 / 1e6;
    println!("{each:.2} B a key");
    assert!(each < 17.2, "{each}");
    for key in (0..2_000_000).step_by(7) {
        let right = if key < 1_000_000 { Lookup::Found(key.into()) } else { Lookup::Absent };
        assert_eq!(index.lookup(hash(&index, key, false), |at| log.holds(at, key)), right);
    }
    index.clear();
    assert!(index.is_empty() && index.memory() < 1 << 20);
    assert_eq!(index.lookup(hash(&index, 1, false), |_| true), Lookup::Absent);
    index.check_invariants();
}

#[test]
fn at_the_budget_keys_that_are_read_stay() {
    let (index, mut log) = filled(256 << 10, AtLimit::Evict, 10_000);
    let find =
        |log: &Log, key: u32| index.lookup(hash(&index, key, false), |at| log.holds(at, key));
    for key in 10_000..200_000 {
        let place = log.append(key);
        index.upsert(hash(&index, key, false), place, |at| log.holds(at, key)).expect("in range");
        let _found = find(&log, key % 2000);
    }
    assert!(index.memory() <= 256 << 10);
    index.check_invariants();
    let stayed = |log: &Log, keys: std::ops::Range<u32>| {
        keys.filter(|key| matches!(find(log, *key), Lookup::Found(_))).count()
    };
    let (read, unread) = (stayed(&log, 0..2000), stayed(&log, 2000..10_000));
    println!("{read} of 2,000 keys that are read stayed, {unread} of 8,000 others");
    assert!(read > 1500 && unread < 800, "{read} {unread}");
}

#[test]
fn a_promotion_that_a_write_overtook_is_refused() {
    let index = HotIndex::with_budget(1 << 20);
    index.mark_incomplete();
    let hash = index.hash(b"k");
    assert_eq!(index.lookup(hash, |_| true), Lookup::Unknown);
    let ticket = index.ticket(hash);
    assert!(index.promote(ticket, hash, 5, |_| true), "nothing happened meanwhile");
    assert!(!index.promote(index.ticket(hash), hash, 5, |_| true), "it is there");
    index.remove(hash, |_| true);
    let ticket = index.ticket(hash);
    index.upsert(hash, 9, |_| true).expect("in range");
    index.remove(hash, |_| true);
    assert!(!index.promote(ticket, hash, 5, |_| true), "the place found may be out of date");
    assert!(index.upsert(hash, 1 << 48, |_| true).is_err());
}

#[test]
fn what_the_log_lost_is_unknown_after_a_restore() {
    let (index, log) = filled(1 << 20, AtLimit::Refuse, 1000);
    let config = *index.config();
    let bytes = Bytes::from(saved(&index, 500));
    assert!(HotIndex::restore(bytes.clone(), config, 499).is_err(), "below the position");
    let (index, position) = HotIndex::restore(bytes, config, 600).expect("opens");
    assert_eq!(position, 500);
    for key in 0..1000 {
        let found = index.lookup(hash(&index, key, false), |at| log.holds(at, key));
        assert_eq!(found, if key < 600 { Lookup::Found(key.into()) } else { Lookup::Unknown });
    }
}

#[test]
fn a_damaged_checkpoint_is_refused_or_its_shard_unknown() {
    let (index, log) = filled(128 << 10, AtLimit::Refuse, 300);
    let config = *index.config();
    let bytes = saved(&index, 0);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let Ok((index, _)) = HotIndex::restore(Bytes::from(damaged), config, 1000) else {
            continue;
        };
        for key in 0..300 {
            let found = index.lookup(hash(&index, key, false), |at| log.holds(at, key));
            assert!(matches!(found, Lookup::Unknown) || found == Lookup::Found(key.into()));
        }
        assert_eq!(index.damaged_shards(), 1, "bit {bit}");
    }
    for len in 0..bytes.len() {
        let cut = Bytes::copy_from_slice(&bytes[..len]);
        assert!(HotIndex::restore(cut, config, 1000).is_err(), "{len} bytes");
    }
}

#[test]
fn readers_see_every_key_while_a_writer_moves_them() {
    const KEYS: u64 = 2000;
    let index = HotIndex::with_budget(1 << 20);
    let at = |key: u64, round: u64| round * KEYS + key;
    let matches = |key: u64| move |place: u64| place % KEYS == key;
    let hash = |key: u64| index.hash(&key.to_le_bytes());
    (0..KEYS).for_each(|key| {
        index.upsert(hash(key), at(key, 0), matches(key)).expect("in range");
    });
    let round = AtomicU64::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for next in 1..60 {
                for key in 0..KEYS {
                    index.upsert(hash(key), at(key, next), matches(key)).expect("in range");
                }
                round.store(next, Ordering::Release);
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                while round.load(Ordering::Acquire) < 59 {
                    for key in 0..KEYS {
                        let done = round.load(Ordering::Acquire);
                        let Lookup::Found(place) = index.lookup(hash(key), matches(key)) else {
                            panic!("{key} was there all the time");
                        };
                        assert!(place >= at(key, done), "never an older place than was published");
                    }
                }
            });
        }
    });
    index.check_invariants();
}
