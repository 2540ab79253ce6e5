//! Keyspaces that keep only the latest: what a compaction has hidden goes from the log, and no
//! answer changes, whatever is lost, reopened or crashes.

use crate::crashes::{judge, open_with, write};
use crate::model::Model;
use crate::random::{Step, check, run, step};
use crate::soaking::{is_soak, seeds};
use crate::{Lab, S, get, put};
use cairn_mvcc::*;
use cairn_segment::LogConfig;
use cairn_types::{Durability, StreamId};
use cairn_vfs::{Rng, SeededRng, SimConfig, SimVfs, Vfs};
use proptest::prelude::*;

/// Cleans everything that can be.
const ALL: CleanKeys<'_> = CleanKeys { dead_share: 0.0, roll: true, progress: None };

fn open(lab: &Lab) -> Store {
    let store = lab.open();
    store.keep_latest_only(S);
    store
}

fn lose_tables(vfs: &dyn Vfs) {
    for entry in vfs.list("tables").unwrap_or_default() {
        vfs.remove(&format!("tables/{}", entry.name)).expect("removes");
    }
    vfs.sync_dir("tables").expect("syncs");
}

fn is_intact(store: &Store) -> bool {
    store.log().verify(&Default::default()).expect("verifies").is_intact()
}

fn log_len(store: &Store) -> u64 {
    store.log().segment_stats().expect("stats").iter().map(|segment| segment.len).sum()
}

#[test]
fn superseded_values_go_and_every_kept_one_is_read_as_before() {
    let lab = Lab::cramped();
    let store = open(&lab);
    let value = |round: u32, key: u32| format!("{round} {key} ").repeat(60);
    for round in 0..10 {
        for key in 0..40 {
            put(&store, &format!("key{key}"), &value(round, key));
        }
    }
    let head = store.log().head().chain;
    let compacted = store.revision() - 20;
    store.compact(compacted).expect("compacts");
    let before = log_len(&store);
    let cleaned = store.clean(&ALL).expect("cleans");
    assert!(cleaned.dropped_count > 300, "{cleaned:?}");
    assert!(log_len(&store) < before / 2, "{before} to {}", log_len(&store));
    assert!(is_intact(&store));
    let check = |store: &Store| {
        for key in 0..40 {
            let name = format!("key{key}");
            assert_eq!(get(store, &name).expect("there").value, value(9, key));
            let then = store.get_at(S, name.as_bytes(), compacted).expect("reads").expect("there");
            let round = if key < 20 { 9 } else { 8 };
            assert_eq!(then.value, value(round, key), "{name} at {compacted}");
        }
        let early = store.get_at(S, b"key1", compacted - 1);
        assert!(matches!(early, Err(Error::Compacted { .. })), "{early:?}");
        let early = store.watch(WatchRequest::new(S, Range::all()).from(compacted - 1));
        assert!(matches!(early, Err(Error::Compacted { .. })));
    };
    check(&store);
    assert_ne!(store.log().head().chain, head, "the compaction is a record");
    let head = store.log().head().chain;
    let hash = store.state_hash(0).expect("hashes");
    drop(store);
    lose_tables(&lab.vfs);
    let store = open(&lab);
    check(&store);
    assert_eq!(store.state_hash(0).expect("hashes"), hash);
    assert_eq!(store.log().head().chain, head);
    // Nothing is left to do.
    assert_eq!(store.clean(&ALL).expect("cleans").replaced_count, 0);
}

#[test]
fn a_deleted_key_stays_deleted_when_tables_are_lost_or_older_than_the_log() {
    for lost in [false, true] {
        let lab = Lab::cramped();
        let store = open(&lab);
        let long = "x".repeat(500);
        put(&store, "a", &long);
        put(&store, "b", &long);
        store.flush().expect("flushes");
        let delete = |key: &str| store.delete(&DeleteRange::new(S, Range::key(key.to_owned())));
        delete("a").expect("deletes");
        put(&store, "a", &long);
        let last = delete("a").expect("deletes").revision;
        store.compact(last).expect("compacts");
        store.clean(&ALL).expect("cleans");
        drop(store);
        if lost {
            lose_tables(&lab.vfs);
        }
        let store = open(&lab);
        assert!(get(&store, "a").is_none(), "tables lost: {lost}");
        assert_eq!(get(&store, "b").expect("there").value, long);
        assert_eq!(store.key_count(S).expect("counts"), 1);
        let again = store.put(Put::new(S, "a", "new")).expect("puts").revision;
        let found = get(&store, "a").expect("there");
        assert_eq!((found.create_revision, found.version), (again, 1));
    }
}

#[test]
fn other_keyspaces_keep_everything_and_a_dropped_one_goes() {
    let (kept, gone) = (StreamId::new(7), StreamId::new(8));
    let lab = Lab::new();
    let store = open(&lab);
    store.keep_latest_only(gone);
    let mut last = 0;
    for number in 0..50_u32 {
        for space in [S, kept, gone] {
            let value = format!("value {number} ").repeat(20);
            last = store.put(Put::new(space, "k", value)).expect("puts").revision;
        }
    }
    store.forget_space(gone);
    store.compact(last).expect("compacts");
    assert_eq!(store.clean(&ALL).expect("cleans").dropped_count, 49 + 50);
    let mut scan = store.log().scan(store.log().start_lsn());
    let mut count = 0;
    while let Some(record) = scan.next_record().expect("reads") {
        count += u32::from(record.view.stream == kept && record.payload().is_some());
    }
    assert_eq!(count, 50);
}

#[test]
fn a_watcher_that_fell_behind_is_told_and_one_at_the_compaction_misses_nothing() {
    let store = open(&Lab::new());
    let long = "x".repeat(300);
    for _ in 0..20 {
        put(&store, "k", &long);
    }
    let watch = |from| store.watch(WatchRequest::new(S, Range::all()).from(from)).expect("watches");
    let (mut behind, mut at) = (watch(2), watch(15));
    assert_eq!(behind.try_next().expect("reads").expect("there").revision, 2);
    store.compact(15).expect("compacts");
    store.clean(&ALL).expect("cleans");
    for _ in 0..2 {
        assert!(matches!(behind.try_next(), Err(Error::Compacted { requested: 3, oldest: 15 })));
    }
    for revision in 15..=21 {
        let batch = at.try_next().expect("reads").expect("there");
        assert_eq!((batch.revision, &batch.changes[0].kv.value[..]), (revision, long.as_bytes()));
    }
}

#[test]
fn readers_never_see_a_value_go_while_it_is_overwritten_compacted_and_cleaned() {
    let lab = Lab::new();
    let store = open(&lab);
    let value = |round: u64| format!("{round:09}").repeat(40);
    put(&store, "k", &value(0));
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (store, stop) = (&store, &stop);
            scope.spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let found = match reader {
                        0 => store.value(S, b"k").expect("reads").expect("there"),
                        _ => {
                            let all = RangeRequest::new(S, Range::all());
                            store.range(&all).expect("reads").kvs[0].value.clone()
                        }
                    };
                    assert_eq!(found.len(), 360);
                    assert!(found.chunks(9).all(|piece| piece == &found[..9]));
                }
            });
        }
        for round in 1..150 {
            let revision = put(&store, "k", &value(round));
            store.compact(revision).expect("compacts");
            store.clean(&ALL).expect("cleans");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_segment_with_little_to_gain_is_left_alone() {
    let store = open(&Lab::new());
    for number in 0..100 {
        put(&store, &format!("key{number}"), &"x".repeat(300));
    }
    for _ in 0..10 {
        put(&store, "key1", &"y".repeat(300));
    }
    store.compact(store.revision()).expect("compacts");
    let modest = CleanKeys { roll: true, ..CleanKeys::default() };
    assert_eq!(store.clean(&modest).expect("cleans").replaced_count, 0);
    let eager = CleanKeys { dead_share: 0.05, ..modest };
    assert_eq!(store.clean(&eager).expect("cleans").dropped_count, 10);
}

#[test]
fn the_background_cleans_after_a_compaction() {
    let vfs = cairn_vfs::MemVfs::new();
    let config = LogConfig { segment_size: 64 << 10, ..LogConfig::default() };
    let log = cairn_segment::Log::options().vfs(std::sync::Arc::new(vfs)).config(config);
    let store = Store::open(log.open().expect("opens")).expect("opens");
    store.keep_latest_only(S);
    for round in 0..2000 {
        put(&store, &format!("key{}", round % 20), &"x".repeat(300));
    }
    let before = log_len(&store);
    store.compact(store.revision()).expect("compacts");
    let is_small = || log_len(&store) < before / 2;
    let due = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !is_small() && std::time::Instant::now() < due {
        std::thread::yield_now();
    }
    assert!(is_small(), "{before} to {}", log_len(&store));
    assert!(is_intact(&store));
    for key in 0..20 {
        assert_eq!(get(&store, &format!("key{key}")).expect("there").version, 100);
    }
}

#[derive(Debug, Clone)]
enum Act {
    Step(Step),
    Clean,
    LoseTables,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        12 => step().prop_map(Act::Step),
        1 => Just(Act::Clean),
        1 => Just(Act::LoseTables),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn cleaning_changes_no_answer_with_and_without_tables(
        acts in proptest::collection::vec(act(), 1..80),
        cramped in any::<bool>(),
    ) {
        let lab = if cramped { Lab::cramped() } else { Lab::new() };
        let mut store = open(&lab);
        let mut model = Model::new();
        for act in &acts {
            match act {
                Act::Clean => {
                    store.clean(&ALL).expect("cleans");
                    check(&store, &model);
                }
                Act::Step(step) => run(&store, &mut model, step),
                Act::LoseTables => {}
            }
            if matches!(act, Act::LoseTables | Act::Step(Step::Reopen)) {
                let hash = store.state_hash(0).expect("hashes");
                drop(store);
                if matches!(act, Act::LoseTables) {
                    lose_tables(&lab.vfs);
                }
                store = open(&lab);
                prop_assert_eq!(store.state_hash(0).expect("hashes"), hash);
                check(&store, &model);
            }
        }
        store.clean(&ALL).expect("cleans");
        check(&store, &model);
        prop_assert!(is_intact(&store));
        drop(store);
        lose_tables(&lab.vfs);
        check(&open(&lab), &model);
    }
}

/// Crashes in the middle of writes, compactions and cleanings.
fn crash_often(durability: Durability, usual: std::ops::Range<u64>) {
    let (mut cleanings, mut crashes) = (0, 0);
    for seed in seeds(usual) {
        let rng = SeededRng::new(seed);
        let disk = SimVfs::new(seed, SimConfig::default());
        let mut model = Model::new();
        let config = LogConfig {
            segment_size: 64 << 10,
            background: false,
            durability,
            ..LogConfig::default()
        };
        let reopen = |seed| open_with(&disk, seed, rng.below(2) == 0, config.clone());
        for _ in 0..5 {
            disk.crash_after(1 + rng.below(if seed % 2 == 0 { 80 } else { 400 }));
            let mut possible = vec![model.clone()];
            if let Ok(store) = reopen(rng.next_u64()) {
                store.keep_latest_only(S);
                for _ in 0..60 {
                    if rng.below(6) == 0 {
                        // Without an end of the segment nothing has been synced for it.
                        let outcome = store.clean(&CleanKeys { roll: rng.below(2) == 0, ..ALL });
                        assert!(outcome.is_ok() || disk.is_down(), "seed {seed}: {outcome:?}");
                        cleanings += u64::from(outcome.is_ok_and(|done| done.dropped_count > 0));
                        if disk.is_down() {
                            break;
                        }
                        continue;
                    }
                    let (acknowledged, after) = write(&store, &model, &rng);
                    if durability == Durability::Sync && acknowledged {
                        possible.clear();
                    }
                    possible.push(after.clone());
                    if !acknowledged {
                        possible.push(model.clone());
                        break;
                    }
                    model = after;
                }
            }
            if rng.below(2) == 0 {
                disk.power_crash()
            } else {
                disk.process_crash()
            }
            crashes += 1;
            let store = reopen(rng.next_u64()).expect("recovers");
            let place = judge(&store, &possible).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
            model = possible.swap_remove(place);
            assert!(is_intact(&store), "seed {seed}");
            let hash = store.state_hash(0).expect("hashes");
            drop(store);
            lose_tables(&disk);
            let store = reopen(rng.next_u64()).expect("recovers");
            assert_eq!(store.state_hash(0).expect("hashes"), hash, "seed {seed}: without tables");
        }
    }
    println!("total: crashes={crashes} cleanings={cleanings} violations=0");
    assert!(is_soak() || cleanings > 20, "cleaned {cleanings} times");
}

#[test]
fn after_a_crash_at_any_step_of_cleaning_nothing_acknowledged_is_missing() {
    crash_often(Durability::Sync, 0..150);
}

#[test]
fn cleaning_never_takes_what_only_unsynced_records_have_hidden() {
    crash_often(Durability::Buffered, 1000..1150);
}
